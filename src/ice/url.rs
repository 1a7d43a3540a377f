//! PURE  Parses the ICE URLs that an operator states (RFC 7064, RFC 7065).

use std::net::IpAddr;

use crate::ice::{Transport, is_refused};

/// A URL of a STUN or TURN server that browsers accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceUrl {
    /// How the TURN server is reached; `None` for STUN.
    pub transport: Option<Transport>,
    /// The host, without brackets.
    pub host: String,
    /// The port; the usual one if the URL has none.
    pub port: u16,
    text: String,
}

/// What a URL may look like.
pub const EXAMPLES: &str = "\"stun:turn.example.org:3478\", \"turn:turn.example.org:3478?transport=udp\" or \
                            \"turns:turn.example.org:443?transport=tcp\"";

impl IceUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not the URL of a STUN or TURN server: write one such as {EXAMPLES}");
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (host, port) = split(place).ok_or_else(wrong)?;
        let (transport, usual) = match (scheme, query) {
            ("stun", None) => (None, 3478),
            ("turn", None | Some("transport=udp")) => (Some(Transport::Udp), 3478),
            ("turn", Some("transport=tcp")) => (Some(Transport::Tcp), 3478),
            ("turns", None | Some("transport=tcp")) => (Some(Transport::Tls), 5349),
            _ => return Err(wrong()),
        };
        if transport == Some(Transport::Tls) && host.parse::<IpAddr>().is_ok() {
            return Err(format!(
                "{text:?}: browsers use TURN over TLS only with a host name: write the name in your certificate"
            ));
        }
        let port = port.unwrap_or(usual);
        if is_refused(port) {
            return Err(format!(
                "{text:?}: browsers refuse port {port}: use another one, such as 443 or 3478"
            ));
        }
        Ok(Self { transport, host: host.to_owned(), port, text: text.to_owned() })
    }

    /// The URL as it was stated.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The host, without brackets, and the port of `host:port`.
fn split(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    let is_good = !host.is_empty() && host.len() <= 253 && host.bytes().all(is_host);
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    is_good.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_browsers_accept_are_taken_as_they_are() {
        let (udp, tcp, tls) = (Some(Transport::Udp), Some(Transport::Tcp), Some(Transport::Tls));
        for (text, transport) in [
            ("stun:turn.example.org", None),
            ("stun:192.0.2.1:3478", None),
            ("turn:turn.example.org:3478", udp),
            ("turn:[2001:db8::1]:3478?transport=udp", udp),
            ("turn:turn.example.org:443?transport=tcp", tcp),
            ("turns:turn.example.org:443?transport=tcp", tls),
            ("turns:turn.example.org", tls),
        ] {
            let url = IceUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.transport), (text, transport));
        }
    }

    #[test]
    fn others_are_refused_with_what_to_write() {
        for (text, reason) in [
            ("", "is not the URL"),
            ("https://turn.example.org", "is not the URL"),
            ("turn://turn.example.org", "is not the URL"),
            ("turn:", "is not the URL"),
            ("turn:host:0", "is not the URL"),
            ("turn:host:99999", "is not the URL"),
            ("turn:[::1", "is not the URL"),
            ("turn:[host]:3478", "is not the URL"),
            ("turn:2001:db8::1", "is not the URL"),
            ("turn:host?transport=sctp", "is not the URL"),
            ("stun:host?transport=udp", "is not the URL"),
            ("turns:192.0.2.1:443", "only with a host name"),
            ("turn:host:53", "browsers refuse port 53"),
        ] {
            let error = IceUrl::parse(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
