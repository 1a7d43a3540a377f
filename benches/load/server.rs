//! Reads what a process has used of the processor and the memory.

use std::collections::HashMap;
use std::fs;
use std::io;

use crate::Outcome;

/// The nanoseconds that each thread of a process has run.
pub struct CpuReading(HashMap<u32, u64>);

impl CpuReading {
    pub fn of(pid: u32) -> Outcome<Self> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let text = fs::read_to_string(entry.path().join("schedstat"))?;
            let running = text.split_ascii_whitespace().next().ok_or("an empty schedstat")?;
            threads.insert(thread, running.parse()?);
        }
        Ok(Self(threads))
    }

    /// What several processes have run together.
    pub fn of_all(pids: &[u32]) -> Outcome<Self> {
        let mut threads = HashMap::new();
        for &pid in pids {
            threads.extend(Self::of(pid)?.0);
        }
        Ok(Self(threads))
    }

    /// Nanoseconds since the earlier reading; nothing if a thread has ended, as its share is lost.
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        if earlier.0.keys().any(|thread| !self.0.contains_key(thread)) {
            return None;
        }
        let used = |(thread, now): (&u32, &u64)| now - earlier.0.get(thread).unwrap_or(&0);
        Some(self.0.iter().map(used).sum())
    }
}

/// The resident memory of a process in bytes: counted page by page where the kernel offers that,
/// because the figure in `status` may be off by 32 pages per processor.
pub fn resident(pid: u32) -> Outcome<u64> {
    let (text, label) = match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => (text, "Rss:"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (fs::read_to_string(format!("/proc/{pid}/status"))?, "VmRSS:")
        }
        Err(error) => return Err(error.into()),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next());
    let kibibytes: u64 = kibibytes.ok_or("no resident size in /proc")?.parse()?;
    Ok(kibibytes * 1024)
}
