//! PURE  Counts the frames of an HTTP/2 client that ask for nothing, and says when they are too many.
//!
//! A frame of control costs its sender a few bytes and us a few microseconds, on the thread that everybody's signals and
//! pages wait for. What a client needs of them has a natural measure: a few at the beginning, a few for each request, and
//! some for what it is sent (RFC 9113 §6.9 has it open its window again and again).

/// What was heard of a client's side of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// What comes next.
    next: Part,
    /// How many frames of control it may still send.
    left: u32,
    /// Bytes that it was sent and that have not counted yet.
    sent: usize,
}

/// A part of what a client sends.
#[derive(Debug)]
enum Part {
    /// Bytes that are no frame's header: the preface, or a frame's payload.
    Skipped(usize),
    /// A frame's header, so many bytes of which are there.
    Header([u8; HEADER], usize),
}

/// The client has sent more frames that ask for nothing than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// "PRI * HTTP/2.0", a line's end, "SM", and more of those (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// A frame's header (§4.1): three bytes of length, the type, and what else there is to it.
const HEADER: usize = 9;
/// The type of the frame that a request begins with (§6.2). hyper bounds the streams that it opens. What follows it counts,
/// its body as well: none is larger than one frame may be.
const HEADERS: u8 = 1;
/// Frames that any client may send: settings, a sign of life now and then, an early window.
const FREE: u32 = 64;
/// Frames that each request is worth: its priority, its body and its end, a window for what answers it.
const FOR_A_REQUEST: u32 = 8;
/// Bytes that it is sent for each frame more. The most diligent clients open two windows for each 4 KiB.
const FOR_A_FRAME: usize = 1 << 10;
/// More are not saved up.
const SAVED_MAX: u32 = 1 << 10;

impl Frames {
    /// A connection that begins.
    pub(super) fn new() -> Self {
        Self { next: Part::Skipped(PREFACE), left: FREE, sent: 0 }
    }

    /// The client has sent these bytes.
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

    /// The client was sent so many bytes.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        self.earn((self.sent / FOR_A_FRAME) as u32);
        self.sent %= FOR_A_FRAME;
    }

    fn count(&mut self, kind: u8) -> Result<(), TooMany> {
        match kind {
            HEADERS => self.earn(FOR_A_REQUEST),
            // What is not known is of that kind as well (§5.5), and so is an empty piece of a body.
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

    /// A browser's page: a dozen requests, each with its priority and its windows; and a window for each 2 KiB.
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
