//! What is sent when: a steady load over all flows, or calls with their audio and video.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const AUDIO_INTERVAL: u64 = 20_000_000;
const VIDEO_INTERVAL: u64 = SECOND / 30;
const AUDIO_SIZES: (u64, u64) = (120, 160);
const FRAME_PACKETS: (u64, u64) = (1, 12);
const FRAME_PACKET: u16 = 1150;
/// A frame's last packet carries what is left of it.
const LAST_SIZES: (u64, u64) = (200, 1149);
/// Audio and video, up and down.
const SOURCES_PER_CALL: u32 = 4;

/// Packets per second of one call, both ways together: 50 of audio, and 30 frames of 6.5 packets on average.
pub const CALL_RATE: u32 = 2 * (50 + 30 * 13 / 2);
pub const MOST_CALLS: u16 = 500;
/// The payload of each packet of a flood, and how many there are each second.
pub const FLOOD_PAYLOAD: u16 = 160;
const FLOOD_RATE: u32 = 200_000;
pub const HIGHEST_RATE: u32 = 1_000_000;
/// The most packets of one departure.
pub const MOST_AT_ONCE: usize = 16;
/// The largest payload of any scenario.
pub const LARGEST_PAYLOAD: usize = 1150;

/// The shape of the traffic, and between whom.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub flows: u16,
    pub ends: Ends,
    shape: Shape,
    /// Packets a second of one more flow, which is not measured.
    pub flood: Option<u32>,
}

/// Who is at the far end of a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// A peer, which is no client of the server.
    Peer,
    /// Another client: each end's peer is the other end's relayed address.
    Client,
}

#[derive(Clone, Copy)]
enum Shape {
    Steady { payload: u16, burst: u16 },
    Calls,
}

const fn steady(name: &'static str, flows: u16, ends: Ends, payload: u16, burst: u16) -> Scenario {
    Scenario { name, flows, ends, shape: Shape::Steady { payload, burst }, flood: None }
}

const SCENARIOS: [Scenario; 5] = [
    steady("singly", 100, Ends::Peer, 160, 1),
    steady("bursts", 20, Ends::Peer, 1100, 16),
    Scenario { name: "call", flows: MOST_CALLS, ends: Ends::Peer, shape: Shape::Calls, flood: None },
    steady("relay", 50, Ends::Client, 160, 1),
    Scenario { flood: Some(FLOOD_RATE), ..steady("flooded", 100, Ends::Peer, 160, 1) },
];

impl Scenario {
    pub fn named(name: &str) -> Option<Self> {
        SCENARIOS.into_iter().find(|scenario| scenario.name == name)
    }

    /// Calls always go both ways, as nobody would call otherwise.
    pub fn allows(&self, direction: Direction) -> bool {
        direction == Direction::Both || matches!(self.shape, Shape::Steady { .. })
    }

    /// The same with another number of flows, if they are not calls.
    pub fn with_flows(self, flows: u16) -> Self {
        Self { flows, ..self }
    }

    /// How many flows carry the traffic at this rate; more would stay silent.
    pub fn flows_at(&self, rate: u32) -> u16 {
        match self.shape {
            Shape::Steady { .. } => self.flows,
            Shape::Calls => calls_at(rate),
        }
    }

    pub fn highest_rate(&self) -> u32 {
        match self.shape {
            Shape::Steady { .. } => HIGHEST_RATE,
            Shape::Calls => CALL_RATE * u32::from(MOST_CALLS),
        }
    }

    /// The traffic of this rate, which is rounded to whole calls where there are any.
    pub fn traffic(&self, direction: Direction, rate: u32, length: Duration) -> Traffic {
        let end = nanoseconds(length);
        match self.shape {
            Shape::Steady { payload, burst } => Traffic::Steady(Steady {
                ways: direction.ways(),
                flows: self.flows,
                payload,
                burst,
                rate: u64::from(rate),
                end,
                next: 0,
            }),
            Shape::Calls => Traffic::Calls(Calls::new(calls_at(rate), end)),
        }
    }
}

fn calls_at(rate: u32) -> u16 {
    let calls = (rate + CALL_RATE / 2) / CALL_RATE;
    u16::try_from(calls).unwrap_or(MOST_CALLS).clamp(1, MOST_CALLS)
}

/// The ways that a measurement uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to peer, as `ChannelData`.
    Up,
    /// Peer to client.
    Down,
    Both,
}

impl Direction {
    pub fn named(name: &str) -> Option<Self> {
        [Self::Up, Self::Down, Self::Both].into_iter().find(|direction| direction.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Both => "both",
        }
    }

