//! Takes one sample: traffic at a fixed rate for a fixed time, and what became of it.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::args::SampleOrder;
use crate::flows::Flows;
use crate::generator::Generator;
use crate::host::HostReading;
use crate::report::{Line, ratio};
use crate::server::CpuReading;
use crate::tally::Tally;
use crate::traffic::nanoseconds;

pub const WARM_UP: Duration = Duration::from_millis(500);

pub fn take(order: &SampleOrder) -> Outcome<Line> {
    let scenario = order.scenario;
    let mut flows = Flows::open(&order.target, &scenario, order.rate)?;
    let mut generator = Generator::new(&mut flows, order)?;
    let length = Duration::from_secs(order.seconds.into());

    generator.drive(scenario.traffic(order.direction, order.rate, WARM_UP), WARM_UP)?;
    let before = Counters::read(&order.pids)?;
    let tally = generator.drive(scenario.traffic(order.direction, order.rate, length), length)?;
    let used = Counters::read(&order.pids)?.since(&before);

    let overflow = generator.dropped()?;
    flows.close()?;
    Ok(describe(order, tally, &used, overflow))
}

/// Everything that is read around a measured window.
pub struct Counters {
    server: CpuReading,
    generator: CpuReading,
    host: HostReading,
    at: Instant,
}

/// What was used of the processors in a window.
pub struct Used {
    /// Nanoseconds of all the server's threads; nothing if one of them ended meanwhile.
    pub server: Option<u64>,
    /// What neither the server nor the generator used, in percent of one processor.
    pub others: f64,
    pub stolen: f64,
    pub wall: u64,
}

impl Counters {
    pub fn read(pids: &[u32]) -> Outcome<Self> {
        Ok(Self {
            server: CpuReading::of_all(pids)?,
            generator: CpuReading::of(std::process::id())?,
            host: HostReading::now()?,
            at: Instant::now(),
        })
    }

    pub fn since(&self, before: &Self) -> Used {
        let wall = nanoseconds(self.at - before.at);
        let server = self.server.since(&before.server);
        let generator = self.generator.since(&before.generator).unwrap_or(0);
        let busy = self.host.busy_since(&before.host, wall);
        let known = generator + server.unwrap_or(0);
        Used {
            server,
            others: 100.0 * ratio(busy.saturating_sub(known), wall),
            stolen: 100.0 * ratio(self.host.stolen_since(&before.host), wall),
            wall,
        }
    }
}

fn describe(order: &SampleOrder, mut tally: Tally, used: &Used, overflow: u32) -> Line {
    let flaws = [
        (!tally.kept_schedule(), "schedule"),
        (overflow > 0, "own_overflow"),
        (tally.wrong > 0, "wrong_data"),
        (tally.received == 0, "nothing_received"),
        (used.server.is_none(), "thread_ended"),
        (used.others > order.max_others, "others_busy"),
    ];

    let mut line = Line::new();
    line.add("scenario", order.scenario.name);
    line.add("direction", order.direction.name());
    line.add("rate", order.rate);
    line.add("achieved", format!("{:.0}", tally.achieved()));
    line.add("sent", tally.sent);
    line.add("received", tally.received);
    line.add("own_overflow", overflow);
    line.add("loss_pct", format!("{:.4}", 100.0 * ratio(tally.lost(), tally.sent)));
    line.add("ns_per_packet", format!("{:.0}", ratio(used.server.unwrap_or(0), tally.received)));
    line.add("late_p99_us", format!("{:.1}", tally.lateness.percentile(990)));
    add_observations(&mut line, &mut tally);
    add_verdict(&mut line, used, &flaws);
    line
}

/// How late packets came, and which were not as they were sent.
pub fn add_observations(line: &mut Line, tally: &mut Tally) {
    for (key, per_mille) in [("p50_us", 500), ("p99_us", 990), ("p999_us", 999)] {
        line.add(key, format!("{:.1}", tally.latencies.percentile(per_mille)));
    }
    line.add("wrong", tally.wrong);
    line.add("duplicates", tally.duplicates);
    line.add("reordered", tally.reordered);
}

/// Whether the sample counts, and if not, why.
pub fn add_verdict(line: &mut Line, used: &Used, flaws: &[(bool, &str)]) {
    let why: Vec<&str> = flaws.iter().filter_map(|&(bad, why)| bad.then_some(why)).collect();
    line.add("others_pct", format!("{:.1}", used.others));
    line.add("steal_pct", format!("{:.1}", used.stolen));
    line.add("valid", u8::from(why.is_empty()));
    line.add("why", if why.is_empty() { "-".to_owned() } else { why.join(",") });
}
