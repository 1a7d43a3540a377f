//! UDP in batches: many datagrams for one system call, each with the local address that received it.
//!
//! A [`Batch`] owns the buffers. A datagram is received into a [`Slot`] and sent from there: a [`Segment`] refers to a
//! range of bytes in the buffers. Each buffer has room in front of the datagram for the longest header and behind it
//! for the longest padding, so [`Batch::encapsulate`] copies no data. Only this file knows where the bytes of a segment
//! are.
//!
//! This is the only file of the relay that calls libc: neither std nor mio has recvmmsg, sendmmsg or the control messages that carry
//! the local address and the traffic class, and the safe wrappers allocate for each call. `as _` stands where musl's
//! types of lengths and flags differ from glibc's.
#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

use std::cell::Cell;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6, sockaddr_storage};
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::relay::framing::MESSAGE_MAX;
use crate::relay::wire::{DATA_HEADER_MAX, DATA_PADDING_MAX, Icmp};

/// Datagrams of one batch.
pub const SLOTS: usize = 64;
/// Where a received datagram starts in its buffer; any header fits in front of it.
const HEADROOM: usize = 64;

/// More than the largest datagram (UDP carries 65,507 bytes over IPv4 and 65,527 over IPv6), and the largest message
/// of a stream.
const DATAGRAM: usize = MESSAGE_MAX;
const BUFFER: usize = (HEADROOM + DATAGRAM + DATA_PADDING_MAX).next_multiple_of(64);
const _: () = assert!(HEADROOM >= DATA_HEADER_MAX, "a Data indication's header must fit");

/// The receive buffer of a listener: the kernel drops packets beyond it. The kernel grants up to `net.core.rmem_max`.
const LISTENER_BUFFER: usize = 4 << 20;

/// A UDP socket.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: UdpSocket,
    family: c_int,
    /// Whether the socket is bound to all addresses of this machine, so that the local address of each packet must be
    /// read and set.
    wildcard: bool,
    /// How many datagrams the kernel had dropped when it last said so. The kernel's number wraps.
    overflowed: Cell<u32>,
}

/// The index of one datagram in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(usize);

/// The slots that one [`Batch::receive`] filled.
#[derive(Debug, Default)]
pub struct Slots {
    next: usize,
    end: usize,
    full: bool,
    overflowed: u32,
}

impl Slots {
    /// Whether as many datagrams arrived as were requested, so that the socket may have more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many datagrams the kernel has dropped since it last said so, because the socket's receive buffer was full.
    #[must_use]
    pub fn overflowed(&self) -> u32 {
        self.overflowed
    }
}

impl Iterator for Slots {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        if self.next == self.end {
            return None;
        }
        let slot = Slot(self.next);
        self.next += 1;
        Some(slot)
    }
}

/// A range of a batch's buffers: a received datagram, the data in it, or a message to be sent. Valid until the batch is
/// flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    slot: Slot,
    /// Offsets in the slot's buffer.
    start: usize,
    end: usize,
}

impl Segment {
    /// Its length in bytes.
    #[must_use]
    pub fn length(self) -> usize {
        self.end - self.start
    }

    /// A part of it; `range` counts from its first byte.
    ///
    /// # Panics
    /// If `range` ends behind it.
    #[must_use]
    pub fn part(self, range: &Range<usize>) -> Self {
        let (start, end) = (self.start + range.start, self.start + range.end);
        assert!(start <= end && end <= self.end, "a part ends with its segment");
        Self { slot: self.slot, start, end }
    }
}

/// What is known about a received datagram besides its bytes.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its sender.
    pub from: SocketAddr,
    /// The address of this machine that received it, if the socket is bound to all addresses.
    pub local: Option<IpAddr>,
    /// Traffic class: DSCP and ECN.
    pub class: u8,
    length: usize,
}

/// How a message is sent.
#[derive(Debug, Clone)]
pub struct Outgoing<S> {
    /// The socket that sends it.
    pub via: S,
    /// Its receiver.
    pub to: SocketAddr,
    /// The address of this machine that it must be sent from, if the socket is bound to all addresses.
    pub local: Option<IpAddr>,
    /// Traffic class: DSCP and ECN.
    pub class: u8,
    /// Whether it must be sent with the DF bit.
    pub dont_fragment: bool,
}

