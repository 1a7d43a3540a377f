//! Keeps what the tests send, as the first inputs of the fuzz targets.
//!
//! `fuzz/run` names a directory in `HAIRPIN_SEEDS`. Without that variable nothing is kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Bytes that one input may have: libFuzzer mutates a short input more often.
const MAX: usize = 4096;

/// Inputs of one target that one test may make: property tests make thousands.
const INPUTS_MAX: usize = 30;

/// One step of the `engine` target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A client sends these bytes.
    Raw,
    /// A client sends this request, signed again with its credential and the current nonce.
    Signed,
    /// A peer sends a datagram to a relayed address.
    Peer,
    /// Time passes.
    Pass,
    /// A peer connects, or a connection to a peer succeeds or fails (RFC 6062).
    Connection,
    /// The credential of a client is revoked, or its connection ends.
    End,
}

const STEPS: [Step; 6] = [Step::Raw, Step::Signed, Step::Peer, Step::Pass, Step::Connection, Step::End];

/// How many clients the `engine` target has. The last one is on a TCP connection.
pub const CLIENTS: usize = 4;

/// The input of a target that grows while a world or a connection of a test lasts, and is kept when that ends.
pub struct Input {
    target: &'static str,
    bytes: Vec<u8>,
    /// Whether a piece was left out. Without that piece, the pieces after it would mean something else.
    is_full: bool,
}

/// What one world of the engine was sent: an input of the `engine` target, and one of the `framing` target.
pub struct Datagrams {
    steps: Input,
    stream: Input,
}

impl Input {
    pub fn of(target: &'static str) -> Self {
        Self { target, bytes: Vec::new(), is_full: false }
    }

    /// Adds the next piece, if the input has a place for it.
    pub fn add(&mut self, piece: &[u8]) {
        self.is_full |= self.bytes.len() + piece.len() > MAX;
        if !self.is_full && directory().is_some() {
            self.bytes.extend(piece);
        }
    }

    /// Adds what a client sends over HTTP. A test's own page has an origin with a port of the moment; the target's has not.
    pub fn add_http(&mut self, bytes: &[u8]) {
        const OWN: &[u8] = b"Origin: http://127.0.0.1:";
        let at = bytes.windows(OWN.len()).position(|window| window == OWN);
        let end = at.and_then(|at| Some(at + bytes[at..].iter().position(|byte| *byte == b'\r')?));
        match at.zip(end) {
            Some((at, end)) => {
                self.add(&[&bytes[..at], b"Origin: https://call.example.org", &bytes[end..]].concat());
            }
            None => self.add(bytes),
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            keep(self.target, &self.bytes);
        }
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Self { steps: Input::of("engine"), stream: Input::of("framing") }
    }
}

impl Datagrams {
    /// A client sends a datagram.
    pub fn add(&mut self, client: SocketAddr, is_stream: bool, bytes: &[u8]) {
        if directory().is_none() {
            return;
        }
        keep("screen", bytes);
        self.stream.add(bytes);
        let is_signed = [[0, 0x08, 0, 0x14], [0, 0x1C, 0, 0x20]];
        let is_signed = is_signed.iter().any(|head| bytes.windows(4).any(|window| window == head));
        let index = if is_stream { CLIENTS - 1 } else { usize::from(client.port()) % (CLIENTS - 1) };
        self.step(if is_signed { Step::Signed } else { Step::Raw }, index, bytes);
    }

    /// Something happens to the engine.
    pub fn step(&mut self, step: Step, client: usize, bytes: &[u8]) {
        self.steps.add(&record(step, client, bytes));
    }
}

/// Keeps an input of a target, unless the running test has made many of them.
pub fn keep(target: &'static str, input: &[u8]) {
    thread_local! {
        static KEPT: RefCell<HashMap<&'static str, usize>> = RefCell::default();
    }
    let Some(directory) = directory().filter(|_| input.len() <= MAX) else { return };
    let count = KEPT.with_borrow_mut(|kept| {
        let count = kept.entry(target).or_default();
        *count += 1;
        *count
    });
    if count > INPUTS_MAX {
        return;
    }
    let directory = directory.join(target);
    fs::create_dir_all(&directory).unwrap();
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let file = directory.join(format!("{:016x}", hash.finish()));
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut file) => file.write_all(input).unwrap(),
        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
    }
}

/// Writes a step of the `engine` target: what and who in one byte, a length in two, and that many bytes.
fn record(step: Step, client: usize, bytes: &[u8]) -> Vec<u8> {
    let kind = STEPS.iter().position(|other| *other == step).unwrap_or_default() as u8;
    let length = (bytes.len() as u16).to_be_bytes();
    [&[kind | (client as u8) << 4], &length[..], bytes].concat()
}

/// Reads the steps of the `engine` target. The last one takes what is left, if that is less than its length says.
pub fn records(mut input: &[u8]) -> impl Iterator<Item = (Step, usize, &[u8])> {
    std::iter::from_fn(move || {
        let ([what, high, low], rest) = input.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        input = rest;
        Some((STEPS[usize::from(what & 0xF) % STEPS.len()], usize::from(what >> 4) % CLIENTS, bytes))
    })
}

fn directory() -> Option<&'static PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIRECTORY.get_or_init(|| std::env::var_os("HAIRPIN_SEEDS").map(PathBuf::from)).as_ref()
}
