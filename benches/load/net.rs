//! Loopback UDP sockets with many datagrams per system call; this program's `unsafe` is here and in `runs.rs`.

#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

use std::io;
use std::iter::{Cycle, Skip, Take};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{mem, ptr};

/// Below the range from which the kernel and the servers take theirs, and above 11211, whose packets Hairpin drops
/// because memcached reflects.
const OWN_PORTS: Range<u16> = 12_000..32_000;
/// How far apart two runs begin that are a second apart: more than the sockets of a sample.
const PORTS_PER_SECOND: u64 = 128;
pub const LARGEST_DATAGRAM: usize = 2048;
pub const MOST_SENT: usize = 16;
pub const MOST_RECEIVED: usize = 32;
const MOST_READY: usize = 64;

/// Binds sockets of this program one port after the other.
pub struct OwnPorts {
    ip: Ipv4Addr,
    ports: Take<Skip<Cycle<Range<u16>>>>,
}

impl OwnPorts {
    /// Begins where no recent run was: coturn refuses an address (437) for a minute after its release.
    pub fn new(now: SystemTime) -> Self {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let count = OWN_PORTS.len();
        let start = seconds.wrapping_mul(PORTS_PER_SECOND) % u64::try_from(count).expect("small");
        let start = usize::try_from(start).expect("less than a usize");
        Self { ip: Ipv4Addr::LOCALHOST, ports: OWN_PORTS.cycle().skip(start).take(count) }
    }

    /// At this address instead of 127.0.0.1.
    pub fn at(self, ip: Ipv4Addr) -> Self {
        Self { ip, ..self }
    }

    pub fn bind(&mut self, receive_buffer: libc::c_int) -> io::Result<UdpSocket> {
        for port in self.ports.by_ref() {
            match UdpSocket::bind(SocketAddrV4::new(self.ip, port)) {
                Ok(socket) => {
                    set_receive_buffer(&socket, receive_buffer)?;
                    return Ok(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port left for the generator"))
    }
}

pub fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Lets this process open as many sockets as the hard limit allows.
pub fn raise_file_limit(needed: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a live rlimit.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
    }
    if limit.rlim_max < needed {
        return Err(io::Error::other(format!("{needed} open files needed, limit {}", limit.rlim_max)));
    }
    Ok(())
}

/// Datagrams that this socket had no room for.
pub fn dropped(socket: &UdpSocket) -> io::Result<u32> {
    const DROPS: usize = 8; // SK_MEMINFO_DROPS
    let mut info = [0_u32; 9];
    let mut length = libc::socklen_t::try_from(mem::size_of_val(&info)).expect("36 bytes");
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok(info[DROPS])
}

/// Datagrams on their way out, all to one address.
pub struct Outbox {
    packets: Vec<Vec<u8>>,
    /// How many of them there are now; the others only keep their memory.
    count: usize,
}

impl Outbox {
    pub fn new(count: usize, length: usize) -> Self {
        assert!(count <= MOST_SENT, "one call takes {MOST_SENT} datagrams");
        Self { packets: vec![vec![0xa5; length]; count], count }
    }

    /// Makes room for packets of these lengths, at most as many as there were at first.
    pub fn shape(&mut self, lengths: impl Iterator<Item = usize>) {
        self.count = 0;
        for (packet, length) in self.packets.iter_mut().zip(lengths) {
            packet.resize(length, 0);
            self.count += 1;
        }
    }

    pub fn packets(&mut self) -> &mut [Vec<u8>] {
        &mut self.packets[..self.count]
    }

    /// Sends every packet, to `to` or to whom the socket is connected.
    pub fn send(&mut self, socket: &UdpSocket, to: Option<SocketAddrV4>) -> io::Result<()> {
        let mut address = to.map(raw_address);
        let name = address.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: an all-zero iovec and mmsghdr are valid: null pointers with length 0.
        let mut parts: [libc::iovec; MOST_SENT] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; MOST_SENT] = unsafe { mem::zeroed() };
        for ((packet, part), header) in self.packets().iter_mut().zip(&mut parts).zip(&mut headers) {
            part.iov_base = packet.as_mut_ptr().cast();
            part.iov_len = packet.len();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            if to.is_some() {
                header.msg_hdr.msg_name = name.cast();
                header.msg_hdr.msg_namelen = ADDRESS_LENGTH;
            }
        }
        let mut left = &mut headers[..self.count];
        while !left.is_empty() {
            let count = libc::c_uint::try_from(left.len()).expect("at most MOST_SENT");
            // SAFETY: `left` holds `count` headers whose buffers and name outlive the call.
            let sent = checked(unsafe { libc::sendmmsg(socket.as_raw_fd(), left.as_mut_ptr(), count, 0) })?;
            left = left.split_at_mut(sent).1;
        }
        Ok(())
    }
}

/// Room for the datagrams of one receive call.
pub struct Inbox {
    buffers: Vec<[u8; LARGEST_DATAGRAM]>,
    sources: [libc::sockaddr_in; MOST_RECEIVED],
    lengths: [usize; MOST_RECEIVED],
}

impl Inbox {
    pub fn new() -> Self {
        Self {
            buffers: vec![[0; LARGEST_DATAGRAM]; MOST_RECEIVED],
            sources: [raw_address(loopback(0)); MOST_RECEIVED],
            lengths: [0; MOST_RECEIVED],
        }
    }

    /// Takes what has arrived, without waiting; returns how many datagrams that is.
    pub fn fill(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // SAFETY: an all-zero iovec and mmsghdr are valid: null pointers with length 0.
        let mut parts: [libc::iovec; MOST_RECEIVED] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; MOST_RECEIVED] = unsafe { mem::zeroed() };
        for (i, (part, header)) in parts.iter_mut().zip(&mut headers).enumerate() {
            part.iov_base = self.buffers[i].as_mut_ptr().cast();
            part.iov_len = LARGEST_DATAGRAM;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.sources[i]).cast();
            header.msg_hdr.msg_namelen = ADDRESS_LENGTH;
        }
        let room = libc::c_uint::try_from(MOST_RECEIVED).expect("a small constant");
        // SAFETY: the headers point to buffers and names that outlive the call.
        let received = checked(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                room,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        });
        let count = match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = usize::try_from(header.msg_len).expect("a datagram fits in memory");
        }
        Ok(count)
    }

    /// The `i`th datagram of the last `fill`, and the port that it came from.
    pub fn datagram(&self, i: usize) -> (&[u8], u16) {
        (&self.buffers[i][..self.lengths[i]], u16::from_be(self.sources[i].sin_port))
    }
}