/// Buffers for [`SLOTS`] datagrams, filled from any number of sockets and emptied by [`Batch::flush`].
pub struct Batch<S> {
    buffers: Vec<u8>,
    received: Vec<Received>,
    outgoing: Vec<Option<(Segment, Outgoing<S>)>>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    iovecs: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

/// Room for the control messages of one datagram: packet info, traffic class, and how many datagrams were dropped before
/// it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 96]);

// SAFETY: the raw pointers in `iovecs` and `headers` are written right before each system call, from buffers that
// the same `&mut self` borrows, and are never read otherwise; so the batch may move to another thread.
unsafe impl<S: Send> Send for Batch<S> {}

impl DatagramSocket {
    /// A socket for clients. With `shared`, it joins another socket that is shared, and the kernel divides the clients
    /// among them. Without it, no other socket may use the address.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn listen(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = open(address)?;
        socket.set_reuse_port(shared)?;
        Self::bind_listener(socket, address)
    }

    /// The same where a draining process has its listeners, and the sockets of its clients. From then on new clients
    /// reach this socket and those that share its address. The clients of the other process still reach that one.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn succeed(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = open(address)?;
        socket.set_reuse_address(true)?;
        // The kernel looks through the sockets bound to all addresses last, and so always finds a client's socket first.
        if shared || address.ip().is_unspecified() {
            socket.set_reuse_port(shared)?;
            return Self::bind_listener(socket, address);
        }
        begin_group(&socket)?;
        let bound = Self::bind_listener(socket, address)?;
        // Best effort: kernels since 6.13 need none of this.
        let _ = bound.honour_connected();
        Ok(bound)
    }

    /// A socket for one client, at the address where it reaches a listener. The listener must admit others.
    ///
    /// # Errors
    /// If the address cannot be bound, or there is no way to the client.
    pub fn connected(server: SocketAddr, client: SocketAddr) -> io::Result<Self> {
        let server = match (server, client) {
            (SocketAddr::V6(server), SocketAddr::V6(client)) => {
                SocketAddrV6::new(*server.ip(), server.port(), 0, client.scope_id()).into()
            }
            (server, _) => server,
        };
        let socket = open(server)?;
        socket.set_reuse_address(true)?;
        let bound = Self::bind(socket, server, false)?;
        SockRef::from(&bound.socket).connect(&client.into())?;
        Ok(bound)
    }

    fn bind_listener(socket: Socket, address: SocketAddr) -> io::Result<Self> {
        // Best effort: the kernel may grant less.
        let _ = socket.set_recv_buffer_size(LISTENER_BUFFER);
        let bound = Self::bind(socket, address, address.ip().is_unspecified())?;
        if bound.wildcard {
            let (level, name) = match address {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            };
            set_option(&bound.socket, level, name, 1)?;
        }
        Ok(bound)
    }

    /// Lets sockets of other processes, and those of single clients, be bound to this one's address from now on, or no
    /// longer.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn admit_others(&self, admit: bool) -> io::Result<()> {
        SockRef::from(&self.socket).set_reuse_address(admit)
    }

    /// Tells the kernel that there are connected sockets at this address, by being one for a moment. Otherwise kernels
    /// before 6.13 choose among the sockets that share the address without a look at those of single clients.
    fn honour_connected(&self) -> io::Result<()> {
        let mut somewhere = self.local_addr()?;
        somewhere.set_port(DISCARD);
        SockRef::from(&self.socket).connect(&somewhere.into())?;
        // SAFETY: all-zero bytes are a valid value of this C struct.
        let mut nowhere = unsafe { mem::zeroed::<libc::sockaddr>() };
        nowhere.sa_family = libc::AF_UNSPEC as u16;
        let size = size_of::<libc::sockaddr>() as u32;
        // SAFETY: `nowhere` lives until the call returns, and `size` is its size.
        let result = unsafe { libc::connect(self.socket.as_raw_fd(), &raw const nowhere, size) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Lets other sockets share this one's address from now on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn share(&self) -> io::Result<()> {
        SockRef::from(&self.socket).set_reuse_port(true)
    }

    /// A socket for peers. It reports the ICMP errors that its packets cause.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn relay(address: SocketAddr) -> io::Result<Self> {
        let bound = Self::bind(open(address)?, address, false)?;
        let (level, name) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        set_option(&bound.socket, level, name, 1)?;
        Ok(bound)
    }

    fn bind(socket: Socket, address: SocketAddr, wildcard: bool) -> io::Result<Self> {
        socket.bind(&address.into())?;
        let (family, level, class) = match address {
            SocketAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_IP, libc::IP_RECVTOS),
            SocketAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
        };
        let socket = UdpSocket::from_std(socket.into());
        let bound = Self { socket, family, wildcard, overflowed: Cell::new(0) };
        set_option(&bound.socket, level, class, 1)?;
        set_option(&bound.socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        bound.forbid_fragments(false)?;
        Ok(bound)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// If the kernel does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether replies must name the address that they come from.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The socket, to register it.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Takes the next error that a packet of this socket caused: the packet's destination, and the ICMP error, if it
    /// was one.
    #[must_use]
    pub fn take_error(&self) -> Option<(SocketAddr, Option<Icmp>)> {
        // SAFETY: all-zero bytes are a valid value of these C structs.
        let (mut name, mut header) = unsafe { (mem::zeroed::<sockaddr_storage>(), mem::zeroed::<msghdr>()) };
        let mut control = Control([0; 96]);
        header.msg_name = ptr::from_mut(&mut name).cast();
        header.msg_namelen = size_of::<sockaddr_storage>() as u32;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control.0.len() as _;
        // SAFETY: the header's pointers are to live locals with the lengths given; there is no data part.
        let n = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE) };
        if n < 0 {
            return None;
        }
        let peer = read_name(&name)?;
        let mut icmp = None;
        let read = |level, kind, data: &[u8]| {
            let wanted = (level == libc::IPPROTO_IP && kind == libc::IP_RECVERR)
                || (level == libc::IPPROTO_IPV6 && kind == libc::IPV6_RECVERR);
            if wanted && data.len() >= size_of::<libc::sock_extended_err>() {
                // SAFETY: the kernel wrote a sock_extended_err of this size here; it may be unaligned.
                icmp = read_icmp(unsafe { ptr::read_unaligned(data.as_ptr().cast()) }, peer.is_ipv4());
            }
        };
        // SAFETY: the kernel just filled the header.
        unsafe { each_control(&header, read) };
        Some((peer, icmp))
    }

    /// Sets or clears the DF bit for packets sent from now on. Without DF, the kernel fragments at the interface's MTU.
    /// Over IPv4, OMIT keeps a forged ICMP error from causing more fragments but still lets real ones reach us; DONT
    /// does not.
    fn forbid_fragments(&self, forbid: bool) -> io::Result<()> {
        let (level, name, value) = match (self.family, forbid) {
            (libc::AF_INET, true) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
            (libc::AF_INET, false) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
            (_, true) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
            (_, false) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
        };
        set_option(&self.socket, level, name, value)
    }
}

