//! What a client knows of its room from what it has heard, as a page would keep it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::text;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub host: String,
    pub locked: bool,
    /// The other members, and whether they are away.
    pub others: BTreeMap<String, bool>,
}

impl View {
    pub fn hear(&mut self, message: &Value) {
        match message["t"].as_str().unwrap() {
            "joined" => {
                let others = message["peers"].as_array().unwrap().iter();
                *self = Self {
                    host: text(message, "host"),
                    locked: message["locked"] == true,
                    others: others.map(|peer| (text(peer, "id"), peer["away"] == true)).collect(),
                };
            }
            "peer_joined" => {
                let known = self.others.insert(text(&message["member"], "id"), false);
                assert_eq!(known, None, "nobody comes twice");
            }
            "peer_left" => {
                assert!(self.others.remove(&text(message, "peer")).is_some(), "who leaves was there");
            }
            "peer_away" => self.expect(&text(message, "peer"), true),
            "peer_back" => self.expect(&text(message, "peer"), false),
            "room" => (self.host, self.locked) = (text(message, "host"), message["locked"] == true),
            _ => {}
        }
    }

    fn expect(&mut self, peer: &str, away: bool) {
        assert_eq!(self.others.insert(peer.to_owned(), away), Some(!away), "away and back take turns");
    }
}
