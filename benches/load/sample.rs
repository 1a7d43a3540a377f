//! Takes one sample: a fixed number of packets, each sent when it is due, and what became of them.

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{Direction, SampleOrder, Scenario};
use crate::flows::Flows;
use crate::host::HostReading;
use crate::link::Link;
use crate::net::{Inbox, Outbox, OwnPorts, Poller, dropped, loopback, raise_file_limit};
use crate::report::{Line, Times, ratio};
use crate::server::CpuReading;

const PEER_RECEIVE_BUFFER: libc::c_int = 4 << 20;
const CHANNEL_HEADER: usize = 4;
const WARM_UP: u64 = 0;
const MEASURED: u64 = 1;
const WARM_UP_SECONDS: f64 = 0.5;
/// How long after the last packet another may still arrive.
const DRAIN: Duration = Duration::from_millis(300);
/// Between the reading of the counters and the first packet.
const LEAD: Duration = Duration::from_millis(2);
/// A generator that achieves less of the offered rate has measured itself.
const KEPT_SCHEDULE: f64 = 0.98;

pub fn take(order: &SampleOrder) -> Outcome<Line> {
    raise_file_limit(1024)?;
    let mut ports = OwnPorts::new(SystemTime::now());
    let peer = ports.bind(PEER_RECEIVE_BUFFER)?;
    let peer_address = loopback(peer.local_addr()?.port());
    let mut flows = Flows::open(&order.target, order.scenario.flows, &mut ports, peer_address)?;
    let mut generator = Generator::new(order, &mut flows, &peer)?;

    generator.drive(WARM_UP, bursts(order, WARM_UP_SECONDS))?;
    let before = Counters::read(order.pid)?;
    let measured = generator.drive(MEASURED, bursts(order, f64::from(order.seconds)))?;
    let after = Counters::read(order.pid)?;

    let mut overflow = dropped(&peer)?;
    for flow in &flows.all {
        if let Link::Datagrams(socket) = flow.link() {
            overflow += dropped(socket)?;
        }
    }
    flows.close()?;
    Ok(describe(order, measured, &before, &after, overflow))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
fn bursts(order: &SampleOrder, seconds: f64) -> u64 {
    (f64::from(order.rate) * seconds / f64::from(order.scenario.burst)).round() as u64
}

/// Everything that is read around the measured window.
struct Counters {
    server: CpuReading,
    generator: CpuReading,
    host: HostReading,
    at: Instant,
}

impl Counters {
    fn read(pid: u32) -> Outcome<Self> {
        Ok(Self {
            server: CpuReading::of(pid)?,
            generator: CpuReading::of(std::process::id())?,
            host: HostReading::now()?,
            at: Instant::now(),
        })
    }
}

/// One thread that sends what is due and meanwhile polls what arrives, so that no server ever pays for waking it
/// and one of two processors is left to the server.
struct Generator<'a> {
    scenario: Scenario,
    direction: Direction,
    interval: Duration,
    flows: &'a mut Flows,
    peer: &'a UdpSocket,
    poller: Poller,
    outbox: Outbox,
    inbox: Inbox,
    epoch: Instant,
}

/// What one drive saw.
struct Tally {
    run: u64,
    sent: u64,
    arrived: Vec<bool>,
    received: u64,
    duplicates: u64,
    wrong: u64,
    latencies: Times,
    lateness: Times,
    sending: Duration,
}

impl Tally {
    fn new(run: u64, bursts: u64, burst: u16) -> Outcome<Self> {
        let count = usize::try_from(bursts * u64::from(burst))?;
        Ok(Self {
            run,
            sent: 0,
            arrived: vec![false; count],
            received: 0,
            duplicates: 0,
            wrong: 0,
            latencies: Times::with_room_for(count),
            lateness: Times::with_room_for(usize::try_from(bursts)?),
            sending: Duration::ZERO,
        })
    }

    /// Counts a datagram, given what could be read of it.
    fn count(&mut self, mark: Option<Mark>, now: u64) {
        let Some(mark) = mark else {
            self.wrong += 1;
            return;
        };
        if mark.run != self.run {
            return;
        }
        let slot = usize::try_from(mark.sequence).ok().and_then(|i| self.arrived.get_mut(i));
        match slot {
            None => self.wrong += 1,
            Some(true) => self.duplicates += 1,
            Some(arrived) => {
                *arrived = true;
                self.received += 1;
                self.latencies.push(now.saturating_sub(mark.sent_at));
            }
        }
    }
}

