//! PURE  Makes and checks nonces without storing them: each proves when and to which client it was issued.
//!
//! A nonce begins with the cookie of RFC 8489 §9.2: `obMatJos2` and the security feature bits. Then follow 14 bytes in
//! base64: the low 16 bits of the second in which it was made, and the first 96 bits of an HMAC-SHA256 over the whole
//! second and the client's address. So a flood of spoofed requests leaves no state behind.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::clock::Moment;

/// How long a nonce is accepted. RFC 8656 §5 recommends at most an hour.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// Characters of a nonce: the cookie's 13, and 14 bytes in base64.
pub const LENGTH: usize = 32;

/// Makes and checks nonces under one random key.
#[derive(Clone)]
pub struct Nonces {
    mac: Hmac<Sha256>,
    cookie: String,
}

impl Nonces {
    /// Nonces under `key`. They tell clients that password algorithms can be negotiated and, if `user_hash` is set,
    /// that USERHASH must be used: bits 0 and 1 of RFC 8489 §18.1, counted from the right (erratum 6290).
    #[must_use]
    pub fn new(key: [u8; 32], user_hash: bool) -> Self {
        let mac = Hmac::new_from_slice(&key).expect("HMAC takes a key of any length");
        Self { mac, cookie: cookie(user_hash) }
    }

    /// Changes whether USERHASH must be used. A nonce that said otherwise is stale from then on.
    pub fn offer_user_hash(&mut self, user_hash: bool) {
        self.cookie = cookie(user_hash);
    }

    /// The nonce for a client now.
    #[must_use]
    pub fn issue(&self, client: SocketAddr, now: Moment) -> String {
        let second = now.as_secs();
        let mut body = [0; 14];
        body[..2].copy_from_slice(&(second as u16).to_be_bytes());
        body[2..].copy_from_slice(&self.tag(client, second));
        format!("{}{}", self.cookie, BASE64_STANDARD_NO_PAD.encode(body))
    }

    /// Whether a nonce was issued to this client and has not expired.
    #[must_use]
    pub fn is_valid(&self, nonce: &[u8], client: SocketAddr, now: Moment) -> bool {
        let Some(body) = nonce.strip_prefix(self.cookie.as_bytes()) else { return false };
        let Ok(body) = BASE64_STANDARD_NO_PAD.decode(body) else { return false };
        let [high, low, tag @ ..] = body.as_slice() else { return false };
        let age = (now.as_secs() as u16).wrapping_sub(u16::from_be_bytes([*high, *low]));
        let Some(second) = now.as_secs().checked_sub(u64::from(age)) else { return false };
        let genuine: bool = self.tag(client, second).ct_eq(tag).into();
        genuine && u64::from(age) <= LIFETIME.as_secs()
    }

    /// Whether a nonce begins as ours do, and so was sent together with an offer of password algorithms.
    #[must_use]
    pub fn is_offer(&self, nonce: &[u8]) -> bool {
        nonce.starts_with(self.cookie.as_bytes())
    }

    fn tag(&self, client: SocketAddr, second: u64) -> [u8; 12] {
        let mut mac = self.mac.clone();
        match client.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&client.port().to_be_bytes());
        mac.update(&second.to_be_bytes());
        let full = mac.finalize().into_bytes();
        std::array::from_fn(|i| full[i])
    }
}

fn cookie(user_hash: bool) -> String {
    let features = if user_hash { 0b11 } else { 0b01 };
    format!("{COOKIE}{}", BASE64_STANDARD_NO_PAD.encode([0, 0, features]))
}

/// The first characters of a nonce from a server that implements RFC 8489 (§9.2).
const COOKIE: &str = "obMatJos2";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: &str = "203.0.113.21:50000";

    fn client() -> SocketAddr {
        CLIENT.parse().unwrap()
    }

    fn nonces() -> Nonces {
        Nonces::new([7; 32], false)
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_nonce_is_good_for_ten_minutes() {
        let nonce = nonces().issue(client(), at(1000));
        assert!(nonces().is_valid(nonce.as_bytes(), client(), at(1000)));
        assert!(nonces().is_valid(nonce.as_bytes(), client(), at(1600)));
        assert!(!nonces().is_valid(nonce.as_bytes(), client(), at(1601)));
    }

    #[test]
    fn a_nonce_that_offers_something_else_than_we_do_now_is_stale() {
        let mut nonces = nonces();
        let old = nonces.issue(client(), at(1000));
        nonces.offer_user_hash(true);
        let new = nonces.issue(client(), at(1000));
        assert!(!nonces.is_valid(old.as_bytes(), client(), at(1000)));
        assert!(nonces.is_valid(new.as_bytes(), client(), at(1000)));
    }

    #[test]
    fn a_nonce_does_not_come_back_when_its_sixteen_bits_do() {
        let nonce = nonces().issue(client(), at(1000));
        assert!(!nonces().is_valid(nonce.as_bytes(), client(), at(1000 + 65_536)));
    }

    #[test]
    fn a_nonce_of_another_address_port_or_key_is_refused() {
        let nonce = nonces().issue(client(), at(1000));
        for other in ["203.0.113.21:50001", "203.0.113.22:50000", "[2001:db8::1]:50000"] {
            assert!(!nonces().is_valid(nonce.as_bytes(), other.parse().unwrap(), at(1000)), "{other}");
        }
        assert!(!Nonces::new([8; 32], false).is_valid(nonce.as_bytes(), client(), at(1000)));
    }

    #[test]
    fn a_nonce_from_the_future_is_refused() {
        let nonce = nonces().issue(client(), at(1000));
        assert!(!nonces().is_valid(nonce.as_bytes(), client(), at(999)));
    }

    #[test]
    fn a_nonce_is_small_and_says_what_the_server_can() {
        let nonce = nonces().issue(client(), at(1000));
        assert_eq!(nonce.len(), LENGTH);
        assert!(nonce.starts_with("obMatJos2AAAB"));
        assert!(Nonces::new([7; 32], true).issue(client(), at(0)).starts_with("obMatJos2AAAD"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_nonce(bytes in proptest::collection::vec(any::<u8>(), 0..800)) {
            prop_assert!(!nonces().is_valid(&bytes, client(), at(1000)));
        }

        #[test]
        fn one_flipped_bit_spoils_a_nonce(bit in 0..32_usize * 8) {
            let mut nonce = nonces().issue(client(), at(1000)).into_bytes();
            nonce[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!nonces().is_valid(&nonce, client(), at(1000)));
        }
    }
}
