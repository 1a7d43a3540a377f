//! PURE  A frame that waits to be sent: a message, its number in the session, and the id of the request that it answers.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::signaling::protocol::ServerMessage;

/// A frame for one socket. The JSON of the message is made once and shared by all its recipients and their replays. The
/// socket builds the text of the frame when it sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number in the session; `None` for a frame that belongs to the socket only.
    pub n: Option<u64>,
    /// The id of the request that it answers.
    pub re: Option<u32>,
    /// The message, as JSON.
    pub message: Arc<str>,
}

/// Bytes of `"n":,` and of `"re":,`.
const N: usize = 5;
const RE: usize = 6;

impl Frame {
    /// A frame without a number.
    #[must_use]
    pub fn aside(re: Option<u32>, message: &ServerMessage) -> Self {
        Self { n: None, re, message: message.to_json().into() }
    }

    /// The text that is sent: the message, with the number and the answered request in front.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes());
        text.push('{');
        if let Some(n) = self.n {
            write!(text, "\"n\":{n},").expect("a String takes everything");
        }
        if let Some(re) = self.re {
            write!(text, "\"re\":{re},").expect("a String takes everything");
        }
        text.push_str(self.message.strip_prefix('{').unwrap_or(&self.message));
        text
    }

    /// Bytes of the text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(self.n, self.re, &self.message)
    }
}

/// Bytes of the text of a frame with this number, answer and message.
pub(super) fn bytes(n: Option<u64>, re: Option<u32>, message: &str) -> usize {
    let n = n.map_or(0, |n| N + digits(n));
    let re = re.map_or(0, |re| RE + digits(re.into()));
    message.len() + n + re
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_number_and_what_it_answers_in_front_of_the_message() {
        let aside = Frame::aside(None, &ServerMessage::Ok);
        let answer = Frame { n: Some(7), re: Some(3), ..aside.clone() };
        assert_eq!(answer.text(), "{\"n\":7,\"re\":3,\"t\":\"ok\"}");
        assert_eq!(aside.text(), "{\"t\":\"ok\"}");
    }

    #[test]
    fn the_bytes_are_those_of_the_text() {
        for number in [0, 1, 9, 10, 99, 100, 999_999, u32::MAX] {
            for (n, re) in [(None, None), (Some(number), None), (None, Some(number)), (Some(7), Some(number))]
            {
                let frame = Frame { n: n.map(u64::from), re, ..Frame::aside(None, &ServerMessage::Ok) };
                assert_eq!(frame.bytes(), frame.text().len(), "{frame:?}");
            }
        }
        let last = Frame { n: Some(u64::MAX), ..Frame::aside(None, &ServerMessage::Ok) };
        assert_eq!(last.bytes(), last.text().len());
    }
}
