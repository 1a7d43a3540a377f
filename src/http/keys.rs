//! PURE  Recognises API keys by their hashes, and limits how often each key is used and how often wrong keys are tried.

use std::net::IpAddr;
use std::time::Duration;

use crate::api_key::KeyHash;
use crate::bounds::client_net::address;
use crate::bounds::rate::{Bucket, Rate};
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;
use crate::sections::http::ApiKey;

/// The keys in the configuration, and how often they were used.
#[derive(Debug)]
pub struct Keys {
    keys: Vec<Counted>,
    visits: Throttle<(usize, IpAddr)>,
    failures: Throttle<IpAddr>,
}

#[derive(Debug)]
struct Counted {
    key: ApiKey,
    rate: Rate,
    used: Bucket,
}

/// A key in a request.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The key itself.
    pub text: &'a str,
    /// Whether the key is in the URL.
    pub in_url: bool,
}

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The key is unknown.
    Unknown,
    /// The key is not allowed in a URL.
    InUrl,
    /// The key is unknown, and the address has tried too many such keys. With the time until the next try.
    Guessing(Duration),
    /// The key is public, and this address has used it too often. With the time until the next try.
    TooOften(Duration),
    /// The key was used as often as the configuration allows. With the time until the next try.
    Spent(Duration),
}

/// Requests per minute from one address with a public key. A backend has no such limit, because it asks for all its users.
const VISITS: u64 = 60;
/// Wrong keys from one address in half an hour. A valid key is accepted even after that: nobody guesses 256 bits, and
/// somebody else's wrong keys must not lock out clients that share the address.
const FAILURES: u64 = 10;

const MINUTE: Duration = Duration::from_secs(60);

impl Keys {
    /// Starts with `keys` unused.
    #[must_use]
    pub fn new(keys: &[ApiKey]) -> Self {
        let count = |key: &ApiKey| {
            let rate = Rate::new(key.per_minute.get().into(), MINUTE, key.per_minute.get().into());
            Counted { key: key.clone(), rate, used: Bucket::default() }
        };
        Self {
            keys: keys.iter().map(count).collect(),
            visits: Throttle::new(Rate::new(VISITS, MINUTE, VISITS)),
            failures: Throttle::new(Rate::new(FAILURES, 30 * MINUTE, FAILURES)),
        }
    }

    /// Accepts `keys` from now on. A key that stays has been used as often as before.
    pub fn apply(&mut self, keys: &[ApiKey]) {
        if self.keys.iter().map(|counted| &counted.key).eq(keys) {
            return;
        }
        let Self { keys: former, failures, .. } = std::mem::replace(self, Self::new(keys));
        self.failures = failures;
        for counted in &mut self.keys {
            let known = former.iter().find(|other| other.key.hash == counted.key.hash);
            counted.used = known.map_or_else(Bucket::default, |other| other.used);
        }
    }

    /// The valid key in a request from `ip`.
    ///
    /// # Errors
    /// Why the key is refused. Only an unknown key counts as a wrong one.
    pub fn admit(&mut self, shown: Shown<'_>, ip: IpAddr, now: Moment) -> Result<&ApiKey, Denied> {
        let ip = address(ip);
        let Some(index) = self.find(shown.text) else {
            return Err(self.failures.take(ip, now).map_or_else(Denied::Guessing, |()| Denied::Unknown));
        };
        if shown.in_url && !self.keys[index].key.allow_query {
            return Err(Denied::InUrl);
        }
        let Counted { key, rate, used } = &mut self.keys[index];
        if key.is_public() {
            self.visits.take((index, ip), now).map_err(Denied::TooOften)?;
        }
        if used.take(*rate, 1, now) { Ok(key) } else { Err(Denied::Spent(used.wait(*rate, 1, now))) }
    }

