//! PURE  `[limits]` of an import: quotas and bandwidth. coturn counts bytes, Hairpin bits; 0 is no limit in coturn.

use crate::coturn::{Import, Kind};

/// The largest number of TOML.
const MOST: u64 = i64::MAX as u64;

impl Import<'_> {
    /// `[limits]`
    pub(super) fn limits(&mut self) {
        self.quota("total-quota", "allocations", "\"auto\", 90 % of the relay ports");
        self.quota("user-quota", "allocations_per_user", "100 allocations");
        self.bandwidth(
            "max-bps",
            "bits_per_second",
            "Hairpin's limit of 25 Mbit/s for each allocation stays",
        );
        self.bandwidth("bps-capacity", "bits_per_second_total", "");
        self.answers();
    }

    fn quota(&mut self, option: &str, key: &str, default: &str) {
        let Some((number, entry)) = self.number(option, 0, u32::MAX.into()) else { return };
        if number == 0 {
            let text = format!("0 is no limit in coturn; Hairpin's stays: limits.{key} is {default}");
            self.remark(entry, Kind::Note, text);
        } else if key == "allocations" && number > self.room {
            let text = format!("relay.ports has room for {}: limits.{key} is {default}", self.room);
            self.remark(entry, Kind::Note, text);
        } else {
            self.document.key("limits", key, &number.to_string(), &[entry]);
        }
    }

    fn bandwidth(&mut self, option: &str, key: &str, unlimited: &str) {
        let Some((bytes, entry)) = self.number(option, 0, MOST / 8) else { return };
        if bytes > 0 {
            self.document.key("limits", key, &(bytes * 8).to_string(), &[entry]);
        } else if !unlimited.is_empty() {
            let text = format!("0 is no limit in coturn; {unlimited}: write another into limits.{key}");
            self.remark(entry, Kind::Note, text);
        }
    }

    /// How many unauthenticated answers one address gets.
    fn answers(&mut self) {
        let Some((number, entry)) = self.number("unauthorized-ratelimit-rps", 1, u32::MAX.into()) else {
            return;
        };
        if self.switch("unauthorized-ratelimit").is_some() {
            self.document.key("limits", "answers_per_ip", &number.to_string(), &[entry]);
        }
    }
}
