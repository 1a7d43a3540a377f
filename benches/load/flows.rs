//! Opens and closes the flows of a sample, whichever kind of server they go through.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{Entry, Target, Transport};
use crate::authority::client_of;
use crate::link::Link;
use crate::net::{Inbox, Outbox, OwnPorts, dropped, raise_file_limit};
use crate::runs::{Dispatch, Parcel};
use crate::stream::Stream;
use crate::stub;
use crate::traffic::{Ends, Scenario};
use crate::turn::{Credential, Session};

pub const FIRST_CHANNEL: u16 = 0x4000;
const CHANNEL_HEADER: usize = 4;
/// What every program has open, beside two ends a flow.
const OTHER_FILES: u64 = 48;
const RECEIVE_BUFFER: libc::c_int = 1 << 20;
const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of what is relayed: the first is a client, the second a peer or another client.
pub type Flow = [End; 2];

pub enum End {
    Client(Client),
    Peer(Peer),
}

/// Has an allocation, and a channel to the other end.
pub struct Client {
    session: Session,
    server: SocketAddrV4,
    channel: u16,
    relayed: SocketAddrV4,
}

/// A socket of its own, to which `relayed` belongs.
pub struct Peer {
    socket: UdpSocket,
    relayed: SocketAddrV4,
}

impl End {
    /// The most that a payload grows by its frame.
    pub const ROOM: usize = CHANNEL_HEADER + 3;

    /// The length of a packet with a payload of this length.
    pub fn length(&self, payload: u16) -> usize {
        let payload = usize::from(payload);
        match self {
            Self::Peer(_) => payload,
            Self::Client(client) => match client.session.link {
                Link::Datagrams(_) => CHANNEL_HEADER + payload,
                // RFC 8656 section 12.5: over a stream, padded to a multiple of four.
                Link::Stream(_) => (CHANNEL_HEADER + payload).next_multiple_of(4),
            },
        }
    }

    /// Writes what comes before the payload, and returns where the payload goes.
    pub fn frame<'p>(&self, packet: &'p mut [u8], payload: u16) -> &'p mut [u8] {
        let Self::Client(client) = self else { return packet };
        let (header, rest) = packet.split_at_mut(CHANNEL_HEADER);
        header[..2].copy_from_slice(&client.channel.to_be_bytes());
        header[2..].copy_from_slice(&payload.to_be_bytes());
        &mut rest[..usize::from(payload)]
    }

    pub fn send(&mut self, outbox: &mut Outbox) -> Outcome<()> {
        match self {
            Self::Peer(peer) => outbox.send(&peer.socket, Some(peer.relayed))?,
            Self::Client(client) => match &mut client.session.link {
                Link::Datagrams(socket) => outbox.send(socket, None)?,
                Link::Stream(stream) => {
                    for packet in outbox.packets() {
                        stream.send(packet)?;
                    }
                }
            },
        }
        Ok(())
    }

    /// Sends the same as one message, or as a few, which the kernel cuts.
    pub fn send_run(&mut self, outbox: &mut Outbox, runs: &mut Dispatch) -> Outcome<()> {
        let Some((socket, to)) = self.way() else { return self.send(outbox) };
        let parcels: Vec<_> = outbox.packets().iter().map(|body| Parcel { to, head: None, body }).collect();
        runs.send(socket, &parcels);
        Ok(())
    }

    /// Gives away the payload of `each` packet that has arrived, or nothing if its frame or its source is wrong.
    pub fn receive(&mut self, inbox: &mut Inbox, mut each: impl FnMut(Option<&[u8]>)) -> io::Result<()> {
        match self {
            Self::Peer(peer) => {
                for i in 0..inbox.fill(&peer.socket)? {
                    let (datagram, source) = inbox.datagram(i);
                    each((source == peer.relayed.port()).then_some(datagram));
                }
            }
            Self::Client(client) => match &mut client.session.link {
                Link::Datagrams(socket) => {
                    for i in 0..inbox.fill(socket)? {
                        each(in_channel(client.channel, inbox.datagram(i).0));
                    }
                }
                Link::Stream(stream) => {
                    stream.receive()?;
                    while let Some(message) = stream.next() {
                        each(in_channel(client.channel, message));
                    }
                }
            },
        }
        Ok(())
    }

    /// The UDP socket that it sends by, if it has one, and where to.
    pub fn way(&self) -> Option<(&UdpSocket, SocketAddrV4)> {
        match self {
            Self::Peer(peer) => Some((&peer.socket, peer.relayed)),
            Self::Client(client) => match &client.session.link {
                Link::Datagrams(socket) => Some((socket, client.server)),
                Link::Stream(_) => None,
            },
        }
    }

    /// Datagrams for which this end had no room.
    fn dropped(&self) -> io::Result<u32> {
        match self {
            Self::Peer(peer) => dropped(&peer.socket),
            Self::Client(client) => match &client.session.link {
                Link::Datagrams(socket) => dropped(socket),
                Link::Stream(_) => Ok(0),
            },
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Client(client) => client.session.link.as_fd(),
            Self::Peer(peer) => peer.socket.as_fd(),
        }
    }
}

