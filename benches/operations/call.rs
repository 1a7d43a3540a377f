//! One relayed call: a client that sends a packet at a time to a peer, which sends it back.

use std::io::{self, ErrorKind};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::Outcome;
use crate::site::{Site, TRANSPORTS, Transport};
use crate::turn::Session;

const CHANNEL: u16 = 0x4000;
const PACKET: usize = 160;
/// A socket takes a shorter time for none at all.
const SHORTEST: Duration = Duration::from_millis(1);

pub struct Call<'a> {
    pub transport: Transport,
    pub session: Session,
    pub relayed: SocketAddrV4,
    site: &'a Site,
    peer: SocketAddrV4,
    number: u64,
}

/// How the call of this number reaches the server: all ways in turn.
pub fn transport(number: usize) -> Transport {
    TRANSPORTS[number % TRANSPORTS.len()]
}

impl<'a> Call<'a> {
    pub fn begin(site: &'a Site, transport: Transport, peer: SocketAddrV4) -> Outcome<Self> {
        let mut session = site.connect(transport)?;
        let relayed = session.allocate(&site.credential)?;
        session.permit(peer, &site.credential)?;
        session.bind_channel(CHANNEL, peer, &site.credential)?;
        Ok(Self { transport, session, relayed, site, peer, number: 0 })
    }

    /// Sends a packet to the peer, and returns whether it has come back in time.
    pub fn exchange(&mut self, within: Duration) -> io::Result<bool> {
        self.number += 1;
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&self.number.to_be_bytes());
        let message = channel_data(&packet);
        self.session.link.send(&message)?;
        let deadline = Instant::now() + within;
        let mut back = false;
        while !back {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            SockRef::from(&self.session.link).set_read_timeout(Some(left.max(SHORTEST)))?;
            match self.session.link.receive(|heard| back |= heard == message) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => other?,
            }
        }
        Ok(true)
    }

    /// What browsers do every few minutes.
    pub fn refresh(&mut self) -> Outcome<()> {
        self.session.refresh(&self.site.credential)?;
        self.session.permit(self.peer, &self.site.credential)
    }

    pub fn hang_up(mut self) -> Outcome<()> {
        self.session.release(&self.site.credential)
    }
}

/// A payload of a multiple of four bytes as `ChannelData` of a call.
pub fn channel_data(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("our payloads are short");
    [&CHANNEL.to_be_bytes(), &length.to_be_bytes(), payload].concat()
}

/// The payload of `ChannelData`.
pub fn payload(message: &[u8]) -> Option<&[u8]> {
    message.strip_prefix(&CHANNEL.to_be_bytes())?.get(2..)
}
