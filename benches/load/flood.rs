//! One flow that sends as much as the generator can without falling behind with what it measures: runs of packets that the
//! kernel cuts (`UDP_SEGMENT`). What becomes of them is not counted.

use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::flows::Flow;
use crate::runs::{Dispatch, Parcel};
use crate::traffic::Direction;

/// So many packets leave at once.
const RUN: usize = 50;

pub struct Flood {
    socket: UdpSocket,
    to: SocketAddrV4,
    packet: Vec<u8>,
    dispatch: Dispatch,
    interval: Duration,
    next: Instant,
}

impl Flood {
    /// `rate` packets a second with a payload of this length, from the client of the flow, or from its peer.
    pub fn new(flow: &Flow, direction: Direction, rate: u32, payload: u16) -> Outcome<Self> {
        let end = &flow[direction.ways()[0].sender()];
        let (socket, to) = end.way().ok_or("only datagrams can flood")?;
        let mut packet = vec![0; end.length(payload)];
        end.frame(&mut packet, payload).fill(0x5a);
        let interval = Duration::from_secs(1) * u32::try_from(RUN)? / rate;
        Ok(Self {
            socket: socket.try_clone()?,
            to,
            packet,
            dispatch: Dispatch::new(true),
            interval,
            next: Instant::now(),
        })
    }

    /// Sends the next run, if it is due. What the generator was too late for is left out.
    pub fn go_on(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let parcels: Vec<_> =
            (0..RUN).map(|_| Parcel { to: self.to, head: None, body: &self.packet }).collect();
        self.dispatch.send(&self.socket, &parcels);
        self.next = (self.next + self.interval).max(now - self.interval);
    }
}
