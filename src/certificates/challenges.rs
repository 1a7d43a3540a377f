//! The answers to the challenges of a certificate authority, while it verifies names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::sign::CertifiedKey;

/// The answers that are offered now. Normally there are none.
#[derive(Debug, Default)]
pub struct Challenges {
    offered: Mutex<Offered>,
}

#[derive(Debug, Default)]
struct Offered {
    /// The certificate for each host name in a `ClientHello` (RFC 8737 §3).
    certificates: HashMap<String, Arc<CertifiedKey>>,
    /// The key authorization for each token (RFC 8555 §8.3).
    tokens: HashMap<String, String>,
}

impl Challenges {
    /// Shows `certificate` to the authority when it verifies `name` over TLS.
    pub fn offer_certificate(&self, name: &str, certificate: CertifiedKey) {
        self.offered().certificates.insert(server_name(name), Arc::new(certificate));
    }

    /// Answers with `key_authorization` when the authority asks for `token` over HTTP.
    pub fn offer_token(&self, token: &str, key_authorization: &str) {
        self.offered().tokens.insert(token.to_owned(), key_authorization.to_owned());
    }

    /// Offers nothing any more.
    pub fn withdraw(&self) {
        *self.offered() = Offered::default();
    }

    /// The key authorization for a token.
    #[must_use]
    pub fn key_authorization(&self, token: &str) -> Option<String> {
        self.offered().tokens.get(token).cloned()
    }

    pub(super) fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        self.offered().certificates.get(server_name).cloned()
    }

    fn offered(&self) -> MutexGuard<'_, Offered> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host name in the `ClientHello` for `name`. For an IP address it is the name of the reverse lookup (RFC 8738 §6).
fn server_name(name: &str) -> String {
    match name.parse() {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(ip)) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_by_the_name_of_its_reverse_lookup() {
        assert_eq!(server_name("call.example.org"), "call.example.org");
        assert_eq!(server_name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        let zeros = "0.".repeat(20);
        assert_eq!(server_name("2001:db8::1f"), format!("f.1.0.0.{zeros}8.b.d.0.1.0.0.2.ip6.arpa"));
    }

    #[test]
    fn what_is_withdrawn_is_not_answered() {
        let challenges = Challenges::default();
        challenges.offer_token("token", "token.thumbprint");
        assert_eq!(challenges.key_authorization("token").as_deref(), Some("token.thumbprint"));
        assert_eq!(challenges.key_authorization("other"), None);
        challenges.withdraw();
        assert_eq!(challenges.key_authorization("token"), None);
    }
}
