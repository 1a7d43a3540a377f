//! A bare forwarder, one recvfrom and one sendto per packet, as the floor beside which servers are read.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::flows::FIRST_CHANNEL;
use crate::net::loopback;

/// In case that whoever started the stub dies without stopping it.
const LIFETIME: Duration = Duration::from_secs(3600);
const MOST_FLOWS: usize = 1024;
const CHANNEL_HEADER: usize = 4;
/// Starts a registration; no channel number begins with it.
const MAGIC: [u8; 4] = [0, b'b', b'e', b'n'];
const ANSWER_WITHIN: Duration = Duration::from_millis(200);
const REGISTRATIONS: u32 = 10;

/// For each flow the ports of its client and its peer, both on the loopback.
struct Routes([AtomicU32; MOST_FLOWS]);

impl Routes {
    fn set(&self, flow: u16, client: u16, peer: u16) -> Option<()> {
        let route = u32::from(client) << 16 | u32::from(peer);
        self.0.get(usize::from(flow))?.store(route, Ordering::Relaxed);
        Some(())
    }

    fn get(&self, flow: u16) -> Option<Route> {
        let route = self.0.get(usize::from(flow))?.load(Ordering::Relaxed).to_be_bytes();
        let [client, peer] = [[route[0], route[1]], [route[2], route[3]]].map(u16::from_be_bytes);
        Some(Route { client: loopback(client), peer: loopback(peer) })
    }
}

struct Route {
    client: SocketAddrV4,
    peer: SocketAddrV4,
}

/// Forwards until killed; one thread per direction, so that each may simply block in its receive.
pub fn serve(listen: SocketAddrV4) -> Outcome<()> {
    let routes = Arc::new(Routes(std::array::from_fn(|_| AtomicU32::new(0))));
    let clients = Arc::new(UdpSocket::bind(listen)?);
    let relayed = Arc::new(UdpSocket::bind(loopback(0))?);
    thread::spawn({
        let (routes, clients, relayed) = (routes.clone(), clients.clone(), relayed.clone());
        move || forward_up(&routes, &clients, &relayed)
    });
    thread::spawn(move || forward_down(&routes, &relayed, &clients));
    thread::sleep(LIFETIME);
    Ok(())
}

/// Makes a flow known to the stub and learns where its peer shall send to.
pub fn register(socket: &UdpSocket, flow: u16, peer: SocketAddrV4) -> Outcome<SocketAddrV4> {
    let mut message = MAGIC.to_vec();
    message.extend_from_slice(&flow.to_be_bytes());
    message.extend_from_slice(&peer.port().to_be_bytes());
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut answer = [0; 2];
    for _ in 0..REGISTRATIONS {
        socket.send(&message)?;
        if let Ok(2) = socket.recv(&mut answer) {
            return Ok(loopback(u16::from_be_bytes(answer)));
        }
    }
    Err("the stub does not answer".into())
}

fn forward_up(routes: &Routes, clients: &UdpSocket, relayed: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, source)) = clients.recv_from(&mut buffer) else {
            continue;
        };
        let Some((header, payload)) = buffer[..length].split_first_chunk::<CHANNEL_HEADER>() else {
            continue;
        };
        if *header == MAGIC {
            let _ = accept(routes, payload, source.port(), clients, relayed);
            continue;
        }
        let channel = u16::from_be_bytes([header[0], header[1]]);
        let route = channel.checked_sub(FIRST_CHANNEL).and_then(|flow| routes.get(flow));
        if let Some(route) = route {
            // What the kernel does not take is lost, as with any relay; the generator counts it.
            let _ = relayed.send_to(payload, route.peer);
        }
    }
}

fn forward_down(routes: &Routes, relayed: &UdpSocket, clients: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        let Ok((length, _)) = relayed.recv_from(&mut buffer[CHANNEL_HEADER..]) else {
            continue;
        };
        // The generator's payload begins with the number of its flow.
        let flow = u16::from_be_bytes([buffer[CHANNEL_HEADER], buffer[CHANNEL_HEADER + 1]]);
        let Some(route) = routes.get(flow) else {
            continue;
        };
        let size = u16::try_from(length).expect("a datagram is shorter than 64 KiB");
        buffer[..2].copy_from_slice(&FIRST_CHANNEL.saturating_add(flow).to_be_bytes());
        buffer[2..4].copy_from_slice(&size.to_be_bytes());
        let _ = clients.send_to(&buffer[..CHANNEL_HEADER + length], route.client);
    }
}

fn accept(
    routes: &Routes,
    registration: &[u8],
    client: u16,
    clients: &UdpSocket,
    relayed: &UdpSocket,
) -> Option<()> {
    let registration: [u8; 4] = registration.try_into().ok()?;
    let flow = u16::from_be_bytes([registration[0], registration[1]]);
    let peer = u16::from_be_bytes([registration[2], registration[3]]);
    routes.set(flow, client, peer)?;
    let port = relayed.local_addr().ok()?.port();
    clients.send_to(&port.to_be_bytes(), loopback(client)).ok()?;
    Some(())
}
