//! Asks a STUN server by which address it sees this machine.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::clock::Clock;
use crate::discovery::binding::{self, Transaction};

/// How long each request waits for a response, before it is sent again or given up (RFC 8489 §6.2.1).
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The address by which `server` sees a socket that is bound to `bind`; or why it is unknown.
pub(super) fn ask(
    bind: IpAddr,
    server: SocketAddr,
    transaction: Transaction,
    clock: Clock,
) -> Result<IpAddr, String> {
    match exchange(bind, server, transaction, clock) {
        Ok(Some(ip)) if ip.is_ipv4() != bind.is_ipv4() => {
            Err(format!("it answered with {ip}, which is of the other family"))
        }
        Ok(Some(ip)) => Ok(ip),
        Ok(None) => Err("no answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn exchange(
    bind: IpAddr,
    server: SocketAddr,
    transaction: Transaction,
    clock: Clock,
) -> io::Result<Option<IpAddr>> {
    let socket = UdpSocket::bind((bind, 0))?;
    // From now on it receives only what the server sends, and the ICMP errors that tell of the server.
    socket.connect(server)?;
    let mut datagram = [0; 1500];
    for wait in WAITS {
        socket.send(&binding::request(transaction))?;
        let until = clock.now().moment + wait;
        loop {
            let left = until.since(clock.now().moment);
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut datagram) {
                Ok(length) => {
                    if let Some(ip) = binding::mapped_address(&datagram[..length], transaction) {
                        return Ok(Some(ip));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// What is learned from a server that treats each request so, and answers with `datagrams`.
    fn learned(datagrams: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send) -> Result<IpAddr, String> {
        let server = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let address = server.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut request = [0; 100];
                let (length, client) = server.recv_from(&mut request).unwrap();
                for datagram in datagrams(&request[..length]) {
                    server.send_to(&datagram, client).unwrap();
                }
            });
            ask(LOOPBACK, address, [7; 12], Clock::start())
        })
    }

    /// A response in which the client has the address 198.51.100.7, or `::198.51.100.7`.
    fn response(request: &[u8], family: u8) -> Vec<u8> {
        let length = if family == 1 { 8_u8 } else { 20 };
        let mut response = [&[1, 1, 0, length + 4], &request[4..20]].concat();
        response.extend([0, 0x20, 0, length, 0, family, 0, 0]);
        let mut address = vec![0; usize::from(length) - 8];
        address.extend([198, 51, 100, 7]);
        let mask: Vec<u8> = request[4..].iter().copied().take(address.len()).collect();
        response.extend(address.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        response
    }

    #[test]
    fn the_server_tells_the_address_and_what_is_no_answer_is_ignored() {
        let answer =
            learned(|request| vec![b"nonsense".to_vec(), response(&[9; 20], 1), response(request, 1)]);
        assert_eq!(answer, Ok([198, 51, 100, 7].into()));
    }

    #[test]
    fn an_address_of_the_other_family_is_refused() {
        let answer = learned(|request| vec![response(request, 2)]);
        assert!(answer.unwrap_err().contains("of the other family"));
    }

    #[test]
    fn where_nobody_listens_it_is_said_at_once() {
        let nobody = UdpSocket::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap();
        let begun = Clock::start();
        let reason = ask(LOOPBACK, nobody, [7; 12], begun).unwrap_err();
        assert!(reason.contains("refused"), "{reason}");
        assert!(begun.now().moment.since(Default::default()) < WAITS[0]);
    }
}
