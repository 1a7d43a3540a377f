//! Opens and closes the flows of a sample, whichever kind of server they go through.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{Entry, Target, Transport};
use crate::authority::client_of;
use crate::link::Link;
use crate::net::{OwnPorts, loopback};
use crate::stream::Stream;
use crate::stub;
use crate::turn::{Credential, Session};

pub const FIRST_CHANNEL: u16 = 0x4000;
const CLIENT_RECEIVE_BUFFER: libc::c_int = 1 << 20;
const READY_WITHIN: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(50);

/// One client with one channel to the peer.
pub struct Flow {
    session: Session,
    pub channel: u16,
    pub relayed: SocketAddrV4,
}

impl Flow {
    pub fn link(&self) -> &Link {
        &self.session.link
    }

    pub fn link_mut(&mut self) -> &mut Link {
        &mut self.session.link
    }
}

/// Connects one client after the other.
struct Door<'a> {
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
    fn of(target: &Target, ports: &'a mut OwnPorts) -> Outcome<Self> {
        let way = match &target.transport {
            Transport::Udp => Way::Udp,
            Transport::Tcp => Way::Tcp,
            Transport::Tls(authority) => Way::Tls(client_of(authority)?),
        };
        Ok(Self { address: target.address, ports, way })
    }

    fn enter(&mut self) -> Outcome<Link> {
        Ok(match &self.way {
            Way::Udp => Link::Datagrams(self.socket()?),
            Way::Tcp => Link::Stream(Box::new(Stream::tcp(self.address)?)),
            Way::Tls(config) => Link::Stream(Box::new(Stream::tls(self.address, config)?)),
        })
    }

    fn socket(&mut self) -> Outcome<UdpSocket> {
        let socket = self.ports.bind(CLIENT_RECEIVE_BUFFER)?;
        socket.connect(self.address)?;
        Ok(socket)
    }
}

/// All the flows of one sample.
pub struct Flows {
    pub all: Vec<Flow>,
    credential: Option<Credential>,
}

impl Flows {
    pub fn open(target: &Target, count: u16, ports: &mut OwnPorts, peer: SocketAddrV4) -> Outcome<Self> {
        let credential = match &target.entry {
            Entry::Secret(secret) => Some(Credential::issue(secret, SystemTime::now())?),
            Entry::Stub => None,
        };
        let mut door = Door::of(target, ports)?;
        let mut all = Vec::with_capacity(usize::from(count));
        for index in 0..count {
            let flow = match &credential {
                Some(credential) => {
                    let mut session = Session::new(door.enter()?);
                    let relayed = session.allocate(credential)?;
                    session.bind_channel(FIRST_CHANNEL, peer, credential)?;
                    Flow { session, channel: FIRST_CHANNEL, relayed }
                }
                None => {
                    let socket = door.socket()?;
                    let relayed = stub::register(&socket, index, peer)?;
                    let session = Session::new(Link::Datagrams(socket));
                    Flow { session, channel: FIRST_CHANNEL + index, relayed }
                }
            };
            all.push(flow);
        }
        Ok(Self { all, credential })
    }

    /// Leaves the server as it was found, so that samples do not add up.
    pub fn close(mut self) -> Outcome<()> {
        if let Some(credential) = &self.credential {
            for flow in &mut self.all {
                flow.session.release(credential)?;
            }
        }
        Ok(())
    }
}

/// Asks until the server answers anything at all, for ten seconds at most.
pub fn wait_until_ready(target: &Target) -> Outcome<()> {
    let deadline = Instant::now() + READY_WITHIN;
    let socket = Door::of(target, &mut OwnPorts::new(SystemTime::now()))?.socket()?;
    let mut session = Session::new(Link::Datagrams(socket.try_clone()?));
    loop {
        let answer = match target.entry {
            Entry::Secret(_) => session.binding(),
            Entry::Stub => stub::register(&socket, 0, loopback(0)).map(drop),
        };
        match answer {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(READY_PAUSE),
        }
    }
}