impl<'a> Generator<'a> {
    fn new(order: &SampleOrder, flows: &'a mut Flows, peer: &'a UdpSocket) -> Outcome<Self> {
        let scenario = order.scenario;
        let header = match order.direction {
            Direction::Up => CHANNEL_HEADER,
            Direction::Down => 0,
        };
        Ok(Self {
            scenario,
            direction: order.direction,
            interval: Duration::from_secs(1) * u32::from(scenario.burst) / order.rate,
            poller: Poller::new(flows.all.iter().map(crate::flows::Flow::link))?,
            flows,
            peer,
            outbox: Outbox::new(usize::from(scenario.burst), usize::from(scenario.payload) + header),
            inbox: Inbox::new(),
            epoch: Instant::now(),
        })
    }

    /// Sends the bursts on an absolute schedule and gives stragglers time to arrive.
    fn drive(&mut self, run: u64, bursts: u64) -> Outcome<Tally> {
        let mut tally = Tally::new(run, bursts, self.scenario.burst)?;
        let start = Instant::now() + LEAD;
        let mut due = start;
        for burst in 0..bursts {
            loop {
                self.receive(&mut tally)?;
                if Instant::now() >= due {
                    break;
                }
                std::hint::spin_loop();
            }
            tally.lateness.push(nanoseconds(due.elapsed()));
            self.send(burst, &mut tally)?;
            due += self.interval;
            // Half as fast as offered is hopeless; the sample will be refused, so why wait for it.
            if start.elapsed() > 2 * (due - start) + DRAIN {
                break;
            }
        }
        tally.sending = start.elapsed().max(due - start);
        let deadline = Instant::now() + DRAIN;
        while tally.received < tally.sent && Instant::now() < deadline {
            self.receive(&mut tally)?;
        }
        Ok(tally)
    }

    fn send(&mut self, burst: u64, tally: &mut Tally) -> Outcome<()> {
        let count = u64::try_from(self.flows.all.len())?;
        let index = u16::try_from(burst % count)?;
        let flow = &mut self.flows.all[usize::from(index)];
        let mut mark = Mark { flow: index, run: tally.run, sequence: tally.sent, sent_at: 0 };
        mark.sent_at = nanoseconds(self.epoch.elapsed());
        for packet in self.outbox.packets() {
            let payload = match self.direction {
                Direction::Up => {
                    let (header, payload) = packet.split_at_mut(CHANNEL_HEADER);
                    header[..2].copy_from_slice(&flow.channel.to_be_bytes());
                    header[2..].copy_from_slice(&self.scenario.payload.to_be_bytes());
                    payload
                }
                Direction::Down => packet,
            };
            mark.write(payload);
            mark.sequence += 1;
        }
        match self.direction {
            Direction::Up => match flow.link_mut() {
                Link::Datagrams(socket) => self.outbox.send(socket, None)?,
                Link::Stream(stream) => {
                    for packet in self.outbox.packets() {
                        stream.send(packet)?;
                    }
                }
            },
            Direction::Down => self.outbox.send(self.peer, Some(flow.relayed))?,
        }
        tally.sent = mark.sequence;
        Ok(())
    }

