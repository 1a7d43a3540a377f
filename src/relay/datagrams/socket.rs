//! A UDP socket of the relay, and its options.
#![allow(unsafe_code, reason = "system calls without a safe wrapper; each block says why it is sound")]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use libc::{c_int, msghdr};
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::network::address::Family;
use crate::relay::datagrams::control::{Control, each_control};
use crate::relay::datagrams::name::Name;
use crate::relay::datagrams::offload::Traffic;
use crate::relay::wire::Icmp;

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
    /// What its traffic has been like.
    pub(super) traffic: Traffic,
}
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

    /// A socket for peers.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn relay(address: SocketAddr) -> io::Result<Self> {
        Self::bind(open(address)?, address, false)
    }

    /// Has the kernel keep the ICMP errors that this socket's packets cause, for [`Self::take_error`].
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn report_errors(&self) -> io::Result<()> {
        let (level, name) = match self.family {
            libc::AF_INET => (libc::IPPROTO_IP, libc::IP_RECVERR),
            _ => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        set_option(&self.socket, level, name, 1)
    }

    /// A socket to which the kernel can deliver the datagrams for many relay ports. It says which port each was for. It is
    /// bound to the loopback, because the kernel wants it bound; what arrives there is for no relay port.
    ///
    /// # Errors
    /// If this machine does not have the family.
    pub fn common(family: Family) -> io::Result<Self> {
        let (address, level, name): (IpAddr, _, _) = match family {
            Family::V4 => (Ipv4Addr::LOCALHOST.into(), libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR),
            Family::V6 => (Ipv6Addr::LOCALHOST.into(), libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR),
        };
        let bound = Self::bind_listener(open((address, 0).into())?, (address, 0).into())?;
        // A process that may choose sockets may also pass the limit. Best effort, as for a listener.
        let _ = set_option(&bound.socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, LISTENER_BUFFER as c_int);
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
        let bound = Self { socket, family, wildcard, traffic: Traffic::default() };
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

    pub(super) fn fd(&self) -> c_int {
        self.socket.as_raw_fd()
    }

    /// Lets the kernel deliver several datagrams of one sender as one from now on, or no longer.
    ///
    /// # Errors
    /// If the kernel cannot do it.
    pub(super) fn join_datagrams(&self, join: bool) -> io::Result<()> {
        set_option(&self.socket, libc::SOL_UDP, libc::UDP_GRO, c_int::from(join))
    }

    /// Takes the next error that a packet of this socket caused: the packet's destination, and the ICMP error, if it
    /// was one.
    #[must_use]
    pub fn take_error(&self) -> Option<(SocketAddr, Option<Icmp>)> {
        // SAFETY: all-zero bytes are a valid value of this C struct.
        let mut header = unsafe { mem::zeroed::<msghdr>() };
        let (mut name, mut control) = (Name::empty(), Control::empty());
        header.msg_name = ptr::from_mut(&mut name).cast();
        header.msg_namelen = Name::SIZE;
        header.msg_control = control.as_mut_ptr();
        header.msg_controllen = Control::SIZE as _;
        // SAFETY: the header's pointers are to live locals with the lengths given; there is no data part.
        let n = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE) };
        if n < 0 {
            return None;
        }
        let peer = name.read()?;
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
    pub(super) fn forbid_fragments(&self, forbid: bool) -> io::Result<()> {
        let (level, name, value) = match (self.family, forbid) {
            (libc::AF_INET, true) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
            (libc::AF_INET, false) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT),
            (_, true) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
            (_, false) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
        };
        set_option(&self.socket, level, name, value)
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether the kernel can cut a long datagram into short ones on its way out (`UDP_SEGMENT`, Linux 4.18). One that does not
/// know this would send the long one.
pub(super) fn kernel_cuts() -> bool {
    let socket = open(SocketAddr::from(([127, 0, 0, 1], 0)));
    socket.is_ok_and(|socket| set_option(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok())
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

impl AsRawFd for DatagramSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
impl DatagramSocket {
    /// Waits until there is something to read.
    pub(super) fn wait_readable(&self) {
        let mut poll = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, alive during the call.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 2000) }, 1, "nothing arrived");
    }

    pub(in crate::relay) fn limit_receive_buffer(&self, bytes: usize) {
        SockRef::from(&self.socket).set_recv_buffer_size(bytes).unwrap();
    }

    pub(super) fn send_without_checksums(&self) {
        set_option(&self.socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    }
}
