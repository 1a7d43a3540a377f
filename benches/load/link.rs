//! What carries a client's messages: a UDP socket or a stream.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};

use crate::net::{LARGEST_DATAGRAM, uninterrupted};
use crate::stream::Stream;

pub enum Link {
    /// Connected to the server.
    Datagrams(UdpSocket),
    Stream(Box<Stream>),
}

impl Link {
    pub fn local_port(&self) -> io::Result<u16> {
        match self {
            Self::Datagrams(socket) => Ok(socket.local_addr()?.port()),
            Self::Stream(stream) => stream.local_port(),
        }
    }

    /// Sends one message.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.send(message).map(drop),
            Self::Stream(stream) => stream.send(message),
        }
    }

    /// Waits for messages, and gives away `each` that has come.
    pub fn receive(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => {
                let mut buffer = [0; LARGEST_DATAGRAM];
                let length = uninterrupted(|| socket.recv(&mut buffer))?;
                each(&buffer[..length]);
            }
            Self::Stream(stream) => {
                stream.receive()?;
                while let Some(message) = stream.next() {
                    each(message);
                }
            }
        }
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagrams(socket) => socket.as_fd(),
            Self::Stream(stream) => stream.as_fd(),
        }
    }
}
