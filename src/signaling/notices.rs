//! PURE  Logs which limit of the rooms was reached, at most once a minute for each, with the key that raises it.

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::signaling::joins::Held;
use crate::signaling::seats::NoSeat;

/// When each notice was last logged.
#[derive(Debug, Default)]
pub struct Notices {
    address_sockets: Notice,
    network_sockets: Notice,
    all_sockets: Notice,
    address_joins: Notice,
    network_joins: Notice,
    guesses: Notice,
}

impl Notices {
    /// A socket was refused, or admitted by evicting a client in no room.
    pub fn crowded(&self, crowded: NoSeat, now: Moment) {
        match crowded {
            NoSeat::Address => say(&self.address_sockets, now, ADDRESS_SOCKETS),
            NoSeat::Network => say(&self.network_sockets, now, NETWORK_SOCKETS),
            NoSeat::Server => say(&self.all_sockets, now, ALL_SOCKETS),
            // The shutdown is logged elsewhere.
            NoSeat::Draining => {}
        }
    }

    /// A join was delayed by a limit.
    pub fn held(&self, held: Held, now: Moment) {
        match held {
            // One session's limit concerns nobody else, and no key raises it.
            Held::Session => {}
            Held::Address => say(&self.address_joins, now, ADDRESS_JOINS),
            Held::Network => say(&self.network_joins, now, NETWORK_JOINS),
        }
    }

    /// A join was delayed because of too many wrong guesses.
    pub fn guessed(&self, now: Moment) {
        say(&self.guesses, now, GUESSES);
    }
}

fn say(notice: &Notice, now: Moment, what: &str) {
    if let Some(times) = notice.due(now) {
        tracing::info!(times, "{what}");
    }
}

const ADDRESS_SOCKETS: &str = "one address has as many WebSockets as allowed, so one in no room is closed, or a new \
                               one is refused: if many of your users share one address, raise rooms.sockets_per_ip";
const NETWORK_SOCKETS: &str = "one network (/24 or /48) has as many WebSockets as allowed (those of four addresses), \
                               so one in no room is closed, or a new one is refused: if many of your users are in one \
                               network, raise rooms.sockets_per_ip";
const ALL_SOCKETS: &str = "the server has as many WebSockets as allowed, so one in no room is closed, or a new one is \
                           refused: raise rooms.members if the machine has memory for more";
const ADDRESS_JOINS: &str = "one address has joined rooms as often as allowed, and has to wait: if many of your users \
                             share one address, raise rooms.joins_per_minute";
const NETWORK_JOINS: &str = "one network (/24 or /48) has joined rooms as often as allowed (as four addresses), and \
                             has to wait: if many of your users are in one network, raise rooms.joins_per_minute";
const GUESSES: &str = "too many wrong keys or names of rooms: further attempts have to wait";

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_limited_is_said_once_a_minute_with_the_key_that_raises_it() {
        let (log, notices) = (Log::default(), Notices::default());
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let start = Moment::default() + Duration::from_secs(5);
        tracing::subscriber::with_default(subscriber, || {
            for moment in [start, start + Duration::from_secs(30), start + Duration::from_secs(60)] {
                for crowded in [NoSeat::Address, NoSeat::Network, NoSeat::Server, NoSeat::Draining] {
                    notices.crowded(crowded, moment);
                }
                for held in [Held::Session, Held::Address, Held::Network] {
                    notices.held(held, moment);
                }
                notices.guessed(moment);
            }
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let said =
            |what: &str| text.lines().filter(|line| line.contains(" INFO ") && line.contains(what)).count();
        for (what, times) in [
            ("raise rooms.sockets_per_ip", 4),
            ("raise rooms.members", 2),
            ("raise rooms.joins_per_minute", 4),
            ("wrong keys or names", 2),
        ] {
            assert_eq!(said(what), times, "{what}: {text}");
        }
        assert_eq!(text.lines().count(), 12, "{text}");
    }
}
