//! A peer that sends back what it gets.

use std::io::ErrorKind;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::Outcome;
use crate::net::{LARGEST_DATAGRAM, OwnPorts, loopback};

const RECEIVE_BUFFER: libc::c_int = 4 << 20;
/// How long it takes at most to notice that it is over.
pub const NOTICE: Duration = Duration::from_millis(100);

pub struct Echo(UdpSocket);

impl Echo {
    pub fn open() -> Outcome<Self> {
        let socket = OwnPorts::new(SystemTime::now()).bind(RECEIVE_BUFFER)?;
        socket.set_read_timeout(Some(NOTICE))?;
        Ok(Self(socket))
    }

    pub fn address(&self) -> Outcome<SocketAddrV4> {
        Ok(loopback(self.0.local_addr()?.port()))
    }

    pub fn run(&self, over: &AtomicBool) -> Outcome<()> {
        let mut buffer = [0; LARGEST_DATAGRAM];
        while !over.load(Ordering::Relaxed) {
            match self.0.recv_from(&mut buffer) {
                Ok((length, from)) => drop(self.0.send_to(&buffer[..length], from)?),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
