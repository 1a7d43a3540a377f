//! Checks passwords: how often each client may guess, and how many checks run at once, which take memory and time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::bounds::net_throttle::NetThrottle;
use crate::bounds::rate::Rate;
use crate::bounds::throttle::Throttle;
use crate::clock::Moment;
use crate::password::PasswordHash;
use crate::secret::{Digest, Secret};

/// Who tries a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guesser {
    /// A browser that has known the password before: the hash of the token that it was given then.
    Known(Digest),
    /// Any other client, by its address.
    Stranger(IpAddr),
}

/// Why a password was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unchecked {
    /// This client has tried too many. It may try again after this time.
    TooOften(Duration),
    /// As many clients wait for a check as may wait.
    Busy,
}

/// The limits on passwords.
pub(super) struct Passwords {
    strangers: Mutex<NetThrottle>,
    /// A neighbour who guesses behind the same address does not hold these back.
    known: Mutex<Throttle<Digest>>,
    /// One check at a time: each takes up to 64 MiB and one core.
    turn: Arc<Semaphore>,
    waiting: Semaphore,
}

/// Passwords that one address may try, per minute and at once. People who share an address type it once in a month.
const TRIES: u64 = 10;
const TRIES_AT_ONCE: u64 = 20;
/// Clients that may wait for their check.
const WAITING_MAX: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);

impl Default for Passwords {
    fn default() -> Self {
        let rate = Rate::new(TRIES, MINUTE, TRIES_AT_ONCE);
        Self {
            strangers: Mutex::new(NetThrottle::new(rate)),
            known: Mutex::new(Throttle::new(rate)),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }
}

impl Passwords {
    /// Whether the password is the one of `hash`.
    pub(super) async fn check(
        &self,
        guesser: Guesser,
        (password, hash): (Secret, PasswordHash),
        now: Moment,
    ) -> Result<bool, Unchecked> {
        let _waits = self.waiting.try_acquire().map_err(|_| Unchecked::Busy)?;
        self.take(guesser, now).map_err(Unchecked::TooOften)?;
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Err(Unchecked::Busy) };
        // The turn lasts as long as the check does, even if the client goes away meanwhile.
        let checked = spawn_blocking(move || {
            let is_right = hash.matches(password.reveal());
            drop(turn);
            is_right
        });
        checked.await.map_err(|_| Unchecked::Busy)
    }

    fn take(&self, guesser: Guesser, now: Moment) -> Result<(), Duration> {
        match guesser {
            Guesser::Known(token) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.take(token, now)
            }
            Guesser::Stranger(ip) => {
                let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
                strangers.take(ip, now).map_err(|(_, wait)| wait)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: &str =
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";
    const NOW: Moment = Moment::from_nanos(1);

    fn host(n: u8) -> Guesser {
        Guesser::Stranger([198, 51, 100, n].into())
    }

    async fn tries(
        passwords: &Passwords,
        guesser: Guesser,
        password: &str,
        now: Moment,
    ) -> Result<bool, Unchecked> {
        passwords.check(guesser, (Secret::new(password), PasswordHash::parse(CHEAP).unwrap()), now).await
    }

    #[tokio::test]
    async fn who_guesses_is_bounded_and_the_neighbours_are_served() {
        let passwords = Passwords::default();
        for _ in 0..TRIES_AT_ONCE {
            assert_eq!(tries(&passwords, host(1), "guess", NOW).await, Ok(false));
        }
        assert!(matches!(
            tries(&passwords, host(1), "correct horse", NOW).await,
            Err(Unchecked::TooOften(_))
        ));
        // Another address of the same network, and a browser behind the same address that has known the password.
        assert_eq!(tries(&passwords, host(2), "correct horse", NOW).await, Ok(true));
        let known = Guesser::Known(Digest::of("p1.1.*.former"));
        assert_eq!(tries(&passwords, known, "correct horse", NOW).await, Ok(true));
        // And who guesses with a former token is bounded, too.
        for _ in 1..TRIES_AT_ONCE {
            assert_eq!(tries(&passwords, known, "guess", NOW).await, Ok(false));
        }
        assert!(matches!(tries(&passwords, known, "guess", NOW).await, Err(Unchecked::TooOften(_))));
        assert_eq!(tries(&passwords, host(1), "correct horse", NOW + MINUTE / 10).await, Ok(true));
    }

    #[tokio::test]
    async fn only_so_many_wait_and_one_is_checked_at_a_time() {
        let passwords = Passwords::default();
        let turn = Arc::clone(&passwords.turn).acquire_owned().await.unwrap();
        let all: Vec<_> =
            (0..=WAITING_MAX as u8).map(|n| tries(&passwords, host(n), "correct horse", NOW)).collect();
        let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
        let mut refused = 0;
        for waiting in &mut all {
            let polled = tokio::time::timeout(Duration::ZERO, waiting).await;
            refused += usize::from(polled.is_ok_and(|checked| checked == Err(Unchecked::Busy)));
        }
        assert_eq!(refused, 1);
        drop(turn);
        for waiting in all.into_iter().take(WAITING_MAX) {
            assert_eq!(waiting.await, Ok(true));
        }
    }
}
