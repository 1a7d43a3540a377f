//! PURE  Which offer of two members is valid, so that pages that offer at once connect all the same.
//!
//! Pages of tutorials do not negotiate perfectly: if both have offered, both answer, and neither takes the answer. So one
//! of two crossing offers is not passed on, nor are its candidates. The page that has made it gets the other offer, takes
//! its own one back, as every browser does by itself, and answers. The offer of the newcomer is passed on.

use serde_json::Value;

/// The offers between a member and the other, as the member's part sees them.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Whether the member is the newcomer of the two.
    pub(super) is_newcomer: bool,
    /// Whether the member's own offer has no answer yet.
    mine: bool,
    /// Whether the other's offer has no answer yet.
    theirs: bool,
    /// The ICE user name fragments of the offers that were not passed on, of the member and of the other.
    dropped: [Option<String>; 2],
}

impl Offers {
    /// The member has made an offer. Returns whether the other gets it. A page that offers again means it.
    pub(super) fn made(&mut self, offer: &Value) -> bool {
        let crosses = std::mem::take(&mut self.theirs);
        self.mine = !crosses;
        self.dropped[0] = if crosses { fragment(offer) } else { None };
        !crosses
    }

    /// An offer of the other has come. Returns whether the member gets it.
    pub(super) fn came(&mut self, offer: &Value) -> bool {
        let crosses = std::mem::take(&mut self.mine) && self.is_newcomer;
        // The other gets the member's offer, and answers it.
        self.theirs = !crosses;
        self.dropped[1] = if crosses { fragment(offer) } else { None };
        !crosses
    }

    /// The member has answered. A connection whose offer was not passed on may answer as it would have offered.
    pub(super) fn answered(&mut self, answer: &Value) {
        self.theirs = false;
        self.dropped[0].take_if(|dropped| fragment(answer).as_ref() == Some(dropped));
    }

    /// The other has answered.
    pub(super) fn was_answered(&mut self, answer: &Value) {
        self.mine = false;
        self.dropped[1].take_if(|dropped| fragment(answer).as_ref() == Some(dropped));
    }

    /// Whether the other gets a candidate of the member.
    pub(super) fn passes(&self, candidate: &Value) -> bool {
        self.dropped[0].is_none() || fragment_of_candidate(candidate) != self.dropped[0]
    }

    /// Whether the member gets a candidate of the other.
    pub(super) fn takes(&self, candidate: &Value) -> bool {
        self.dropped[1].is_none() || fragment_of_candidate(candidate) != self.dropped[1]
    }

    /// The other has left: whoever comes next is the newcomer.
    pub(super) fn is_left(&mut self) {
        *self = Self::default();
    }
}

/// The ICE user name fragment of a description (RFC 8839 §5.4).
fn fragment(description: &Value) -> Option<String> {
    let sdp = description.get("sdp").unwrap_or(description).as_str()?;
    let rest = sdp.split("a=ice-ufrag:").nth(1)?;
    word(rest)
}

fn fragment_of_candidate(candidate: &Value) -> Option<String> {
    let named = candidate.get("usernameFragment").and_then(Value::as_str).and_then(word);
    named.or_else(|| {
        let text = candidate.get("candidate").unwrap_or(candidate).as_str()?;
        word(text.split(" ufrag ").nth(1)?)
    })
}

/// The characters at the beginning of a text that a fragment can have.
fn word(text: &str) -> Option<String> {
    let is_in_it = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let word: String = text.chars().take_while(is_in_it).take(256).collect();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offer(fragment: &str) -> Value {
        json!({ "type": "offer", "sdp": format!("v=0\r\na=ice-ufrag:{fragment}\r\na=ice-pwd:x\r\n") })
    }

    fn candidate(fragment: &str) -> Value {
        json!({ "candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "usernameFragment": fragment })
    }

    #[test]
    fn of_two_offers_that_cross_the_newcomers_is_passed_on() {
        let (mut first, mut newcomer) =
            (Offers::default(), Offers { is_newcomer: true, ..Offers::default() });
        assert!(first.made(&offer("old")) && newcomer.made(&offer("new")));
        // then
        assert!(first.came(&offer("new")) && !newcomer.came(&offer("old")));
        assert!(newcomer.passes(&candidate("new")) && first.takes(&candidate("new")));
        assert!(!newcomer.takes(&candidate("old")), "nor the candidates of the other offer");
        first.answered(&offer("answer"));
        newcomer.was_answered(&offer("answer"));
        assert!(!newcomer.takes(&candidate("old")) && newcomer.takes(&candidate("answer")));
        assert!(newcomer.made(&offer("next")) && first.came(&offer("next")));
    }

    #[test]
    fn who_has_an_offer_to_answer_does_not_offer() {
        let mut first = Offers::default();
        assert!(first.came(&offer("new")));
        assert!(
            !first.made(&offer("old"))
                && !first.passes(&candidate("old"))
                && first.passes(&candidate("mine"))
        );
        assert!(first.made(&offer("again")), "a page that never answers may offer later");
    }

    #[test]
    fn a_connection_that_answers_as_it_would_have_offered_has_the_same_candidates() {
        let (mut first, mut newcomer) =
            (Offers::default(), Offers { is_newcomer: true, ..Offers::default() });
        assert!(newcomer.made(&offer("new")) && first.came(&offer("new")));
        assert!(!first.made(&offer("same")) && !newcomer.came(&offer("same")));
        first.answered(&offer("same"));
        newcomer.was_answered(&offer("same"));
        assert!(first.passes(&candidate("same")) && newcomer.takes(&candidate("same")));
    }

    #[test]
    fn an_offer_that_is_never_answered_stands_in_the_way_of_one_other() {
        let mut newcomer = Offers { is_newcomer: true, ..Offers::default() };
        assert!(newcomer.made(&offer("new")));
        assert!(!newcomer.came(&offer("old")));
        assert!(newcomer.came(&offer("old")));
    }

    #[test]
    fn a_fragment_is_found_wherever_pages_have_it() {
        assert_eq!(fragment(&offer("a+b/1")), Some("a+b/1".to_owned()));
        assert_eq!(fragment(&json!("v=0\na=ice-ufrag:abcd\n")), Some("abcd".to_owned()));
        let text = "candidate:1 1 udp 1 192.0.2.1 9 typ host generation 0 ufrag abcd network-cost 999";
        for candidate in [json!({ "candidate": text }), json!(text), candidate("abcd")] {
            assert_eq!(fragment_of_candidate(&candidate), Some("abcd".to_owned()));
        }
        for none in [Value::Null, json!({}), json!(7), json!({ "sdp": 7 }), json!("a=ice-ufrag:")] {
            assert_eq!((fragment(&none), fragment_of_candidate(&none)), (None, None));
        }
    }
}
