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
    /// Whether the request came to us without a proxy between, as far as we know.
    pub direct: bool,
}

impl Visitor {
    /// Who sent a request with `headers` over a connection from `peer`, if the word of `proxies` counts.
    ///
    /// X-Forwarded-For is read from its end, where our own proxy writes; what stands in front of the first address that is
    /// no proxy of ours is the client's claim.
    #[must_use]
    pub fn of(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let trusted = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
        let mut visitor = Self { ip: peer, direct: !headers.contains_key(FORWARDED_FOR) };
        let lines: Vec<_> =
            headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let mut claims = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while trusted(&visitor.ip) {
            match claims.next().and_then(|claim| claim.trim().parse::<IpAddr>().ok()) {
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn visitor(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let proxies = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap());
        Visitor::of(peer.parse().unwrap(), &headers, &proxies).ip.to_string()
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
