//! A member of a room, that signals to the others and notes when their signals come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{sleep_until, timeout};

use crate::Outcome;
use crate::daemon::Door;
use crate::socket::Socket;

pub struct Member {
    socket: Socket,
    others: Vec<String>,
    /// How many signals it has sent.
    sent: usize,
}

/// What all members have seen in a round.
#[derive(Default)]
pub struct Tally {
    pub sent: AtomicUsize,
    /// Nanoseconds from the moment that a signal was due until it came.
    latencies: Mutex<Vec<u64>>,
}

impl Tally {
    pub fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.latencies.lock().expect("nobody panics"))
    }
}

/// Every so often a signal is an offer, of the size that Chromium makes for two tracks; the others are candidates.
const OFFER_EVERY: usize = 8;
const OFFER_BYTES: usize = 6000;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the last signals of a round may take.
const TAIL: Duration = Duration::from_secs(1);

/// What moments are counted from; before every moment that is.
static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() - ANSWER_WITHIN);
static PADDING: LazyLock<String> = LazyLock::new(|| "a=candidate ".repeat(OFFER_BYTES / 12));

fn nanos() -> u64 {
    START.elapsed().as_nanos() as u64
}

impl Member {
    pub async fn join(door: &Door, room: &str) -> Outcome<Self> {
        let mut member = Self { socket: Socket::open(door).await?, others: Vec::new(), sent: 0 };
        member.socket.send(r#"{"t":"hello","v":[1]}"#).await?;
        member.expect("welcome").await?;
        member.socket.send(&json!({ "t": "join", "room": room, "name": "member" }).to_string()).await?;
        let joined = member.expect("joined").await?;
        let peers = joined["peers"].as_array().into_iter().flatten();
        member.others = peers.filter_map(|peer| Some(peer["id"].as_str()?.to_owned())).collect();
        Ok(member)
    }

    /// Waits until it knows so many others.
    pub async fn meet(&mut self, others: usize) -> Outcome<()> {
        while self.others.len() < others {
            let message = self.expect("peer_joined").await?;
            self.others.push(message["member"]["id"].as_str().ok_or("no id")?.to_owned());
        }
        Ok(())
    }

    async fn expect(&mut self, kind: &str) -> Outcome<Value> {
        loop {
            let text = timeout(ANSWER_WITHIN, self.socket.receive()).await??;
            let message: Value = serde_json::from_slice(&text)?;
            match message["t"].as_str() {
                Some(t) if t == kind => return Ok(message),
                Some("error" | "kicked" | "goaway") | None => return Err(message.to_string().into()),
                Some(_) => {}
            }
        }
    }

    /// Signals to one after the other at a fixed rate, whatever comes back.
    pub async fn exchange(
        mut self,
        first: Duration,
        period: Duration,
        time: Duration,
        tally: Arc<Tally>,
    ) -> Outcome<Self> {
        let begun = tokio::time::Instant::now();
        let mut latencies = Vec::new();
        let (mut due, end) = (begun + first, begun + time + TAIL);
        loop {
            let sending = due < begun + time;
            let next = if sending { due } else { end };
            tokio::select! {
                text = self.socket.receive() => latencies.extend(latency(&text?)),
                () = sleep_until(next) => {
                    if !sending {
                        break;
                    }
                    let late = (tokio::time::Instant::now() - due).as_nanos() as u64;
                    self.signal(nanos() - late).await?;
                    tally.sent.fetch_add(1, Ordering::Relaxed);
                    due += period;
                }
            }
        }
        tally.latencies.lock().expect("nobody panics").extend(latencies);
        Ok(self)
    }

    async fn signal(&mut self, due: u64) -> Outcome<()> {
        let to = &self.others[self.sent % self.others.len()];
        let content = if self.sent.is_multiple_of(OFFER_EVERY) {
            format!(r#""d":{{"type":"offer","sdp":"due {due} {}"}}"#, *PADDING)
        } else {
            let tail = "1 udp 2122260223 192.0.2.1 54321 typ host generation 0 ufrag abcd network-id 1";
            format!(r#""c":[{{"candidate":"due {due} {tail}","sdpMid":"0"}}]"#)
        };
        self.sent += 1;
        self.socket.send(&format!(r#"{{"t":"signal","to":"{to}","e":1,{content}}}"#)).await
    }
}

/// How long ago the signal in a frame was due.
fn latency(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let due = text.split_once("due ")?.1.split_once(' ')?.0.parse::<u64>().ok()?;
    nanos().checked_sub(due)
}
