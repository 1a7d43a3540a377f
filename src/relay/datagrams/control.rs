//! The control messages of a datagram: what the kernel says of one that it received, and how one is to be sent.
#![allow(unsafe_code, reason = "control messages are C structures; each block says why it is sound")]

use std::net::{IpAddr, SocketAddr};
use std::ptr;

use libc::{c_int, c_void, cmsghdr, msghdr};

use crate::relay::datagrams::name::Name;

/// Room for the control messages of one call: packet info or the destination, traffic class, the length of segments, and how
/// many datagrams were dropped before.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control([u8; Self::SIZE]);

/// What the kernel says of a received datagram.
#[derive(Default)]
pub(super) struct Controls {
    /// The local address that received it.
    pub(super) local: Option<IpAddr>,
    /// The local port that received it.
    pub(super) port: Option<u16>,
    /// Its traffic class.
    pub(super) class: u8,
    /// How many datagrams the kernel had dropped at this socket before it. The kernel says so only if there were any.
    pub(super) dropped: Option<u32>,
    /// If it is several datagrams: the length of each but the last.
    pub(super) segment: Option<usize>,
}

impl Control {
    pub(super) const SIZE: usize = 128;

    pub(super) fn empty() -> Self {
        Self([0; Self::SIZE])
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }

    /// Writes how a datagram is to be sent: from which local address, with which traffic class, and, if it is several
    /// datagrams, the length of each but the last. Returns how many bytes this takes.
    pub(super) fn write(
        &mut self,
        to: SocketAddr,
        local: Option<IpAddr>,
        class: u8,
        segment: Option<u16>,
    ) -> usize {
        let mut used = 0;
        match local {
            Some(IpAddr::V4(ip)) => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                used = self.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            Some(IpAddr::V6(ip)) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                used = self.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        if class != 0 {
            let (level, kind) = match to {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            used = self.push(used, level, kind, &c_int::from(class).to_ne_bytes());
        }
        if let Some(segment) = segment {
            used = self.push(used, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
        }
        used
    }

    /// Appends a control message behind the first `used` bytes; returns how many bytes are used then. All that a call
    /// can have fit: the packet info takes at most 40 bytes, and each of the others 24.
    fn push(&mut self, used: usize, level: c_int, kind: c_int, data: &[u8]) -> usize {
        const HEADER: usize = size_of::<cmsghdr>();
        let length = HEADER + data.len();
        let message = &mut self.0[used..used + length.next_multiple_of(size_of::<usize>())];
        message.fill(0);
        message[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
        message[size_of::<usize>()..][..4].copy_from_slice(&level.to_ne_bytes());
        message[size_of::<usize>() + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..length].copy_from_slice(data);
        used + message.len()
    }
}

impl Controls {
    /// Reads the control messages of a received datagram.
    ///
    /// # Safety
    /// As for [`each_control`].
    pub(super) unsafe fn read(header: &msghdr) -> Self {
        let mut controls = Self::default();
        let Self { local, port, class, dropped, segment } = &mut controls;
        let read = |level, kind, data: &[u8]| match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_TOS) => *class = data.first().copied().unwrap_or(0),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                *dropped = data.first_chunk().map(|value| u32::from_ne_bytes(*value));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                *class = data.first_chunk().map_or(0, |value| c_int::from_ne_bytes(*value) as u8);
            }
            // in_pktinfo: interface index, local address, destination address.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                *local = data.get(4..8).and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(IpAddr::from);
            }
            // in6_pktinfo: address, interface index.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                *local = data.first_chunk::<16>().map(|ip| IpAddr::from(*ip));
            }
            // A sockaddr_in or sockaddr_in6, as Name.
            (libc::IPPROTO_IP, libc::IP_ORIGDSTADDR) | (libc::IPPROTO_IPV6, libc::IPV6_ORIGDSTADDR) => {
                let to = Name::of(data).read();
                (*local, *port) = (to.map(|to| to.ip()), to.map(|to| to.port()));
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let length = data.first_chunk().map(|value| c_int::from_ne_bytes(*value));
                *segment =
                    length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length > 0);
            }
            _ => {}
        };
        // SAFETY: the caller promises it.
        unsafe { each_control(header, read) };
        controls
    }
}

/// Calls `each` with level, type and data of every control message that the kernel wrote.
///
/// # Safety
/// The kernel must have filled `msg_control` of the header up to `msg_controllen`.
pub(super) unsafe fn each_control(header: &msghdr, mut each: impl FnMut(c_int, c_int, &[u8])) {
    // SAFETY: the macros walk the whole control messages that the caller promises, and end with null. The data of each
    // is cmsg_len minus its header long.
    unsafe {
        let mut message: *const cmsghdr = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let cmsghdr { cmsg_len, cmsg_level, cmsg_type, .. } = ptr::read_unaligned(message);
            let whole: usize = cmsg_len as _;
            let length = whole.saturating_sub(size_of::<cmsghdr>());
            let data: *const c_void = libc::CMSG_DATA(message).cast();
            each(cmsg_level, cmsg_type, std::slice::from_raw_parts(data.cast(), length));
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
}
