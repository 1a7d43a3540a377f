//! Turns the command line into one typed order.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use crate::Outcome;
use crate::stub::Forwarding;
use crate::traffic::{CALL_RATE, Direction, Ends, MOST_CALLS, Scenario};

pub const USAGE: &str = "\
usage: load sample  --server ADDR --pid PID[,PID...] [--from ADDR] (--secret SECRET | --stub) --scenario singly|bursts|call|relay|flooded
                    [--direction up|down|both] [--rate 20000] [--calls N | --flows N] [--seconds 4] [--max-others 20]
                    [--send singly|runs]
                    [--transport udp|tcp|tls] [--authority FILE]
       load highest (the same: --rate is where the search begins, --seconds the length of each of its steps)
       load allocations --server ADDR --pid PID --secret SECRET [--allocations 4000]
       load ready --server ADDR [--stub]
       load stub --listen ADDR [--forward singly|batches|runs]
       load certificate --folder FOLDER
benches/run calls this for every server in turn; see benches/README.md.";

/// Nothing may expire during a sample: the shortest lifetime in TURN is a permission's 300 s.
const LONGEST_SAMPLE_SECONDS: u32 = 50;
/// All steps of a search together, and with what they wait for.
const LONGEST_STEP_SECONDS: u32 = 10;
const MOST_ALLOCATIONS: u32 = 8_000;
/// Each has two sockets, and 20,000 are a common limit.
const MOST_FLOWS: u32 = 9_900;

pub enum Command {
    Nothing,
    Ready(Target),
    Sample(SampleOrder),
    /// Search the highest rate, and measure latency at half of it.
    Highest(SampleOrder),
    Allocations(AllocationsOrder),
    Stub(SocketAddrV4, Forwarding),
    /// Write an authority, a certificate of it and its key.
    Certificate(PathBuf),
}

/// Whom to load, from which address, and how to be let in.
pub struct Target {
    pub address: SocketAddrV4,
    pub from: Ipv4Addr,
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
    /// The server's, and those of kernel threads that work for it alone.
    pub pids: Vec<u32>,
    pub scenario: Scenario,
    pub direction: Direction,
    pub rate: u32,
    /// Whether packets that leave at once are one message, which the kernel cuts (`UDP_SEGMENT`).
    pub send_runs: bool,
    pub seconds: u32,
    pub max_others: f64,
}

pub struct AllocationsOrder {
    pub target: Target,
    /// The server's, and those of kernel threads that work for it alone.
    pub pids: Vec<u32>,
    pub allocations: u16,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Command> {
    // Cargo adds `--bench` to every bench it runs.
    let mut words = arguments.filter(|word| word != "--bench").peekable();
    let verb = words.next_if(|word| !word.starts_with("--"));
    let mut options = Options::read(words)?;
    let command = match verb.as_deref() {
        None if options.is_empty() => Command::Nothing,
        None => return Err(USAGE.into()),
        Some("ready") => Command::Ready(Target {
            address: options.required("server")?,
            from: options.or("from", Ipv4Addr::LOCALHOST)?,
            entry: if options.flag("stub") { Entry::Stub } else { Entry::Secret(String::new()) },
            transport: Transport::Udp,
        }),
        Some("sample") => Command::Sample(sample(&mut options, LONGEST_SAMPLE_SECONDS)?),
        Some("highest") => Command::Highest(sample(&mut options, LONGEST_STEP_SECONDS)?),
        Some("allocations") => Command::Allocations(allocations(&mut options)?),
        Some("certificate") => Command::Certificate(options.required("folder")?),
        Some("stub") => Command::Stub(options.required("listen")?, forwarding(&mut options)?),
        Some(other) => return Err(format!("unknown command `{other}`\n{USAGE}").into()),
    };
    options.finish()?;
    Ok(command)
}

fn target(options: &mut Options) -> Outcome<Target> {
    let address: SocketAddrV4 = options.required("server")?;
    if *address.ip() != Ipv4Addr::LOCALHOST && !is_for_benchmarks(*address.ip()) {
        return Err("only a server on 127.0.0.1 or in 198.18.0.0/15 may be loaded".into());
    }
    let from = options.or("from", Ipv4Addr::LOCALHOST)?;
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
    Ok(Target { address, from, entry, transport })
}

/// RFC 2544: these addresses are used nowhere on the Internet.
fn is_for_benchmarks(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [198, 18 | 19, ..])
}

/// A list with commas.
fn pids(options: &mut Options) -> Outcome<Vec<u32>> {
    let text: String = options.required("pid")?;
    Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
}

fn sample(options: &mut Options, longest: u32) -> Outcome<SampleOrder> {
    let target = target(options)?;
    let name: String = options.required("scenario")?;
    let scenario = Scenario::named(&name).ok_or_else(|| format!("unknown scenario `{name}`"))?;
    if matches!(target.entry, Entry::Stub) && scenario.ends == Ends::Client {
        return Err("the stub does not relay between clients".into());
    }
    let name = options.or("direction", Direction::Both.name().to_owned())?;
    let direction = Direction::named(&name).ok_or_else(|| format!("unknown direction `{name}`"))?;
    if !scenario.allows(direction) {
        return Err(format!("{} always goes both ways", scenario.name).into());
    }
    let calls = options.or("calls", 0)?;
    within("calls", calls, 0, u32::from(MOST_CALLS))?;
    let flows = options.or("flows", u32::from(scenario.flows))?;
    within("flows", flows, 1, MOST_FLOWS)?;
    let scenario = scenario.with_flows(u16::try_from(flows)?);
    let send_runs = match options.or("send", "singly".to_owned())?.as_str() {
        "singly" => false,
        "runs" => true,
        other => return Err(format!("unknown way to send `{other}`").into()),
    };
    let rate = match (calls, options.or("rate", 20_000)?) {
        (0, rate) => rate,
        (calls, _) => calls * CALL_RATE,
    };
    within("rate", rate, 100, scenario.highest_rate())?;
    let seconds = options.or("seconds", 4)?;
    within("seconds", seconds, 1, longest)?;
    let max_others = options.or("max-others", 20.0)?;
    let pids = pids(options)?;
    Ok(SampleOrder { target, pids, scenario, direction, rate, send_runs, seconds, max_others })
}

fn allocations(options: &mut Options) -> Outcome<AllocationsOrder> {
    let target = target(options)?;
    if !matches!(target.transport, Transport::Udp) {
        return Err("allocations are measured over UDP".into());
    }
    let allocations = options.or("allocations", 4000)?;
    within("allocations", u32::from(allocations), 1, MOST_ALLOCATIONS)?;
    Ok(AllocationsOrder { target, pids: pids(options)?, allocations })
}

fn forwarding(options: &mut Options) -> Outcome<Forwarding> {
    Ok(match options.or("forward", "singly".to_owned())?.as_str() {
        "singly" => Forwarding::Singly,
        "batches" => Forwarding::Batches,
        "runs" => Forwarding::Runs,
        other => return Err(format!("unknown way to forward `{other}`").into()),
    })
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
