//! The buffers, and how they are filled.
#![allow(unsafe_code, reason = "recvmmsg has no safe wrapper; each block says why it is sound")]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ptr;

use libc::{iovec, mmsghdr};

use crate::relay::datagrams::DatagramSocket;
use crate::relay::datagrams::control::{Control, Controls};
use crate::relay::datagrams::message::{Message, Received, Segment};
use crate::relay::datagrams::name::Name;
use crate::relay::datagrams::offload::Cut;
use crate::relay::datagrams::runs::{Outgoing, Runs};
use crate::relay::datagrams::send::{HEADERS, VECTORS};
use crate::relay::datagrams::socket::kernel_cuts;
use crate::relay::framing::MESSAGE_MAX;
use crate::relay::wire::{DATA_HEADER_MAX, DATA_PADDING_MAX};
use crate::sections::relay::Switch;

/// The slots of a batch.
pub const SLOTS: usize = 64;
/// Where a received datagram starts in its buffer; any header fits in front of it.
pub(super) const HEADROOM: usize = 64;

/// More than the kernel delivers at once (UDP carries 65,507 bytes over IPv4 and 65,527 over IPv6).
const ROOM: usize = MESSAGE_MAX;
const BUFFER: usize = (HEADROOM + ROOM + DATA_PADDING_MAX).next_multiple_of(64);
const _: () = assert!(HEADROOM >= DATA_HEADER_MAX, "a Data indication's header must fit");

/// The slot number of composed messages, which have a buffer of their own.
const COMPOSED: u32 = SLOTS as u32;
/// How many bytes of composed messages may wait. One more message fits.
const COMPOSED_MAX: usize = 128 << 10;

/// Buffers for datagrams, filled from any number of sockets and emptied by [`Batch::flush`].
#[derive(Debug)]
pub struct Batch<S> {
    buffers: Vec<u8>,
    slots: Vec<Filled>,
    composed: Vec<u8>,
    pub(super) waiting: Runs<S>,
    pub(super) calls: Calls,
    offload: Switch,
    pub(super) cut: Cut,
}

/// What the kernel put into a slot: one datagram, or several of the same length, but for the last.
#[derive(Debug)]
struct Filled {
    received: Received,
    length: usize,
    /// The length of each but the last.
    segment: usize,
}

/// The datagrams that one [`Batch::receive`] brought.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    slot: usize,
    end: usize,
    /// Where in the slot the next one starts.
    at: usize,
    full: bool,
    overflowed: u32,
}

/// What system calls read and write besides data: for each message a header, a name and control messages, and for each
/// piece of data a vector.
pub(super) struct Calls {
    pub(super) names: Vec<Name>,
    pub(super) controls: Vec<Control>,
    pub(super) iovecs: Vec<iovec>,
    pub(super) headers: Vec<mmsghdr>,
}

// SAFETY: the raw pointers in `iovecs` and `headers` are written right before each system call, from buffers that
// the same `&mut self` borrows, and are never read otherwise; so they may move to another thread.
unsafe impl Send for Calls {}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

impl Arrivals {
    /// Whether the socket may have more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many datagrams the kernel has dropped since it last said so, because the socket's receive buffer was full.
    #[must_use]
    pub fn overflowed(&self) -> u32 {
        self.overflowed
    }

    /// The next datagram.
    pub fn next<S: Copy + PartialEq>(&mut self, batch: &Batch<S>) -> Option<Segment> {
        if self.slot == self.end {
            return None;
        }
        let Filled { length, segment, .. } = batch.slots[self.slot];
        let end = (self.at + segment).min(length);
        let (start, slot) = (HEADROOM + self.at, self.slot as u32);
        let next = Segment { slot, start: start as u32, end: (HEADROOM + end) as u32 };
        self.at = end;
        if end == length {
            (self.slot, self.at) = (self.slot + 1, 0);
        }
        Some(next)
    }
}

