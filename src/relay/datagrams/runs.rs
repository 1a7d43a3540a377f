//! PURE  Groups the messages that wait to be sent into runs, each of which leaves by one traversal of the network stack.
//!
//! The messages of a run have the same way and the same length, but for the last, which may be shorter: that is what
//! the kernel can cut a long datagram into (`UDP_SEGMENT`, udp(7)). Messages between the same two addresses stay in
//! their order.

use std::net::{IpAddr, SocketAddr};

use crate::relay::datagrams::message::Message;

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<S> {
    /// The socket that sends it.
    pub via: S,
    /// Its receiver.
    pub to: SocketAddr,
    /// The address of this machine that it must be sent from, if the socket is bound to all addresses.
    pub local: Option<IpAddr>,
    /// Traffic class: DSCP and ECN.
    pub class: u8,
    /// Whether it must be sent with the DF bit.
    pub dont_fragment: bool,
}

/// Messages that wait, in runs.
#[derive(Debug)]
pub(super) struct Runs<S> {
    messages: Vec<Waiting>,
    runs: Vec<Run<S>>,
}

/// Messages that leave together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<S> {
    pub(super) way: Outgoing<S>,
    /// How many messages it has.
    pub(super) count: usize,
    /// The length of each of them but the last, in bytes.
    pub(super) segment: usize,
    /// The length of all of them.
    length: usize,
    /// Where its first message is.
    pub(super) first: Place,
    last: Place,
    /// Whether no message can follow.
    closed: bool,
}

/// The place of a message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug)]
struct Waiting {
    message: Message,
    next: Option<Place>,
}

/// The most messages that the kernel cuts one call into (`UDP_MAX_SEGMENTS` before Linux 6.9).
const SEGMENTS_MAX: usize = 64;
/// The most bytes of a run: what one datagram can carry over IPv4.
const LENGTH_MAX: usize = 65_507;
/// How many runs back a message looks for its own. So many clients can take turns and still have runs.
const LOOK_BACK: usize = 32;

impl<S: Copy + PartialEq> Runs<S> {
    /// No messages, and room for some.
    pub(super) fn with_capacity(messages: usize) -> Self {
        Self { messages: Vec::with_capacity(messages), runs: Vec::with_capacity(messages) }
    }

    /// Adds a message, to a run of its flow if it fits. Only messages of at most `most` bytes get company.
    pub(super) fn push(&mut self, way: Outgoing<S>, message: Message, most: usize) {
        let (place, length) = (Place(self.messages.len() as u32), message.length());
        self.messages.push(Waiting { message, next: None });
        let is_flow = |run: &&mut Run<S>| run.way.via == way.via && run.way.to == way.to;
        let newest = self.runs.iter_mut().rev().take(LOOK_BACK).find(is_flow);
        if let Some(run) = newest.filter(|run| run.takes(&way, length)) {
            self.messages[run.last.0 as usize].next = Some(place);
            run.last = place;
            run.count += 1;
            run.length += length;
            run.closed = length < run.segment;
            return;
        }
        let closed = length == 0 || length > most;
        self.runs.push(Run { way, count: 1, segment: length, length, first: place, last: place, closed });
    }

    /// The runs, in the order of their first messages.
    pub(super) fn all(&self) -> &[Run<S>] {
        &self.runs
    }

    /// A message, and the place of the next one of its run.
    pub(super) fn message(&self, at: Place) -> (Message, Option<Place>) {
        let Waiting { message, next } = &self.messages[at.0 as usize];
        (*message, *next)
    }

    /// A message where it is kept until it is sent.
    pub(super) fn stored(&self, at: Place) -> &Message {
        &self.messages[at.0 as usize].message
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.runs.clear();
    }
}

impl<S: PartialEq> Run<S> {
    /// Whether a message of this length can be its next one.
    fn takes(&self, way: &Outgoing<S>, length: usize) -> bool {
        !self.closed
            && (1..=self.segment).contains(&length)
            && self.count < SEGMENTS_MAX
            && self.length + length <= LENGTH_MAX
            && self.way == *way
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::datagrams::message::Segment;

    const MOST: usize = 1472;

    fn way(via: u8, port: u16) -> Outgoing<u8> {
        let to = SocketAddr::from(([192, 0, 2, 1], port));
        Outgoing { via, to, local: None, class: 0, dont_fragment: false }
    }

    /// A message of `length` bytes, recognisable by `number`.
    fn message(number: u32, length: usize) -> Message {
        Segment { slot: number, start: 0, end: length as u32 }.into()
    }

    /// The runs of these messages: the numbers of the messages, in order.
    fn runs(messages: impl IntoIterator<Item = (Outgoing<u8>, usize)>) -> Vec<Vec<u32>> {
        let mut runs = Runs::with_capacity(0);
        for ((way, length), number) in messages.into_iter().zip(0..) {
            runs.push(way, message(number, length), MOST);
        }
        let numbers = |run: &Run<u8>| {
            let (mut numbers, mut next) = (Vec::new(), Some(run.first));
            while let Some((message, after)) = next.map(|place| runs.message(place)) {
                numbers.push(message.data().slot);
                next = after;
            }
            assert_eq!(numbers.len(), run.count);
            numbers
        };
        runs.all().iter().map(numbers).collect()
    }

    #[test]
    fn messages_of_one_length_leave_together_and_a_shorter_one_is_the_last() {
        let lengths = [1000, 1000, 1000, 400, 400, 1000, 1001];
        let found = runs(lengths.map(|length| (way(1, 1), length)));
        assert_eq!(found, [vec![0, 1, 2, 3], vec![4], vec![5], vec![6]]);
    }

    #[test]
    fn clients_that_take_turns_have_a_run_each() {
        let found = runs((0..6).map(|number| (way(1, number % 2), 1000)));
        assert_eq!(found, [[0, 2, 4], [1, 3, 5]]);
    }

    #[test]
    fn another_socket_traffic_class_or_local_address_is_another_run_and_the_order_stays() {
        let marked = Outgoing { class: 0xB9, ..way(1, 1) };
        let elsewhere = Outgoing { local: Some([127, 0, 0, 9].into()), ..way(1, 1) };
        let whole = Outgoing { dont_fragment: true, ..way(1, 1) };
        let ways = [way(1, 1), way(2, 1), marked, way(1, 1), elsewhere, whole, way(2, 1)];
        let found = runs(ways.map(|way| (way, 1000)));
        // The fourth does not overtake the third, which goes to the same receiver.
        assert_eq!(found, [vec![0], vec![1, 6], vec![2], vec![3], vec![4], vec![5]]);
    }

    #[test]
    fn an_empty_message_and_a_long_one_leave_alone() {
        let found = runs([0, 0, 1000, 0, MOST, MOST, MOST + 1, MOST + 1].map(|length| (way(1, 1), length)));
        assert_eq!(found, [vec![0], vec![1], vec![2], vec![3], vec![4, 5], vec![6], vec![7]]);
    }

    #[test]
    fn a_run_is_no_longer_than_the_kernel_cuts() {
        let counts = |length, count| -> Vec<usize> {
            runs((0..count).map(|_| (way(1, 1), length))).iter().map(Vec::len).collect()
        };
        assert_eq!(counts(100, 130), [64, 64, 2]);
        assert_eq!(counts(MOST, 100), [44, 44, 12]);
    }
}
