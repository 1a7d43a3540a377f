//! PURE  `[peers]` of an import: which peers stay closed, and which private ones stay open.
//!
//! In coturn every address is open that is not denied, and `allowed-peer-ip` wins over `denied-peer-ip`. In Hairpin private
//! networks are closed until they are allowed, and `deny` wins over `allow`. So what is allowed is cut out of what is denied.

use ipnet::IpNet;

use crate::coturn::document::{Item, quoted};
use crate::coturn::lines::Entry;
use crate::coturn::ranges::Range;
use crate::coturn::{Import, Kind};
use crate::peers::PeerPolicy;

impl<'a> Import<'a> {
    /// `[peers]`
    pub(super) fn peers(&mut self) {
        let allowed = self.ranges("allowed-peer-ip");
        let denied = self.ranges("denied-peer-ip");
        self.allow(&allowed);
        let allowed: Vec<Range> = allowed.into_iter().map(|(range, _)| range).collect();
        self.deny(&denied, &allowed);
        let denied: Vec<Range> = denied.into_iter().map(|(range, _)| range).collect();
        let left = |net: &&str| Range::parse(net).is_some_and(|net| !net.without(&denied).is_empty());
        let open: Vec<&str> = PRIVATE.into_iter().filter(left).collect();
        if !open.is_empty() {
            let text = format!(
                "coturn relays to private addresses in {}; Hairpin does not: if clients need peers there, write their networks into \
                 [peers] allow",
                open.join(", ")
            );
            self.remark_on("denied-peer-ip", Kind::Note, text);
        }
    }

    fn ranges(&mut self, name: &str) -> Vec<(Range, Entry<'a>)> {
        let mut ranges = Vec::new();
        for entry in self.all(name) {
            match Range::parse(entry.value) {
                Some(range) => ranges.push((range, entry)),
                None => self
                    .invalid(entry, "one address, or the first and the last one with a hyphen between them"),
            }
        }
        ranges
    }

    /// Opens the private ranges that coturn allows by name.
    fn allow(&mut self, allowed: &[(Range, Entry<'a>)]) {
        let mut items: Vec<Item<'a>> = Vec::new();
        for (range, entry) in allowed {
            let mut remark = None;
            for net in range.networks() {
                if PeerPolicy::is_closed_by_default(&net) && PeerPolicy::can_open(&net) {
                    add(&mut items, &net, *entry);
                } else if PeerPolicy::is_global(&net) {
                    remark = remark.or(Some((Kind::Needless, PUBLIC)));
                } else if PeerPolicy::can_open(&net) {
                    remark = Some((Kind::ByHand, MIXED));
                } else {
                    remark = remark.or(Some((Kind::Unsupported, "Hairpin never relays to such addresses")));
                }
            }
            if let Some((kind, text)) = remark {
                self.remark(*entry, kind, text);
            }
        }
        if !items.is_empty() {
            self.document.list("peers", "allow", &items);
        }
    }

    /// Closes what coturn denies and Hairpin does not close anyway.
    fn deny(&mut self, denied: &[(Range, Entry<'a>)], allowed: &[Range]) {
        let mut items: Vec<Item<'a>> = Vec::new();
        for (range, entry) in denied {
            let left: Vec<IpNet> = range.without(allowed).into_iter().flat_map(Range::networks).collect();
            let open: Vec<&IpNet> =
                left.iter().filter(|net| !PeerPolicy::is_closed_by_default(net)).collect();
            if left.is_empty() {
                self.remark(*entry, Kind::Needless, "allowed-peer-ip opens all of it again");
            } else if open.is_empty() {
                self.remark(*entry, Kind::Needless, "Hairpin closes private and special networks by default");
            }
            open.into_iter().for_each(|net| add(&mut items, net, *entry));
        }
        if !items.is_empty() {
            self.document.list("peers", "deny", &items);
        }
    }
}

/// The private networks of RFC 1918.
const PRIVATE: [&str; 3] =
    ["10.0.0.0-10.255.255.255", "172.16.0.0-172.31.255.255", "192.168.0.0-192.168.255.255"];

const PUBLIC: &str =
    "public addresses are open; if this one is in a network of this machine, write it into [peers] allow";
const MIXED: &str = "the range is larger than one private network: write only the networks that clients need into [peers] allow";

fn add<'a>(items: &mut Vec<Item<'a>>, net: &IpNet, entry: Entry<'a>) {
    let net = quoted(&net.to_string());
    match items.iter_mut().find(|(other, _)| *other == net) {
        Some((_, from)) => from.push(entry),
        None => items.push((net, vec![entry])),
    }
}
