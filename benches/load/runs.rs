//! Receives and sends many datagrams per system call, and on request runs of them as one (`UDP_GRO`, `UDP_SEGMENT`).

#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::{io, mem, ptr};

use crate::net::{ADDRESS_LENGTH, LARGEST_DATAGRAM, checked, loopback, raw_address, set_option};

/// How many messages one system call receives or sends.
const MESSAGES: usize = 32;
/// What the kernel takes as one run: `UDP_MAX_SEGMENTS` of Linux before 6.9, and what fits into an IPv4 packet.
const MOST_SEGMENTS: usize = 64;
const LONGEST_RUN: usize = 65_507;

/// One control message with a number, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    number: [u8; 8],
}

impl Control {
    /// `CMSG_SPACE` of a number of two or four bytes.
    const SPACE: usize = mem::size_of::<Self>();

    const fn empty() -> Self {
        Self { header: libc::cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 }, number: [0; 8] }
    }

    /// "Split these bytes into datagrams of this size."
    fn segment(size: usize) -> Self {
        let mut control = Self::empty();
        control.header.cmsg_len = mem::size_of::<libc::cmsghdr>() + mem::size_of::<u16>();
        control.header.cmsg_level = libc::SOL_UDP;
        control.header.cmsg_type = libc::UDP_SEGMENT;
        let size = u16::try_from(size).expect("a datagram is shorter than 64 KiB");
        control.number[..2].copy_from_slice(&size.to_ne_bytes());
        control
    }

    /// The size of the datagrams that the kernel has put together, if it has.
    fn coalesced(&self) -> Option<usize> {
        let is_size = self.header.cmsg_level == libc::SOL_UDP && self.header.cmsg_type == libc::UDP_GRO;
        let [a, b, c, d, ..] = self.number;
        is_size.then(|| usize::try_from(u32::from_ne_bytes([a, b, c, d])).expect("a size fits in memory"))
    }
}

/// Room for the messages of one receive call.
pub struct Intake {
    buffers: Vec<Vec<u8>>,
    sources: [libc::sockaddr_in; MESSAGES],
    controls: [Control; MESSAGES],
    lengths: [usize; MESSAGES],
    count: usize,
}

impl Intake {
    /// For a socket that hands out runs as one message, or for one that does not.
    pub fn of(socket: &UdpSocket, runs: bool) -> io::Result<Self> {
        if runs {
            set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        let size = if runs { usize::from(u16::MAX) } else { LARGEST_DATAGRAM };
        Ok(Self {
            buffers: vec![vec![0; size]; MESSAGES],
            sources: [raw_address(loopback(0)); MESSAGES],
            controls: [Control::empty(); MESSAGES],
            lengths: [0; MESSAGES],
            count: 0,
        })
    }

    /// Waits for the first message, and takes what else is there.
    pub fn fill(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.controls.fill(Control::empty());
        // SAFETY: an all-zero iovec and mmsghdr are valid: null pointers with length 0.
        let mut parts: [libc::iovec; MESSAGES] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { mem::zeroed() };
        for (i, (part, header)) in parts.iter_mut().zip(&mut headers).enumerate() {
            part.iov_base = self.buffers[i].as_mut_ptr().cast();
            part.iov_len = self.buffers[i].len();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.sources[i]).cast();
            header.msg_hdr.msg_namelen = ADDRESS_LENGTH;
            header.msg_hdr.msg_control = (&raw mut self.controls[i]).cast();
            header.msg_hdr.msg_controllen = Control::SPACE;
        }
        let room = libc::c_uint::try_from(MESSAGES).expect("a small constant");
        let flags = libc::MSG_WAITFORONE;
        // SAFETY: the headers point to buffers, names and controls that outlive the call.
        self.count = checked(unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), room, flags, ptr::null_mut())
        })?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..self.count]) {
            *length = usize::try_from(header.msg_len).expect("a datagram fits in memory");
        }
        Ok(())
    }

    /// Each datagram of the last `fill`, and where it came from.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], SocketAddrV4)> {
        (0..self.count).flat_map(|i| {
            let message = &self.buffers[i][..self.lengths[i]];
            let size = self.controls[i].coalesced().unwrap_or(message.len()).max(1);
            let source = address_of(&self.sources[i]);
            message.chunks(size).map(move |datagram| (datagram, source))
        })
    }
}

