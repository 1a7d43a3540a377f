//! Has the kernel deliver the datagrams for all relay ports of a shard to one socket (`BPF_PROG_TYPE_SK_LOOKUP`).
//!
//! A shard then reads what many peers sent with one system call, as it reads what many clients sent, and the poll has one
//! socket instead of thousands. Each relay port still has a socket of its own, which reserves the port and sends. What the
//! kernel runs is `lookup/program.c`; it asks [`Lookup`] which ports there are. Who may do this: `CAP_BPF` with
//! `CAP_NET_ADMIN`. Linux has it since 5.9; before 5.11, maps count as locked memory, of which a service has little.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::maps::{HashMap, MapData, SockMap};
use aya::programs::SkLookup;
use aya::programs::sk_lookup::SkLookupLink;
use aya::{Ebpf, EbpfError, EbpfLoader, include_bytes_aligned};

use crate::life::Denied;
use crate::relay::address::Family;
use crate::relay::datagrams::DatagramSocket;
use crate::sections::relay::Switch;

/// The relay ports whose datagrams a socket of their shard receives. When this is dropped, each port's own socket does.
#[derive(Debug)]
pub struct Lookup {
    ports: Mutex<HashMap<MapData, Address, u32>>,
    /// The families for which each shard has a socket.
    families: Vec<Family>,
    /// While it is open, the kernel asks the program.
    _link: SkLookupLink,
}

/// `struct address` of the program.
type Address = [u32; 5];

/// `program.c`, compiled by `lookup/compile`.
static PROGRAM: &[u8] = include_bytes_aligned!("lookup/program.o");

/// What `relay.sk_lookup = "on"` needs.
const NEEDS: &str =
    "the BPF program for relay.sk_lookup = \"on\", which takes CAP_BPF, CAP_NET_ADMIN and Linux 5.11";

/// Has sockets receive for relay ports in `range` on about `addresses` addresses, if that is wanted and can be done. Returns
/// the sockets of each shard, too: none, or one for each family that this machine has.
///
/// # Errors
/// If it must be done and cannot.
pub(super) fn attach(
    wanted: Switch,
    range: &RangeInclusive<u16>,
    addresses: usize,
    shards: usize,
) -> Result<(Option<Lookup>, Vec<Vec<DatagramSocket>>), Denied> {
    let attached = (wanted != Switch::Off).then(|| Lookup::attach(range, addresses, shards));
    match (attached, wanted) {
        (Some(Ok((lookup, sockets))), _) => {
            tracing::info!("one socket for each family and shard receives what peers send (sk_lookup)");
            return Ok((Some(lookup), sockets));
        }
        (Some(Err(error)), Switch::On) => return Err(Denied(NEEDS, error)),
        (Some(Err(error)), _) => tracing::debug!(%error, "each relay port receives by its own socket"),
        (None, _) => {}
    }
    Ok((None, (0..shards).map(|_| Vec::new()).collect()))
}

impl Lookup {
    /// Attaches the program to the network namespace of this process. Otherwise as [`attach`].
    ///
    /// # Errors
    /// If the process may not, or the kernel cannot do it.
    pub(super) fn attach(
        range: &RangeInclusive<u16>,
        addresses: usize,
        shards: usize,
    ) -> io::Result<(Self, Vec<Vec<DatagramSocket>>)> {
        let program = load(range, addresses.max(1) * range.len(), shards * Family::ALL.len());
        let mut program = program.map_err(|error| reason(&error))?;
        let mut chosen = SockMap::try_from(map(&mut program, "sockets")).map_err(io::Error::other)?;
        let ports = HashMap::try_from(map(&mut program, "ports")).map_err(io::Error::other)?;
        // A machine without IPv6 has no socket for it.
        let families: Vec<_> =
            Family::ALL.into_iter().filter(|family| DatagramSocket::common(*family).is_ok()).collect();
        let mut sockets = Vec::with_capacity(shards);
        for shard in 0..shards as u32 {
            let mut of_shard = Vec::with_capacity(families.len());
            for family in &families {
                let socket = DatagramSocket::common(*family)?;
                chosen.set(index(shard, *family), &socket, 0).map_err(io::Error::other)?;
                of_shard.push(socket);
            }
            sockets.push(of_shard);
        }
        let link = link(&mut program).map_err(|error| reason(&error))?;
        Ok((Self { ports: Mutex::new(ports), families, _link: link }, sockets))
    }

    /// A socket of the shard receives the datagrams for this port from now on.
    ///
    /// # Errors
    /// If the shard has no socket of this family, or the kernel no room for more ports, because the machine has more addresses
    /// than at the start.
    pub fn add(&self, port: SocketAddr, shard: u32) -> io::Result<()> {
        let family = Family::of(port.ip());
        if !self.families.contains(&family) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ports().insert(address(port), index(shard, family), 0).map_err(io::Error::other)
    }

    /// The port's own socket receives them from now on.
    pub fn remove(&self, port: SocketAddr) {
        // It fails only if the port is not there.
        let _ = self.ports().remove(&address(port));
    }

    fn ports(&self) -> MutexGuard<'_, HashMap<MapData, Address, u32>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(range: &RangeInclusive<u16>, ports: usize, sockets: usize) -> Result<Ebpf, EbpfError> {
    EbpfLoader::new()
        // The program uses no types of the kernel.
        .btf(None)
        .override_global("first", range.start(), true)
        .override_global("last", range.end(), true)
        .map_max_entries("ports", ports as u32)
        .map_max_entries("sockets", sockets as u32)
        .load(PROGRAM)
}

fn link(program: &mut Ebpf) -> Result<SkLookupLink, EbpfError> {
    let choose: &mut SkLookup =
        program.program_mut("choose").expect("program.c has this function").try_into()?;
    choose.load()?;
    let namespace = File::open("/proc/self/ns/net").map_err(aya::programs::ProgramError::IOError)?;
    let link = choose.attach(namespace)?;
    Ok(choose.take_link(link)?)
}

fn map(program: &mut Ebpf, name: &str) -> aya::maps::Map {
    program.take_map(name).expect("program.c has this map")
}

/// The system's reason, which aya hides behind its own words.
fn reason(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let system = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    system.map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
}

/// The place of a shard's socket in `sockets`.
fn index(shard: u32, family: Family) -> u32 {
    2 * shard + u32::from(family == Family::V6)
}

fn address(at: SocketAddr) -> Address {
    let ip = match at.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let octets = ip.octets();
    let word = |first: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| octets[first + byte]));
    [word(0), word(4), word(8), word(12), u32::from(at.port())]
}