impl<S: Copy + PartialEq> Batch<S> {
    /// An empty batch. Its memory is touched only where datagrams are stored.
    #[must_use]
    pub fn new(offload: Switch) -> Self {
        // SAFETY: all-zero bytes are a valid value of these C structs.
        let (vec, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self {
            buffers: vec![0; SLOTS * BUFFER],
            slots: Vec::with_capacity(SLOTS),
            composed: Vec::new(),
            waiting: Runs::with_capacity(SLOTS),
            calls: Calls {
                names: vec![Name::empty(); HEADERS],
                controls: vec![Control::empty(); HEADERS],
                iovecs: vec![vec; VECTORS],
                headers: vec![header; HEADERS],
            },
            offload,
            cut: Cut::new(offload, kernel_cuts()),
        }
    }

    /// Lets datagrams cross the network stack together from now on as the configuration says.
    pub fn change(&mut self, offload: Switch) {
        if self.offload != offload {
            (self.offload, self.cut) = (offload, Cut::new(offload, kernel_cuts()));
        }
    }

    /// How many slots are free.
    #[must_use]
    pub fn free(&self) -> usize {
        SLOTS - self.slots.len()
    }

    /// Receives into up to `most` slots, or as many as are free.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing. Any other error belongs to an earlier packet and is reported only once.
    pub fn receive(&mut self, socket: &DatagramSocket, most: usize) -> io::Result<Arrivals> {
        let (first, most) = (self.slots.len(), most.min(self.free()));
        let mut arrivals = Arrivals { slot: first, end: first, ..Arrivals::default() };
        let mut offered = socket.traffic.expected().min(most);
        loop {
            match self.receive_once(socket, offered, &mut arrivals.overflowed) {
                Err(error) if arrivals.end == first => return Err(error),
                // The error was another packet's, or there is nothing more, which the next read will say.
                Err(error) => arrivals.full = error.kind() != io::ErrorKind::WouldBlock,
                Ok(filled) => {
                    arrivals.end += filled;
                    let left = most - (arrivals.end - first);
                    if filled == offered && left > 0 {
                        offered = (2 * offered).min(left);
                        continue;
                    }
                    arrivals.full = filled == offered;
                }
            }
            break;
        }
        socket.traffic.filled(arrivals.end - first);
        self.learn(socket, first);
        Ok(arrivals)
    }

    /// Makes one system call that offers so many slots; returns how many are filled.
    fn receive_once(
        &mut self,
        socket: &DatagramSocket,
        offered: usize,
        overflowed: &mut u32,
    ) -> io::Result<usize> {
        let first = self.slots.len();
        assert!(first + offered <= SLOTS, "only free slots are offered");
        let Calls { names, controls, iovecs, headers } = &mut self.calls;
        for (index, header) in headers[..offered].iter_mut().enumerate() {
            let buffer = &mut self.buffers[(first + index) * BUFFER + HEADROOM..][..ROOM];
            iovecs[index] = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: ROOM };
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(&mut names[index]).cast();
            header.msg_namelen = Name::SIZE;
            header.msg_iov = &raw mut iovecs[index];
            header.msg_iovlen = 1;
            header.msg_control = controls[index].as_mut_ptr();
            header.msg_controllen = Control::SIZE as _;
            header.msg_flags = 0;
        }
        // SAFETY: each of the `offered` headers was just pointed at a buffer, a name, a vector and a control buffer of its
        // own, with the lengths that they have. They belong to `self`, which nobody else uses until the call returns.
        let n = unsafe {
            let none = ptr::null_mut();
            libc::recvmmsg(socket.fd(), headers.as_mut_ptr(), offered as u32, libc::MSG_DONTWAIT as _, none)
        };
        let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        for (header, name) in headers[..n].iter().zip(&*names) {
            // SAFETY: the kernel just filled the header, and its control buffer has not been changed since.
            let Controls { local, port, class, dropped, segment } =
                unsafe { Controls::read(&header.msg_hdr) };
            *overflowed = overflowed.wrapping_add(dropped.map_or(0, |all| socket.traffic.dropped(all)));
            let length = header.msg_len as usize;
            let received = Received { from: name.read().unwrap_or(NOBODY), local, port, class };
            self.slots.push(Filled { received, length, segment: segment.unwrap_or(length) });
        }
        Ok(n)
    }

