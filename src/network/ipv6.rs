//! PURE  The IPv6 addresses of this machine, of which some are temporary (RFC 8981): which of them lasts.

use std::cmp::Reverse;
use std::net::Ipv6Addr;

/// What the kernel says of an IPv6 address of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Address {
    ip: Ipv6Addr,
    /// The number of its interface.
    interface: u32,
    flags: u8,
}

/// The flags of an address (`if_addr.h` of Linux). It is temporary; duplicate; deprecated; or not checked yet for another
/// machine that has it.
const TEMPORARY: u8 = 0x01;
const DAD_FAILED: u8 = 0x08;
const DEPRECATED: u8 = 0x20;
const TENTATIVE: u8 = 0x40;

/// Reads `/proc/net/if_inet6`: in each line an address, and in hexadecimal the number of its interface, the length of its
/// prefix, its scope and its flags; then the interface's name.
#[must_use]
pub fn parse(text: &str) -> Vec<Ipv6Address> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = u128::from_str_radix(words.next()?, 16).ok()?.into();
        let interface = u32::from_str_radix(words.next()?, 16).ok()?;
        let flags = u8::from_str_radix(words.nth(2)?, 16).ok()?;
        Some(Ipv6Address { ip, interface, flags })
    };
    text.lines().filter_map(address).collect()
}

/// Whether an address is global unicast (RFC 4291 §2.4), of the part that is in use.
#[must_use]
pub fn is_global(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xe000 == 0x2000
}

/// The address to relay from instead of `source`: `source` itself, unless that is temporary and its interface has one that
/// lasts. Of several, it is the one that has the most in common with `source`.
#[must_use]
pub fn lasting(source: Ipv6Addr, all: &[Ipv6Address]) -> Ipv6Addr {
    let Some(temporary) = all.iter().find(|it| it.ip == source && it.flags & TEMPORARY != 0) else {
        return source;
    };
    let lasts = |it: &&Ipv6Address| {
        let flags = TEMPORARY | DAD_FAILED | DEPRECATED | TENTATIVE;
        it.interface == temporary.interface && is_global(it.ip) && it.flags & flags == 0
    };
    let differs_at = |ip: Ipv6Addr| (u128::from(ip) ^ u128::from(source)).leading_zeros();
    let best = all.iter().filter(lasts).map(|it| it.ip).min_by_key(|ip| (Reverse(differs_at(*ip)), *ip));
    best.unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A laptop with two prefixes on one interface, and another interface.
    const MACHINE: &str = "\
        00000000000000000000000000000001 01 80 10 80       lo\n\
        fe80000000000000021122fffe334455 02 40 20 80     eth0\n\
        20010db8000000010000000000000001 02 40 00 01     eth0\n\
        20010db80000000100000000000000aa 02 40 00 21     eth0\n\
        20010db80000000102112233fffe4455 02 40 00 00     eth0\n\
        20010db80000000202112233fffe4455 02 40 00 00     eth0\n\
        20010db8000000010000000000000003 03 40 00 00    wlan0\n\
        fd000000000000010000000000000005 02 40 00 80     eth0\n";

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    /// What is relayed from, if the kernel would send from `source` and says `text` of the machine.
    fn chosen(source: &str, text: &str) -> Ipv6Addr {
        lasting(ip(source), &parse(text))
    }

    #[test]
    fn a_temporary_address_gives_way_to_the_lasting_one_of_the_same_prefix_and_interface() {
        assert_eq!(chosen("2001:db8:0:1::1", MACHINE), ip("2001:db8:0:1:211:2233:fffe:4455"));
    }

    #[test]
    fn a_lasting_address_and_one_of_which_the_kernel_says_nothing_stay() {
        for source in ["2001:db8:0:2:211:2233:fffe:4455", "2001:db8:0:9::1"] {
            assert_eq!(chosen(source, MACHINE), ip(source));
            assert_eq!(chosen(source, ""), ip(source));
        }
    }

    #[test]
    fn a_temporary_address_stays_where_no_other_can_be_used() {
        let temporary = "20010db8000000010000000000000001 02 40 00 01 eth0\n";
        // Deprecated, tentative, duplicate, link-local, unique local, and of another interface.
        for other in [
            "20010db8000000010000000000000002 02 40 00 20 eth0",
            "20010db8000000010000000000000002 02 40 00 40 eth0",
            "20010db8000000010000000000000002 02 40 00 88 eth0",
            "fe800000000000000000000000000002 02 40 20 80 eth0",
            "fd000000000000000000000000000002 02 40 00 80 eth0",
            "20010db8000000010000000000000002 03 40 00 80 wlan0",
        ] {
            assert_eq!(chosen("2001:db8:0:1::1", &format!("{temporary}{other}\n")), ip("2001:db8:0:1::1"));
        }
    }

    #[test]
    fn lines_that_are_no_addresses_are_left_out() {
        let all = parse("nonsense\n\n20010db8 02\n20010db8000000010000000000000001 02 40 00 01 eth0\n");
        assert_eq!(all, [Ipv6Address { ip: ip("2001:db8:0:1::1"), interface: 2, flags: 1 }]);
    }
}