/// The payload of a message of this channel, which may be padded.
fn in_channel(channel: u16, message: &[u8]) -> Option<&[u8]> {
    let (header, data) = message.split_first_chunk::<CHANNEL_HEADER>()?;
    let [a, b, c, d] = *header;
    let payload = data.get(..usize::from(u16::from_be_bytes([c, d])))?;
    (u16::from_be_bytes([a, b]) == channel && data.len() - payload.len() < 4).then_some(payload)
}

/// Connects one client after the other.
pub struct Door<'a> {
    address: SocketAddrV4,
    ports: &'a mut OwnPorts,
    way: Way,
}

enum Way {
    Udp,
    Tcp,
    Tls(Arc<rustls::ClientConfig>),
}

impl<'a> Door<'a> {
    pub fn of(target: &Target, ports: &'a mut OwnPorts) -> Outcome<Self> {
        let way = match &target.transport {
            Transport::Udp => Way::Udp,
            Transport::Tcp => Way::Tcp,
            Transport::Tls(authority) => Way::Tls(client_of(authority)?),
        };
        Ok(Self { address: target.address, ports, way })
    }

    fn enter(&mut self) -> Outcome<Link> {
        Ok(match &self.way {
            Way::Udp => Link::Datagrams(self.socket(RECEIVE_BUFFER)?),
            Way::Tcp => Link::Stream(Box::new(Stream::tcp(self.address)?)),
            Way::Tls(config) => Link::Stream(Box::new(Stream::tls(self.address, config)?)),
        })
    }

    /// A client's socket, connected to the server.
    pub fn socket(&mut self, receive_buffer: libc::c_int) -> Outcome<UdpSocket> {
        let socket = self.ports.bind(receive_buffer)?;
        socket.connect(self.address)?;
        Ok(socket)
    }

    fn client(&mut self, credential: &Credential) -> Outcome<Client> {
        let mut session = Session::new(self.enter()?);
        let relayed = session.allocate(credential)?;
        Ok(Client { session, server: self.address, channel: FIRST_CHANNEL, relayed })
    }

    fn peer(&mut self) -> Outcome<(UdpSocket, SocketAddrV4)> {
        let socket = self.ports.bind(RECEIVE_BUFFER)?;
        let SocketAddr::V4(address) = socket.local_addr()? else { return Err("not an IPv4 socket".into()) };
        Ok((socket, address))
    }

