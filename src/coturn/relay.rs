//! PURE  `[relay]` of an import: from which addresses and ports it relays.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::coturn::document::{Item, quoted};
use crate::coturn::lines::Entry;
use crate::coturn::{Import, Kind};
use crate::network::address::RelayAddress;
use crate::sections::relay::{Relay, fault};

/// An address to relay from, and the lines that it comes from.
type Found<'a> = (RelayAddress, Vec<Entry<'a>>);
/// Both sides of a NAT, and the line that names them.
type Pair<'a> = (RelayAddress, Entry<'a>);
/// The public side alone.
type Public<'a> = (IpAddr, Entry<'a>);

impl<'a> Import<'a> {
    /// `[relay]`
    pub(super) fn relay(&mut self) {
        let addresses: Vec<Item<'a>> =
            self.relay_addresses().into_iter().map(|(address, from)| (written(address), from)).collect();
        if !addresses.is_empty() {
            self.document.list("relay", "addresses", &addresses);
        }
        let ports = self.relay_ports().unwrap_or_default();
        // Without names, Hairpin relays from at most one address of each family.
        self.room = ports * if addresses.is_empty() { 2 } else { addresses.len() as u64 };
        self.relay_threads();
        if let Some(entry) = self.switch("rfc5766-channel-numbers") {
            self.document.key("relay", "rfc5766_channels", "true", &[entry]);
        }
        if self.switch("no-tcp-relay").is_none() {
            let text = "coturn lets clients reach peers over TCP; Hairpin does so only with tcp = true in [relay]. Browsers do not need it";
            match self.last("no-tcp-relay") {
                Some(entry) => self.remark(entry, Kind::Note, text),
                None => self.remark_on("no-tcp-relay", Kind::Note, text),
            }
        }
    }

