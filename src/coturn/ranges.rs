//! PURE  Ranges of addresses as coturn writes them: one address, or the first and the last of many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// The addresses from `low` to `high`, which are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    low: IpAddr,
    high: IpAddr,
}

impl Range {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high): (IpAddr, IpAddr) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
        (low.is_ipv4() == high.is_ipv4() && low <= high).then_some(Self { low, high })
    }

    /// What is left of the range without others.
    pub(super) fn without(self, others: &[Self]) -> Vec<Self> {
        others.iter().fold(vec![self], |left, other| {
            left.into_iter().flat_map(|range| range.minus(*other)).flatten().collect()
        })
    }

    /// The range as networks.
    pub(super) fn networks(self) -> Vec<IpNet> {
        match (self.low, self.high) {
            (IpAddr::V4(low), IpAddr::V4(high)) => Ipv4Subnets::new(low, high, 0).map(IpNet::V4).collect(),
            (IpAddr::V6(low), IpAddr::V6(high)) => Ipv6Subnets::new(low, high, 0).map(IpNet::V6).collect(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        }
    }

    /// What is left below and above another range.
    fn minus(self, other: Self) -> [Option<Self>; 2] {
        let Self { low, high } = self;
        // IPv4 is below IPv6, so ranges of different families never meet.
        if other.high < low || high < other.low {
            return [Some(self), None];
        }
        let below = (low < other.low).then(|| Self { low, high: before(other.low) });
        let above = (other.high < high).then(|| Self { low: after(other.high), high });
        [below, above]
    }
}

fn before(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().saturating_sub(1)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().saturating_sub(1)).into(),
    }
}

fn after(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().saturating_add(1)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().saturating_add(1)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::parse(text).unwrap()
    }

    fn networks(ranges: &[Range]) -> Vec<String> {
        ranges.iter().flat_map(|range| range.networks()).map(|net| net.to_string()).collect()
    }

    #[test]
    fn a_range_is_an_address_or_two_of_one_family_in_order() {
        for good in ["10.0.0.1", "10.0.0.0-10.255.255.255", "fc00::-fdff::", "::1", "0.0.0.0 - 0.0.0.1"] {
            assert!(Range::parse(good).is_some(), "{good}");
        }
        for bad in ["", "-", "10.0.0.0/8", "10.0.0.2-10.0.0.1", "10.0.0.0-fc00::", "10.0.0", "a.example"] {
            assert_eq!(Range::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_range_is_the_networks_that_cover_it_and_nothing_else() {
        for (text, expected) in [
            ("10.0.0.0-10.255.255.255", &["10.0.0.0/8"][..]),
            ("192.0.2.1-192.0.2.4", &["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/32"]),
            ("0.0.0.0-255.255.255.255", &["0.0.0.0/0"]),
            ("255.255.255.254-255.255.255.255", &["255.255.255.254/31"]),
            ("255.255.255.255", &["255.255.255.255/32"]),
            ("fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &["fc00::/7"]),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &["::/0"]),
        ] {
            assert_eq!(networks(&[range(text)]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_cut_out_of_what_is_denied() {
        let left = |from: &str, others: &[&str]| {
            let others: Vec<Range> = others.iter().map(|other| range(other)).collect();
            networks(&range(from).without(&others))
        };
        assert_eq!(left("192.0.2.0-192.0.2.3", &["192.0.2.0"]), ["192.0.2.1/32", "192.0.2.2/31"]);
        assert_eq!(left("192.0.2.0-192.0.2.3", &["192.0.2.1-192.0.2.2"]), ["192.0.2.0/32", "192.0.2.3/32"]);
        assert_eq!(left("192.0.2.0-192.0.2.3", &["192.0.2.0-192.0.2.1", "192.0.2.2-192.0.2.9"]), [""; 0]);
        assert_eq!(left("0.0.0.0-255.255.255.255", &["128.0.0.0-255.255.255.255"]), ["0.0.0.0/1"]);
        assert_eq!(left("192.0.2.0", &["::-ffff::", "10.0.0.1"]), ["192.0.2.0/32"]);
    }
}