/// Tells which of many sockets have something to read.
pub struct Poller {
    epoll: OwnedFd,
    ready: Vec<usize>,
}

impl Poller {
    pub fn new<'a, S: AsFd + 'a>(sockets: impl Iterator<Item = &'a S>) -> io::Result<Self> {
        // SAFETY: the descriptor is fresh and has no other owner.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            checked(fd)?;
            OwnedFd::from_raw_fd(fd)
        };
        for (i, socket) in sockets.enumerate() {
            let u64 = u64::try_from(i).expect("a small index");
            let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64 };
            // SAFETY: `event` is live during the call, which copies it.
            checked(unsafe {
                let socket = socket.as_fd().as_raw_fd();
                libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &raw mut event)
            })?;
        }
        Ok(Self { epoll, ready: Vec::with_capacity(MOST_READY) })
    }

    /// The indices of the readable sockets, without waiting.
    pub fn ready(&mut self) -> io::Result<&[usize]> {
        self.ready_within(Duration::ZERO)
    }

    /// The indices of the readable sockets, as soon as there are any.
    pub fn ready_within(&mut self, time: Duration) -> io::Result<&[usize]> {
        let time = libc::c_int::try_from(time.as_millis()).expect("a short time");
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST_READY];
        let room = libc::c_int::try_from(MOST_READY).expect("a small constant");
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: the kernel writes at most `room` events.
        let count =
            uninterrupted(|| checked(unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, time) }))?;
        self.ready.clear();
        for event in &events[..count] {
            self.ready.push(usize::try_from(event.u64).expect("an index that we registered"));
        }
        Ok(&self.ready)
    }
}

pub fn set_receive_buffer(socket: &UdpSocket, bytes: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

pub fn set_option(
    socket: &UdpSocket,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(mem::size_of::<libc::c_int>()).expect("four");
    // SAFETY: the option value is a live int of the stated length.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "16 bytes, and a constant cannot try_from")]
pub const ADDRESS_LENGTH: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

pub fn raw_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("two"),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: address.ip().to_bits().to_be() },
        sin_zero: [0; 8],
    }
}

/// The C convention: negative means that errno says why.
pub fn checked(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A call that a signal has interrupted, or the machine that stopped for a moment, is made again.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