    pub fn ways(self) -> &'static [Way] {
        match self {
            Self::Up => &[Way::Up],
            Self::Down => &[Way::Down],
            Self::Both => &[Way::Up, Way::Down],
        }
    }
}

/// From the first end of a flow to its second, or back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

impl Way {
    /// The index of the end that sends.
    pub fn sender(self) -> usize {
        match self {
            Self::Up => 0,
            Self::Down => 1,
        }
    }

    /// The index of the end that receives.
    pub fn receiver(self) -> usize {
        1 - self.sender()
    }
}

/// Packets that one end of a flow hands to the kernel at once.
pub struct Departure {
    /// When, in nanoseconds from the beginning.
    pub at: u64,
    pub flow: u16,
    pub way: Way,
    pub packets: u16,
    /// The payload of every packet but the last.
    pub payload: u16,
    pub last: u16,
}

impl Departure {
    pub fn payloads(&self) -> impl Iterator<Item = u16> {
        (1..=self.packets).map(move |i| if i == self.packets { self.last } else { self.payload })
    }
}

/// All departures of one drive, in the order of their times; the same ones each time.
pub enum Traffic {
    Steady(Steady),
    Calls(Calls),
}

impl Iterator for Traffic {
    type Item = Departure;

    fn next(&mut self) -> Option<Departure> {
        match self {
            Self::Steady(steady) => steady.next(),
            Self::Calls(calls) => calls.next(),
        }
    }
}

/// Flows that take turns, one burst at a time.
pub struct Steady {
    ways: &'static [Way],
    flows: u16,
    payload: u16,
    burst: u16,
    rate: u64,
    end: u64,
    next: u64,
}

impl Steady {
    fn next(&mut self) -> Option<Departure> {
        let at = self.next * u64::from(self.burst) * SECOND / self.rate;
        if at >= self.end {
            return None;
        }
        let turn = self.next / u64::from(self.flows);
        let flow = u16::try_from(self.next % u64::from(self.flows)).expect("less than a u16");
        let way = usize::try_from(turn).expect("a usize of 64 bits") % self.ways.len();
        self.next += 1;
        Some(Departure {
            at,
            flow,
            way: self.ways[way],
            packets: self.burst,
            payload: self.payload,
            last: self.payload,
        })
    }
}

/// Calls, each with four sources: its audio and its video, up and down.
pub struct Calls {
    /// When each source sends next.
    agenda: BinaryHeap<Reverse<(u64, u32)>>,
    chances: Vec<Chance>,
    end: u64,
}

impl Calls {
    fn new(calls: u16, end: u64) -> Self {
        let sources = u32::from(calls) * SOURCES_PER_CALL;
        let mut chances: Vec<Chance> = (0..sources).map(|source| Chance(u64::from(source))).collect();
        let first = |(source, chance): (u32, &mut Chance)| {
            Reverse((chance.within((0, interval(source) - 1)), source))
        };
        let agenda = (0..sources).zip(&mut chances).map(first).collect();
        Self { agenda, chances, end }
    }

    fn next(&mut self) -> Option<Departure> {
        let Reverse((at, source)) = self.agenda.pop()?;
        if at >= self.end {
            return None;
        }
        self.agenda.push(Reverse((at + interval(source), source)));
        let chance = &mut self.chances[usize::try_from(source).expect("a small index")];
        let (packets, last) = if is_video(source) {
            (chance.within(FRAME_PACKETS), chance.within(LAST_SIZES))
        } else {
            (1, chance.within(AUDIO_SIZES))
        };
        Some(Departure {
            at,
            flow: u16::try_from(source / SOURCES_PER_CALL).expect("at most MOST_CALLS"),
            way: if source % 2 == 0 { Way::Up } else { Way::Down },
            packets: u16::try_from(packets).expect("a frame is small"),
            payload: FRAME_PACKET,
            last: u16::try_from(last).expect("a packet is small"),
        })
    }
}

fn is_video(source: u32) -> bool {
    source % SOURCES_PER_CALL >= 2
}

fn interval(source: u32) -> u64 {
    if is_video(source) { VIDEO_INTERVAL } else { AUDIO_INTERVAL }
}

/// `SplitMix64`, a generator of pseudo-random numbers whose sequences are the same in every run.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers from the first to the last of `range`.
    fn within(&mut self, (first, last): (u64, u64)) -> u64 {
        first + self.next() % (last - first + 1)
    }
}

pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
