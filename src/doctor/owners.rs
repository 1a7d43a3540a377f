//! Which programs listen at a TCP address, by `/proc/net` (`proc_pid_net(5)`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that listens at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name of its program.
    pub program: String,
    /// Its process id.
    pub process: u32,
}

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// The processes that listen at a TCP address, or at all addresses with its port. Those that this process may not see, because
/// they belong to other users, are left out.
#[must_use]
pub fn of_tcp(address: SocketAddr) -> Vec<Owner> {
    let inodes = sockets(address);
    if inodes.is_empty() {
        return Vec::new();
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))
    });
    let owners =
        processes.filter(|(_, folder)| has_one_of(folder, &inodes)).filter_map(|(process, folder)| {
            let program = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_owned();
            Some(Owner { program, process })
        });
    owners.collect()
}

/// Whether any process listens at a TCP address, or at all addresses with its port.
#[must_use]
pub fn is_taken(address: SocketAddr) -> bool {
    !sockets(address).is_empty()
}

/// The inodes of the sockets that listen at an address, over either family.
fn sockets(address: SocketAddr) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|file| fs::read_to_string(file).ok());
    tables.flat_map(|table| listening(&table, address)).collect()
}

/// Those in one table.
fn listening(table: &str, wanted: SocketAddr) -> Vec<String> {
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let local = address(fields.nth(1)?)?;
        let (_, state) = (fields.next()?, fields.next()?);
        let inode = fields.nth(5)?;
        (meet(local, wanted) && state == LISTEN).then(|| inode.to_owned())
    });
    sockets.collect()
}

/// Whether connections to both addresses may reach the same socket.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (any || one.ip().to_canonical() == other.ip().to_canonical())
}

/// An address as the kernel writes it: its words as numbers of this machine, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(8 * at..8 * at + 8)?, 16).ok();
    let ip: IpAddr = if ip.len() == 8 {
        Ipv4Addr::from(word(0)?.to_ne_bytes()).into()
    } else {
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn has_one_of(process: &Path, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(|link| {
        let link = link.to_string_lossy().into_owned();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|one| one == inode))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_at_an_address_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let is_found = |text: &str| {
            let address = SocketAddr::new(text.parse().unwrap(), here.port());
            of_tcp(address).iter().any(|owner| owner.process == std::process::id())
        };

        assert!(is_found("127.0.0.1") && is_found("0.0.0.0") && is_found("::"));
        assert!(!is_found("127.0.0.2"));
        drop(listener);
        assert!(!is_found("127.0.0.1"));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for (text, expected) in [
            ("0100007F:01BB", "127.0.0.1:443"),
            ("00000000:0050", "0.0.0.0:80"),
            ("00000000000000000000000001000000:01BB", "[::1]:443"),
            ("B80D0120000000000000000001000000:0016", "[2001:db8::1]:22"),
        ] {
            assert_eq!(address(text), Some(expected.parse().unwrap()), "{text}");
        }
        assert_eq!(address("0100007F"), None);
    }

    #[test]
    fn connections_of_a_port_are_no_listeners() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7001 1\n\
            1: 0100007F:01BB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 7002 1\n";
        assert_eq!(listening(table, "127.0.0.1:443".parse().unwrap()), ["7001"]);
        assert!(listening(table, "127.0.0.1:80".parse().unwrap()).is_empty());
    }
}
