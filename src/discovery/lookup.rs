//! Looks up host names, and does not wait as long as the C library may take.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;

/// The look-ups that have not ended yet, at most one for each name.
#[derive(Debug, Default)]
pub(super) struct Lookups(HashMap<String, Receiver<io::Result<Vec<IpAddr>>>>);

/// The addresses of each name, or why they are unknown.
pub(super) type Addresses<'a> = BTreeMap<&'a str, Result<Vec<IpAddr>, String>>;

impl Lookups {
    /// Looks up all names at once, and waits for `patience` at most. A look-up that takes longer goes on, and its result
    /// counts the next time.
    pub(super) fn look_up<'a>(
        &mut self,
        names: &BTreeSet<&'a str>,
        patience: Duration,
        clock: Clock,
    ) -> Addresses<'a> {
        self.0.retain(|name, _| names.contains(name.as_str()));
        let mut found = Addresses::new();
        for name in names {
            if !self.0.contains_key(*name) {
                match begin(name) {
                    Ok(result) => drop(self.0.insert((*name).to_owned(), result)),
                    Err(error) => drop(found.insert(*name, Err(error.to_string()))),
                }
            }
        }
        let until = clock.now().moment + patience;
        for name in names {
            let Some(result) = self.0.get(*name) else { continue };
            let result = match result.recv_timeout(until.since(clock.now().moment)) {
                Err(RecvTimeoutError::Timeout) => Err("it takes too long to look it up".to_owned()),
                Err(RecvTimeoutError::Disconnected) => {
                    self.0.remove(*name);
                    Err("the look-up ended without a result".to_owned())
                }
                Ok(result) => {
                    self.0.remove(*name);
                    result.map_err(|error| error.to_string())
                }
            };
            found.insert(*name, result);
        }
        found
    }
}

/// Begins to look up a name, on a thread of its own, which ends with the look-up.
fn begin(name: &str) -> io::Result<Receiver<io::Result<Vec<IpAddr>>>> {
    let (sender, result) = channel();
    let name = name.to_owned();
    thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        // If nobody wants the result any more, it is not needed.
        let _ = sender.send(found.map(|all| all.map(|address| address.ip()).collect()));
    })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_looked_up_and_what_does_not_exist_is_said() {
        let names = ["192.0.2.1", "localhost", "nobody.invalid"];

        let found = Lookups::default().look_up(&names.into(), Duration::from_secs(3), Clock::start());

        assert_eq!(found["192.0.2.1"], Ok(vec![[192, 0, 2, 1].into()]));
        assert!(found["localhost"].as_ref().unwrap().contains(&[127, 0, 0, 1].into()));
        assert!(found["nobody.invalid"].is_err());
    }

    #[test]
    fn a_look_up_that_takes_too_long_counts_the_next_time_and_is_not_begun_again() {
        let (sender, result) = channel();
        let mut lookups = Lookups(HashMap::from([("slow.invalid".to_owned(), result)]));
        let mut found = || {
            let found = lookups.look_up(&["slow.invalid"].into(), Duration::ZERO, Clock::start());
            found["slow.invalid"].clone()
        };
        assert_eq!(found(), Err("it takes too long to look it up".to_owned()));
        sender.send(Ok(vec![[192, 0, 2, 1].into()])).unwrap();
        assert_eq!(found(), Ok(vec![[192, 0, 2, 1].into()]));
    }
}
