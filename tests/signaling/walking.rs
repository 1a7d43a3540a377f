//! Every message of `docs/signaling.md`, between a daemon and real sockets.

use std::collections::BTreeSet;

use hairpin::daemon::Daemon;
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
    fn ask(&mut self, socket: &mut WebSocket, t: &str, change: &Value) -> Value {
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

/// A member, and what it knows.
struct Member {
    socket: WebSocket,
    welcome: Value,
    joined: Value,
}

#[test]
fn a_client_walks_every_message_of_the_document() {
    let daemon = start_changed("15420-15439", |config| config.rooms.knock = true);
    let mut walk = Walk::default();

    let (mut alice, mut bob) = walk.enter(&daemon);
    walk.talk(&mut alice, &mut bob);
    walk.lose_and_return(&daemon, &mut alice.socket, &mut bob);
    walk.manage(&mut alice, &mut bob);
    walk.stop(&daemon);

    assert_eq!(walk.said, CLIENT.map(str::to_owned).into());
    assert_eq!(walk.heard, SERVER.map(str::to_owned).into());
    daemon.stop();
}

impl Walk {
    /// Alice creates the room, and is its host; Bob knocks twice: he is turned away, and let in.
    fn enter(&mut self, daemon: &Daemon) -> (Member, Member) {
        let mut alice = self.hello(daemon);
        alice.joined = self.ask(&mut alice.socket, "join", &json!({}));
        let joined = &alice.joined;
        assert_eq!((&joined["host"], joined["host_token"].is_string()), (&joined["you"], true), "{joined}");
        let username = joined["ice"]["iceServers"][1]["username"].as_str().unwrap();
        assert!(username.contains(":room."), "{username}");

        let mut bob = self.hello(daemon);
        self.ask(&mut bob.socket, "join", &json!({"name": "Bob"}));
        let knock = self.hear(&mut alice.socket, "knock");
        self.ask(&mut alice.socket, "deny", &json!({"peer": knock["peer"]}));
        assert_eq!(self.hear(&mut bob.socket, "error")["code"], "knock_denied");
        assert_eq!(self.ask(&mut bob.socket, "join", &json!({"name": "Bob"}))["t"], "waiting");
        let knock = self.hear(&mut alice.socket, "knock");
        self.ask(&mut alice.socket, "admit", &json!({"peer": knock["peer"]}));
        bob.joined = self.hear(&mut bob.socket, "joined");
        assert_eq!(self.hear(&mut alice.socket, "peer_joined")["member"]["name"], "Bob");
        (alice, bob)
    }

    fn hello(&mut self, daemon: &Daemon) -> Member {
        let mut socket = WebSocket::open(daemon);
        let welcome = self.ask(&mut socket, "hello", &json!({"token": null}));
        assert_eq!(welcome["resumed"], false);
        Member { socket, welcome, joined: Value::Null }
    }

    fn talk(&mut self, alice: &mut Member, bob: &mut Member) {
        self.ask(&mut bob.socket, "signal", &json!({"to": alice.joined["you"]}));
        assert_eq!(self.hear(&mut alice.socket, "signal")["d"]["type"], "offer");
        self.ask(&mut alice.socket, "msg", &json!({}));
        assert_eq!(self.hear(&mut bob.socket, "msg")["direct"], false);
        self.ask(&mut bob.socket, "state", &json!({"name": "Robert"}));
        assert_eq!(self.hear(&mut alice.socket, "peer_state")["name"], "Robert");
        assert_eq!(self.ask(&mut bob.socket, "ping", &json!({"last": 0}))["ts"], 1234.5);
        assert_eq!(self.ask(&mut bob.socket, "ice", &json!({}))["ttl"], 3600);
    }

    /// Bob is cut off, and comes back on another socket.
    fn lose_and_return(&mut self, daemon: &Daemon, alice: &mut WebSocket, bob: &mut Member) {
        let last = bob.socket.ask(json!({"t": "ice"}))["n"].clone();
        bob.socket = WebSocket::open(daemon);
        self.hear(alice, "peer_away");
        let back = json!({"token": null, "resume": bob.welcome["resume"], "last": last});
        assert_eq!(self.ask(&mut bob.socket, "hello", &back)["resumed"], true);
        self.hear(alice, "peer_back");
    }

    /// Alice hands the room over, leaves it, comes back as its creator, and ends it.
    fn manage(&mut self, alice: &mut Member, bob: &mut Member) {
        let (creator, bob_id) = (alice.joined["host_token"].clone(), bob.joined["you"].clone());
        let (alice, bob) = (&mut alice.socket, &mut bob.socket);
        self.ask(alice, "lock", &json!({"on": false}));
        self.hear(alice, "room");
        self.hear(bob, "room");
        self.ask(alice, "host", &json!({"peer": bob_id}));
        self.hear(alice, "room");
        assert_eq!(self.hear(bob, "room")["host"], bob_id);
        self.ask(alice, "leave", &json!({}));
        assert_eq!(self.hear(bob, "peer_left")["reason"], "left");
        let again = self.ask(alice, "join", &json!({"host_token": creator}));
        assert_eq!(
            (&again["t"], &again["host"]),
            (&json!("joined"), &again["you"]),
            "the creator needs no knock"
        );
        self.ask(alice, "kick", &json!({"peer": bob_id, "ban_s": 0}));
        assert_eq!(bob.hear_of("kicked")["reason"], "kicked");
        self.heard.insert("kicked".to_owned());
        assert_eq!(bob.end().0, Some(4403));
        self.ask(alice, "end", &json!({}));
        alice.say(&example("bye"));
        self.said.insert("bye".to_owned());
        assert_eq!(alice.end().0, Some(1000));
    }

    fn stop(&mut self, daemon: &Daemon) {
        let (mut carol, _) = WebSocket::welcome(daemon);
        daemon.hub().drain();
        self.hear(&mut carol, "goaway");
        assert_eq!(carol.end().0, Some(1001));
    }
}