    /// Has the kernel join the datagrams of a socket from now on, or no longer, by what the slots from `first` on hold.
    fn learn(&self, socket: &DatagramSocket, first: usize) {
        let (mut followers, mut others) = (0, 0);
        let mut before: Option<&Filled> = None;
        for slot in &self.slots[first..] {
            let several = slot.length.div_ceil(slot.segment.max(1)).max(1);
            let follows = before.is_some_and(|before| {
                let (before_it, it) = (before.received, slot.received);
                (before_it.from, before_it.port, before.segment) == (it.from, it.port, slot.segment)
            });
            followers += several - 1 + usize::from(follows);
            others += usize::from(!follows && several == 1);
            before = Some(slot);
        }
        if let Some(join) = socket.traffic.learn(self.offload, followers, others) {
            // Best effort: a kernel that cannot delivers them one by one.
            let _ = socket.join_datagrams(join);
        }
    }

    /// What is known about the datagram that a segment is part of.
    #[must_use]
    pub fn received(&self, segment: Segment) -> Received {
        self.slots.get(segment.slot as usize).map_or(UNKNOWN, |slot| slot.received)
    }

    /// The bytes of a segment.
    #[must_use]
    pub fn bytes(&self, segment: Segment) -> &[u8] {
        let Segment { slot, start, end } = segment;
        let buffer = if slot == COMPOSED { &self.composed } else { &self.buffers[slot as usize * BUFFER..] };
        &buffer[start as usize..end as usize]
    }

    /// The header, the data and the padding of a message.
    #[must_use]
    pub fn parts<'a>(&'a self, message: &'a Message) -> [&'a [u8]; 3] {
        [message.header(), self.bytes(message.data()), message.padding()]
    }

    /// Keeps a message of our own, as if it had been received. Flush the batch first if it [`Self::is_heavy`].
    pub fn compose(&mut self, message: &[u8]) -> Segment {
        let start = self.composed.len();
        self.composed.extend_from_slice(message);
        Segment { slot: COMPOSED, start: start as u32, end: self.composed.len() as u32 }
    }

    /// Whether so many composed messages wait that the batch should be flushed before the next one.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.composed.len() > COMPOSED_MAX
    }

    /// Sends a message when the batch is flushed.
    pub fn send(&mut self, message: Message, way: Outgoing<S>) {
        self.waiting.push(way, message, self.cut.most());
    }

    /// Where a message is in one piece: its header and padding are written around its data, if no other datagram is
    /// there.
    pub(super) fn in_one_piece(&mut self, message: &Message) -> Option<&[u8]> {
        let Segment { slot, start, end } = message.data();
        if message.length() == message.data().length() {
            return Some(self.bytes(message.data()));
        }
        let filled = self.slots.get(slot as usize)?;
        if filled.segment < filled.length {
            return None;
        }
        let (start, end) = (start as usize, end as usize);
        let whole = start - message.header().len()..end + message.padding().len();
        let buffer = &mut self.buffers[slot as usize * BUFFER..][..BUFFER];
        buffer[whole.start..start].copy_from_slice(message.header());
        buffer[end..whole.end].copy_from_slice(message.padding());
        Some(&buffer[whole])
    }

    /// Frees all slots, and forgets all messages.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.composed.clear();
        self.waiting.clear();
    }
}

/// Stands for an unknown sender; the engine ignores port 0.
const NOBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
/// What is known of a composed message.
const UNKNOWN: Received = Received { from: NOBODY, local: None, port: None, class: 0 };
