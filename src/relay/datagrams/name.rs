//! The address of a datagram's sender or receiver, as the kernel reads and writes it.
#![allow(unsafe_code, reason = "C structures that share their memory; each block says why it is sound")]

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{c_int, sockaddr_in, sockaddr_in6};

/// A socket address of either family. Both begin with the family, and with the port at the same place.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union Name {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

impl Name {
    /// Room for an address that the kernel writes.
    pub(super) const SIZE: u32 = size_of::<Self>() as u32;

    /// Not an address yet.
    pub(super) fn empty() -> Self {
        // SAFETY: all-zero bytes are a valid value of these C structures.
        unsafe { mem::zeroed() }
    }

    /// An address that the kernel wrote among other things.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut name = Self::empty();
        let length = bytes.len().min(size_of::<Self>());
        // SAFETY: so many bytes are in both, and every bit pattern is a valid value of both structures.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut name).cast(), length) };
        name
    }

    /// Writes an address; returns its length.
    pub(super) fn write(&mut self, address: SocketAddr) -> u32 {
        match address {
            SocketAddr::V4(address) => {
                self.v4 = sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                size_of::<sockaddr_in>() as u32
            }
            SocketAddr::V6(address) => {
                self.v6 = sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<sockaddr_in6>() as u32
            }
        }
    }

    /// The address; `None` if it is of another family.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        // SAFETY: every bit pattern is a valid value of both structures, and `empty` has initialised the larger one.
        let (v4, v6) = unsafe { (&self.v4, &self.v6) };
        match c_int::from(v4.sin_family) {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}