    /// Through a server: a client, and its peer or a second client.
    fn flow(&mut self, ends: Ends, credential: &Credential) -> Outcome<Flow> {
        let mut client = self.client(credential)?;
        match ends {
            Ends::Peer => {
                let (socket, address) = self.peer()?;
                client.session.bind_channel(FIRST_CHANNEL, address, credential)?;
                let peer = Peer { socket, relayed: client.relayed };
                Ok([End::Client(client), End::Peer(peer)])
            }
            Ends::Client => {
                let mut other = self.client(credential)?;
                client.session.bind_channel(FIRST_CHANNEL, other.relayed, credential)?;
                other.session.bind_channel(FIRST_CHANNEL, client.relayed, credential)?;
                Ok([End::Client(client), End::Client(other)])
            }
        }
    }

    /// Through a stub, which has no allocations.
    fn stub_flow(&mut self, index: u16) -> Outcome<Flow> {
        let socket = self.socket(RECEIVE_BUFFER)?;
        let (peer, address) = self.peer()?;
        let port = stub::register(&socket, index, address.port())?;
        let relayed = SocketAddrV4::new(*self.address.ip(), port);
        let session = Session::new(Link::Datagrams(socket));
        let client = Client { session, server: self.address, channel: FIRST_CHANNEL + index, relayed };
        Ok([End::Client(client), End::Peer(Peer { socket: peer, relayed })])
    }
}

/// All the flows of one sample.
pub struct Flows {
    pub all: Vec<Flow>,
    /// How many of them are measured. If there is one more, it is for the flood.
    pub measured: usize,
    credential: Option<Credential>,
}

impl Flows {
    /// As many as carry the traffic at this rate, and one more if the scenario has a flood.
    pub fn open(target: &Target, scenario: &Scenario, rate: u32) -> Outcome<Self> {
        let measured = scenario.flows_at(rate);
        let count = measured + u16::from(scenario.flood.is_some());
        raise_file_limit(2 * u64::from(count) + OTHER_FILES)?;
        let mut ports = OwnPorts::new(SystemTime::now()).at(target.from);
        let mut door = Door::of(target, &mut ports)?;
        let credential = match &target.entry {
            Entry::Secret(secret) => Some(Credential::issue(secret, SystemTime::now())?),
            Entry::Stub => None,
        };
        let all = (0..count).map(|index| match &credential {
            Some(credential) => door.flow(scenario.ends, credential),
            None => door.stub_flow(index),
        });
        Ok(Self { all: all.collect::<Outcome<_>>()?, measured: measured.into(), credential })
    }

    /// Datagrams of the measured flows for which the generator had no room since they were opened.
    pub fn dropped(&self) -> Outcome<u32> {
        let mut sum = 0;
        for end in self.all[..self.measured].iter().flatten() {
            sum += end.dropped()?;
        }
        Ok(sum)
    }

    /// Leaves the server as it was found, so that samples do not add up.
    pub fn close(mut self) -> Outcome<()> {
        let Some(credential) = &self.credential else { return Ok(()) };
        let mut inbox = Inbox::new();
        for end in self.all.iter_mut().flatten() {
            // Where a flood has filled the buffer, there is no room for an answer. Over a stream there is none.
            let mut left = end.way().is_some();
            while left {
                left = false;
                end.receive(&mut inbox, |_| left = true)?;
            }
            if let End::Client(client) = end {
                client.session.release(credential)?;
            }
        }
        Ok(())
    }
}

/// Asks until the server answers anything at all, for ten seconds at most.
pub fn wait_until_ready(target: &Target) -> Outcome<()> {
    let deadline = Instant::now() + READY_WITHIN;
    let mut ports = OwnPorts::new(SystemTime::now()).at(target.from);
    let socket = Door::of(target, &mut ports)?.socket(RECEIVE_BUFFER)?;
    let mut session = Session::new(Link::Datagrams(socket.try_clone()?));
    loop {
        let answer = match target.entry {
            Entry::Secret(_) => session.binding(),
            Entry::Stub => stub::register(&socket, 0, 0).map(drop),
        };
        match answer {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(READY_PAUSE),
        }
    }
}
