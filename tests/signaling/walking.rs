//! Every message of `docs/signaling.md`, between a daemon and real sockets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::daemon::start_changed;
use super::document::{CLIENT, SERVER, example};
use crate::support::websocket::WebSocket;

/// What was said and heard, by type.
#[derive(Default)]
struct Walk {
    said: BTreeSet<String>,
    heard: BTreeSet<String>,
}

impl Walk {
    /// Asks for what the document's example asks for, with other values.
    fn ask(&mut self, socket: &mut WebSocket, t: &str, change: Value) -> Value {
        let mut message = example(t);
        for (field, value) in change.as_object().unwrap() {
            message[field] = value.clone();
        }
        self.said.insert(t.to_owned());
        let reply = socket.ask(message);
        self.heard.insert(reply["t"].as_str().unwrap().to_owned());
        reply
    }

    fn hear(&mut self, socket: &mut WebSocket, t: &str) -> Value {
        self.heard.insert(t.to_owned());
        let message = socket.hear();
        assert_eq!(message["t"], t, "{message}");
        message
    }
}

#[test]
fn a_client_walks_every_message_of_the_document() {
    let daemon = start_changed("15420-15439", |config| config.rooms.knock = true);
    let mut walk = Walk::default();
    let no_token = json!({"token": null});

    // Alice creates the room, and is its host.
    let mut alice = WebSocket::open(&daemon);
    assert_eq!(walk.ask(&mut alice, "hello", no_token.clone())["resumed"], false);
    let room = walk.ask(&mut alice, "join", json!({}));
    assert_eq!((&room["host"], room["host_token"].is_string()), (&room["you"], true), "{room}");
    assert!(room["ice"]["iceServers"][1]["username"].as_str().unwrap().contains(":room."), "{room}");

    // Bob knocks twice: he is turned away, and let in.
    let mut bob = WebSocket::open(&daemon);
    let hello = walk.ask(&mut bob, "hello", no_token.clone());
    walk.ask(&mut bob, "join", json!({"name": "Bob"}));
    let knock = walk.hear(&mut alice, "knock");
    walk.ask(&mut alice, "deny", json!({"peer": knock["peer"]}));
    assert_eq!(walk.hear(&mut bob, "error")["code"], "knock_denied");
    assert_eq!(walk.ask(&mut bob, "join", json!({"name": "Bob"}))["t"], "waiting");
    let knock = walk.hear(&mut alice, "knock");
    walk.ask(&mut alice, "admit", json!({"peer": knock["peer"]}));
    let joined = walk.hear(&mut bob, "joined");
    assert_eq!(walk.hear(&mut alice, "peer_joined")["member"]["name"], "Bob");
    let (alice_id, bob_id) = (room["you"].clone(), joined["you"].clone());

    // They talk.
    walk.ask(&mut bob, "signal", json!({"to": alice_id}));
    assert_eq!(walk.hear(&mut alice, "signal")["d"]["type"], "offer");
    walk.ask(&mut alice, "msg", json!({}));
    assert_eq!(walk.hear(&mut bob, "msg")["direct"], false);
    walk.ask(&mut bob, "state", json!({"name": "Robert"}));
    assert_eq!(walk.hear(&mut alice, "peer_state")["name"], "Robert");
    assert_eq!(walk.ask(&mut bob, "ping", json!({"last": 0}))["ts"], 1234.5);
    assert_eq!(walk.ask(&mut bob, "ice", json!({}))["ttl"], 3600);

    // Bob is cut off, and comes back on another socket.
    let last = bob.ask(json!({"t": "ice"}))["n"].clone();
    drop(bob);
    walk.hear(&mut alice, "peer_away");
    let mut bob = WebSocket::open(&daemon);
    let back = json!({"token": null, "resume": hello["resume"], "last": last});
    assert_eq!(walk.ask(&mut bob, "hello", back)["resumed"], true);
    walk.hear(&mut alice, "peer_back");

    // Alice hands the room over, and leaves it; Bob ends what is left.
    walk.ask(&mut alice, "lock", json!({"on": false}));
    walk.hear(&mut alice, "room");
    walk.hear(&mut bob, "room");
    walk.ask(&mut alice, "host", json!({"peer": bob_id}));
    walk.hear(&mut alice, "room");
    assert_eq!(walk.hear(&mut bob, "room")["host"], bob_id);
    walk.ask(&mut alice, "leave", json!({}));
    assert_eq!(walk.hear(&mut bob, "peer_left")["reason"], "left");
    let again = walk.ask(&mut alice, "join", json!({"host_token": room["host_token"]}));
    assert_eq!(
        (&again["t"], &again["host"]),
        (&json!("joined"), &again["you"]),
        "the creator needs no knock"
    );
    walk.ask(&mut alice, "kick", json!({"peer": bob_id, "ban_s": 0}));
    while bob.hear()["t"] != "kicked" {}
    walk.heard.insert("kicked".to_owned());
    assert_eq!(bob.end().0, Some(4403));
    walk.ask(&mut alice, "end", json!({}));
    walk.said.insert("bye".to_owned());
    alice.say(&example("bye"));
    assert_eq!(alice.end().0, Some(1000));

    // The server stops.
    let (mut carol, _) = WebSocket::welcome(&daemon);
    daemon.hub().drain();
    walk.hear(&mut carol, "goaway");
    assert_eq!(carol.end().0, Some(1001));

    assert_eq!(walk.said, CLIENT.map(str::to_owned).into());
    assert_eq!(walk.heard, SERVER.map(str::to_owned).into());
    daemon.stop();
}
