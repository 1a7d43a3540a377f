//! Keeps what the tests send, as the first inputs of the fuzz targets.
//!
//! `fuzz/run` names a directory in `HAIRPIN_SEEDS`. Without that variable nothing is kept.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Bytes that one input may have: libFuzzer mutates a short input more often.
const MAX: usize = 4096;

/// Inputs that one test may make.
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

/// Keeps a whole input of a target, unless the running test has had many: property tests have thousands.
pub fn keep(target: &str, input: &[u8]) {
    thread_local! {
        static KEPT: Cell<usize> = const { Cell::new(0) };
    }
    if KEPT.replace(KEPT.get() + 1) >= INPUTS_MAX {
        return;
    }
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    write(target, &format!("{:016x}", hash.finish()), input);
}

/// Adds to the input that the running test makes for a target.
pub fn add(target: &str, bytes: &[u8]) {
    let thread = std::thread::current();
    write(target, &thread.name().unwrap_or("main").replace("::", "."), bytes);
}

/// Adds a datagram of a client to the inputs of the targets that read such.
pub fn datagram(client: SocketAddr, is_stream: bool, bytes: &[u8]) {
    if directory().is_none() {
        return;
    }
    keep("screen", bytes);
    add("framing", bytes);
    let is_signed = [[0, 0x08, 0, 0x14], [0, 0x1C, 0, 0x20]];
    let is_signed = is_signed.iter().any(|head| bytes.windows(4).any(|window| window == head));
    let index = if is_stream { CLIENTS - 1 } else { usize::from(client.port()) % (CLIENTS - 1) };
    add("engine", &record(if is_signed { Step::Signed } else { Step::Raw }, index, bytes));
}

/// Adds what a client sends over HTTP. A test's own page has an origin with a port of the moment; the target's has not.
pub fn http(bytes: &[u8]) {
    const OWN: &[u8] = b"Origin: http://127.0.0.1:";
    let at = bytes.windows(OWN.len()).position(|window| window == OWN);
    let end = at.and_then(|at| Some(at + bytes[at..].iter().position(|byte| *byte == b'\r')?));
    match at.zip(end) {
        Some((at, end)) => {
            add("http", &[&bytes[..at], b"Origin: https://call.example.org", &bytes[end..]].concat());
        }
        None => add("http", bytes),
    }
}

/// Writes a step of the `engine` target: what and who in one byte, a length in two, and that many bytes.
pub fn record(step: Step, client: usize, bytes: &[u8]) -> Vec<u8> {
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

fn write(target: &str, name: &str, bytes: &[u8]) {
    let Some(directory) = directory() else { return };
    let directory = directory.join(target);
    fs::create_dir_all(&directory).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(directory.join(name)).unwrap();
    if file.metadata().unwrap().len() as usize + bytes.len() <= MAX {
        file.write_all(bytes).unwrap();
    }
}
