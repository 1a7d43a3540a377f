//! A bare forwarder, as the floor beside which servers are read: what the sockets themselves cost.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::flows::FIRST_CHANNEL;
use crate::net::{LARGEST_DATAGRAM, set_receive_buffer};
use crate::runs::{Dispatch, Intake, Parcel};

/// In case that whoever started the stub dies without stopping it.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// So large that a stub loses packets only when it has no time for them.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;
const MOST_FLOWS: usize = 1024;
const CHANNEL_HEADER: usize = 4;
/// Starts a registration; no channel number begins with it.
const MAGIC: [u8; 4] = [0, b'b', b'e', b'n'];
const ANSWER_WITHIN: Duration = Duration::from_millis(200);
const REGISTRATIONS: u32 = 10;

/// Where the generator is, and for each flow the ports of its client and its peer.
struct Routes {
    ip: OnceLock<Ipv4Addr>,
    ports: [AtomicU32; MOST_FLOWS],
}

impl Routes {
    fn new() -> Self {
        Self { ip: OnceLock::new(), ports: std::array::from_fn(|_| AtomicU32::new(0)) }
    }

    fn set(&self, flow: u16, client: SocketAddrV4, peer: u16) -> Option<()> {
        self.ip.get_or_init(|| *client.ip());
        let route = u32::from(client.port()) << 16 | u32::from(peer);
        self.ports.get(usize::from(flow))?.store(route, Ordering::Relaxed);
        Some(())
    }

    fn get(&self, flow: u16) -> Option<Route> {
        let ip = *self.ip.get()?;
        let ports = self.ports.get(usize::from(flow))?.load(Ordering::Relaxed).to_be_bytes();
        let [client, peer] = [[ports[0], ports[1]], [ports[2], ports[3]]]
            .map(|port| SocketAddrV4::new(ip, u16::from_be_bytes(port)));
        Some(Route { client, peer })
    }
}

struct Route {
    client: SocketAddrV4,
    peer: SocketAddrV4,
}

/// How much one system call carries.
#[derive(Clone, Copy)]
pub enum Forwarding {
    /// One datagram: `recvfrom`, `sendto`.
    Singly,
    /// Many datagrams: `recvmmsg`, `sendmmsg`.
    Batches,
    /// Many runs of datagrams: the same, with `UDP_GRO` and `UDP_SEGMENT`.
    Runs,
}

/// Forwards until killed; one thread per direction, so that each may simply block in its receive.
pub fn serve(listen: SocketAddrV4, forwarding: Forwarding) -> Outcome<()> {
    let routes = Routes::new();
    let clients = UdpSocket::bind(listen)?;
    let relayed = UdpSocket::bind(SocketAddrV4::new(*listen.ip(), 0))?;
    for socket in [&clients, &relayed] {
        set_receive_buffer(socket, RECEIVE_BUFFER)?;
    }
    let stub = Arc::new(Stub { routes, clients, relayed });
    let runs = matches!(forwarding, Forwarding::Runs);
    match forwarding {
        Forwarding::Singly => {
            start(&stub, Stub::forward_up);
            start(&stub, Stub::forward_down);
        }
        Forwarding::Batches | Forwarding::Runs => {
            let (up, down) = (Intake::of(&stub.clients, runs)?, Intake::of(&stub.relayed, runs)?);
            start(&stub, move |stub| stub.forward_many_up(up, Dispatch::new(runs)));
            start(&stub, move |stub| stub.forward_many_down(down, Dispatch::new(runs)));
        }
    }
    thread::sleep(LIFETIME);
    Ok(())
}

/// Makes a flow known to the stub and learns to which of its ports the peer shall send.
pub fn register(socket: &UdpSocket, flow: u16, peer: u16) -> Outcome<u16> {
    let mut message = MAGIC.to_vec();
    message.extend_from_slice(&flow.to_be_bytes());
    message.extend_from_slice(&peer.to_be_bytes());
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut answer = [0; 2];
    for _ in 0..REGISTRATIONS {
        socket.send(&message)?;
        if let Ok(2) = socket.recv(&mut answer) {
            return Ok(u16::from_be_bytes(answer));
        }
    }
    Err("the stub does not answer".into())
}

