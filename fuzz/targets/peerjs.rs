//! Clients of PeerJS: what they show in the URLs of their sockets, and what they send. Each line is one step: its first byte
//! names a client, the second says whether it connects, sends or leaves, or time passes.
#![no_main]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hairpin::clock::Moment;
use hairpin::compat::peerjs::arrival::{Arrival, ID_MAX};
use hairpin::compat::peerjs::broker::{Broker, Effect};
use hairpin::compat::peerjs::message::{Fields, Said};
use hairpin::compat::peerjs::waiting::IN_ALL;
use hairpin::sections::rooms::Rooms;
use hairpin::signaling::sessions::SocketId;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let counters = Arc::default();
    let mut broker = Broker::new(&Rooms::default(), Arc::default(), Arc::clone(&counters));
    let (mut now, mut opened) = (Moment::default(), 0);
    let mut clients: HashMap<u8, SocketId> = HashMap::new();
    for line in text.split('\n') {
        let &[client, what, ..] = line.as_bytes() else { continue };
        let Some(rest) = line.get(2..) else { continue };
        let effects = match (what, clients.get(&client)) {
            (b't', _) => {
                now = now + Duration::from_millis(700);
                broker.tick(now)
            }
            (b'o', _) => {
                opened += 1;
                let arrival = Arrival::read(rest, "peerjs");
                assert!(
                    arrival.as_ref().is_ok_and(|it| !it.id.is_empty() && it.id.len() <= ID_MAX)
                        || arrival.is_err()
                );
                clients.insert(client, SocketId(opened));
                let ip = IpAddr::from([198, 51, 100, client % 4]);
                broker.open(SocketId(opened), ip, arrival, now).unwrap_or_default()
            }
            (b'l', Some(socket)) => {
                broker.lost(*socket);
                Vec::new()
            }
            (_, Some(socket)) => broker.hear(*socket, Said::of(Fields::read(rest).as_ref()), now),
            (_, None) => Vec::new(),
        };
        for effect in effects {
            let Effect::Send(_, text) = effect else { continue };
            let told: Value = serde_json::from_str(&text).expect("a message is JSON");
            assert!(told["type"].is_string(), "{told}");
        }
        assert!(counters.waiting.get() <= IN_ALL as u64);
    }
});
