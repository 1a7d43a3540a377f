//! `hairpin sessions`: who relays what, as a table, or one session with its peers and channels.

use std::fmt::Write as _;

use hyper::Method;
use serde_json::json;
use url::form_urlencoded;

use crate::cli::admin_client::{AdminArguments, read};
use crate::cli::table::{bits_per_second, bytes, printable, table, time};
use crate::cli::{Failure, print};
use crate::observed::session::{Cursor, LIMIT_MAX, Session, SessionId, Sessions, Sort, Summary};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Shows everything about this session.
    #[arg(value_name = "ID", conflicts_with_all = ["user", "sort", "limit"])]
    id: Option<SessionId>,
    /// Only the sessions of this user tag.
    #[arg(long, value_name = "TAG")]
    user: Option<String>,
    /// The order: the highest rate, the highest age or the most bytes first.
    #[arg(long, default_value = "rate")]
    sort: Sort,
    /// The most sessions to show.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    admin: AdminArguments,
}

/// The path of the request, to which its parameters are added.
const PATH: &str = "/sessions?";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match arguments.id {
        Some(id) => {
            let session = arguments.admin.ask(Method::GET, &format!("/sessions/{id}"), None)?;
            if arguments.admin.json { format!("{session}\n") } else { show(&read(session)?) }
        }
        None => {
            let (total, sessions) = list(arguments)?;
            match arguments.admin.json {
                true => format!("{}\n", json!({ "total": total, "sessions": sessions })),
                false => show_all(total, &sessions),
            }
        }
    };
    print(&text)
}

/// As many pages as the limit needs.
fn list(arguments: &Arguments) -> Result<(u64, Vec<Summary>), Failure> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let limit = (arguments.limit - all.len()).min(LIMIT_MAX);
        let path = path(arguments, limit, cursor);
        let Sessions { total, sessions, next, .. } = read(arguments.admin.ask(Method::GET, &path, None)?)?;
        all.extend(sessions);
        if next.is_none() || all.len() >= arguments.limit {
            return Ok((total, all));
        }
        cursor = next;
    }
}

fn path(arguments: &Arguments, limit: usize, cursor: Option<Cursor>) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix(PATH.to_owned(), PATH.len());
    query.append_pair("sort", arguments.sort.name()).append_pair("limit", &limit.to_string());
    query.extend_pairs(arguments.user.iter().map(|user| ("user", user)));
    query.extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor.to_string())));
    query.finish()
}

fn show_all(total: u64, sessions: &[Summary]) -> String {
    let header = ["ID", "USER", "VIA", "CLIENT", "RELAYED", "AGE", "UP", "DOWN", "BYTES"];
    let rows: Vec<_> = sessions.iter().map(row).collect();
    let mut text = table(header, &rows);
    if total > sessions.len() as u64 {
        let shown = sessions.len();
        writeln!(text, "{shown} of {total} sessions; --limit shows more")
            .expect("writing to a String cannot fail");
    }
    text
}

fn row(session: &Summary) -> [String; 9] {
    let relayed: Vec<String> = session.relayed.iter().map(ToString::to_string).collect();
    [
        session.id.to_string(),
        session.user.clone(),
        session.transport.name().to_owned(),
        session.client.to_string(),
        relayed.join(","),
        time(session.age),
        bits_per_second(session.up.bytes_per_second),
        bits_per_second(session.down.bytes_per_second),
        bytes(session.up.bytes.saturating_add(session.down.bytes)),
    ]
}

fn show(session: &Session) -> String {
    let Session { summary, username, server, peer_transport, peers, channels, connections } = session;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name:14} {}", printable(value)).expect("writing to a String cannot fail");
    };
    line("session", &summary.id.to_string());
    line("user", &summary.user);
    line("user name", username);
    line("client", &format!("{} over {}", summary.client, summary.transport.name()));
    line("server", &server.to_string());
    for relayed in &summary.relayed {
        line("relayed", &format!("{relayed} over {}", peer_transport.name()));
    }
    line("age", &time(summary.age));
    line("ends in", &time(summary.expires_in));
    for (name, traffic) in [("to peers", summary.up), ("to the client", summary.down)] {
        let (rate, all) = (bits_per_second(traffic.bytes_per_second), bytes(traffic.bytes));
        let (packets, per_second) = (traffic.packets, traffic.packets_per_second);
        line(name, &format!("{rate}, {per_second} packets/s; in all {all}, {packets} packets"));
    }
    for peer in peers {
        line("peer", &format!("{} for {}", peer.address, time(peer.expires_in)));
    }
    for channel in channels {
        let number = channel.number;
        line("channel", &format!("{number:#06x} to {} for {}", channel.peer, time(channel.expires_in)));
    }
    for peer in connections {
        line("connection", &peer.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::address::{ClientTransport, Transport};
    use crate::observed::session::{Channel, Peer, Traffic};

    fn summary() -> Summary {
        Summary {
            id: SessionId { shard: 0, slot: 17, serial: 42 },
            user: "shop.alice".to_owned(),
            transport: ClientTransport::Tls,
            client: "203.0.113.9:50000".parse().unwrap(),
            relayed: vec!["192.0.2.1:51000".parse().unwrap(), "[2001:db8::1]:51002".parse().unwrap()],
            age: 3725,
            expires_in: 480,
            up: Traffic { packets: 10, bytes: 10_000, packets_per_second: 50, bytes_per_second: 62_500 },
            down: Traffic { packets: 1, bytes: 100, packets_per_second: 0, bytes_per_second: 0 },
        }
    }

    #[test]
    fn each_session_has_a_line_and_those_left_out_are_counted() {
        let text = show_all(3, &[summary()]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0][..4], ["ID", "USER", "VIA", "CLIENT"], "{text}");
        assert_eq!(lines[1][..4], ["0-17-0000002a", "shop.alice", "tls", "203.0.113.9:50000"], "{text}");
        assert!(
            text.contains("192.0.2.1:51000,[2001:db8::1]:51002  1h 2m 5s  500.0 kbit/s  0 bit/s  10.1 kB")
        );
        assert!(text.ends_with("1 of 3 sessions; --limit shows more\n"), "{text}");
    }

    #[test]
    fn one_session_is_shown_with_its_peers_and_channels() {
        let peer = "198.51.100.7:4000".parse().unwrap();
        let session = Session {
            summary: summary(),
            username: "1800000000:shop.alice".to_owned(),
            server: "192.0.2.1:5349".parse().unwrap(),
            peer_transport: Transport::Udp,
            peers: vec![Peer { address: "198.51.100.7".parse().unwrap(), expires_in: 200 }],
            channels: vec![Channel { number: 0x4000, peer, expires_in: 500 }],
            connections: Vec::new(),
        };
        let text = show(&session);
        for line in [
            "session        0-17-0000002a\n",
            "user name      1800000000:shop.alice\n",
            "client         203.0.113.9:50000 over tls\n",
            "relayed        [2001:db8::1]:51002 over udp\n",
            "to peers       500.0 kbit/s, 50 packets/s; in all 10.0 kB, 10 packets\n",
            "peer           198.51.100.7 for 3m 20s\n",
            "channel        0x4000 to 198.51.100.7:4000 for 8m 20s\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
