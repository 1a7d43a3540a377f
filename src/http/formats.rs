//! PURE  Writes ICE URLs and a credential in the formats of different clients.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ice::IceConfiguration;
use crate::secret::Secret;

/// A format of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// The argument of `new RTCPeerConnection`, with the credential's lifetime.
    #[default]
    Object,
    /// The bare list of servers, as Metered and Mattermost give it.
    Array,
    /// The four fields of draft-uberti-behave-turn-rest, as Matrix clients take them.
    Uris,
    /// A token of Twilio's Network Traversal Service.
    Twilio,
}

impl Format {
    /// Writes a configuration in this format.
    pub(super) fn write(self, configuration: &IceConfiguration) -> Value {
        match self {
            Self::Object => json!(configuration),
            Self::Array => json!(configuration.ice_servers),
            Self::Uris => uris(configuration),
            Self::Twilio => twilio(configuration),
        }
    }
}

fn uris(configuration: &IceConfiguration) -> Value {
    let turn = configuration.ice_servers.last();
    json!({
        "username": turn.and_then(|turn| turn.username.as_deref()),
        "password": turn.and_then(|turn| turn.credential.as_ref()).map(Secret::reveal),
        "ttl": configuration.ttl,
        "uris": turn.map(|turn| &turn.urls),
    })
}

/// One entry for each URL, with the URL under both `url` and `urls`. The lifetime is a string.
fn twilio(configuration: &IceConfiguration) -> Value {
    let mut token = uris(configuration);
    let entries = configuration.ice_servers.iter().flat_map(|server| {
        server.urls.iter().map(move |url| {
            let mut entry = json!(server);
            entry["url"] = json!(url);
            entry["urls"] = json!(url);
            entry
        })
    });
    json!({
        "ice_servers": entries.collect::<Vec<_>>(),
        "username": token["username"].take(),
        "password": token["password"].take(),
        "ttl": configuration.ttl.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Expiry, Unix};
    use crate::ice::IceServer;

    fn configuration() -> IceConfiguration {
        let url = |text: &str| vec![text.to_owned()];
        IceConfiguration {
            ice_servers: vec![
                IceServer { urls: url("stun:h:3478"), username: None, credential: None },
                IceServer {
                    urls: url("turn:h:3478?transport=udp"),
                    username: Some("7:a".to_owned()),
                    credential: Some(Secret::new("secret")),
                },
            ],
            ttl: 60,
            expires_at: Expiry::at(Unix::from_secs(7)),
            by_address: url("turn:192.0.2.1:3478?transport=udp"),
        }
    }

    #[test]
    fn each_form_has_exactly_the_fields_that_its_clients_know() {
        let stun = json!({ "urls": ["stun:h:3478"] });
        let turn =
            json!({ "urls": ["turn:h:3478?transport=udp"], "username": "7:a", "credential": "secret" });
        let write = |format: Format| format.write(&configuration());
        assert_eq!(
            write(Format::Object),
            json!({
                "iceServers": [stun, turn],
                "ttl": 60,
                "expires_at": 7,
                "by_address": ["turn:192.0.2.1:3478?transport=udp"],
            })
        );
        assert_eq!(write(Format::Array), json!([stun, turn]));
        assert_eq!(
            write(Format::Uris),
            json!({ "username": "7:a", "password": "secret", "ttl": 60, "uris": ["turn:h:3478?transport=udp"] })
        );
        let (stun, turn) = ("stun:h:3478", "turn:h:3478?transport=udp");
        assert_eq!(
            write(Format::Twilio),
            json!({
                "username": "7:a",
                "password": "secret",
                "ttl": "60",
                "ice_servers": [
                    { "url": stun, "urls": stun },
                    { "url": turn, "urls": turn, "username": "7:a", "credential": "secret" },
                ],
            })
        );
    }
}
