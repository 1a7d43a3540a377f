//! PURE  Counts the HTTP/2 frames of a client that do not begin a request, and limits them.
//!
//! A control frame costs the client a few bytes and the daemon a few microseconds, on the thread that also serves
//! signaling and pages. A normal client needs a few at the beginning, a few for each request, and some in proportion to
//! the bytes it receives, because it must keep opening its window (RFC 9113 §6.9).

/// Parses and counts the frames of one client.
#[derive(Debug)]
pub(super) struct Frames {
    /// The part that the next byte belongs to.
    next: Part,
    /// How many control frames the client may still send.
    left: u32,
    /// Bytes sent to the client that have not yet earned it a frame.
    sent: usize,
}

/// A part of the client's bytes.
#[derive(Debug)]
enum Part {
    /// The preface or a frame's payload, with the number of bytes that are left of it.
    Skipped(usize),
    /// A frame's header, with the number of bytes received of it.
    Header([u8; HEADER], usize),
}

/// The client has sent more control frames than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Bytes of the preface: "PRI * HTTP/2.0", "SM" and line ends (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// Bytes of a frame's header (§4.1): three of length, one of type, and five of flags and stream id.
const HEADER: usize = 9;
/// The type of the frame that begins a request (§6.2). hyper bounds the streams that these frames open. All later frames
/// of a request count, including its body, which fits into one frame.
const HEADERS: u8 = 1;
/// Control frames that a client may send without a request: settings, pings, an early window update.
const FREE: u32 = 64;
/// Control frames that each request allows: for its priority, its body and end, and windows for the answer.
const FOR_A_REQUEST: u32 = 8;
/// Bytes sent to the client that allow one more frame. The busiest clients send two window updates for each 4 KiB.
const FOR_A_FRAME: usize = 1 << 10;
/// A client can save up at most this many frames.
const SAVED_MAX: u32 = 1 << 10;

impl Frames {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        Self { next: Part::Skipped(PREFACE), left: FREE, sent: 0 }
    }

    /// Counts the frames in bytes that the client has sent.
    pub(super) fn heard(&mut self, mut bytes: &[u8]) -> Result<(), TooMany> {
        while !bytes.is_empty() {
            match &mut self.next {
                Part::Skipped(0) => self.next = Part::Header([0; HEADER], 0),
                Part::Skipped(more) => {
                    let count = bytes.len().min(*more);
                    *more -= count;
                    bytes = &bytes[count..];
                }
                Part::Header(header, there) => {
                    let count = bytes.len().min(HEADER - *there);
                    header[*there..*there + count].copy_from_slice(&bytes[..count]);
                    *there += count;
                    bytes = &bytes[count..];
                    if *there == HEADER {
                        let [high, middle, low, kind, ..] = *header;
                        self.next = Part::Skipped(u32::from_be_bytes([0, high, middle, low]) as usize);
                        self.count(kind)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts `bytes` sent to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        self.earn((self.sent / FOR_A_FRAME) as u32);
        self.sent %= FOR_A_FRAME;
    }

    fn count(&mut self, kind: u8) -> Result<(), TooMany> {
        match kind {
            HEADERS => self.earn(FOR_A_REQUEST),
            // Frames of unknown types count too (§5.5), and so does an empty DATA frame.
            _ => self.left = self.left.checked_sub(1).ok_or(TooMany)?,
        }
        Ok(())
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(SAVED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATA: u8 = 0;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        frames.heard(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames
    }

    #[test]
    fn a_few_dozen_frames_that_ask_for_nothing_are_enough() {
        for kind in [DATA, 2, 3, 4, PING, 7, 8, CONTINUATION, 0xBB] {
            let mut frames = begun();
            let passed = (0..1000).take_while(|_| frames.heard(&frame(kind, &[7; 8])).is_ok()).count();
            assert_eq!(passed, FREE as usize, "{kind}");
        }
    }

    /// A browser that loads pages: requests, each with its priority and window updates, and two of them for each 2 KiB.
    #[test]
    fn requests_and_what_is_sent_for_them_are_worth_some_more() {
        let mut frames = begun();
        for _ in 0..100 {
            frames.heard(&frame(HEADERS, &[1; 300])).unwrap();
            (0..FOR_A_REQUEST).for_each(|_| frames.heard(&frame(8, &[0; 4])).unwrap());
        }
        for _ in 0..10_000 {
            frames.sent(2 << 10);
            (0..2).for_each(|_| frames.heard(&frame(8, &[0; 4])).unwrap());
        }
        assert_eq!(frames.left, FREE);
    }

    #[test]
    fn what_is_saved_up_has_a_bound() {
        let mut frames = begun();
        (0..10_000).for_each(|_| frames.heard(&frame(HEADERS, &[])).unwrap());
        frames.sent(1 << 30);
        let pings = frame(PING, &[7; 8]).repeat(SAVED_MAX as usize);
        assert_eq!(frames.heard(&pings), Ok(()));
        assert_eq!(frames.heard(&frame(PING, &[7; 8])), Err(TooMany));
    }

    proptest! {
        #[test]
        fn frames_are_found_however_they_are_cut(
            lengths in proptest::collection::vec((0..300_usize, any::<bool>()), 1..50),
            cut in 1..400_usize,
        ) {
            let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            for (length, control) in &lengths {
                all.extend(frame(if *control { PING } else { HEADERS }, &vec![6; *length]));
            }
            let mut frames = Frames::new();
            all.chunks(cut).for_each(|chunk| frames.heard(chunk).unwrap());
            let controls = lengths.iter().filter(|(_, control)| *control).count() as u32;
            let requests = lengths.len() as u32 - controls;
            prop_assert_eq!(frames.left, FREE + requests * FOR_A_REQUEST - controls);
        }
    }
}