    /// Compares every hash, even after a match, so that the time reveals nothing.
    fn find(&self, text: &str) -> Option<usize> {
        let hash = KeyHash::of(text);
        let keys = self.keys.iter().enumerate();
        keys.fold(None, |found, (index, counted)| if counted.key.hash == hash { Some(index) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::KeyId;
    use crate::sections::number::Count;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
    const CAFE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 8));

    fn keys() -> Keys {
        let key = |id: &str, allow_query| ApiKey {
            per_minute: Count::of::<100>(),
            allow_query,
            ..ApiKey::new(KeyId::parse(id).unwrap(), KeyHash::of(&format!("key of {id}")))
        };
        Keys::new(&[key("one", false), key("two", true)])
    }

    fn show(keys: &mut Keys, text: &str, ip: IpAddr, at: u64) -> Result<String, Denied> {
        let now = Moment::from_nanos(at * 1_000_000_000);
        keys.admit(Shown { text, in_url: false }, ip, now).map(|key| key.id.as_str().to_owned())
    }

    #[test]
    fn a_key_is_known_by_its_hash() {
        let mut keys = keys();
        assert_eq!(show(&mut keys, "key of one", HOME, 0), Ok("one".to_owned()));
        assert_eq!(show(&mut keys, "key of two", HOME, 0), Ok("two".to_owned()));
        for wrong in ["", "key of three", "key of one ", "Key of one", "one"] {
            assert_eq!(show(&mut keys, wrong, HOME, 0), Err(Denied::Unknown), "{wrong}");
        }
    }

    #[test]
    fn only_a_key_that_may_stands_in_a_url() {
        let mut keys = keys();
        let mut ask = |text| {
            let shown = Shown { text, in_url: true };
            keys.admit(shown, HOME, Moment::default()).map(|key| key.id.as_str().to_owned())
        };
        assert_eq!(ask("key of two"), Ok("two".to_owned()));
        for _ in 0..100 {
            assert_eq!(ask("key of one"), Err(Denied::InUrl), "and that is no wrong key");
        }
    }

    #[test]
    fn a_key_that_is_public_is_used_60_times_a_minute_by_one_address_and_as_often_as_configured_by_all() {
        let mut keys = keys();
        let mut used = |ip, at| (0..200).filter(|_| show(&mut keys, "key of two", ip, at).is_ok()).count();
        assert_eq!([used(HOME, 0), used(CAFE, 0)], [60, 40]);
        assert_eq!([used(HOME, 60), used(CAFE, 60)], [60, 40]);
        assert_eq!(show(&mut keys, "key of two", HOME, 60), Err(Denied::TooOften(Duration::from_secs(1))));
        assert_eq!(show(&mut keys, "key of one", HOME, 60), Ok("one".to_owned()));
    }

    #[test]
    fn a_backend_uses_its_key_as_often_as_configured() {
        let mut keys = keys();
        let used = (0..200).filter(|_| show(&mut keys, "key of one", HOME, 0).is_ok()).count();
        assert_eq!(used, 100);
    }

    #[test]
    fn a_key_that_stays_was_used_as_often_as_before_and_one_that_goes_is_unknown() {
        let mut keys = keys();
        let one = keys.keys[0].key.clone();
        let used =
            |keys: &mut Keys, at| (0..200).filter(|_| show(keys, "key of one", HOME, at).is_ok()).count();
        assert_eq!(used(&mut keys, 0), 100);
        keys.apply(&[ApiKey { per_minute: Count::of::<120>(), ..one }]);
        assert_eq!([used(&mut keys, 0), used(&mut keys, 30)], [0, 60]);
        assert_eq!(show(&mut keys, "key of two", HOME, 0), Err(Denied::Unknown));
    }

    #[test]
    fn after_ten_wrong_keys_in_half_an_hour_an_address_may_try_no_more_and_a_good_key_still_opens() {
        let mut keys = keys();
        for _ in 0..10 {
            assert_eq!(show(&mut keys, "a guess", HOME, 0), Err(Denied::Unknown));
        }
        let wait = Duration::from_secs(180);
        assert_eq!(show(&mut keys, "a guess", HOME, 0), Err(Denied::Guessing(wait)));
        assert_eq!(show(&mut keys, "a guess", CAFE, 0), Err(Denied::Unknown));
        assert_eq!(show(&mut keys, "key of one", HOME, 0), Ok("one".to_owned()));
        assert_eq!(show(&mut keys, "a guess", HOME, 180), Err(Denied::Unknown));
    }
}