    fn receive(&mut self, tally: &mut Tally) -> Outcome<()> {
        match self.direction {
            Direction::Up => {
                let count = self.inbox.fill(self.peer)?;
                let now = nanoseconds(self.epoch.elapsed());
                for i in 0..count {
                    let (datagram, source) = self.inbox.datagram(i);
                    tally.count(self.at_peer(datagram, source), now);
                }
            }
            Direction::Down => {
                for &index in self.poller.ready()? {
                    let flow = &mut self.flows.all[index];
                    let (channel, payload) = (flow.channel, self.scenario.payload);
                    match flow.link_mut() {
                        Link::Datagrams(socket) => {
                            let count = self.inbox.fill(socket)?;
                            let now = nanoseconds(self.epoch.elapsed());
                            for i in 0..count {
                                let (datagram, _) = self.inbox.datagram(i);
                                tally.count(at_client(datagram, channel, index, payload), now);
                            }
                        }
                        Link::Stream(stream) => {
                            stream.receive()?;
                            let now = nanoseconds(self.epoch.elapsed());
                            while let Some(message) = stream.next() {
                                tally.count(at_client(message, channel, index, payload), now);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a datagram at the peer, if it is whole and comes from the relayed address of its flow.
    fn at_peer(&self, datagram: &[u8], source: u16) -> Option<Mark> {
        let mark = Mark::read(datagram, self.scenario.payload)?;
        let flow = self.flows.all.get(usize::from(mark.flow))?;
        (flow.relayed.port() == source).then_some(mark)
    }
}

/// Reads a datagram at the client, if it is whole, in its channel, and of its flow.
fn at_client(datagram: &[u8], channel: u16, index: usize, payload: u16) -> Option<Mark> {
    let (header, data) = datagram.split_first_chunk::<CHANNEL_HEADER>()?;
    let ([a, b], [c, d]) = (channel.to_be_bytes(), payload.to_be_bytes());
    let mark = Mark::read(data, payload)?;
    (*header == [a, b, c, d] && usize::from(mark.flow) == index).then_some(mark)
}

/// The first bytes of every payload.
struct Mark {
    /// Comes first, because the stub goes by it.
    flow: u16,
    run: u64,
    sequence: u64,
    sent_at: u64,
}

impl Mark {
    const LENGTH: usize = 26;

    fn write(&self, payload: &mut [u8]) {
        payload[..2].copy_from_slice(&self.flow.to_be_bytes());
        payload[2..10].copy_from_slice(&self.run.to_be_bytes());
        payload[10..18].copy_from_slice(&self.sequence.to_be_bytes());
        payload[18..Self::LENGTH].copy_from_slice(&self.sent_at.to_be_bytes());
    }

    fn read(payload: &[u8], length: u16) -> Option<Self> {
        if payload.len() != usize::from(length) {
            return None;
        }
        let (flow, rest) = payload.split_first_chunk()?;
        let (run, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (sent_at, _) = rest.split_first_chunk()?;
        Some(Self {
            flow: u16::from_be_bytes(*flow),
            run: u64::from_be_bytes(*run),
            sequence: u64::from_be_bytes(*sequence),
            sent_at: u64::from_be_bytes(*sent_at),
        })
    }
}

fn describe(
    order: &SampleOrder,
    mut tally: Tally,
    before: &Counters,
    after: &Counters,
    overflow: u32,
) -> Line {
    let achieved = ratio(tally.sent, 1) / tally.sending.as_secs_f64();
    let wall = nanoseconds(after.at - before.at);
    let server = after.server.since(&before.server);
    let generator = after.generator.since(&before.generator).unwrap_or(0);
    let busy = after.host.busy_since(&before.host, wall);
    let known = generator + server.unwrap_or(0);
    let others = 100.0 * ratio(busy.saturating_sub(known), wall);
    let stolen = 100.0 * ratio(after.host.stolen_since(&before.host), wall);

    let flaws = [
        (achieved < KEPT_SCHEDULE * f64::from(order.rate), "schedule"),
        (overflow > 0, "own_overflow"),
        (tally.wrong > 0, "wrong_data"),
        (tally.received == 0, "nothing_received"),
        (server.is_none(), "thread_ended"),
        (others > order.max_others, "others_busy"),
    ];
    let why: Vec<&str> = flaws.into_iter().filter_map(|(bad, why)| bad.then_some(why)).collect();

    let mut line = Line::new();
    line.add("scenario", order.scenario.name);
    line.add("direction", order.direction.name());
    line.add("rate", order.rate);
    line.add("achieved", format!("{achieved:.0}"));
    line.add("sent", tally.sent);
    line.add("received", tally.received);
    line.add("duplicates", tally.duplicates);
    line.add("wrong", tally.wrong);
    line.add("own_overflow", overflow);
    let lost = tally.sent.saturating_sub(tally.received);
    line.add("loss_pct", format!("{:.4}", 100.0 * ratio(lost, tally.sent)));
    line.add("ns_per_packet", format!("{:.0}", ratio(server.unwrap_or(0), tally.received)));
    line.add("p50_us", format!("{:.1}", tally.latencies.percentile(500)));
    line.add("p99_us", format!("{:.1}", tally.latencies.percentile(990)));
    line.add("late_p99_us", format!("{:.1}", tally.lateness.percentile(990)));
    line.add("others_pct", format!("{others:.1}"));
    line.add("steal_pct", format!("{stolen:.1}"));
    line.add("valid", u8::from(why.is_empty()));
    line.add("why", if why.is_empty() { "-".to_owned() } else { why.join(",") });
    line
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
