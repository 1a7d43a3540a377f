//! Which program listens on a TCP port, by `/proc/net` (`proc_pid_net(5)`).

use std::fs;
use std::path::Path;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name of its program.
    pub program: String,
    /// Its process id.
    pub process: u32,
}

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// The process that listens on a TCP port, over either family. `None` if nobody does, or if this process may not see who.
#[must_use]
pub fn of_tcp_port(port: u16) -> Option<Owner> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))
    });
    let (process, folder) = processes.into_iter().find(|(_, folder)| has_one_of(folder, &inodes))?;
    let program = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_owned();
    Some(Owner { program, process })
}

/// The inodes of the sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (_, local) = fields.nth(1)?.rsplit_once(':')?;
        let (_, state) = (fields.next()?, fields.next()?);
        let inode = fields.nth(5)?;
        (u16::from_str_radix(local, 16) == Ok(port) && state == LISTEN).then(|| inode.to_owned())
    });
    sockets.collect()
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
    fn who_listens_on_a_port_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        assert_eq!(of_tcp_port(port).map(|owner| owner.process), Some(std::process::id()));
        drop(listener);
        assert_eq!(of_tcp_port(port), None);
    }

    #[test]
    fn connections_of_a_port_are_no_listeners() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7001 1\n\
            1: 0100007F:01BB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 7002 1\n";
        assert_eq!(listening(table, 443), ["7001"]);
        assert!(listening(table, 80).is_empty());
    }
}