fn address_of(raw: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(u32::from_be(raw.sin_addr.s_addr).into(), u16::from_be(raw.sin_port))
}

/// A datagram on its way out, whose body stays where it came in.
pub struct Parcel<'a> {
    pub to: SocketAddrV4,
    /// What comes before the body, if anything does.
    pub head: Option<[u8; 4]>,
    pub body: &'a [u8],
}

impl Parcel<'_> {
    fn length(&self) -> usize {
        self.head.map_or(0, |head| head.len()) + self.body.len()
    }
}

/// Sends parcels: each as a message, or runs to one address as one.
pub struct Dispatch {
    runs: bool,
    /// The parts of all messages, one message after the other, and for each message how many are its own.
    parts: Vec<libc::iovec>,
    counts: Vec<usize>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

impl Dispatch {
    pub fn new(runs: bool) -> Self {
        Self {
            runs,
            parts: Vec::new(),
            counts: Vec::new(),
            names: Vec::new(),
            controls: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Sends all in their order. What the kernel does not take is lost, as with any relay; the generator counts it.
    pub fn send(&mut self, socket: &UdpSocket, parcels: &[Parcel<'_>]) {
        self.parts.clear();
        self.counts.clear();
        self.names.clear();
        self.controls.clear();
        let mut rest = parcels;
        while !rest.is_empty() {
            let (run, later) = rest.split_at(if self.runs { run_length(rest) } else { 1 });
            self.add(run);
            rest = later;
        }
        self.address();
        let mut left = self.headers.as_mut_slice();
        while !left.is_empty() {
            let count = libc::c_uint::try_from(left.len().min(MESSAGES)).expect("a small number");
            // SAFETY: `left` holds `count` headers; they point into `parcels` and the vectors of `self`, which stay.
            let sent = checked(unsafe { libc::sendmmsg(socket.as_raw_fd(), left.as_mut_ptr(), count, 0) });
            left = left.split_at_mut(sent.unwrap_or(1)).1;
        }
    }

    /// Adds one message.
    fn add(&mut self, run: &[Parcel<'_>]) {
        let before = self.parts.len();
        for parcel in run {
            let head = parcel.head.as_ref().map(<[u8; 4]>::as_slice);
            self.parts.extend(head.into_iter().chain([parcel.body]).map(|bytes| libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            }));
        }
        self.counts.push(self.parts.len() - before);
        self.names.push(raw_address(run[0].to));
        let split = run.len() > 1;
        self.controls.push(if split { Control::segment(run[0].length()) } else { Control::empty() });
    }

    /// Writes the headers, when nothing moves any more.
    fn address(&mut self) {
        self.headers.clear();
        let mut parts = self.parts.as_mut_slice();
        for ((name, control), &count) in self.names.iter_mut().zip(&mut self.controls).zip(&self.counts) {
            // SAFETY: an all-zero mmsghdr is valid: null pointers with length 0.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            let (own, later) = parts.split_at_mut(count);
            header.msg_hdr.msg_iov = own.as_mut_ptr();
            header.msg_hdr.msg_iovlen = count;
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = ADDRESS_LENGTH;
            if control.header.cmsg_len > 0 {
                header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                header.msg_hdr.msg_controllen = Control::SPACE;
            }
            self.headers.push(header);
            parts = later;
        }
    }
}

/// How many of the first parcels can leave as one: to one address, of one size, of which the last may be shorter.
fn run_length(parcels: &[Parcel<'_>]) -> usize {
    let Some(first) = parcels.first() else { return 0 };
    let size = first.length();
    let most = (LONGEST_RUN / size.max(1)).clamp(1, MOST_SEGMENTS);
    let fit = |parcel: &&Parcel<'_>| parcel.to == first.to && parcel.length() == size;
    let equal = parcels.iter().take(most).take_while(fit).count();
    let ends = |parcel: &Parcel<'_>| parcel.to == first.to && parcel.length() < size;
    if equal < most && parcels.get(equal).is_some_and(ends) { equal + 1 } else { equal }
}
