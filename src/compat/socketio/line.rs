//! PURE  One session of engine.io, and the client of socket.io in it: takes packets, and decides what is sent to whom.

use serde_json::Value;

use crate::compat::news::News;
use crate::compat::socketio::client::Client;
use crate::compat::socketio::dialect::{Act, Acts};
use crate::compat::socketio::engine::{self, CLOSE_PACKET};
use crate::compat::socketio::packet::{self, MAIN, Packet};
use crate::secret::Secret;
use crate::signaling::frame::Frame;
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::{ClientMessage, Hello, Request, TOKEN_MAX, VERSION};

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send the client a packet of engine.io.
    Send(String),
    /// Ask the rooms.
    Ask(Request),
    /// Count a mistake of the client.
    Mistake,
    /// End the session, for this reason; `None` if the client ends it.
    End(Option<Close>),
}

/// A session.
pub struct Line {
    sid: String,
    token: Option<Secret>,
    stage: Stage,
}

enum Stage {
    /// The client has not entered the main namespace.
    Open,
    /// It has asked to, and the rooms look at its token.
    Asked,
    /// It is in.
    Connected(Client),
}

/// The requests that the rooms answer, by their numbers.
const HELLO: u32 = 1;
const JOIN: u32 = 2;

impl Line {
    /// A session with this id. `token` is the one that the client has shown in the URL.
    #[must_use]
    pub fn new(sid: String, token: Option<Secret>) -> Self {
        Self { sid, token, stage: Stage::Open }
    }

    /// Whether the client is in the main namespace.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Connected(_))
    }

    /// Takes a packet. With `needs_token`, no browser vouches for the client's page.
    pub fn hear(&mut self, text: &str, needs_token: bool) -> Vec<Effect> {
        let Some(packet) = engine::Packet::parse(text) else {
            return vec![Effect::End(Some(Close::Protocol))];
        };
        match packet {
            engine::Packet::Message(text) => self.message(text, needs_token),
            engine::Packet::Close => vec![Effect::End(None)],
            engine::Packet::Pong | engine::Packet::Noop => Vec::new(),
            // These belong to the change of transport.
            engine::Packet::Ping(_) | engine::Packet::Upgrade => vec![Effect::Mistake],
        }
    }

    /// Takes a message of the rooms.
    pub fn told(&mut self, frame: &Frame) -> Vec<Effect> {
        let news = News::read(&frame.message);
        match &mut self.stage {
            Stage::Asked => self.admitted(&news),
            Stage::Connected(client) => {
                let mut acts = Acts::default();
                if let (News::Error { code }, Some(JOIN)) = (&news, frame.re) {
                    client.refused(*code, &mut acts);
                } else {
                    client.told(news, &mut acts);
                }
                acts.into_iter().map(effect).collect()
            }
            Stage::Open => Vec::new(),
        }
    }

    /// The packets that end the session. A client that must not come back by itself is told so by socket.io.
    #[must_use]
    pub fn farewell(&self, close: Option<Close>) -> Vec<String> {
        let stays_away = matches!(close, Some(Close::Kicked | Close::Protocol | Close::Unauthorized));
        let put_out = (stays_away && self.is_connected()).then(|| packet::DISCONNECTED.to_owned());
        put_out.into_iter().chain([CLOSE_PACKET.to_owned()]).collect()
    }

    fn message(&mut self, text: &str, needs_token: bool) -> Vec<Effect> {
        let Ok(packet) = Packet::parse(text) else { return vec![Effect::End(Some(Close::Protocol))] };
        match (packet, &mut self.stage) {
            (Packet::Connect { space, .. }, _) if space != MAIN => {
                vec![Effect::Send(packet::refused(space, "Invalid namespace")), Effect::Mistake]
            }
            (Packet::Connect { auth, .. }, Stage::Open) => self.connect(&auth, needs_token),
            (Packet::Disconnect, Stage::Connected(_)) => vec![Effect::End(None)],
            (Packet::Event(event), Stage::Connected(client)) => {
                let mut acts = Acts::default();
                let done = client.said(event, &mut acts);
                let mistake = done.is_err().then_some(Effect::Mistake);
                acts.into_iter().map(effect).chain(mistake).collect()
            }
            (Packet::Ack, Stage::Connected(_)) => vec![Effect::Mistake],
            (
                Packet::Connect { .. } | Packet::Disconnect | Packet::Event(_) | Packet::Ack,
                Stage::Open | Stage::Asked | Stage::Connected(_),
            ) => vec![Effect::End(Some(Close::Protocol))],
        }
    }

    /// The client wants to enter the main namespace: the rooms decide.
    fn connect(&mut self, auth: &Value, needs_token: bool) -> Vec<Effect> {
        let shown = auth.get("token").and_then(Value::as_str).filter(|token| token.len() <= TOKEN_MAX);
        let token = shown.map(Secret::new).or_else(|| self.token.take());
        if needs_token && token.is_none() {
            return turn_down(ErrorCode::Unauthorized);
        }
        self.stage = Stage::Asked;
        let hello = Hello { versions: vec![VERSION], token, resume: None };
        vec![Effect::Ask(Request { id: Some(HELLO), message: ClientMessage::Hello(hello) })]
    }

    fn admitted(&mut self, news: &News) -> Vec<Effect> {
        match news {
            News::Welcome => {
                self.stage = Stage::Connected(Client::default());
                vec![Effect::Send(packet::connected(&self.sid))]
            }
            News::Error { code } => turn_down(*code),
            News::Joined { .. }
            | News::PeerJoined { .. }
            | News::PeerLeft { .. }
            | News::Msg { .. }
            | News::Other => Vec::new(),
        }
    }
}