impl<S: Copy + PartialEq> Default for Batch<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Copy + PartialEq> Batch<S> {
    /// An empty batch. Its memory is touched only where datagrams are stored.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: all-zero bytes are a valid value of these C structs.
        let (name, vec, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            buffers: vec![0; SLOTS * BUFFER],
            received: Vec::with_capacity(SLOTS),
            outgoing: Vec::with_capacity(SLOTS),
            names: vec![name; SLOTS],
            controls: vec![Control([0; 96]); SLOTS],
            iovecs: vec![vec; SLOTS],
            headers: vec![header; SLOTS],
        }
    }

    /// How many more datagrams fit.
    #[must_use]
    pub fn free(&self) -> usize {
        SLOTS - self.received.len()
    }

    /// Receives up to `most` datagrams, or as many as fit; returns their slots.
    ///
    /// # Errors
    /// `WouldBlock` if there is none. Any other error belongs to an earlier packet and is reported only once.
    pub fn receive(&mut self, socket: &DatagramSocket, most: usize) -> io::Result<Slots> {
        let first = self.received.len();
        let most = most.min(SLOTS - first);
        for slot in first..first + most {
            self.prepare(slot, slot * BUFFER + HEADROOM, DATAGRAM);
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_namelen = size_of::<sockaddr_storage>() as u32;
            header.msg_controllen = size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        let headers = &mut self.headers[first..first + most];
        let (fd, none) = (socket.socket.as_raw_fd(), ptr::null_mut());
        // SAFETY: `headers` are `most` headers whose pointers `prepare` just set, to buffers that `self` owns.
        let n =
            unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), most as u32, libc::MSG_DONTWAIT as _, none) };
        let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        let mut overflowed = 0_u32;
        for slot in first..first + n {
            // SAFETY: the kernel just filled the header, and its control buffer has not been changed since.
            let Controls { local, class, dropped } = unsafe { read_controls(&self.headers[slot].msg_hdr) };
            if let Some(dropped) = dropped {
                let before = socket.overflowed.replace(dropped);
                overflowed = overflowed.wrapping_add(dropped.wrapping_sub(before));
            }
            let from = read_name(&self.names[slot]).unwrap_or(NOBODY);
            self.received.push(Received { from, local, class, length: self.headers[slot].msg_len as usize });
            self.outgoing.push(None);
        }
        Ok(Slots { next: first, end: first + n, full: n == most, overflowed })
    }

    /// The datagram in a slot, as received.
    #[must_use]
    pub fn datagram(&self, slot: Slot) -> Segment {
        Segment { slot, start: HEADROOM, end: HEADROOM + self.received[slot.0].length }
    }

    /// What is known about the datagram that a segment is part of.
    #[must_use]
    pub fn received(&self, segment: Segment) -> &Received {
        &self.received[segment.slot.0]
    }

    /// The bytes of a segment.
    #[must_use]
    pub fn bytes(&self, segment: Segment) -> &[u8] {
        &self.buffers[segment.slot.0 * BUFFER..][segment.start..segment.end]
    }

    /// Puts a header in front of `data` and `padding` zeros behind it; returns the whole. This overwrites what was
    /// there.
    ///
    /// # Panics
    /// If the header is longer than [`DATA_HEADER_MAX`] and more than the datagram had in front of `data`, or the padding
    /// longer than [`DATA_PADDING_MAX`].
    #[inline] // The header's length is then a constant, and its copy one instruction.
    pub fn encapsulate(&mut self, data: Segment, header: &[u8], padding: usize) -> Segment {
        let whole = Segment { start: data.start - header.len(), end: data.end + padding, ..data };
        let buffer = self.buffer(data.slot);
        buffer[whole.start..data.start].copy_from_slice(header);
        if padding > 0 {
            buffer[data.end..whole.end].fill(0);
        }
        whole
    }

    /// Replaces a datagram with a message.
    pub fn replace(&mut self, datagram: Segment, message: &[u8]) -> Segment {
        let replaced = Segment { start: HEADROOM, end: HEADROOM + message.len(), ..datagram };
        self.buffer(datagram.slot)[replaced.start..replaced.end].copy_from_slice(message);
        replaced
    }

    /// Puts a message into a free slot, as if it had been received; `None` if no slot is free.
    pub fn compose(&mut self, message: &[u8]) -> Option<Segment> {
        let slot = Slot(self.received.len());
        if slot.0 == SLOTS {
            return None;
        }
        self.received.push(Received { from: NOBODY, local: None, class: 0, length: message.len() });
        self.outgoing.push(None);
        Some(self.replace(self.datagram(slot), message))
    }

    /// Sends a message when the batch is flushed. Each slot can send one.
    pub fn send(&mut self, message: Segment, outgoing: Outgoing<S>) {
        self.outgoing[message.slot.0] = Some((message, outgoing));
    }

    fn buffer(&mut self, slot: Slot) -> &mut [u8] {
        &mut self.buffers[slot.0 * BUFFER..][..BUFFER]
    }

    /// Sends all messages in order, and frees all slots; returns how many datagrams the kernel refused.
    pub fn flush<'s>(&mut self, socket: impl Fn(S) -> Option<&'s DatagramSocket>) -> usize {
        let mut failed = 0;
        let mut count = 0;
        let mut run = None;
        for slot in 0..self.outgoing.len() {
            let Some((message, out)) = self.outgoing[slot].take() else { continue };
            let key = (out.via, out.dont_fragment);
            if run.is_some_and(|run| run != key) {
                failed += self.send_run(run, count, &socket);
                count = 0;
            }
            run = Some(key);
            self.fill_header(count, message, &out);
            count += 1;
        }
        failed += self.send_run(run, count, &socket);
        self.received.clear();
        self.outgoing.clear();
        failed
    }

    /// Sends the first `count` headers by one socket.
    fn send_run<'s>(
        &mut self,
        run: Option<(S, bool)>,
        count: usize,
        socket: impl Fn(S) -> Option<&'s DatagramSocket>,
    ) -> usize {
        let Some((via, dont_fragment)) = run else { return 0 };
        let Some(socket) = socket(via) else { return count };
        if dont_fragment && socket.forbid_fragments(true).is_err() {
            return count;
        }
        // SAFETY: the first `count` headers were just filled, from buffers that `self` owns.
        let failed = unsafe { send_all(socket, &mut self.headers[..count]) };
        if dont_fragment {
            // The option was set a moment ago on the same socket, so clearing it works too.
            let _ = socket.forbid_fragments(false);
        }
        failed
    }

    /// Fills the system call's header `index` for a message.
    fn fill_header(&mut self, index: usize, message: Segment, out: &Outgoing<S>) {
        self.prepare(index, message.slot.0 * BUFFER + message.start, message.length());
        // SAFETY: `prepare` checked the index; each reference is to one element, and ends with its statement.
        let (name_length, control_length) = unsafe {
            let (name, control) = (self.names.as_mut_ptr().add(index), self.controls.as_mut_ptr().add(index));
            (write_name(&mut *name, out.to), write_controls(&mut *control, out.to, out.local, out.class))
        };
        let header = &mut self.headers[index].msg_hdr;
        header.msg_namelen = name_length;
        header.msg_controllen = control_length as _;
        header.msg_flags = 0;
        if control_length == 0 {
            header.msg_control = ptr::null_mut();
        }
    }

    /// Points the header `index` at `length` bytes of the buffers.
    fn prepare(&mut self, index: usize, at: usize, length: usize) {
        assert!(index < SLOTS && at + length <= self.buffers.len(), "a header stays within its batch");
        // SAFETY: every vector has SLOTS elements, and the buffers end where the assertion says. The pointers come
        // from the vectors and not from references to their elements, so that preparing one header leaves those of
        // the others valid.
        unsafe {
            let vec = self.iovecs.as_mut_ptr().add(index);
            vec.write(iovec { iov_base: self.buffers.as_mut_ptr().add(at).cast(), iov_len: length });
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = self.names.as_mut_ptr().add(index).cast();
            header.msg_iov = vec;
            header.msg_iovlen = 1;
            header.msg_control = self.controls.as_mut_ptr().add(index).cast();
        }
    }
}

