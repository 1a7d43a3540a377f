//! What the machine lets the daemon have.

use std::fs;

use serde_json::Value;

use crate::doctor::report::Report;
use crate::system::clock_is_synchronised;

/// The receive buffer that the daemon asks for.
const BUFFER: u64 = 4 << 20;
/// Fewer open files than this are too few for a hundred calls.
const FILES: u64 = 1024;

/// Reports how many files the daemon may have open.
pub(super) fn look_at_files(status: &Result<Value, String>, report: &mut Report) {
    const SUBJECT: &str = "open files";
    let number = |path: &str| status.as_ref().ok()?.pointer(path)?.as_u64();
    let Some(limit) = number("/process/most_files") else {
        report.skip(SUBJECT, "the daemon does not say how many it may have");
        return;
    };
    let allocations = number("/relay/most_allocations").unwrap_or(0);
    let remedy = "set LimitNOFILE=262144 in the unit (systemctl edit hairpin), or raise `ulimit -n`";
    if limit < FILES {
        report.fail(
            SUBJECT,
            format!("the daemon may have only {limit}, and each allocation takes one"),
            remedy,
        );
    } else if limit < allocations {
        report.warn(
            SUBJECT,
            format!("the daemon may have {limit}, but limits.allocations allows {allocations} allocations"),
            remedy,
        );
    } else {
        report.ok(SUBJECT, format!("the daemon may have {limit}"));
    }
}

/// Reports whether something keeps this machine's clock right.
pub(super) fn look_at_clock(report: &mut Report) {
    const SUBJECT: &str = "clock";
    match clock_is_synchronised() {
        Some(true) => report.ok(SUBJECT, "is set by a time server"),
        Some(false) => report.warn(
            SUBJECT,
            "no time server sets this machine's clock, and credentials end by the clock",
            "timedatectl set-ntp true; if that is not supported: apt install systemd-timesyncd",
        ),
        None => report.skip(SUBJECT, "the kernel does not say whether a time server sets it"),
    }
}

/// Reports whether the kernel grants the receive buffers that the daemon asks for.
pub(super) fn look_at_buffers(report: &mut Report) {
    const SUBJECT: &str = "socket buffers";
    let text = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    let Ok(most) = text.trim().parse::<u64>() else {
        report.skip(SUBJECT, "the kernel does not say how large they may be");
        return;
    };
    if most < BUFFER {
        report.warn(
            SUBJECT,
            format!("the kernel grants {} KiB, so packets are lost when many arrive at once", most >> 10),
            format!(
                "echo net.core.rmem_max = {BUFFER} | sudo tee /etc/sysctl.d/60-hairpin.conf && sudo sysctl --system && sudo \
                 systemctl restart hairpin"
            ),
        );
    } else {
        report.ok(SUBJECT, format!("the kernel grants {} MiB", most >> 20));
    }
}