fn turn_down(code: ErrorCode) -> Vec<Effect> {
    vec![Effect::Send(packet::refused(MAIN, code.message())), Effect::End(Some(Close::Unauthorized))]
}

fn effect(act: Act) -> Effect {
    match act {
        Act::Emit(name, args) => Effect::Send(packet::said(name, &args)),
        Act::Acknowledge(ack) => Effect::Send(packet::acknowledged(ack)),
        Act::Ask(message) => {
            let id = matches!(message, ClientMessage::Join(_)).then_some(JOIN);
            Effect::Ask(Request { id, message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line::new("sid".to_owned(), None)
    }

    fn frame(json: &str) -> Frame {
        Frame { n: None, re: Some(HELLO), message: json.into() }
    }

    #[test]
    fn a_client_is_in_the_main_namespace_when_the_rooms_welcome_it() {
        let mut line = line();
        let [Effect::Ask(Request { message: ClientMessage::Hello(hello), .. })] =
            &line.hear("40{\"token\":\"t\"}", true)[..]
        else {
            panic!("it asks the rooms");
        };
        assert_eq!(hello.token.as_ref().map(Secret::reveal), Some("t"));
        assert!(!line.is_connected());
        assert_eq!(
            line.told(&frame(r#"{"t":"welcome","v":1}"#)),
            [Effect::Send(r#"40{"sid":"sid"}"#.to_owned())]
        );
        assert!(line.is_connected());
        assert_eq!(line.farewell(Some(Close::Kicked)), ["41", "1"]);
        assert_eq!(line.farewell(Some(Close::Drain)), ["1"], "it may come back by itself");
    }

    #[test]
    fn a_client_without_a_page_and_without_a_token_is_refused_and_so_is_a_wrong_token() {
        let refused = |effects: &[Effect]| matches!(effects, [Effect::Send(packet), Effect::End(_)] if packet.starts_with("44{"));
        assert!(refused(&line().hear("40", true)));
        let mut line = Line::new("sid".to_owned(), Some(Secret::new("old")));
        assert!(matches!(line.hear("40", true)[..], [Effect::Ask(_)]), "one in the URL is a token, too");
        let expired = frame(r#"{"t":"error","code":"token_expired","message":"the token has expired"}"#);
        assert!(refused(&line.told(&expired)));
    }

    #[test]
    fn an_event_before_the_client_is_in_ends_the_session() {
        for packet in ["42[\"join\",\"a\"]", "41", "430[]"] {
            assert_eq!(line().hear(packet, false), [Effect::End(Some(Close::Protocol))], "{packet}");
        }
        assert_eq!(line().hear("3", false), [], "the answer to a ping does not");
        assert_eq!(line().hear("1", false), [Effect::End(None)]);
    }
}