/// Sends all messages; returns how many the kernel refused. A refusal concerns only one message, unless the buffer is
/// full, which refuses the rest too.
///
/// # Safety
/// Every header's pointers must be valid for the lengths beside them.
unsafe fn send_all(socket: &DatagramSocket, mut headers: &mut [mmsghdr]) -> usize {
    let mut failed = 0;
    let mut retried = false;
    while !headers.is_empty() {
        let (fd, count) = (socket.socket.as_raw_fd(), headers.len() as u32);
        // SAFETY: the caller promises it for every header, and the count is their number.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
        if let Ok(sent) = usize::try_from(sent) {
            headers = &mut headers[sent.max(1)..];
            retried = false;
            continue;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS) => return failed + headers.len(),
            Some(libc::EINTR) => {}
            // An ICMP error of an earlier packet is reported once, instead of sending this one. So send once more,
            // unless the error must be this packet's own.
            Some(code) if !retried && !OWN_ERRORS.contains(&code) => retried = true,
            _ => {
                failed += 1;
                retried = false;
                headers = &mut headers[1..];
            }
        }
    }
    failed
}

/// Errors that the packet itself causes.
const OWN_ERRORS: [c_int; 4] = [libc::EMSGSIZE, libc::EPERM, libc::EINVAL, libc::EAFNOSUPPORT];

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Has the kernel make the group of sockets that will share the address of an unbound socket, which usually happens when
/// the second one is bound. Only a group can remember that there are connected sockets. It is made for a filter program
/// that would choose among its sockets; the program itself is not needed.
fn begin_group(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)?;
    let mut program =
        [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: u32::MAX }];
    let program = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    let (value, size) = (ptr::from_ref(&program).cast(), size_of::<libc::sock_fprog>() as u32);
    let (fd, level) = (socket.as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: the program, to which `program` points, lives until the call returns, and `size` is the size of `program`.
    let result = unsafe { libc::setsockopt(fd, level, libc::SO_ATTACH_REUSEPORT_CBPF, value, size) };
    if result == 0 {
        // Best effort: the program chooses nothing, so that the kernel chooses as if there were none.
        let _ = set_option(socket, level, libc::SO_DETACH_REUSEPORT_BPF, 0);
    }
    socket.set_reuse_port(false)
}

