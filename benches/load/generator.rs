//! Sends each packet when it is due, and meanwhile receives: one thread that never sleeps.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::args::SampleOrder;
use crate::flood::Flood;
use crate::flows::{End, Flows};
use crate::net::{Inbox, Outbox, Poller};
use crate::payload::{Mark, Payloads};
use crate::runs::Dispatch;
use crate::tally::Tally;
use crate::traffic::{Departure, FLOOD_PAYLOAD, LARGEST_PAYLOAD, MOST_AT_ONCE, Traffic, nanoseconds};

/// How long after the last packet another may still arrive.
const DRAIN: Duration = Duration::from_millis(300);
/// Between the reading of the counters and the first packet.
const LEAD: Duration = Duration::from_millis(2);

/// One thread that sends what is due and meanwhile polls what arrives, so that no server ever pays for waking it
/// and one of two processors is left to the server.
pub struct Generator<'a> {
    flows: &'a mut Flows,
    /// The flow and the end behind each index of the poller.
    receivers: Vec<(usize, usize)>,
    poller: Poller,
    flood: Option<Flood>,
    /// Sends packets that leave at once as one message, if that is wanted.
    as_runs: Option<Dispatch>,
    outbox: Outbox,
    inbox: Inbox,
    payloads: Payloads,
    epoch: Instant,
    runs: u64,
}

impl<'a> Generator<'a> {
    /// For the flows that an order needs.
    pub fn new(flows: &'a mut Flows, order: &SampleOrder) -> Outcome<Self> {
        let SampleOrder { scenario, direction, send_runs, .. } = *order;
        let flood = scenario.flood.zip(flows.all.get(flows.measured));
        let flood = flood.map(|(rate, flow)| Flood::new(flow, direction, rate, FLOOD_PAYLOAD)).transpose()?;
        let receivers: Vec<_> = (0..flows.measured)
            .flat_map(|flow| direction.ways().iter().map(move |way| (flow, way.receiver())))
            .collect();
        let poller = Poller::new(receivers.iter().map(|&(flow, end)| &flows.all[flow][end]))?;
        Ok(Self {
            flows,
            receivers,
            poller,
            flood,
            as_runs: send_runs.then(|| Dispatch::new(true)),
            outbox: Outbox::new(MOST_AT_ONCE, End::ROOM + LARGEST_PAYLOAD),
            inbox: Inbox::new(),
            payloads: Payloads::new(),
            epoch: Instant::now(),
            runs: 0,
        })
    }

    /// Sends the traffic on an absolute schedule and gives stragglers time to arrive.
    pub fn drive(&mut self, traffic: Traffic, planned: Duration) -> Outcome<Tally> {
        self.runs += 1;
        let mut tally = Tally::new(self.runs, self.receivers.len(), planned);
        let start = Instant::now() + LEAD;
        for departure in traffic {
            let due = start + Duration::from_nanos(departure.at);
            loop {
                self.receive(&mut tally)?;
                let now = Instant::now();
                if let Some(flood) = &mut self.flood {
                    flood.go_on(now);
                }
                if now >= due {
                    break;
                }
                std::hint::spin_loop();
            }
            tally.lateness.push(nanoseconds(due.elapsed()));
            self.send(&departure, &mut tally)?;
            // Half as fast as offered is hopeless; the sample will be refused, so why wait for it.
            if start.elapsed() > 2 * (due - start) + DRAIN {
                tally.planned = due - start;
                break;
            }
        }
        tally.sending = start.elapsed().max(tally.planned);
        let deadline = Instant::now() + DRAIN;
        while !tally.is_complete() && Instant::now() < deadline {
            self.receive(&mut tally)?;
        }
        Ok(tally)
    }

    /// Datagrams for which the generator had no room since the flows were opened.
    pub fn dropped(&self) -> Outcome<u32> {
        self.flows.dropped()
    }

    fn send(&mut self, departure: &Departure, tally: &mut Tally) -> Outcome<()> {
        let end = &mut self.flows.all[usize::from(departure.flow)][departure.way.sender()];
        self.outbox.shape(departure.payloads().map(|payload| end.length(payload)));
        let sent_at = nanoseconds(self.epoch.elapsed());
        for (packet, length) in self.outbox.packets().iter_mut().zip(departure.payloads()) {
            let sequence = tally.next_sequence();
            let mark = Mark { flow: departure.flow, length, run: self.runs, sequence, sent_at };
            self.payloads.write(&mark, end.frame(packet, length));
        }
        match &mut self.as_runs {
            Some(runs) => end.send_run(&mut self.outbox, runs),
            None => end.send(&mut self.outbox),
        }
    }

    fn receive(&mut self, tally: &mut Tally) -> Outcome<()> {
        for &receiver in self.poller.ready()? {
            let (flow, end) = self.receivers[receiver];
            let (payloads, epoch) = (&self.payloads, self.epoch);
            self.flows.all[flow][end].receive(&mut self.inbox, |payload| {
                let mark = payload.and_then(|payload| payloads.read(payload));
                let own = mark.filter(|mark| usize::from(mark.flow) == flow);
                tally.count(own, receiver, nanoseconds(epoch.elapsed()));
            })?;
        }
        Ok(())
    }
}
