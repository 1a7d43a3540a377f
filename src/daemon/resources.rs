//! Works out how many connections the machine can bear, from its open files and its memory.

use std::path::Path;

use crate::bounds::admission::Bounds;
use crate::sections::limits::Limits;
use crate::sections::number::Count;

/// What the machine, and whoever started the daemon, lets it have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resources {
    /// Files that it may have open.
    files: u64,
    /// Bytes of memory that it may use, if anything says how many.
    memory: Option<Memory>,
}

/// Memory that is there, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    bytes: u64,
    source: &'static str,
}

/// How many connections there may be, and what keeps it from being more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) bounds: Bounds,
    bounded_by: &'static str,
}

/// What "auto" allows at most.
const MOST: usize = 20_000;
/// What "auto" allows one address: a hundred people behind one NAT, each in a call with a few others.
const MOST_PER_ADDRESS: usize = 1_000;
/// One address, and one network, gets no more than a part of all.
const PART: usize = 4;
/// Files that the daemon needs for itself: listeners, polls, the log.
const OWN_FILES: u64 = 100;
/// What a connection costs at worst, as measured: a WebSocket that does not read what its room sends. HTTP/2 with 32 answers
/// that are not taken is 124 KiB (`tests/memory.rs`), TLS with an unfinished message 94 KiB.
const WORST: u64 = 270 << 10;
/// Connections get no more than this part of the memory: what they do not use, allocations and other programs have.
const SHARE: u64 = 2;

impl Resources {
    /// Raises the limit of open files as far as the system lets us, and looks how much memory there is.
    pub(super) fn take(relay_sockets: usize) -> Self {
        let needed = relay_sockets as u64 + OWN_FILES;
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
            tracing::warn!(%error, "could not raise the limit of open files");
            FILES
        });
        if files < needed {
            tracing::warn!(
                limit = files,
                needed,
                "fewer open files are allowed than relay ports configured: raise LimitNOFILE"
            );
        }
        Self { files, memory: memory(|file| std::fs::read_to_string(file).ok()) }
    }
}

/// What POSIX systems allow if nobody says anything else.
const FILES: u64 = 1024;

impl Connections {
    /// Decides how many connections there may be, beside so many relay sockets.
    pub(super) fn new(limits: &Limits, relay_sockets: usize, resources: &Resources) -> Self {
        let Resources { files, memory } = *resources;
        // What relay sockets can never use; and a quarter at least, because they seldom use all that they may.
        let beside = files.saturating_sub(relay_sockets as u64 + OWN_FILES).max(files / 4).max(1);
        // What leaves relay sockets a quarter: an allocation over UDP must not fail for want of a file.
        let configurable = files.saturating_sub(files / 4 + OWN_FILES).max(files / 4).max(1);
        let memory = memory.map(|Memory { bytes, source }| ((bytes / SHARE / WORST).max(1), source));
        let (most, bounded_by) = match limits.connections.0.map(Count::get) {
            Some(most) if u64::from(most) > configurable => (configurable, FILES_BOUND),
            Some(most) => (most.into(), "limits.connections"),
            None => {
                [Some((MOST as u64, "the design limit of one daemon")), Some((beside, FILES_BOUND)), memory]
                    .into_iter()
                    .flatten()
                    .min_by_key(|(most, _)| *most)
                    .unwrap_or((1, FILES_BOUND))
            }
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let part = (most / PART).max(1);
        let per_address =
            limits.connections_per_ip.0.map_or(part.min(MOST_PER_ADDRESS), |per_ip| per_ip.get() as usize);
        let per_network = limits
            .connections_per_network
            .0
            .map_or(part.max(per_address), |per_network| per_network.get() as usize);
        Self { bounds: Bounds { most, per_network, per_address }, bounded_by }
    }

    /// Says what was decided, and what is doubtful about it.
    pub(super) fn say(&self, limits: &Limits, resources: &Resources) {
        let Bounds { most, per_network, per_address } = self.bounds;
        tracing::info!(
            limit = most,
            bounded_by = self.bounded_by,
            per_network,
            per_ip = per_address,
            "connections over TCP and TLS"
        );
        if limits.connections.0.is_some_and(|configured| configured.get() as usize > most) {
            tracing::warn!(
                limit = most,
                "limits.connections is more than the open files that remain beside the relay ports: raise LimitNOFILE"
            );
        }
        if limits.connections_per_ip.0.is_some() && per_address > (most / PART).max(1) {
            tracing::warn!(
                limit = most,
                "limits.connections_per_ip lets one address have more than a quarter of all connections: lower it, or write \"auto\""
            );
        }
        let worst = most as u64 * WORST;
        if let Some(Memory { bytes, source }) = resources.memory.filter(|memory| worst > memory.bytes) {
            tracing::warn!(
                mebibytes = worst >> 20,
                available = bytes >> 20,
                source,
                "limits.connections could take more memory than there is: lower it, or write \"auto\""
            );
        }
    }
}

const FILES_BOUND: &str = "the limit of open files (LimitNOFILE)";

/// How much memory there is: what the machine has available, or less, if the control group of the daemon, or one above it,
/// or the limit of its addresses says so. Our systemd unit hides `/proc/meminfo` (`ProcSubset`) and has `MemoryHigh` instead.
fn memory(read: impl Fn(&Path) -> Option<String>) -> Option<Memory> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| {
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        let kib = field("MemAvailable:").or_else(|| field("MemTotal:"))?.trim().parse::<u64>().ok()?;
        Some(Memory {
            bytes: kib.saturating_mul(1024),
            source: "the memory that is available (/proc/meminfo)",
        })
    });
    let addresses = read(Path::new("/proc/self/limits")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        let bytes = line.split_whitespace().next()?.parse().ok()?;
        Some(Memory { bytes, source: "the limit of address space (ulimit -v)" })
    });
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(group_files).filter_map(|(file, source)| {
        // "max" is no limit; neither is what version 1 says for none, which is more than any machine has.
        let bytes = read(Path::new(&file))?.trim().parse().ok()?;
        Some(Memory { bytes, source })
    });
    limits.chain(machine).chain(addresses).min_by_key(|memory| memory.bytes)
}