/// The port of a service that exists nowhere (RFC 863).
const DISCARD: u16 = 9;

fn set_option(socket: &impl AsRawFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let (value, size) = (ptr::from_ref(&value).cast(), size_of::<c_int>() as u32);
    // SAFETY: `value` points to an int that lives until the call returns, and `size` is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Stands for an unknown sender; the engine ignores port 0.
const NOBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

fn read_name(name: &sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is a sockaddr_in, and storage is large and aligned enough.
            let name = unsafe { &*ptr::from_ref(name).cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(name.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let name = unsafe { &*ptr::from_ref(name).cast::<sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id)))
        }
        _ => None,
    }
}

/// Writes an address; returns its length.
fn write_name(name: &mut sockaddr_storage, address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(address) => {
            let value = sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage can hold any socket address, including this one.
            unsafe { ptr::from_mut(name).cast::<sockaddr_in>().write(value) };
            size_of::<sockaddr_in>() as u32
        }
        SocketAddr::V6(address) => {
            let value = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { ptr::from_mut(name).cast::<sockaddr_in6>().write(value) };
            size_of::<sockaddr_in6>() as u32
        }
    }
}

/// What the kernel says of a received datagram.
#[derive(Default)]
struct Controls {
    /// The local address that received it.
    local: Option<IpAddr>,
    /// Its traffic class.
    class: u8,
    /// How many datagrams the kernel had dropped at this socket before it. The kernel says so only if there were any.
    dropped: Option<u32>,
}

