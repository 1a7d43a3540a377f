//! Opens and closes the flows of a sample, whichever kind of server they go through.

use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{Entry, Target};
use crate::net::{OwnPorts, loopback};
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
    pub fn socket(&self) -> &UdpSocket {
        &self.session.socket
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
        let mut all = Vec::with_capacity(usize::from(count));
        for index in 0..count {
            let socket = ports.bind(CLIENT_RECEIVE_BUFFER)?;
            socket.connect(target.address)?;
            let mut session = Session::new(socket);
            let (channel, relayed) = match &credential {
                Some(credential) => {
                    let relayed = session.allocate(credential)?;
                    session.bind_channel(FIRST_CHANNEL, peer, credential)?;
                    (FIRST_CHANNEL, relayed)
                }
                None => (FIRST_CHANNEL + index, stub::register(&session.socket, index, peer)?),
            };
            all.push(Flow { session, channel, relayed });
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
    let mut session = Session::new(OwnPorts::new(SystemTime::now()).bind(CLIENT_RECEIVE_BUFFER)?);
    session.socket.connect(target.address)?;
    loop {
        let answer = match target.entry {
            Entry::Secret(_) => session.binding(),
            Entry::Stub => stub::register(&session.socket, 0, loopback(0)).map(drop),
        };
        match answer {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(READY_PAUSE),
        }
    }
}