/// The files that may limit the memory of a control group, by a line of `/proc/self/cgroup` (cgroups(7)): those of the group
/// and of every one above it. In a container the path may be one that only the host sees; then the root is ours.
fn group_files(line: &str) -> Vec<(String, &'static str)> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (root, names): (_, &[(&str, &str)]) = if controllers.is_empty() {
        let names = &[
            ("memory.max", "MemoryMax (cgroup memory.max)"),
            ("memory.high", "MemoryHigh (cgroup memory.high)"),
        ];
        ("/sys/fs/cgroup", names)
    } else if controllers.split(',').any(|controller| controller == "memory") {
        ("/sys/fs/cgroup/memory", &[("memory.limit_in_bytes", "the control group (memory.limit_in_bytes)")])
    } else {
        return Vec::new();
    };
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    let files = groups.flat_map(|group| {
        names.iter().map(move |(name, source)| (Path::new(root).join(group).join(name), *source))
    });
    files.map(|(file, source)| (file.to_string_lossy().into_owned(), source)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sections::value::Auto;

    const GIB: u64 = 1 << 30;
    const PORTS: usize = 16_384;

    fn plan(files: u64, bytes: u64) -> Connections {
        let memory = Some(Memory { bytes, source: "the test" });
        Connections::new(&Limits::default(), PORTS, &Resources { files, memory })
    }

    /// What `memory` finds in these files.
    fn found(files: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        let read = |file: &Path| {
            files.iter().find(|(name, _)| Path::new(name) == file).map(|(_, text)| (*text).to_owned())
        };
        memory(read).map(|Memory { bytes, source }| (bytes, source))
    }

    #[test]
    fn a_large_machine_has_twenty_thousand_and_a_quarter_for_each_network() {
        let plan = plan(1 << 20, 64 * GIB);
        assert_eq!(plan.bounds, Bounds { most: 20_000, per_network: 5_000, per_address: 1_000 });
        assert_eq!(plan.bounded_by, "the design limit of one daemon");
    }

    /// F8: however many connections strangers make, and whatever they cost, half of the memory is left.
    #[test]
    fn connections_can_take_half_of_the_memory_at_most() {
        for (bytes, most) in [(8 * GIB, 15_534), (GIB, 1_941), (GIB / 2, 970), (64 << 20, 121), (0, 1)] {
            let plan = plan(1 << 20, bytes);
            assert_eq!((plan.bounds.most, plan.bounded_by), (most, "the test"));
            assert!(plan.bounds.most as u64 * WORST <= (bytes / 2).max(WORST));
        }
    }

    /// F13
    #[test]
    fn where_files_are_few_relays_keep_most_of_them_and_no_address_gets_all_connections() {
        for files in [64, 128, 300, 1024, 4096, 65_536] {
            let Bounds { most, per_network, per_address } = plan(files, 64 * GIB).bounds;
            assert!(most as u64 <= files / 2 || files > PORTS as u64, "{files}: {most}");
            assert!(per_address <= most / 4 && per_network <= most / 4, "{files}");
            let limits = Limits { connections: Auto(Count::new(100_000)), ..Limits::default() };
            let configured =
                Connections::new(&limits, PORTS, &Resources { files, memory: None }).bounds.most as u64;
            assert!(files - configured >= files / 4, "{files}: {configured}");
        }
    }

    #[test]
    fn what_is_configured_counts_as_far_as_there_are_files() {
        let limits = Limits {
            connections: Auto(Count::new(4_000)),
            connections_per_ip: Auto(Count::new(3_000)),
            connections_per_network: Auto(None),
            ..Limits::default()
        };
        let resources = Resources { files: 1 << 20, memory: Some(Memory { bytes: 1 << 20, source: "" }) };
        let bounds = Connections::new(&limits, PORTS, &resources).bounds;
        assert_eq!(bounds, Bounds { most: 4_000, per_network: 3_000, per_address: 3_000 });
    }

    const MEMINFO: &str =
        "MemTotal:        2015076 kB\nMemFree:          177096 kB\nMemAvailable:    1000000 kB\n";

    #[test]
    fn memory_is_what_is_available_or_what_a_limit_leaves_of_it() {
        let machine = ("/proc/meminfo", MEMINFO);
        assert_eq!(found(&[]), None);
        let available = (1_024_000_000, "the memory that is available (/proc/meminfo)");
        assert_eq!(found(&[machine]), Some(available));
        assert_eq!(found(&[("/proc/meminfo", "MemTotal: 5 kB")]).unwrap().0, 5120);
        let unit = ("/proc/self/cgroup", "0::/system.slice/hairpin.service\n");
        let max = |group: &'static str, bytes: &'static str| (group, bytes);
        let own = "/sys/fs/cgroup/system.slice/hairpin.service/memory.max";
        assert_eq!(found(&[machine, unit, max(own, "max\n")]), Some(available));
        let of_the_unit = Some((268_435_456, "MemoryMax (cgroup memory.max)"));
        assert_eq!(found(&[machine, unit, max(own, "268435456\n")]), of_the_unit);
        let high = max("/sys/fs/cgroup/system.slice/memory.high", "134217728\n");
        let above = Some((134_217_728, "MemoryHigh (cgroup memory.high)"));
        assert_eq!(found(&[machine, unit, max(own, "268435456\n"), high]), above);
    }

    #[test]
    fn containers_and_version_1_are_read_too() {
        let container = [("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "1000\n")];
        assert_eq!(found(&container).unwrap().0, 1000);
        let docker = [
            ("/proc/self/cgroup", "3:cpuset:/x\n4:cpu,memory:/docker/abc\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
        ];
        assert_eq!(found(&docker), Some((2000, "the control group (memory.limit_in_bytes)")));
        let limits = "Limit   Soft Limit   Hard Limit   Units\nMax address space         104857600            unlimited            bytes\n";
        assert_eq!(found(&[("/proc/self/limits", limits), docker[0]]).unwrap().0, 104_857_600);
        let unlimited = limits.replace("104857600", "unlimited");
        assert_eq!(found(&[("/proc/self/limits", &unlimited)]), None);
    }

    proptest! {
        #[test]
        fn whatever_these_files_say_there_is_a_plan(text in "\\PC{0,60}", cgroup in "([0-9]{0,2}:[a-z,]{0,8}:[/a-z.]{0,12}\n){0,3}", files in any::<u64>()) {
            let read = |file: &Path| {
                Some(if file.ends_with("cgroup") { cgroup.clone() } else { text.clone() })
            };
            let resources = Resources { files, memory: memory(read) };
            let bounds = Connections::new(&Limits::default(), PORTS, &resources).bounds;
            prop_assert!(bounds.most >= 1 && bounds.per_address >= 1 && bounds.per_network >= bounds.per_address);
        }
    }
}
