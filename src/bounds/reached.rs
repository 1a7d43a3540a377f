//! PURE  Logs which limit was reached, at most once a minute for each, with the key that raises it.
//!
//! Every part of the daemon reports its limits here, so one table says all that an operator can read about a limit.

use std::time::Duration;

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::labels::labels;

labels! {
    /// A limit. Its label is the key in `config.toml` that raises it.
    pub enum Limit {
        /// Allocations of one user.
        UserAllocations = "limits.allocations_per_user",
        /// Allocations of one address.
        AddressAllocations = "limits.allocations_per_ip",
        /// Allocations of one network: half of all.
        NetworkAllocations = "limits.allocations",
        /// New allocations of one user or address in a minute: as many as may be held.
        NewAllocations = "limits.allocations_per_user",
        /// All allocations.
        AllAllocations = "limits.allocations",
        /// Permissions of one allocation.
        Permissions = "limits.permissions",
        /// Channels of one allocation, or its TCP connections with peers.
        Channels = "limits.channels",
        /// New peers of one allocation.
        NewPeers = "limits.new_peers_per_second",
        /// Packets of one allocation.
        Packets = "limits.packets_per_second",
        /// Bits of one allocation.
        Bits = "limits.bits_per_second",
        /// Bits of one user.
        UserBits = "limits.bits_per_second_per_user",
        /// Bytes of one user in one day.
        UserDay = "limits.bytes_per_user_per_day",
        /// Bits of all allocations.
        AllBits = "limits.bits_per_second_total",
        /// Error answers to unauthenticated clients.
        Answers = "limits.answers_per_ip_burst",
        /// Wrong passwords.
        Failures = "limits.failures_per_minute",
        /// All connections.
        AllConnections = "limits.connections",
        /// Connections of one network.
        NetworkConnections = "limits.connections_per_network",
        /// Connections of one address.
        AddressConnections = "limits.connections_per_ip",
        /// TLS handshakes of one address or network.
        Handshakes = "limits.handshakes_per_ip",
        /// Members of one room.
        Capacity = "rooms.capacity",
        /// All WebSockets, sessions and rooms.
        Members = "rooms.members",
        /// WebSockets of one address.
        AddressSockets = "rooms.sockets_per_ip",
        /// WebSockets of one network.
        NetworkSockets = "rooms.sockets_per_ip",
        /// Joins of one address.
        AddressJoins = "rooms.joins_per_minute",
        /// Joins of one network.
        NetworkJoins = "rooms.joins_per_minute",
        /// Requests with one API key.
        KeyRequests = "http.keys.per_minute",
        /// The lifetime of a credential or token made with one API key.
        KeyLifetime = "http.keys.max_ttl",
    }
}

/// When each limit was last logged. Shared by threads.
#[derive(Debug, Default)]
pub struct Reached([Notice; Limit::ALL.len()]);

/// One thread's events that it has not reported to [`Reached`] yet.
///
/// A limit on packets may be reached for each packet of a flood. The thread then writes to its own memory, and touches
/// the memory that it shares with others at most once a second.
#[derive(Debug, Default)]
pub struct Tally([Count; Limit::ALL.len()]);

#[derive(Debug, Default)]
struct Count {
    unreported: u64,
    /// When it may be reported.
    next: Moment,
}

/// How often a thread reports its events.
const REPORT: Duration = Duration::from_secs(1);

impl Reached {
    /// A limit was reached.
    pub fn hit(&self, limit: Limit, now: Moment) {
        self.hit_by(limit, None, 1, now);
    }

    /// A limit was reached `times` times, the last time by `user`.
    pub fn hit_by(&self, limit: Limit, user: Option<&str>, times: u64, now: Moment) {
        if let Some(times) = self.0[limit as usize].due(times, now) {
            let (key, text) = (limit.name(), limit.text());
            tracing::info!(key, user = user.map(tracing::field::debug), times, "limit reached: {text}");
        }
    }
}

impl Tally {
    /// This thread has reached a limit.
    pub fn hit(&mut self, limit: Limit, reached: &Reached, now: Moment) {
        let count = &mut self.0[limit as usize];
        count.unreported += 1;
        if now >= count.next {
            count.next = now + REPORT;
            reached.hit_by(limit, None, std::mem::take(&mut count.unreported), now);
        }
    }
}

impl Limit {
    /// What happens at the limit, and what the operator can do.
    #[must_use]
    pub const fn text(self) -> &'static str {
        TEXTS[self as usize].1
    }
}

