//! Finds the client's address behind the trusted reverse proxies, and whether a request came through a proxy at all.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Headers that proxies add.
const PROXIED: [&str; 6] =
    [FORWARDED_FOR, "forwarded", "via", "x-real-ip", "x-forwarded-host", "x-forwarded-proto"];

/// The client of a request with `headers` that came over a connection from `peer`.
///
/// X-Forwarded-For is read from its end, where the trusted `proxies` append addresses. The last address that is not a
/// proxy's is the client's. The addresses in front of it are only claims of the client.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    // As bytes: invalid text from a client must not invalidate the addresses that a proxy appends.
    let mut claims = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    while proxies.iter().any(|net| net.contains(&client)) {
        let claim = claims.next().and_then(|claim| std::str::from_utf8(claim.trim_ascii()).ok());
        match claim.and_then(|claim| claim.parse::<IpAddr>().ok()) {
            Some(ip) => client = ip.to_canonical(),
            None => break,
        }
    }
    client
}

/// Whether a request came without TLS and, as far as its headers show, without a proxy. Such a request comes from this
/// machine, unless plain HTTP is open to others.
pub(super) fn is_direct(secure: bool, headers: &HeaderMap) -> bool {
    !secure && !PROXIED.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    struct Seen {
        ip: IpAddr,
        direct: bool,
    }

    fn see(peer: &str, secure: bool, headers: &[(&'static str, &[u8])]) -> Seen {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()));
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap());
        let ip = client_address(peer.parse().unwrap(), &all, &proxies);
        Seen { ip, direct: is_direct(secure, &all) }
    }

    fn visitor(peer: &str, forwarded: &[&'static str]) -> String {
        let headers: Vec<_> = forwarded.iter().map(|line| (FORWARDED_FOR, line.as_bytes())).collect();
        see(peer, false, &headers).ip.to_string()
    }

    #[test]
    fn what_a_client_writes_does_not_spoil_what_a_proxy_adds() {
        for claim in [&b"\xFF, 198.51.100.7"[..], b"\xC0\xAE,198.51.100.7", b"\t ,\x80\xFF , 198.51.100.7"] {
            let seen = see("127.0.0.1", false, &[(FORWARDED_FOR, claim)]);
            assert_eq!(seen.ip.to_string(), "198.51.100.7", "{claim:?}");
        }
    }

    #[test]
    fn only_who_comes_without_tls_and_without_a_proxy_comes_straight() {
        assert!(see("127.0.0.1", false, &[]).direct);
        assert!(!see("127.0.0.1", true, &[]).direct);
        for name in PROXIED {
            assert!(!see("127.0.0.1", false, &[(name, b"x")]).direct, "{name}");
        }
    }

    #[test]
    fn the_other_end_is_who_it_is() {
        assert_eq!(visitor("198.51.100.7", &[]), "198.51.100.7");
        assert_eq!(visitor("::ffff:198.51.100.7", &[]), "198.51.100.7");
        assert_eq!(visitor("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn a_stranger_cannot_claim_to_be_another() {
        assert_eq!(visitor("198.51.100.7", &["192.0.2.1"]), "198.51.100.7");
        assert_eq!(visitor("127.0.0.1", &["192.0.2.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(visitor("127.0.0.1", &["192.0.2.1", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(visitor("127.0.0.1", &["127.0.0.1, 198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn proxies_of_ours_may_stand_in_a_row() {
        assert_eq!(visitor("127.0.0.1", &["198.51.100.7, 10.0.0.3"]), "198.51.100.7");
        assert_eq!(visitor("127.0.0.1", &["198.51.100.7", "2001:db8::1 , 10.0.0.3,10.0.0.4"]), "2001:db8::1");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(visitor("127.0.0.1", &["198.51.100.7, unknown"]), "127.0.0.1");
        assert_eq!(visitor("127.0.0.1", &["198.51.100.7, _hidden, 10.0.0.1"]), "10.0.0.1");
        assert_eq!(visitor("127.0.0.1", &["", ","]), "127.0.0.1");
    }
}
