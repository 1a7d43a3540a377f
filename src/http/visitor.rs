//! Says who asks: the address at the other end, or the one that a reverse proxy speaks for.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use crate::http::problem::Problem;

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// The client's address, which limits are counted by.
    pub ip: IpAddr,
    /// Whether the request came straight from its client and without TLS, as far as we know: from this machine, unless
    /// the operator opens plain HTTP to others.
    pub direct: bool,
}

impl Visitor {
    /// Who sent a request with `headers` over a connection from `peer`, if the word of `proxies` counts; `secure` if it came
    /// over TLS.
    ///
    /// X-Forwarded-For is read from its end, where our own proxy writes; what stands in front of the first address that is
    /// no proxy of ours is the client's claim.
    #[must_use]
    pub fn of(peer: IpAddr, secure: bool, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let trusted = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
        let proxied = PROXIED.iter().any(|name| headers.contains_key(*name));
        let mut visitor = Self { ip: peer, direct: !secure && !proxied };
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        // In bytes: what a client writes in front must not spoil what a proxy adds.
        let mut claims = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while trusted(&visitor.ip) {
            let claim = claims.next().and_then(|claim| std::str::from_utf8(claim.trim_ascii()).ok());
            match claim.and_then(|claim| claim.parse::<IpAddr>().ok()) {
                Some(ip) => visitor.ip = ip.to_canonical(),
                None => break,
            }
        }
        visitor
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    /// What [`crate::http::connection`] has found out.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or(Problem::of(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";
/// What proxies add.
const PROXIED: [&str; 6] =
    [FORWARDED_FOR, "forwarded", "via", "x-real-ip", "x-forwarded-host", "x-forwarded-proto"];

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn see(peer: &str, secure: bool, headers: &[(&'static str, &[u8])]) -> Visitor {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()));
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap());
        Visitor::of(peer.parse().unwrap(), secure, &all, &proxies)
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