    /// The addresses of `relay-ip`, or else those of `listening-ip`, with what `external-ip` says of them. None means "auto".
    fn relay_addresses(&mut self) -> Vec<Found<'a>> {
        let (pairs, mut public) = self.external_ips();
        let mut bound = self.bound_addresses();
        if bound.is_empty() {
            bound = pairs.iter().map(|(pair, entry)| (pair.bind, vec![*entry])).collect();
        }
        if let (true, Some((ip, entry))) = (bound.is_empty(), public) {
            bound = self.own_beside(ip, entry);
            public = public.filter(|_| !bound.is_empty());
        }
        let mut found: Vec<Found<'a>> = Vec::new();
        for (bind, mut from) in bound {
            let pair =
                pairs.iter().find(|(pair, _)| pair.bind == bind).map(|(pair, entry)| (pair.public, *entry));
            let shown = pair.or_else(|| public.take_if(|(ip, _)| ip.is_ipv4() == bind.is_ipv4()));
            let address = RelayAddress { bind, public: shown.map_or(bind, |(ip, _)| ip) };
            from.extend(shown.map(|(_, entry)| entry).filter(|entry| !from.contains(entry)));
            let taken = |(other, _): &Found<'_>| other.bind == bind || other.public == address.public;
            let taken = found.iter().any(taken).then(|| TWICE.to_owned());
            match fault(&address).or(taken) {
                Some(reason) => {
                    from.iter().for_each(|entry| self.remark(*entry, Kind::ByHand, reason.clone()));
                }
                None => found.push((address, from)),
            }
        }
        self.unused_external_ips(&pairs, public, &found);
        found
    }

    /// Remarks on what `external-ip` says of addresses that are not relayed from.
    fn unused_external_ips(&mut self, pairs: &[Pair<'a>], public: Option<Public<'a>>, found: &[Found<'a>]) {
        let used = |entry: &Entry<'_>| found.iter().any(|(_, from)| from.contains(entry));
        let entries = pairs.iter().map(|(_, entry)| *entry).chain(public.map(|(_, entry)| entry));
        for entry in entries.filter(|entry| !used(entry)) {
            self.remark(
                entry,
                Kind::ByHand,
                "no relay-ip or listening-ip is behind this address: see [relay] addresses",
            );
        }
    }

    /// The pairs of `external-ip`, and the first public address without a private one.
    fn external_ips(&mut self) -> (Vec<Pair<'a>>, Option<Public<'a>>) {
        let (mut pairs, mut alone) = (Vec::new(), None);
        for entry in self.all("external-ip") {
            let (public, private) = entry.value.split_once('/').unzip();
            let public = public.unwrap_or(entry.value).parse::<IpAddr>();
            match (public, private.map(str::parse)) {
                (Ok(public), Some(Ok(bind))) => pairs.push((RelayAddress { bind, public }, entry)),
                (Ok(public), None) if alone.is_none() => alone = Some((public, entry)),
                (Ok(_), None) => {
                    self.remark(entry, Kind::ByHand, "coturn takes only one address without a private one");
                }
                (Err(_), _) | (_, Some(Err(_))) => self.remark(entry, Kind::ByHand, NO_ADDRESS),
            }
        }
        (pairs, alone)
    }

    /// What `relay-ip` names; without one, coturn relays from the addresses that it listens on.
    fn bound_addresses(&mut self) -> Vec<(IpAddr, Vec<Entry<'a>>)> {
        let mut bound: Vec<(IpAddr, Vec<Entry<'a>>)> = Vec::new();
        for entry in self.all("relay-ip") {
            match entry.value.parse::<IpAddr>() {
                Ok(ip) if ip.is_unspecified() => {
                    self.remark(entry, Kind::Needless, "Hairpin finds this machine's addresses");
                }
                Ok(ip) if bound.iter().any(|(other, _)| *other == ip) => {
                    self.remark(entry, Kind::Needless, "this address is listed twice");
                }
                Ok(ip) => bound.push((ip, vec![entry])),
                Err(_) => self.remark(entry, Kind::ByHand, NO_ADDRESS),
            }
        }
        if bound.is_empty() {
            let named = self
                .all("listening-ip")
                .into_iter()
                .filter_map(|entry| Some((entry.value.parse::<IpAddr>().ok()?, entry)));
            for (ip, entry) in named.filter(|(ip, _)| !ip.is_unspecified() && !ip.is_loopback()) {
                if !bound.iter().any(|(other, _)| *other == ip) {
                    bound.push((ip, vec![entry]));
                }
            }
        }
        bound
    }

    /// This machine's own addresses, for the one that clients are told.
    fn own_beside(&mut self, public: IpAddr, entry: Entry<'a>) -> Vec<(IpAddr, Vec<Entry<'a>>)> {
        let Some(own) = self.own.iter().find(|own| own.is_ipv4() == public.is_ipv4()) else {
            let text = "write both addresses into [relay]: addresses = [{ bind = \"THIS MACHINE'S OWN ADDRESS\", public = \"…\" }]";
            self.remark(entry, Kind::ByHand, text);
            return Vec::new();
        };
        if *own != public {
            let text = format!(
                "{own} is the address of the machine on which this runs: if Hairpin will run on another one, change bind in [relay]"
            );
            self.remark(entry, Kind::Note, text);
        }
        let of_public = |ip: &IpAddr| if ip == own { vec![entry] } else { Vec::new() };
        self.own.iter().map(|ip| (*ip, of_public(ip))).collect()
    }

    /// Returns how many ports there are.
    fn relay_ports(&mut self) -> Option<u64> {
        let Relay { ports: default, .. } = Relay::default();
        let mut limit = |name, default| {
            let (port, entry) = self.number(name, 1, u16::MAX.into()).unzip();
            (port.and_then(|port| u16::try_from(port).ok()).unwrap_or(default), entry)
        };
        let (low, from_low) = limit("min-port", *default.start());
        let (high, from_high) = limit("max-port", *default.end());
        let from: Vec<Entry<'_>> = from_low.into_iter().chain(from_high).collect();
        if low > high || high < LOWEST {
            for entry in from {
                self.remark(
                    entry,
                    Kind::ByHand,
                    format!("{low}-{high} is not a range of ports that Hairpin can relay from"),
                );
            }
            return self.ports_around_listeners(&default, &default, &[]);
        }
        if let Some(entry) = from_low.filter(|_| low < LOWEST) {
            self.remark(
                entry,
                Kind::Note,
                "the range begins at 1024, because lower ports belong to services",
            );
        }
        self.ports_around_listeners(&(low.max(LOWEST)..=high), &default, &from)
    }

    /// Writes the widest part of a range that has no listener's port in it.
    fn ports_around_listeners(
        &mut self,
        range: &RangeInclusive<u16>,
        default: &RangeInclusive<u16>,
        from: &[Entry<'a>],
    ) -> Option<u64> {
        let widest = widest_part(range, &self.listeners).or_else(|| widest_part(default, &self.listeners));
        let ports = widest?;
        if ports != *range {
            let text = format!(
                "relay.ports is {}-{}, because Hairpin listens on a port of the range",
                ports.start(),
                ports.end()
            );
            match from.first() {
                Some(entry) => self.remark(*entry, Kind::Note, text),
                None => self.remark_on("min-port", Kind::Note, text),
            }
        }
        if ports != *default {
            self.document.key("relay", "ports", &quoted(&format!("{}-{}", ports.start(), ports.end())), from);
        }
        Some(ports.len() as u64)
    }

    /// coturn takes 0 as one thread, and chooses the number by the processors otherwise.
    fn relay_threads(&mut self) {
        let threads = self.number("relay-threads", 0, u32::MAX.into());
        let cpus = self.number("cpus", 1, u32::MAX.into());
        if let (Some(_), Some((_, entry))) = (threads, cpus) {
            self.remark(entry, Kind::Needless, "relay-threads says how many threads there are");
        }
        if let Some((number, entry)) = threads.or(cpus) {
            self.document.key("relay", "threads", &number.clamp(1, THREADS_MAX).to_string(), &[entry]);
        }
    }
}

const LOWEST: u16 = 1024;
const THREADS_MAX: u64 = 1024;
const NO_ADDRESS: &str = "this is not an IP address: write the address into [relay] addresses";
const TWICE: &str = "clients would be told the same address for two: write the pairs into [relay] addresses";

/// The widest part of a range without some ports.
fn widest_part(range: &RangeInclusive<u16>, without: &[u16]) -> Option<RangeInclusive<u16>> {
    let mut cuts: Vec<u16> = without.iter().copied().filter(|port| range.contains(port)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().map(|cut| cut - 1).chain([*range.end()]);
    let starts = [*range.start()].into_iter().chain(cuts.iter().map(|cut| cut.saturating_add(1)));
    let parts = starts.zip(ends).map(|(start, end)| start..=end);
    // A cut at the last port of all has no port above it.
    let whole = |part: &RangeInclusive<u16>| !part.is_empty() && !cuts.iter().any(|cut| part.contains(cut));
    parts.filter(whole).max_by_key(ExactSizeIterator::len)
}

fn written(RelayAddress { bind, public }: RelayAddress) -> String {
    if bind == public {
        quoted(&bind.to_string())
    } else {
        format!("{{ bind = \"{bind}\", public = \"{public}\" }}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_part_has_no_listener_in_it() {
        for (range, without, expected) in [
            (3000..=65_535, &[3478][..], Some(3479..=65_535)),
            (1024..=4000, &[3478, 3478], Some(1024..=3477)),
            (50_000..=50_010, &[3478, 5349], Some(50_000..=50_010)),
            (65_530..=65_535, &[65_535], Some(65_530..=65_534)),
            (5000..=5000, &[5000], None),
            (65_535..=65_535, &[65_535], None),
            (5000..=5001, &[5000, 5001], None),
        ] {
            assert_eq!(widest_part(&range, without), expected);
        }
    }
}
