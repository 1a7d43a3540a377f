//! PURE  Binding without a magic cookie (RFC 3489), for clients from before 2008, where the operator enables it.
//!
//! The answer is only MAPPED-ADDRESS. It names no alternative address, because there is none. A request to be answered
//! from another address (CHANGE-REQUEST) gets no answer.

use crate::clock::Now;
use crate::outcome::{Ignored, Method};
use crate::relay::address::{ClientPath, Family};
use crate::relay::engine::{Action, Engine};

const HEADER: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_RESPONSE: [u8; 2] = [0x01, 0x01];
const MAPPED_ADDRESS: u16 = 0x0001;
const CHANGE_REQUEST: [u8; 2] = [0x00, 0x03];

impl Engine {
    /// Answers a datagram that is not valid STUN today, if it is a Binding request of RFC 3489.
    pub(super) fn classic_binding(
        &self,
        path: ClientPath,
        datagram: &[u8],
        now: Now,
    ) -> Result<Action, Ignored> {
        let transaction = transaction(datagram).ok_or(Ignored::NotStun)?;
        if self.is_impossible_source(path) {
            return Err(Ignored::ImpossibleSource);
        }
        self.afford_answer(path, now)?;
        self.counters.success(Method::Binding);
        Ok(Action::Reply(response(path, transaction)))
    }
}

/// The 16 bytes that the answer repeats, if this is a request that can be answered from the address that received it.
fn transaction(datagram: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || length != rest.len() {
        return None;
    }
    while let [a, b, c, d, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let (value, tail) = tail.split_at_checked(length)?;
        let is_optional = *a >= 0x80;
        let changes_nothing = [*a, *b] == CHANGE_REQUEST && value == [0; 4];
        if !is_optional && !changes_nothing {
            return None;
        }
        rest = tail;
    }
    rest.is_empty().then_some(&header[4..])
}

fn response(path: ClientPath, transaction: &[u8]) -> Vec<u8> {
    let (ip, port) = (path.client.ip(), path.client.port());
    let octets = match ip {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let value = 4 + octets.len() as u16;
    let mut bytes = Vec::with_capacity(HEADER + 4 + usize::from(value));
    bytes.extend(BINDING_RESPONSE);
    bytes.extend((4 + value).to_be_bytes());
    bytes.extend(transaction);
    bytes.extend(MAPPED_ADDRESS.to_be_bytes());
    bytes.extend(value.to_be_bytes());
    bytes.extend([0, Family::of(ip).number()]);
    bytes.extend(port.to_be_bytes());
    bytes.extend(octets);
    bytes
}
