//! Hostile clients: floods, giant frames, clients that do not read, and what they would have the server keep.

use std::io::Write as _;

use hairpin::compat::peerjs::waiting::{COST, OF_ADDRESS, OF_SENDER};
use hairpin::signaling::protocol::FRAME_MAX;
use hairpin::signaling::send_queue::BYTES_MAX;
use serde_json::json;

use super::{Peer, closes, counted, start};
use crate::support::stream::eventually;
use crate::support::websocket::{FIN, PING, PONG, TEXT, frame, head};

#[test]
fn a_message_may_have_64_kib_and_not_a_byte_more() {
    let daemon = start("16300-16319");
    let text = |size: usize| {
        let message = json!({"type": "OFFER", "dst": "me", "payload": ""}).to_string();
        message.replacen("\"\"", &format!("\"{}\"", "x".repeat(size - message.len())), 1)
    };
    assert_eq!(text(FRAME_MAX).len(), FRAME_MAX);
    let mut me = Peer::open(&daemon, "me");
    me.socket.frame(FIN | TEXT, text(FRAME_MAX).as_bytes());
    assert_eq!(me.hear()["type"], "OFFER");
    me.socket.frame(FIN | TEXT, text(FRAME_MAX + 1).as_bytes());
    assert_eq!(me.end().1, Some(1009));
    for length in [1 << 20, 1 << 31, 1 << 62, u64::MAX / 2] {
        let mut giant = Peer::open(&daemon, "giant");
        giant.socket.http.send(head(FIN | TEXT, length));
        giant.socket.http.send([0; 4]);
        assert_eq!(giant.end().1, Some(1009), "{length}");
    }
    daemon.stop();
}

/// Also of frames that say nothing. The neighbour behind the same address is served meanwhile.
#[test]
fn a_flood_of_any_kind_of_frame_is_closed_and_a_neighbour_is_served() {
    let daemon = start("16320-16339");
    let (mut a, mut b) = (Peer::open(&daemon, "a"), Peer::open(&daemon, "b"));
    let large = json!({"type": "OFFER", "dst": "b", "payload": "x".repeat(60_000)}).to_string();
    for (what, one, most) in [
        ("empty texts", frame(FIN | TEXT, b""), 0),
        ("pings", frame(FIN | PING, b""), 0),
        ("pongs", frame(FIN | PONG, b"a"), 0),
        ("heartbeats", frame(FIN | TEXT, b"{\"type\":\"HEARTBEAT\"}"), 0),
        ("nonsense", frame(FIN | TEXT, b"{\"type\":\"__proto__\",\"dst\":\"b\"}"), 0),
        ("messages", frame(FIN | TEXT, b"{\"type\":\"LEAVE\",\"dst\":\"b\"}"), 150),
        ("large messages", frame(FIN | TEXT, large.as_bytes()), 8),
    ] {
        let mut flood = Peer::open(&daemon, "flood");
        // The server does not read to the end of it.
        (0..400).try_for_each(|_| flood.socket.http.connection.write_all(&one)).ok();
        let (last, code) = flood.end();
        // The message, or the bytes of the connection, were too many.
        assert!(
            code.is_none() || (code, &last["type"]) == (Some(4429), &json!("ERROR")),
            "{what}: {code:?} {last}"
        );
        a.offer("b");
        let mut heard = 0;
        while b.hear()["src"] != "a" {
            heard += 1;
        }
        println!("{what}: {heard} of 400 arrived");
        assert!(heard <= most + 30, "{what}: {heard}");
    }
    assert!(closes(&daemon, "rate_limited") >= 5);
    eventually("the floods are gone", || counted(&daemon).sockets == 2);
    daemon.stop();
}

#[test]
fn a_peer_that_does_not_read_is_closed_at_its_bound() {
    let daemon = start("16340-16359");
    let slow = Peer::open(&daemon, "slow");
    socket2::SockRef::from(&slow.socket.http.connection.socket).set_recv_buffer_size(4096).unwrap();
    let large = json!({"type": "OFFER", "dst": "slow", "payload": "x".repeat(60_000)});
    let mut sent = 0_u64;
    for n in 0..200 {
        let mut writer = Peer::open(&daemon, &format!("writer{n}"));
        for _ in 0..8 {
            sent += 1;
            writer.say(&large);
        }
        writer.types();
        if closes(&daemon, "slow_consumer") > 0 {
            break;
        }
    }
    // What the kernel keeps for a reader that small comes on top.
    let bound = (BYTES_MAX + (6 << 20)) as u64 / 60_000;
    println!("{sent} messages of 60 kB");
    assert!(closes(&daemon, "slow_consumer") == 1 && sent <= bound, "{sent}, at most {bound}");
    drop(slow);
    daemon.stop();
}

#[test]
fn what_waits_for_nobody_is_bounded_for_a_client_and_for_its_address_and_neighbours_are_served() {
    let daemon = start("16360-16379");
    let large = json!({"type": "OFFER", "dst": "nobody", "payload": "x".repeat(30_000)});
    let mut floods: Vec<_> = (0..40).map(|n| Peer::open(&daemon, &format!("flood{n}"))).collect();
    let mut most = 0;
    for (n, flood) in floods.iter_mut().enumerate() {
        for m in 0..12 {
            let mut message = large.clone();
            message["dst"] = format!("nobody{n}-{m}").into();
            flood.say(&message);
        }
        let expired = flood.types();
        let kept = (OF_SENDER / (30_000 + COST)).min(12);
        assert!(expired.len() >= 12 - kept && expired.iter().all(|kind| kind == "EXPIRE"), "{expired:?}");
        most = most.max(counted(&daemon).waiting_bytes);
    }
    println!("{most} bytes waited of 14.4 MB that were sent");
    assert!(most <= OF_ADDRESS as u64 && most > OF_ADDRESS as u64 / 2, "{most}");
    // Behind the same address, peers that are there are served; behind another one, also those that come later.
    let (mut a, mut b) = (Peer::open(&daemon, "a"), Peer::open(&daemon, "b"));
    a.offer("b");
    assert_eq!(b.hear()["src"], "a");
    let mut next_door = Peer::at(&daemon, "203.0.113.9", "next");
    next_door.offer("late");
    assert_eq!(next_door.types(), Vec::<String>::new());
    assert_eq!(Peer::open(&daemon, "late").hear()["src"], "next");
    daemon.stop();
}

#[test]
fn thousands_that_connect_and_vanish_leave_nothing_behind() {
    let daemon = start("16380-16399");
    let mut witness = Peer::open(&daemon, "witness");
    for n in 0..1000 {
        let mut peer = Peer::open(&daemon, &format!("storm{}", n % 7));
        match n % 3 {
            0 => peer.offer(&format!("nobody{n}")),
            1 => peer.say(&json!({"type": "LEAVE"})),
            _ => {}
        }
    }
    eventually("one socket is left", || counted(&daemon).sockets == 1);
    witness.offer("witness");
    assert_eq!(witness.hear()["src"], "witness");
    daemon.stop();
}
