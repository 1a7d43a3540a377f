//! Reads how much of the machine this process uses, from `/proc/self`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlimit::Resource;

use crate::observed::Process;

/// How many of the ticks in which the kernel reports processor time a second has: `USER_HZ`, which is 100 on every machine
/// that this program is built for (time(7)).
const TICKS: u64 = 100;

/// What this process uses; `None` if the system does not say.
pub(super) fn process() -> Option<Process> {
    let read = |file: &Path| fs::read_to_string(file).ok();
    let own = Path::new("/proc/self");
    let tasks = fs::read_dir(own.join("task")).ok()?.flatten();
    let tasks = tasks.filter_map(|task| read(&task.path().join("stat")));
    let open_files = open_files(&own.join("fd"))?;
    let most_files = Resource::NOFILE.get().ok()?.0;
    of(&read(&own.join("stat"))?, &read(&own.join("status"))?, tasks, (open_files, most_files))
}

/// The number of files in a directory of open files. Since Linux 6.2 it is the directory's size. Before, the files are
/// counted, with the directory, which is open while it is read.
fn open_files(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => Some(fs::read_dir(directory).ok()?.count().saturating_sub(1) as u64),
        size => Some(size),
    }
}

/// What these files say.
fn of(
    stat: &str,
    status: &str,
    tasks: impl Iterator<Item = String>,
    (open_files, most_files): (u64, u64),
) -> Option<Process> {
    let bytes = |field: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))?;
        kib.parse::<u64>().ok()?.checked_mul(1024)
    };
    let mut threads = BTreeMap::new();
    for (name, ms) in tasks.filter_map(|task| task_of(&task)) {
        *threads.entry(name).or_default() += ms;
    }
    let (_, cpu_ms) = task_of(stat)?;
    Some(Process {
        cpu_ms,
        threads,
        resident_bytes: bytes("VmRSS:")?,
        virtual_bytes: bytes("VmSize:")?,
        open_files,
        most_files,
    })
}

/// The name and the processor time in milliseconds of a thread, or of a process (`proc_pid_stat(5)`). The name is in
/// parentheses and may contain any character.
fn task_of(stat: &str) -> Option<(String, u64)> {
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat.get(begin + 1..end)?;
    // The first field behind the name is the third; the times in the kernel and outside of it are the 14th and 15th.
    let mut times = stat.get(end + 1..)?.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()?.checked_add(times.next()?.ok()?)?;
    Some((name.to_owned(), ticks.checked_mul(1000 / TICKS)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        "4711 (hairpin) S 1 4711 4711 0 -1 4194560 9000 0 3 0 120 35 0 0 20 0 6 0 5000 600000 900 7";
    const STATUS: &str = "Name:\thairpin\nVmSize:\t  586 kB\nVmRSS:\t     900 kB\nThreads:\t6\n";

    #[test]
    fn processor_time_is_the_sum_of_both_and_threads_of_one_name_count_together() {
        let task =
            |name: &str, ticks: u64| format!("1 ({name}) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 1 0 0 20 0 6 0 50");
        let tasks = [task("relay-0", 9), task("relay-0", 19), task("odd) name (", 4)];
        let process = of(STAT, STATUS, tasks.into_iter(), (20, 1024)).unwrap();
        assert_eq!(process.cpu_ms, 1_550);
        assert_eq!(process.threads, [("odd) name (".to_owned(), 50), ("relay-0".to_owned(), 300)].into());
        assert_eq!((process.resident_bytes, process.virtual_bytes), (900 << 10, 586 << 10));
        assert_eq!((process.open_files, process.most_files), (20, 1024));
    }

    #[test]
    fn this_process_is_described() {
        let process = process().unwrap();
        assert!(
            process.resident_bytes > 0 && process.open_files > 2 && process.most_files >= process.open_files
        );
        assert!(!process.threads.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_these_files_say_nothing_panics(stat in "\\PC{0,80}", status in "(Vm(RSS|Size):[ 0-9]{0,24}( kB)?\n){0,3}") {
            let _ = of(&stat, &status, [stat.clone()].into_iter(), (0, 0));
        }
    }
}
