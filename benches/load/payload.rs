//! What is in a packet: a mark that says which one it is, and bytes that only belong to that one.

use crate::traffic::{Chance, LARGEST_PAYLOAD};

/// From how many places of the pattern a body may be taken.
const PLACES: u64 = 4096;
const HEAD: usize = 28;

/// The first bytes of every payload.
pub struct Mark {
    /// Comes first, because the stub goes by it.
    pub flow: u16,
    pub length: u16,
    pub run: u64,
    pub sequence: u64,
    pub sent_at: u64,
}

/// Writes payloads and checks them.
pub struct Payloads(Vec<u8>);

impl Payloads {
    pub fn new() -> Self {
        let mut chance = Chance(0);
        let length = usize::try_from(PLACES).expect("a small constant") + LARGEST_PAYLOAD;
        Self((0..length).map(|_| chance.next().to_be_bytes()[0]).collect())
    }

    pub fn write(&self, mark: &Mark, payload: &mut [u8]) {
        let (head, body) = payload.split_at_mut(HEAD);
        head[..2].copy_from_slice(&mark.flow.to_be_bytes());
        head[2..4].copy_from_slice(&mark.length.to_be_bytes());
        head[4..12].copy_from_slice(&mark.run.to_be_bytes());
        head[12..20].copy_from_slice(&mark.sequence.to_be_bytes());
        head[20..].copy_from_slice(&mark.sent_at.to_be_bytes());
        body.copy_from_slice(self.body(mark.sequence, body.len()));
    }

    /// The mark of a payload of which every byte is as it was sent.
    pub fn read(&self, payload: &[u8]) -> Option<Mark> {
        let (flow, rest) = payload.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (run, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (sent_at, body) = rest.split_first_chunk()?;
        let mark = Mark {
            flow: u16::from_be_bytes(*flow),
            length: u16::from_be_bytes(*length),
            run: u64::from_be_bytes(*run),
            sequence: u64::from_be_bytes(*sequence),
            sent_at: u64::from_be_bytes(*sent_at),
        };
        let whole = payload.len() == usize::from(mark.length) && payload.len() <= LARGEST_PAYLOAD;
        (whole && body == self.body(mark.sequence, body.len())).then_some(mark)
    }

    fn body(&self, sequence: u64, length: usize) -> &[u8] {
        let place = usize::try_from(Chance(sequence).next() % PLACES).expect("less than PLACES");
        &self.0[place..place + length]
    }
}
