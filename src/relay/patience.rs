//! PURE  The deadlines of a connection: for its first message, for each message, and for what its client must read.

use std::time::Duration;

use crate::bounds::FIRST_MESSAGE;
use crate::clock::Moment;
use crate::outcome::Ending;

/// How long a message may take from its first byte to its last.
pub const MESSAGE: Duration = Duration::from_secs(10);
/// How long a client without an allocation may be silent, and how long one that never had any may stay connected.
pub const IDLE: Duration = Duration::from_secs(120);
/// How long a client may leave data unread that waits for it.
pub const STALLED: Duration = Duration::from_secs(30);

/// How long a peer may take to accept a connection, and then a client to bind it (RFC 6062 §5.2).
pub const BIND: Duration = Duration::from_secs(30);

/// The deadlines of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// When the connection was made.
    made: Moment,
    /// When the connection was made, or when its last message arrived.
    since: Moment,
    /// Whether a message has arrived.
    heard: bool,
    /// Whether its client has ever had an allocation.
    authenticated: bool,
    /// When the incomplete message began.
    unfinished: Option<Moment>,
    /// When the client last accepted data, while some is waiting for it.
    stalled: Option<Moment>,
    /// When the connection ends in any case, and why.
    limit: Option<(Moment, Ending)>,
}

impl Patience {
    /// For a connection that was made at `since`.
    #[must_use]
    pub fn new(since: Moment) -> Self {
        Self {
            made: since,
            since,
            heard: false,
            authenticated: false,
            unfinished: None,
            stalled: None,
            limit: None,
        }
    }

    /// For a connection with a peer, begun or accepted at `since`. Peers need not send messages.
    #[must_use]
    pub fn for_peer(since: Moment) -> Self {
        Self { heard: true, limit: Some((since + BIND, Ending::Unbound)), ..Self::new(since) }
    }

    /// The connection is part of a bridge from now on.
    pub fn bound(&mut self) {
        (self.heard, self.unfinished, self.stalled, self.limit) = (true, None, None, None);
    }

    /// The connection sends nothing more, and the other end has a limited time to close.
    pub fn leaving(&mut self, now: Moment) {
        (self.stalled, self.limit) = (None, Some((now + STALLED, Ending::Stalled)));
    }

    /// The client has an allocation, so it is authenticated.
    pub fn authenticate(&mut self) {
        self.authenticated = true;
    }

    /// Whether no message has arrived yet.
    #[must_use]
    pub fn is_first(&self) -> bool {
        !self.heard
    }

    /// Bytes arrived: this number of whole messages, and possibly the beginning of another.
    pub fn received(&mut self, messages: usize, unfinished: bool, now: Moment) {
        if messages > 0 {
            (self.since, self.heard) = (now, true);
        }
        let begun = self.unfinished.filter(|_| messages == 0).unwrap_or(now);
        self.unfinished = unfinished.then_some(begun);
    }

    /// Data was sent: whether the client accepted any of it, and whether some still waits.
    pub fn sent(&mut self, progress: bool, waiting: bool, now: Moment) {
        let since = self.stalled.filter(|_| !progress).unwrap_or(now);
        self.stalled = waiting.then_some(since);
    }

