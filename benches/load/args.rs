//! Turns the command line into one typed order.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use crate::Outcome;

pub const USAGE: &str = "\
usage: load --server ADDR --pid PID (--secret SECRET | --stub) --scenario singly|bursts
            [--direction up|down] [--rate 20000] [--seconds 4] [--max-others 20]
            [--transport udp|tcp|tls] [--authority FILE]
       load --server ADDR --pid PID --secret SECRET --scenario idle [--allocations 2000]
       load ready --server ADDR [--stub]
       load stub --listen ADDR
       load certificate --folder FOLDER
benches/run calls this for every server in turn; see benches/README.md.";

/// Nothing may expire during a sample: the shortest lifetime in TURN is a permission's 300 s.
const LONGEST_SAMPLE_SECONDS: u32 = 50;
const MOST_ALLOCATIONS: u32 = 8_000;
const HIGHEST_RATE: u32 = 1_000_000;

pub enum Command {
    Nothing,
    Ready(Target),
    Sample(SampleOrder),
    Idle(IdleOrder),
    Stub(SocketAddrV4),
    /// Write an authority, a certificate of it and its key.
    Certificate(PathBuf),
}

/// Whom to load, and how to be let in.
pub struct Target {
    pub address: SocketAddrV4,
    pub entry: Entry,
    pub transport: Transport,
}

pub enum Entry {
    Secret(String),
    Stub,
}

/// How clients reach the server.
pub enum Transport {
    Udp,
    Tcp,
    /// The certificate is of the authority in this file.
    Tls(PathBuf),
}

pub struct SampleOrder {
    pub target: Target,
    pub pid: u32,
    pub scenario: Scenario,
    pub direction: Direction,
    pub rate: u32,
    pub seconds: u32,
    pub max_others: f64,
}

pub struct IdleOrder {
    pub target: Target,
    pub pid: u32,
    pub allocations: u16,
}

/// The shape of the traffic: how many flows, how much at a time.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub flows: u16,
    pub payload: u16,
    pub burst: u16,
}

const SINGLY: Scenario = Scenario { name: "singly", flows: 100, payload: 160, burst: 1 };
const BURSTS: Scenario = Scenario { name: "bursts", flows: 20, payload: 1100, burst: 16 };

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to peer, as `ChannelData`.
    Up,
    /// Peer to client.
    Down,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Command> {
    // Cargo adds `--bench` to every bench it runs.
    let mut words = arguments.filter(|word| word != "--bench").peekable();
    let verb = words.next_if(|word| !word.starts_with("--"));
    let mut options = Options::read(words)?;
    let command = match verb.as_deref() {
        None if options.is_empty() => Command::Nothing,
        None => order(&mut options)?,
        Some("ready") => Command::Ready(Target {
            address: options.required("server")?,
            entry: if options.flag("stub") { Entry::Stub } else { Entry::Secret(String::new()) },
            transport: Transport::Udp,
        }),
        Some("certificate") => Command::Certificate(options.required("folder")?),
        Some("stub") => Command::Stub(options.required("listen")?),
        Some(other) => return Err(format!("unknown command `{other}`\n{USAGE}").into()),
    };
    options.finish()?;
    Ok(command)
}

fn order(options: &mut Options) -> Outcome<Command> {
    let address: SocketAddrV4 = options.required("server")?;
    if *address.ip() != Ipv4Addr::LOCALHOST {
        return Err("only a server on 127.0.0.1 may be loaded".into());
    }
    let entry = if options.flag("stub") { Entry::Stub } else { Entry::Secret(options.required("secret")?) };
    let transport = match options.or("transport", "udp".to_owned())?.as_str() {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls(options.required("authority")?),
        other => return Err(format!("unknown transport `{other}`").into()),
    };
    if matches!(entry, Entry::Stub) && !matches!(transport, Transport::Udp) {
        return Err("the stub speaks UDP only".into());
    }
    let target = Target { address, entry, transport };
    let pid = options.required("pid")?;
    let scenario = match options.required::<String>("scenario")?.as_str() {
        "singly" => SINGLY,
        "bursts" => BURSTS,
        "idle" => {
            let allocations = options.or("allocations", 2000)?;
            within("allocations", u32::from(allocations), 1, MOST_ALLOCATIONS)?;
            return Ok(Command::Idle(IdleOrder { target, pid, allocations }));
        }
        other => return Err(format!("unknown scenario `{other}`").into()),
    };
    let direction = match options.required::<String>("direction")?.as_str() {
        "up" => Direction::Up,
        "down" => Direction::Down,
        other => return Err(format!("unknown direction `{other}`").into()),
    };
    let rate = options.or("rate", 20_000)?;
    within("rate", rate, 100, HIGHEST_RATE)?;
    let seconds = options.or("seconds", 4)?;
    within("seconds", seconds, 1, LONGEST_SAMPLE_SECONDS)?;
    let max_others = options.or("max-others", 20.0)?;
    Ok(Command::Sample(SampleOrder { target, pid, scenario, direction, rate, seconds, max_others }))
}

fn within(name: &str, value: u32, low: u32, high: u32) -> Outcome<()> {
    if value < low || value > high {
        return Err(format!("--{name} must be between {low} and {high}, not {value}").into());
    }
    Ok(())
}

/// The `--name value` pairs not yet asked for; `--stub` is the only one without a value.
struct Options(HashMap<String, String>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut pairs = HashMap::new();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                return Err(format!("`{word}` is not an option\n{USAGE}").into());
            };
            let value = match name {
                "stub" => String::new(),
                _ => words.next().ok_or_else(|| format!("--{name} needs a value"))?,
            };
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn flag(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    fn required<T: FromStr>(&mut self, name: &str) -> Outcome<T> {
        let value = self.0.remove(name).ok_or_else(|| format!("--{name} is missing\n{USAGE}"))?;
        value.parse().map_err(|_| format!("--{name}: `{value}` is not understood").into())
    }

    fn or<T: FromStr>(&mut self, name: &str, default: T) -> Outcome<T> {
        if self.0.contains_key(name) { self.required(name) } else { Ok(default) }
    }

    fn finish(self) -> Outcome<()> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("--{name} does not belong here\n{USAGE}").into()),
        }
    }
}
