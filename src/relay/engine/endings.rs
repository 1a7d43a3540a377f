//! PURE  Sums up ended allocations for the log: one line for each user and minute.
//!
//! The first ended allocation of a user in a minute is logged at once, all others together at the end of that minute.
//! So a client that makes and ends allocations in a loop writes two lines a minute.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::field::display;

use crate::clock::Moment;
use crate::journal::shown;
use crate::network::address::ClientTransport;
use crate::outcome::AllocationEnding;

/// What ended allocations have carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// How many.
    pub(super) allocations: u64,
    /// The sum of their lifetimes, in seconds.
    pub(super) seconds: u64,
    /// Peers that were permitted.
    pub(super) peers: u64,
    /// Packets from the client.
    pub(super) packets_up: u64,
    /// Bytes of payload from the client.
    pub(super) bytes_up: u64,
    /// Packets to the client.
    pub(super) packets_down: u64,
    /// Bytes of payload to the client.
    pub(super) bytes_down: u64,
    /// How many ended for which reason; in the order of [`AllocationEnding::ALL`].
    pub(super) reasons: [u64; AllocationEnding::ALL.len()],
    /// How many clients used which transport protocol, in the order of [`ClientTransport::ALL`].
    pub(super) transports: [u64; ClientTransport::ALL.len()],
    /// The addresses of the clients, as the log shows them; at most [`CLIENTS_MAX`] different ones.
    pub(super) clients: Vec<String>,
}

/// The current minute.
#[derive(Debug, Default)]
pub(super) struct Endings {
    users: HashMap<Box<str>, Sum>,
    /// The sum for users beyond [`USERS_MAX`].
    others: Sum,
}

/// The period over which endings are summed up.
pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// The most addresses in one line.
const CLIENTS_MAX: usize = 8;
/// The most users with a line of their own in one minute.
pub(super) const USERS_MAX: usize = 256;

impl Endings {
    /// An allocation of `user` has ended. If it is the first of a minute, returns when that minute ends.
    pub(super) fn add(
        &mut self,
        user: &str,
        ending: AllocationEnding,
        mut sum: Sum,
        now: Moment,
    ) -> Option<Moment> {
        sum.reasons[ending as usize] = sum.allocations;
        let begins = self.users.is_empty();
        if let Some(sums) = self.users.get_mut(user) {
            sums.add(sum);
        } else if self.users.len() < USERS_MAX {
            self.users.insert(user.into(), Sum::default());
            say(user, &sum);
        } else {
            self.others.add(sum);
        }
        begins.then(|| now + PERIOD)
    }

    /// The minute is over, or the daemon stops.
    pub(super) fn conclude(&mut self) {
        let users = std::mem::take(&mut self.users);
        for (user, sum) in users.iter().filter(|(_, sum)| sum.allocations > 0) {
            say(user, sum);
        }
        let others = std::mem::take(&mut self.others);
        if others.allocations > 0 {
            say("(others)", &others);
        }
    }
}

impl Sum {
    /// Its client used this transport protocol from this address.
    #[must_use]
    pub(super) fn of_client(mut self, transport: ClientTransport, client: SocketAddr) -> Self {
        self.transports[transport as usize] = self.allocations;
        self.clients = shown::socket(client).into_iter().map(|shown| shown.to_string()).collect();
        self
    }

    /// The transport protocols of the clients.
    fn transport(&self) -> String {
        counted(ClientTransport::ALL.map(ClientTransport::name).into_iter().zip(self.transports))
    }

    /// The reasons.
    fn reason(&self) -> String {
        counted(AllocationEnding::ALL.map(AllocationEnding::name).into_iter().zip(self.reasons))
    }

    fn add(&mut self, other: Self) {
        self.allocations += other.allocations;
        self.seconds += other.seconds;
        self.peers += other.peers;
        self.packets_up += other.packets_up;
        self.bytes_up += other.bytes_up;
        self.packets_down += other.packets_down;
        self.bytes_down += other.bytes_down;
        self.reasons.iter_mut().zip(other.reasons).for_each(|(count, more)| *count += more);
        self.transports.iter_mut().zip(other.transports).for_each(|(count, more)| *count += more);
        for client in other.clients {
            if self.clients.len() < CLIENTS_MAX && !self.clients.contains(&client) {
                self.clients.push(client);
            }
        }
    }
}