/// Two sockets: one for all clients, and one that stands for all relayed addresses.
struct Stub {
    routes: Routes,
    clients: UdpSocket,
    relayed: UdpSocket,
}

fn start(stub: &Arc<Stub>, forward: impl FnOnce(&Stub) + Send + 'static) {
    let stub = Arc::clone(stub);
    thread::spawn(move || forward(&stub));
}

impl Stub {
    fn forward_up(&self) {
        let mut buffer = [0; LARGEST_DATAGRAM];
        loop {
            let Ok((length, SocketAddr::V4(source))) = self.clients.recv_from(&mut buffer) else {
                continue;
            };
            if let Some(parcel) = self.up(&buffer[..length], source) {
                // What the kernel does not take is lost, as with any relay; the generator counts it.
                let _ = self.relayed.send_to(parcel.body, parcel.to);
            }
        }
    }

    fn forward_down(&self) {
        let mut buffer = [0; LARGEST_DATAGRAM];
        loop {
            let (head, room) = buffer.split_at_mut(CHANNEL_HEADER);
            let Ok((length, _)) = self.relayed.recv_from(room) else {
                continue;
            };
            let Some(parcel) = self.down(&room[..length]) else {
                continue;
            };
            let to = parcel.to;
            head.copy_from_slice(&parcel.head.unwrap_or_default());
            let _ = self.clients.send_to(&buffer[..CHANNEL_HEADER + length], to);
        }
    }

    fn forward_many_up(&self, mut intake: Intake, mut dispatch: Dispatch) {
        loop {
            if intake.fill(&self.clients).is_ok() {
                let arrived = intake.datagrams();
                let parcels: Vec<_> = arrived.filter_map(|(bytes, source)| self.up(bytes, source)).collect();
                dispatch.send(&self.relayed, &parcels);
            }
        }
    }

    fn forward_many_down(&self, mut intake: Intake, mut dispatch: Dispatch) {
        loop {
            if intake.fill(&self.relayed).is_ok() {
                let arrived = intake.datagrams();
                let parcels: Vec<_> = arrived.filter_map(|(bytes, _)| self.down(bytes)).collect();
                dispatch.send(&self.clients, &parcels);
            }
        }
    }

    /// What a client has sent, on its way to the peer; nothing if it was a registration.
    fn up<'a>(&self, datagram: &'a [u8], source: SocketAddrV4) -> Option<Parcel<'a>> {
        let (header, body) = datagram.split_first_chunk::<CHANNEL_HEADER>()?;
        if *header == MAGIC {
            self.accept(body, source);
            return None;
        }
        let channel = u16::from_be_bytes([header[0], header[1]]);
        let route = self.routes.get(channel.checked_sub(FIRST_CHANNEL)?)?;
        Some(Parcel { to: route.peer, head: None, body })
    }

    /// What a peer has sent, on its way to the client.
    fn down<'a>(&self, body: &'a [u8]) -> Option<Parcel<'a>> {
        // The generator's payload begins with the number of its flow.
        let flow = u16::from_be_bytes(*body.first_chunk()?);
        let route = self.routes.get(flow)?;
        let [a, b] = FIRST_CHANNEL.saturating_add(flow).to_be_bytes();
        let [c, d] = u16::try_from(body.len()).ok()?.to_be_bytes();
        Some(Parcel { to: route.client, head: Some([a, b, c, d]), body })
    }

    fn accept(&self, registration: &[u8], client: SocketAddrV4) -> Option<()> {
        let [a, b, c, d]: [u8; 4] = registration.try_into().ok()?;
        self.routes.set(u16::from_be_bytes([a, b]), client, u16::from_be_bytes([c, d]))?;
        let port = self.relayed.local_addr().ok()?.port();
        self.clients.send_to(&port.to_be_bytes(), client).ok()?;
        Some(())
    }
}