/// Reads the control messages of a received datagram.
///
/// # Safety
/// As for [`each_control`].
unsafe fn read_controls(header: &msghdr) -> Controls {
    let mut controls = Controls::default();
    let Controls { local, class, dropped } = &mut controls;
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
        _ => {}
    };
    // SAFETY: the caller promises it.
    unsafe { each_control(header, read) };
    controls
}

/// Writes the local address and the traffic class of an outgoing datagram; returns how many bytes they take.
fn write_controls(control: &mut Control, to: SocketAddr, local: Option<IpAddr>, class: u8) -> usize {
    let mut used = 0;
    match local {
        Some(IpAddr::V4(ip)) => {
            let mut info = [0; 12];
            info[4..8].copy_from_slice(&ip.octets());
            used = push_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some(IpAddr::V6(ip)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&ip.octets());
            used = push_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    if class != 0 {
        let (level, kind) = match to {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        used = push_control(control, used, level, kind, &c_int::from(class).to_ne_bytes());
    }
    used
}

/// Appends a control message behind the first `used` bytes; returns how many bytes are used then. Two of the largest
/// fit: the packet info takes 40 bytes and the traffic class 24.
fn push_control(control: &mut Control, used: usize, level: c_int, kind: c_int, data: &[u8]) -> usize {
    const HEADER: usize = size_of::<cmsghdr>();
    let length = HEADER + data.len();
    let message = &mut control.0[used..used + length.next_multiple_of(size_of::<usize>())];
    message.fill(0);
    message[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
    message[size_of::<usize>()..][..4].copy_from_slice(&level.to_ne_bytes());
    message[size_of::<usize>() + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
    message[HEADER..length].copy_from_slice(data);
    used + message.len()
}

/// Calls `each` with level, type and data of every control message that the kernel wrote.
///
/// # Safety
/// The kernel must have filled `msg_control` of the header up to `msg_controllen`.
unsafe fn each_control(header: &msghdr, mut each: impl FnMut(c_int, c_int, &[u8])) {
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

fn read_icmp(error: libc::sock_extended_err, v4: bool) -> Option<Icmp> {
    let (kind, code) = (error.ee_type, error.ee_code);
    match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Some(Icmp { kind, code, data: error.ee_info }),
        // The local kernel refused a packet with DF. The report is the one that a router would have sent.
        libc::SO_EE_ORIGIN_LOCAL if error.ee_errno == libc::EMSGSIZE as u32 => {
            let (kind, code) = if v4 { (3, 4) } else { (2, 0) };
            Some(Icmp { kind, code, data: error.ee_info })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_readable(socket: &DatagramSocket) {
        let mut poll = libc::pollfd { fd: socket.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, alive during the call.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 2000) }, 1, "nothing arrived");
    }

    fn pair() -> (DatagramSocket, DatagramSocket, SocketAddr) {
        let listener = DatagramSocket::listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let relay = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = listener.local_addr().unwrap();
        (listener, relay, to)
    }

    fn outgoing(to: SocketAddr) -> Outgoing<()> {
        Outgoing { via: (), to, local: None, class: 0, dont_fragment: false }
    }

    fn receive_one<S: Copy + PartialEq>(batch: &mut Batch<S>, socket: &DatagramSocket) -> Segment {
        let slot = batch.receive(socket, 1).unwrap().next().unwrap();
        batch.datagram(slot)
    }

    #[test]
    fn what_is_composed_arrives_in_order_with_its_sender_and_class() {
        let (listener, relay, to) = pair();
        let mut batch = Batch::new();
        for (n, class) in [(0_u8, 0), (1, 0xB9), (2, 0)] {
            let message = batch.compose(&vec![n; usize::from(n) * 1000]).unwrap();
            batch.send(message, Outgoing { class, ..outgoing(to) });
        }
        assert_eq!(batch.flush(|()| Some(&relay)), 0);

        wait_readable(&listener);
        let slots = batch.receive(&listener, 16).unwrap();
        let datagrams: Vec<Segment> = slots.map(|slot| batch.datagram(slot)).collect();
        let got: Vec<_> =
            datagrams.iter().map(|it| (batch.bytes(*it).to_vec(), batch.received(*it).class)).collect();
        assert_eq!(got, [(vec![], 0), (vec![1; 1000], 0xB9), (vec![2; 2000], 0)]);
        assert_eq!(batch.received(datagrams[0]).from, relay.local_addr().unwrap());
    }

    #[test]
    fn the_largest_datagram_passes_whole() {
        let (listener, relay, to) = pair();
        let mut batch = Batch::new();
        let datagram: Vec<u8> = (0..65_507_u32).map(|n| n as u8).collect();
        let message = batch.compose(&datagram).unwrap();
        batch.send(message, outgoing(to));
        assert_eq!(batch.flush(|()| Some(&relay)), 0);
        wait_readable(&listener);
        let received = receive_one(&mut batch, &listener);
        assert_eq!(batch.bytes(received), datagram);
    }

    #[test]
    fn a_listener_on_all_addresses_learns_and_keeps_the_one_that_was_meant() {
        let listener = DatagramSocket::listen("0.0.0.0:0".parse().unwrap(), true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = DatagramSocket::relay("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut batch = Batch::new();
        let message = batch.compose(b"ask").unwrap();
        batch.send(message, outgoing(SocketAddr::new([127, 0, 0, 9].into(), port)));
        assert_eq!(batch.flush(|()| Some(&client)), 0);

        wait_readable(&listener);
        let question = receive_one(&mut batch, &listener);
        let Received { from, local, .. } = batch.received(question).clone();
        assert_eq!(local, Some([127, 0, 0, 9].into()));
        let answer = batch.replace(question, b"answer");
        batch.send(answer, Outgoing { local, ..outgoing(from) });
        assert_eq!(batch.flush(|()| Some(&listener)), 0);

        wait_readable(&client);
        let answer = receive_one(&mut batch, &client);
        assert_eq!(
            (batch.bytes(answer), batch.received(answer).from.ip()),
            (&b"answer"[..], [127, 0, 0, 9].into())
        );
    }

    #[test]
    fn a_closed_port_is_reported_and_stops_nothing() {
        let (listener, relay, open) = pair();
        let closed = {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap()
        };
        let mut batch = Batch::new();
        for to in [closed, open, open] {
            let message = batch.compose(b"x").unwrap();
            batch.send(message, outgoing(to));
        }
        assert_eq!(batch.flush(|()| Some(&relay)), 0);
        wait_readable(&listener);
        assert_eq!(batch.receive(&listener, 16).unwrap().count(), 2);
        assert_eq!(relay.take_error(), Some((closed, Some(Icmp { kind: 3, code: 3, data: 0 }))));
        assert_eq!(relay.take_error(), None);
    }

    #[test]
    fn datagrams_that_the_receive_buffer_does_not_hold_are_counted_once() {
        let (_, relay, _) = pair();
        SockRef::from(&relay.socket).set_recv_buffer_size(4 << 10).unwrap();
        let (to, peer) = (relay.local_addr().unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut batch = Batch::<()>::new();
        // Receives all that waits, until nothing does.
        let mut receive_all = || {
            let (mut received, mut overflowed) = (0, 0);
            while let Ok(slots) = batch.receive(&relay, SLOTS) {
                overflowed += slots.overflowed() as usize;
                received += slots.count();
                batch.flush(|()| None);
            }
            (received, overflowed)
        };
        for round in 1..=2 {
            (0..100).for_each(|_| assert_eq!(peer.send_to(&[7; 1000], to).unwrap(), 1000));
            let (kept, _) = receive_all();
            assert!(kept < 100, "{kept} of 100 fit into 4 KiB");
            // The kernel tells the number with the next datagram.
            peer.send_to(b"x", to).unwrap();
            assert_eq!(receive_all(), (1, 100 - kept), "round {round}");
        }
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_is_counted_and_the_rest_goes_out() {
        let (listener, relay, open) = pair();
        let mut batch = Batch::new();
        for to in ["[2001:db8::1]:9".parse().unwrap(), open] {
            let message = batch.compose(b"x").unwrap();
            batch.send(message, outgoing(to));
        }
        assert_eq!(batch.flush(|()| Some(&relay)), 1);
        wait_readable(&listener);
        assert_eq!(batch.receive(&listener, 16).unwrap().count(), 1);
    }

    #[test]
    fn a_header_and_padding_go_around_a_part_of_a_datagram_and_change_nothing_else() {
        let mut batch = Batch::<()>::new();
        let others = [b"before", b"behind"].map(|text| batch.compose(text).unwrap());
        let datagram = batch.compose(b"headdatatail").unwrap();
        let data = datagram.part(&(4..8));
        assert_eq!((batch.bytes(data), data.length()), (&b"data"[..], 4));
        let header = [7; DATA_HEADER_MAX];
        let whole = batch.encapsulate(data, &header, DATA_PADDING_MAX);
        assert_eq!(batch.bytes(whole), [&header[..], b"data", &[0; DATA_PADDING_MAX]].concat());
        assert_eq!(batch.bytes(whole.part(&(DATA_HEADER_MAX..whole.length()))), b"data\0\0\0");
        assert_eq!(batch.bytes(datagram), [&header[..4], b"data", &[0, 0, 0, b'l']].concat());
        assert_eq!(others.map(|other| batch.bytes(other)), [b"before", b"behind"]);
    }

    #[test]
    fn a_full_batch_takes_no_more() {
        let mut batch = Batch::<()>::new();
        assert!((0..SLOTS).all(|_| batch.compose(b"x").is_some()));
        assert_eq!((batch.free(), batch.compose(b"x")), (0, None));
    }
}