/// What happens at each limit, and what the operator can do, in the order of [`Limit::ALL`].
const TEXTS: [(Limit, &str); Limit::ALL.len()] = [
    (
        Limit::UserAllocations,
        "a user has as many allocations as allowed, so a new one is refused (486): raise \
         limits.allocations_per_user, or name this user in limits.users",
    ),
    (
        Limit::AddressAllocations,
        "an address has as many allocations as allowed, so a new one is refused (486): if many of your users \
         share one address, raise limits.allocations_per_ip",
    ),
    (
        Limit::NetworkAllocations,
        "a network (/24 or /48) has half of all allocations, so a new one is refused (486): raise \
         limits.allocations",
    ),
    (
        Limit::NewAllocations,
        "a user or an address makes new allocations too fast, so one is refused (486). In one minute it may \
         make as many as it may hold: raise limits.allocations_per_user or limits.allocations_per_ip",
    ),
    (
        Limit::AllAllocations,
        "all allocations are taken, so a new one is refused (508): raise limits.allocations, or widen \
         relay.ports",
    ),
    (
        Limit::Permissions,
        "an allocation has as many permissions as allowed, so a new one is refused (508): raise \
         limits.permissions",
    ),
    (
        Limit::Channels,
        "an allocation has as many channels, or TCP connections with peers, as allowed, so a new one is \
         refused (508): raise limits.channels",
    ),
    (
        Limit::NewPeers,
        "an allocation adds new peers too fast, so some are refused (508): raise limits.new_peers_burst or \
         limits.new_peers_per_second",
    ),
    (
        Limit::Packets,
        "an allocation sends or receives more packets than allowed, so some are dropped: raise \
         limits.packets_per_second",
    ),
    (
        Limit::Bits,
        "an allocation sends or receives more than allowed, so packets are dropped, or a TCP connection is \
         slowed down: raise limits.bits_per_second",
    ),
    (
        Limit::UserBits,
        "a user's allocations together send or receive more than allowed, so packets are dropped, or a TCP \
         connection is slowed down: raise limits.bits_per_second_per_user",
    ),
    (
        Limit::UserDay,
        "a user has carried the bytes of one day, so new allocations and refreshes are refused (486) until \
         midnight UTC: raise limits.bytes_per_user_per_day",
    ),
    (
        Limit::AllBits,
        "all allocations together send or receive more than allowed, so packets are dropped, or TCP \
         connections are slowed down: raise limits.bits_per_second_total",
    ),
    (
        Limit::Answers,
        "too many unauthenticated requests from one address or network, so some get no answer: if they are \
         from your users, raise limits.answers_per_ip_burst and limits.answers_per_network_burst, or \
         limits.answers_per_ip and limits.answers_per_network if it lasts",
    ),
    (
        Limit::Failures,
        "too many wrong passwords from one client or address, so its requests get no answer: if they are from \
         your users, correct the password, or raise limits.failures_per_minute",
    ),
    (
        Limit::AllConnections,
        "all connections are taken: the oldest without a credential is closed for a new one; if there is \
         none, the new one is closed. Raise limits.connections",
    ),
    (
        Limit::NetworkConnections,
        "a network (/24 or /48) has as many connections as allowed: its oldest without a credential is closed \
         for a new one; if there is none, the new one is closed. If many of your users share a network, raise \
         limits.connections_per_network",
    ),
    (
        Limit::AddressConnections,
        "an address has as many connections as allowed: its oldest without a credential is closed for a new \
         one; if there is none, the new one is closed. If many of your users share one NAT, raise \
         limits.connections_per_ip",
    ),
    (
        Limit::Handshakes,
        "too many TLS handshakes from one address or network, so some were refused: if many of your users \
         share one NAT, raise limits.handshakes_per_ip",
    ),
    (
        Limit::Capacity,
        "a room has as many members as allowed, so a newcomer is refused: raise rooms.capacity, which is at \
         most 8",
    ),
    (
        Limit::Members,
        "the server has as many WebSockets or rooms as allowed, so one in no room is closed, or a new one is \
         refused: raise rooms.members if the machine has memory for more",
    ),
    (
        Limit::AddressSockets,
        "one address has as many WebSockets as allowed, so one in no room is closed, or a new one is refused: \
         if many of your users share one address, raise rooms.sockets_per_ip",
    ),
    (
        Limit::NetworkSockets,
        "one network (/24 or /48) has as many WebSockets as allowed (those of four addresses), so one in no \
         room is closed, or a new one is refused: if many of your users are in one network, raise \
         rooms.sockets_per_ip",
    ),
    (
        Limit::AddressJoins,
        "one address has joined rooms as often as allowed, and has to wait: if many of your users share one \
         address, raise rooms.joins_per_minute",
    ),
    (
        Limit::NetworkJoins,
        "one network (/24 or /48) has joined rooms as often as allowed (as four addresses), and has to wait: \
         if many of your users are in one network, raise rooms.joins_per_minute",
    ),
    (
        Limit::KeyRequests,
        "an API key was used as often as allowed, so requests are refused (429): raise per_minute \
         in the key's section of http.keys (http.keys.per_minute)",
    ),
    (
        Limit::KeyLifetime,
        "a backend requested a longer lifetime than its API key allows, and got the longest that it allows: \
         request a shorter one, or raise max_ttl in the key's section of http.keys (http.keys.max_ttl)",
    ),
];

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keys that no limit needs to name, and why.
    const NO_LIMITS: &[(&str, &str)] = &[
        ("listen.udp", "where it listens"),
        ("listen.tcp", "where it listens"),
        ("listen.tls", "where it listens"),
        ("listen.rfc3489", "a switch"),
        ("listen.proxies", "whom it trusts"),
        ("listen.takeover", "a switch"),
        ("http.keys.id", "a name"),
        ("http.keys.hash", "a secret"),
        ("http.keys.origins", "whom it trusts: http/refusals.rs names it"),
        ("http.keys.allow_query", "a switch: the answer 403 names it"),
        ("rooms.create", "who may, not how many"),
        ("rooms.password_hash", "a secret"),
        ("rooms.knock", "a switch"),
    ];

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile.
    fn logged(act: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_target(false);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    /// The keys of these sections in `config.toml`, those in comments included.
    fn keys(sections: &[&str]) -> Vec<String> {
        let (mut keys, mut section) = (Vec::new(), "");
        for line in include_str!("../../config.toml").lines() {
            let line = line.trim_start_matches("# ");
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.trim_matches(['[', ']']);
            } else if let Some((key, _)) = line.split_once(" = ")
                && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && sections.contains(&section)
            {
                keys.push(format!("{section}.{key}"));
            }
        }
        keys
    }

    #[test]
    fn every_limit_that_can_be_configured_is_logged_with_its_key() {
        let keys = keys(&["listen", "rooms", "limits", "http.keys"]);
        assert!(keys.len() > 35, "{keys:?}");
        for key in keys {
            let named = Limit::ALL.iter().any(|limit| limit.text().contains(&key));
            let excused = NO_LIMITS.iter().any(|(other, _)| *other == key);
            assert!(named != excused, "{key}: a limit names it: {named}, and none has to: {excused}");
        }
    }

    #[test]
    fn every_limit_has_its_own_text() {
        assert_eq!(TEXTS.map(|(limit, _)| limit), Limit::ALL);
    }

    #[test]
    fn what_is_said_of_a_limit_names_the_key_to_raise() {
        for limit in Limit::ALL {
            let text = limit.text().to_lowercase();
            assert!(text.contains("raise ") && text.contains(limit.name()), "{limit:?}: {text}");
        }
    }

    #[test]
    fn a_limit_is_said_once_a_minute_with_how_often_it_was_reached() {
        let reached = Reached::default();
        let text = logged(|| {
            for second in [5, 35, 65] {
                reached.hit(Limit::Handshakes, at(second));
                reached.hit_by(Limit::UserAllocations, Some("al\"ice"), 1, at(second));
            }
        });
        let said = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(
            (said("key=\"limits.handshakes_per_ip\""), said("INFO limit reached: ")),
            (2, 4),
            "{text}"
        );
        assert_eq!((said("times=1"), said("times=2"), said(r#" user="al\"ice" "#)), (2, 2, 2), "{text}");
    }

    #[test]
    fn a_flood_is_counted_by_its_thread_and_reported_once_a_second() {
        let (reached, mut tally) = (Reached::default(), Tally::default());
        let text = logged(|| {
            for millisecond in 0..61_000 {
                tally.hit(Limit::Packets, &reached, at(5) + Duration::from_millis(millisecond));
            }
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("times=1") && lines[1].contains("times=60000"), "{text}");
    }
}