/// The name, if all have the same one; otherwise each with its count.
fn counted(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    match counts[..] {
        [(only, _)] => only.to_owned(),
        _ => counts.iter().map(|(name, count)| format!("{name}:{count}")).collect::<Vec<_>>().join(","),
    }
}

fn say(user: &str, sum: &Sum) {
    let Sum { allocations, seconds, peers, packets_up, bytes_up, packets_down, bytes_down, .. } = *sum;
    let client = (!sum.clients.is_empty()).then(|| display(sum.clients.join(",")));
    let (transport, reason) = (display(sum.transport()), sum.reason());
    let (text, allocations) = match allocations {
        1 => ("allocation ended", None),
        more => ("allocations ended within a minute", Some(more)),
    };
    tracing::info!(
        ?user,
        allocations,
        transport,
        client,
        seconds,
        peers,
        packets_up,
        bytes_up,
        packets_down,
        bytes_down,
        reason,
        "{text}"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::outcome::AllocationEnding::{Deleted, Expired, Kicked};

    fn one(bytes_up: u64) -> Sum {
        one_over(bytes_up, ClientTransport::Udp)
    }

    fn one_over(bytes_up: u64, transport: ClientTransport) -> Sum {
        let client = SocketAddr::from(([203, 0, 113, 1], 5000));
        Sum { allocations: 1, bytes_up, ..Sum::default() }.of_client(transport, client)
    }

    #[test]
    fn the_first_of_a_minute_is_said_at_once_and_the_others_are_summed_up() {
        let mut endings = Endings::default();
        assert_eq!(
            endings.add("alice", Expired, one(1), Moment::default()),
            Some(Moment::default() + PERIOD)
        );
        for bytes in 2..=1000 {
            assert_eq!(endings.add("alice", Expired, one(bytes), Moment::default()), None);
        }
        let sum = &endings.users["alice"];
        assert_eq!((sum.allocations, sum.bytes_up, sum.reason()), (999, 500_499, "expired".to_owned()));
        endings.conclude();
        assert!(endings.users.is_empty());
    }

    #[test]
    fn the_log_has_a_line_for_the_first_and_one_with_the_sum_of_the_others() {
        let (reader, writer) = std::io::pipe().unwrap();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(writer)).finish();
        tracing::subscriber::with_default(log, || {
            let mut endings = Endings::default();
            for (bytes, ending, transport) in [
                (1, Expired, ClientTransport::Udp),
                (2, Kicked, ClientTransport::Tls),
                (3, Deleted, ClientTransport::Tcp),
            ] {
                let _ = endings.add("alice", ending, one_over(bytes, transport), Moment::default());
            }
            endings.conclude();
        });
        let text = std::io::read_to_string(reader).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let [first, others] = lines[..] else { panic!("{text}") };
        assert!(
            first.contains("allocation ended user=\"alice\" transport=udp seconds=0 ")
                && first.contains(" bytes_up=1 ")
        );
        assert!(first.contains(" reason=\"expired\""), "{text}");
        assert!(
            others.contains(
                "allocations ended within a minute user=\"alice\" allocations=2 transport=tcp:1,tls:1 "
            ),
            "{text}"
        );
        assert!(!text.contains("203.0.113"), "no address is shown unless it is configured: {text}");
        assert!(others.contains(" bytes_up=5 "), "{text}");
        assert!(others.contains(" reason=\"deleted:1,kicked:1\""), "{text}");
    }

    #[test]
    fn however_many_users_there_are_only_so_many_have_a_line() {
        let mut endings = Endings::default();
        for user in 0..1000 {
            let _ = endings.add(&user.to_string(), Expired, one(1), Moment::default());
        }
        assert_eq!(endings.users.len(), USERS_MAX);
        assert_eq!((endings.others.allocations, endings.others.bytes_up), (744, 744));
    }
}
