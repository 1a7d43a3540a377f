//! PURE  The connections that may be evicted: in a line for each address, for each network and for all, oldest first.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::bounds::client_net::{address, network};
use crate::bounds::headcount::Crowded;

/// The strangers (unauthenticated connections) in their lines, each identified by a `T`.
#[derive(Debug)]
pub struct Strangers<T> {
    waiting: BTreeMap<(Scope, Age), T>,
    /// The last age that was assigned.
    youngest: u64,
}

/// Which strangers a line consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All strangers.
    All,
    /// Those of one network.
    Network(IpAddr),
    /// Those of one address.
    Address(IpAddr),
}

/// When a stranger was added: a smaller value is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(u64);

impl Scope {
    /// The line of the strangers that share the exceeded limit with `ip`.
    #[must_use]
    pub fn of(crowded: Crowded, ip: IpAddr) -> Self {
        match crowded {
            Crowded::Address => Self::Address(address(ip)),
            Crowded::Network => Self::Network(network(ip)),
        }
    }
}

impl<T: Copy> Strangers<T> {
    /// Adds `who` as the youngest; `ip` is its address, if known. Returns its age, which identifies it from then on.
    pub fn enter(&mut self, who: T, ip: Option<IpAddr>) -> Age {
        self.youngest += 1;
        let age = Age(self.youngest);
        for line in lines(ip) {
            self.waiting.insert((line, age), who);
        }
        age
    }

    /// The address of a stranger is known now. Its age does not change.
    pub fn recognize(&mut self, age: Age, ip: IpAddr) {
        let Some(who) = self.waiting.get(&(Scope::All, age)).copied() else { return };
        for line in lines(Some(ip)) {
            self.waiting.insert((line, age), who);
        }
    }

    /// Removes a stranger from its lines; `ip` is its address, if known.
    pub fn leave(&mut self, age: Age, ip: Option<IpAddr>) {
        for line in lines(ip) {
            self.waiting.remove(&(line, age));
        }
    }

    /// The strangers of a line, oldest first.
    pub fn of(&self, line: Scope) -> impl Iterator<Item = T> {
        let from = self.waiting.range((line, Age(0))..);
        from.take_while(move |((of, _), _)| *of == line).map(|(_, who)| *who)
    }

    /// Whether there are no strangers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> Default for Strangers<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), youngest: 0 }
    }
}

fn lines(ip: Option<IpAddr>) -> impl Iterator<Item = Scope> {
    let own = ip.map(|ip| [Scope::Network(network(ip)), Scope::Address(address(ip))]);
    own.into_iter().flatten().chain([Scope::All])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of 16 addresses in 4 networks, or an unknown address.
    fn host(n: u8) -> Option<IpAddr> {
        (n < 16).then(|| [198, 51, n % 4, n].into())
    }

    #[test]
    fn whoever_comes_last_is_last_in_each_of_its_lines() {
        let mut strangers = Strangers::default();
        let first = strangers.enter("first", host(1));
        strangers.enter("neighbour", host(5));
        let unknown = strangers.enter("unknown", None);
        strangers.enter("last", host(1));
        strangers.recognize(unknown, [198, 51, 1, 1].into());
        let of = |strangers: &Strangers<_>, line| strangers.of(line).collect::<Vec<_>>();
        let here = host(1).unwrap();
        let (at_address, in_network) = (Scope::of(Crowded::Address, here), Scope::of(Crowded::Network, here));
        assert_eq!(of(&strangers, at_address), ["first", "unknown", "last"]);
        assert_eq!(of(&strangers, in_network), ["first", "neighbour", "unknown", "last"]);
        strangers.leave(first, host(1));
        assert_eq!(of(&strangers, at_address), ["unknown", "last"]);
        assert_eq!(of(&strangers, Scope::All), ["neighbour", "unknown", "last"]);
        assert_eq!(of(&strangers, Scope::of(Crowded::Address, [203, 0, 113, 1].into())), [""; 0]);
    }

    proptest! {
        #[test]
        fn the_lines_are_those_of_who_is_there(steps in prop::collection::vec((any::<bool>(), 0..20_u8), 0..200)) {
            let (mut strangers, mut there) = (Strangers::default(), Vec::new());
            for (number, (enters, n)) in steps.into_iter().enumerate() {
                if enters || there.is_empty() {
                    there.push((number, host(n), strangers.enter(number, host(n))));
                } else {
                    let (_, ip, age) = there.remove(usize::from(n) % there.len());
                    strangers.leave(age, ip);
                }
                let in_line = |line: Scope| strangers.of(line).collect::<Vec<_>>();
                let those = |is: &dyn Fn(IpAddr) -> bool| -> Vec<usize> {
                    there.iter().filter(|(_, ip, _)| ip.is_some_and(is)).map(|(number, ..)| *number).collect()
                };
                prop_assert_eq!(in_line(Scope::All), there.iter().map(|(number, ..)| *number).collect::<Vec<_>>());
                for ip in (0..16).filter_map(host) {
                    prop_assert_eq!(in_line(Scope::of(Crowded::Address, ip)), those(&|other| other == ip));
                    prop_assert_eq!(in_line(Scope::of(Crowded::Network, ip)), those(&|other| network(other) == network(ip)));
                }
                prop_assert_eq!(strangers.is_empty(), there.is_empty());
            }
        }
    }
}