    /// When patience ends, and which deadline that is. A client with an allocation may be silent. Messages of a client
    /// that never had one do not extend its time: otherwise a Binding now and then would hold a connection
    /// indefinitely.
    #[must_use]
    pub fn end(&self, allocated: bool) -> (Moment, Ending) {
        let first = match (self.heard, allocated, self.authenticated) {
            (false, _, _) => Some((self.since + FIRST_MESSAGE, Ending::Silent)),
            (true, true, _) => None,
            (true, false, true) => Some((self.since + IDLE, Ending::Idle)),
            (true, false, false) => Some((self.made + IDLE, Ending::NoCredential)),
        };
        let unfinished = self.unfinished.map(|begun| (begun + MESSAGE, Ending::Unfinished));
        let stalled = self.stalled.map(|since| (since + STALLED, Ending::Stalled));
        let ends = [first, unfinished, stalled, self.limit].into_iter().flatten();
        ends.min_by_key(|(moment, _)| *moment).unwrap_or((Moment::MAX, Ending::Idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    /// A connection made at 100 s.
    fn patience() -> Patience {
        Patience::new(at(100))
    }

    #[test]
    fn the_first_message_has_ten_seconds_and_bytes_of_it_win_no_time() {
        let mut patience = patience();
        assert_eq!(patience.end(false), (at(110), Ending::Silent));
        for second in 101..110 {
            patience.received(0, true, at(second));
        }
        assert_eq!(patience.end(false), (at(110), Ending::Silent));
    }

    /// C7: one byte every nine seconds.
    #[test]
    fn a_message_has_ten_seconds_however_its_bytes_drip() {
        let mut patience = patience();
        patience.received(1, false, at(101));
        patience.received(0, true, at(120));
        patience.received(0, true, at(129));
        assert_eq!(patience.end(false), (at(130), Ending::Unfinished));
        assert_eq!(patience.end(true), (at(130), Ending::Unfinished));
        patience.received(0, false, at(129));
        assert_eq!(patience.end(false), (at(220), Ending::NoCredential));
    }

    #[test]
    fn a_client_that_sends_all_the_time_is_never_in_the_middle_of_one_message_for_long() {
        let mut patience = patience();
        for second in 101..200 {
            patience.received(3, true, at(second));
            assert_eq!(patience.end(true).0, at(second + 10));
        }
    }

    #[test]
    fn without_an_allocation_two_silent_minutes_are_the_end() {
        let mut patience = patience();
        patience.authenticate();
        patience.received(1, false, at(105));
        assert_eq!(patience.end(false), (at(225), Ending::Idle));
        assert_eq!(patience.end(true).0, Moment::MAX);
    }

    /// F6: twenty bytes every 95 seconds.
    #[test]
    fn who_never_authenticates_has_two_minutes_in_all_however_often_it_asks() {
        let mut patience = patience();
        for second in [101, 150, 195, 219] {
            patience.received(1, false, at(second));
            assert_eq!(patience.end(false), (at(220), Ending::NoCredential));
        }
        patience.authenticate();
        assert_eq!(
            patience.end(false),
            (at(339), Ending::Idle),
            "who was allowed in is waited for as before"
        );
    }

    #[test]
    fn a_peer_has_half_a_minute_to_be_bound_and_whoever_leaves_as_long_to_be_gone() {
        let mut patience = Patience::for_peer(at(100));
        assert_eq!(patience.end(true), (at(130), Ending::Unbound));
        patience.bound();
        assert_eq!(patience.end(true).0, Moment::MAX);
        patience.leaving(at(200));
        assert_eq!(patience.end(true), (at(230), Ending::Stalled));
    }

    #[test]
    fn a_client_that_takes_nothing_for_half_a_minute_has_stalled() {
        let mut patience = patience();
        patience.received(1, false, at(100));
        patience.sent(true, true, at(110));
        patience.sent(false, true, at(120));
        assert_eq!(patience.end(true), (at(140), Ending::Stalled));
        patience.sent(true, true, at(139));
        assert_eq!(patience.end(true), (at(169), Ending::Stalled));
        patience.sent(true, false, at(140));
        assert_eq!(patience.end(true).0, Moment::MAX);
    }

    #[test]
    fn what_a_client_left_unread_before_its_bind_does_not_end_the_bridge() {
        let mut patience = patience();
        patience.received(1, false, at(100));
        patience.sent(false, true, at(110));
        assert_eq!(patience.end(true), (at(140), Ending::Stalled));
        patience.bound();
        assert_eq!(patience.end(true).0, Moment::MAX);
    }

    #[test]
    fn a_client_that_read_the_rest_late_still_has_half_a_minute_to_close() {
        let mut patience = patience();
        patience.bound();
        patience.sent(false, true, at(200));
        patience.leaving(at(229));
        assert_eq!(patience.end(true), (at(259), Ending::Stalled));
    }
}
