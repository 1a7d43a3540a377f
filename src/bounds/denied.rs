//! PURE  The networks whose clients are refused: a sorted list, in which an address is found by halving.

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of networks. Looking up an address in an empty list costs one comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl DenyList {
    /// A list of these networks, in any order; they may overlap.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push((network.network().into(), network.broadcast().into())),
                IpNet::V6(network) => v6.push((network.network().into(), network.broadcast().into())),
            }
        }
        Self { v4: merged(v4), v6: merged(v6) }
    }

    /// Whether no network is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of the networks. An IPv4 address inside an IPv6 one is read as what it is.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        !self.is_empty()
            && match ip.to_canonical() {
                IpAddr::V4(ip) => is_within(&self.v4, ip.into()),
                IpAddr::V6(ip) => is_within(&self.v6, ip.into()),
            }
    }
}

/// Sorted ranges of which none touches another.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut().filter(|(_, end)| first <= *end) {
            Some((_, end)) => *end = last.max(*end),
            None => merged.push((first, last)),
        }
    }
    merged
}

fn is_within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).is_some_and(|index| address <= ranges[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(networks: &[&str]) -> DenyList {
        DenyList::new(&networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<_>>())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_list_denies_nobody() {
        let empty = DenyList::default();
        assert!(empty.is_empty() && !empty.contains(ip("0.0.0.0")) && !empty.contains(ip("::")));
    }

    #[test]
    fn whole_networks_are_denied_and_their_neighbours_are_not() {
        let list = list(&["203.0.113.0/24", "198.51.100.7/32", "203.0.113.64/26", "2001:db8::/32"]);
        for denied in
            ["203.0.113.0", "203.0.113.255", "198.51.100.7", "2001:db8:ffff::1", "::ffff:203.0.113.9"]
        {
            assert!(list.contains(ip(denied)), "{denied}");
        }
        for other in ["203.0.112.255", "203.0.114.0", "198.51.100.6", "198.51.100.8", "2001:db9::", "::"] {
            assert!(!list.contains(ip(other)), "{other}");
        }
    }

    #[test]
    fn everybody_can_be_denied() {
        let list = list(&["0.0.0.0/0", "::/0"]);
        assert!(
            ["0.0.0.0", "255.255.255.255", "::", "ffff::1"].into_iter().all(|all| list.contains(ip(all)))
        );
    }

    proptest::proptest! {
        #[test]
        fn it_says_what_its_networks_say(nets in proptest::collection::vec((0..=255_u8, 0..=255_u8, 8..=32_u8), 0..20), a: u8, b: u8) {
            let nets: Vec<IpNet> = nets.iter().map(|(x, y, length)| {
                IpNet::new(IpAddr::from([10, *x, *y, 0]), *length).unwrap().trunc()
            }).collect();
            let address = IpAddr::from([10, a, b, 0]);
            let expected = nets.iter().any(|net| net.contains(&address));
            proptest::prop_assert_eq!(DenyList::new(&nets).contains(address), expected);
        }
    }
}
