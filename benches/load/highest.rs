//! Looks for the highest rate at which fewer than one packet in a thousand is lost, and measures latency at half of it.

use std::time::Duration;

use crate::Outcome;
use crate::args::SampleOrder;
use crate::flows::Flows;
use crate::generator::Generator;
use crate::report::{Line, ratio};
use crate::sample::{Counters, Used, WARM_UP, add_observations, add_verdict};
use crate::tally::Tally;

const TOLERATED_LOSS: f64 = 0.001;
/// The search ends when the lowest rate that failed is at most this much above the highest that did not.
const PRECISION: f64 = 1.05;
/// Also when this many rates were tried: the first search doubles or halves, the second one bisects.
const MOST_STEPS: u32 = 14;
const LOWEST_RATE: u32 = 500;
/// A server that used less than this of one processor did not hold the generator up.
const BUSY: f64 = 0.9;

/// What a rate was too high for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limit {
    Server,
    /// The generator sent too late, or had no room for what arrived: the server may be able to do more.
    Generator,
    /// No rate below this one failed.
    Bound,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Generator => "generator",
            Self::Bound => "bound",
        }
    }
}

pub fn find(order: &SampleOrder) -> Outcome<Line> {
    let scenario = order.scenario;
    let mut flows = Flows::open(&order.target, &scenario, scenario.highest_rate())?;
    let generator = Generator::new(&mut flows, order)?;
    let mut search = Search { order, generator, dropped: 0, steps: 0, wrong: 0, others: 0.0 };
    search.step(order.rate, WARM_UP)?; // does not count
    let (rate, limit) = search.run()?;
    let (mut tally, used, _) = search.step((rate / 2).max(LOWEST_RATE), search.length())?;
    let (steps, wrong, others) = (search.steps, search.wrong, search.others.max(used.others));
    flows.close()?;

    let flaws = [
        (rate == 0, "no_rate"),
        (wrong > 0, "wrong_data"),
        (!tally.kept_schedule(), "schedule"),
        (others > order.max_others, "others_busy"),
    ];
    let mut line = Line::new();
    line.add("scenario", order.scenario.name);
    line.add("direction", order.direction.name());
    line.add("highest", rate);
    line.add("limit", limit.name());
    line.add("steps", steps);
    line.add("half_rate", format!("{:.0}", tally.achieved()));
    line.add("loss_pct", format!("{:.4}", 100.0 * ratio(tally.lost(), tally.sent)));
    add_observations(&mut line, &mut tally);
    add_verdict(&mut line, &Used { others, ..used }, &flaws);
    Ok(line)
}

struct Search<'a> {
    order: &'a SampleOrder,
    generator: Generator<'a>,
    /// Datagrams for which the generator had no room so far.
    dropped: u32,
    steps: u32,
    wrong: u64,
    others: f64,
}

impl Search<'_> {
    fn length(&self) -> Duration {
        Duration::from_secs(self.order.seconds.into())
    }

    /// The highest rate that was good, and why none above it was.
    fn run(&mut self) -> Outcome<(u32, Limit)> {
        let (mut good, mut bad) = (0, None);
        let highest = self.order.scenario.highest_rate();
        let mut rate = self.order.rate;
        while self.steps < MOST_STEPS {
            self.steps += 1;
            let (tally, used, overflow) = self.step(rate, self.length())?;
            self.wrong += tally.wrong;
            self.others = self.others.max(used.others);
            match verdict(&tally, &used, overflow) {
                None => good = rate,
                Some(limit) => bad = Some((rate, limit)),
            }
            rate = match bad {
                None if rate >= highest => break,
                None => (rate * 2).min(highest),
                Some((bad, _)) if f64::from(bad) <= PRECISION * f64::from(good) => break,
                Some((bad, _)) if good == 0 && bad <= LOWEST_RATE => break,
                Some((bad, _)) if good == 0 => (bad / 2).max(LOWEST_RATE),
                Some((bad, _)) => good.midpoint(bad),
            };
        }
        Ok((good, bad.map_or(Limit::Bound, |(_, limit)| limit)))
    }

    /// Drives this rate once; the last figure is what the generator had no room for meanwhile.
    fn step(&mut self, rate: u32, length: Duration) -> Outcome<(Tally, Used, u32)> {
        let (scenario, direction) = (self.order.scenario, self.order.direction);
        let before = Counters::read(&self.order.pids)?;
        let tally = self.generator.drive(scenario.traffic(direction, rate, length), length)?;
        let used = Counters::read(&self.order.pids)?.since(&before);
        let dropped = self.generator.dropped()?;
        let overflow = dropped - self.dropped;
        self.dropped = dropped;
        Ok((tally, used, overflow))
    }
}

/// What the rate was too high for, or nothing.
fn verdict(tally: &Tally, used: &Used, overflow: u32) -> Option<Limit> {
    let busy = ratio(used.server.unwrap_or(0), used.wall) >= BUSY;
    if overflow > 0 {
        return Some(Limit::Generator);
    }
    if ratio(tally.lost(), tally.sent) >= TOLERATED_LOSS {
        return Some(Limit::Server);
    }
    // A stream whose server is busy takes no more, which holds the generator up.
    (!tally.kept_schedule()).then_some(if busy { Limit::Server } else { Limit::Generator })
}
