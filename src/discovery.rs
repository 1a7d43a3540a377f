//! Finds the addresses to relay from: those of this machine, and the public ones that names and STUN servers tell.
//!
//! A [`Finder`] looks when it is asked to, and remembers what it found. [`choice`] decides; `lookup.rs` and `query.rs` ask
//! others, with a bound on the time.

mod binding;
pub mod choice;
mod lookup;
mod query;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::bounds::notice::Notice;
use crate::clock::Clock;
use crate::discovery::choice::{Answers, Candidate};
use crate::discovery::lookup::Lookups;
use crate::network::address::{Family, RelayAddress};
use crate::network::interfaces;
use crate::sections::addresses::{Public, StunServer, WantedAddress};

/// Finds the addresses to relay from, again and again.
#[derive(Debug)]
pub struct Finder {
    lookups: Lookups,
    /// The machine's default addresses, when it last looked.
    defaults: Vec<IpAddr>,
    /// The last public addresses that others told.
    answers: Answers,
    /// What is logged of those that do not tell one.
    unanswered: HashMap<(Public, IpAddr), Notice>,
    rng: StdRng,
    clock: Clock,
}

/// What a look has found.
#[derive(Debug)]
pub struct Found {
    /// The addresses to relay from.
    pub addresses: Vec<RelayAddress>,
    /// The addresses that the operator names, and to which no socket can be bound.
    pub missing: Vec<(IpAddr, io::Error)>,
}

impl Found {
    /// The addresses to relay from, if every address that the operator names can be bound.
    ///
    /// # Errors
    /// The first that cannot, and why.
    pub fn every_named_one(self) -> Result<Vec<RelayAddress>, (IpAddr, io::Error)> {
        self.missing.into_iter().next().map_or(Ok(self.addresses), Err)
    }
}

/// The addresses that are known without asking anybody for public ones. `own` are the addresses of this machine.
#[must_use]
pub fn without_asking(wanted: &[WantedAddress], own: &[IpAddr]) -> Vec<RelayAddress> {
    let defaults = interfaces::default_addresses(own, &[]);
    choice::choose(&choice::candidates(wanted, &defaults), &Answers::default())
}

/// How long look-ups of names are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

impl Finder {
    /// Knows nothing yet. `seed` must be unpredictable, because it protects against forged answers.
    #[must_use]
    pub fn new(clock: Clock, seed: [u8; 32]) -> Self {
        Self {
            lookups: Lookups::default(),
            defaults: Vec::new(),
            answers: Answers::default(),
            unanswered: HashMap::new(),
            rng: StdRng::from_seed(seed),
            clock,
        }
    }

    /// Looks now, for a few seconds at most. `own` are the addresses of this machine. Where nobody answers, the last answer
    /// counts; an address without any is left out.
    pub fn look(&mut self, wanted: &[WantedAddress], own: &[IpAddr]) -> Found {
        self.defaults = interfaces::default_addresses(own, &self.defaults);
        let mut missing = Vec::new();
        let mut candidates = choice::candidates(wanted, &self.defaults);
        candidates.retain(|candidate| match UdpSocket::bind((candidate.bind, 0)) {
            Err(error) if candidate.named && error.kind() == io::ErrorKind::AddrNotAvailable => {
                missing.push((candidate.bind, error));
                false
            }
            // Default addresses are on an interface. Another error, such as too many open files, passes.
            Ok(_) | Err(_) => true,
        });
        for (candidate, answer) in self.ask(&candidates) {
            match answer {
                Ok(ip) if candidate.accepts(ip) => self.answers.learn(candidate.public, candidate.bind, ip),
                Ok(ip) => self.complain(candidate, &format!("it tells {ip}, which others cannot reach")),
                Err(reason) => self.complain(candidate, &reason),
            }
        }
        Found { addresses: choice::choose(&candidates, &self.answers), missing }
    }

    /// Forgets the answers to what is not wanted any more.
    pub fn forget_all_but(&mut self, wanted: &[WantedAddress]) {
        self.answers.keep(wanted);
        self.unanswered.retain(|(public, _), _| wanted.iter().any(|item| item.public == *public));
    }

    /// Asks for the public addresses of all candidates at once.
    fn ask<'c, 'w>(&mut self, candidates: &'c [Candidate<'w>]) -> Vec<(&'c Candidate<'w>, Answer)> {
        let names: BTreeSet<&str> =
            candidates.iter().filter_map(|candidate| host(candidate.public)).collect();
        let found = self.lookups.look_up(&names, PATIENCE, self.clock);
        let (clock, answers, rng) = (self.clock, &self.answers, &mut self.rng);
        thread::scope(|scope| {
            let begin = |candidate: &'c Candidate<'w>| {
                let last = answers.get(candidate.public, candidate.bind);
                let ip = of_family(found.get(host(candidate.public)?)?, Family::of(candidate.bind), last);
                let asked = match (candidate.public, ip) {
                    (Public::Stun(StunServer { port, .. }), Ok(ip)) => {
                        let (server, transaction) = (SocketAddr::new(ip, *port), rng.random());
                        let ask = move || query::ask(candidate.bind, server, transaction, clock);
                        thread::Builder::new()
                            .spawn_scoped(scope, ask)
                            .map_err(|error| Err(error.to_string()))
                    }
                    (_, ip) => Err(ip),
                };
                Some((candidate, asked))
            };
            // All are asked before the first answer is waited for.
            let asked: Vec<_> = candidates.iter().filter_map(begin).collect();
            let answer = |asked: Result<ScopedJoinHandle<'_, Answer>, Answer>| match asked {
                Ok(asked) => asked.join().unwrap_or_else(|_| Err("it could not be asked".to_owned())),
                Err(known) => known,
            };
            asked.into_iter().map(|(candidate, asked)| (candidate, answer(asked))).collect()
        })
    }

    /// Logs that nobody tells a public address, at most once a minute.
    fn complain(&mut self, candidate: &Candidate<'_>, reason: &str) {
        let bind = candidate.bind;
        let source = match candidate.public {
            Public::Stun(server) => format!("the STUN server {server}"),
            Public::Name(name) => format!("the name {}", name.as_str()),
            Public::Bound | Public::Address(_) => return,
        };
        let effect = match self.answers.get(candidate.public, bind) {
            Some(ip) => format!("the last one stays in effect, {ip}"),
            // Most STUN servers and many names have no IPv6 address.
            None if candidate.is_public() => return,
            None => "nothing is relayed from there until it is known".to_owned(),
        };
        let notice = self.unanswered.entry((candidate.public.clone(), bind)).or_default();
        if let Some(times) = notice.due(1, self.clock.now().moment) {
            tracing::warn!(
                times,
                "relay.addresses: {source} does not tell the public address of {bind} ({reason}): {effect}"
            );
        }
    }
}

/// A public address, or why it is unknown.
type Answer = Result<IpAddr, String>;

/// The host that must be looked up.
fn host(public: &Public) -> Option<&str> {
    match public {
        Public::Bound | Public::Address(_) => None,
        Public::Name(name) => Some(name.as_str()),
        Public::Stun(server) => Some(server.host.as_str()),
    }
}

/// One of a host's addresses of this family: the last one, if it is still among them, because resolvers change the order.
fn of_family(ips: &Result<Vec<IpAddr>, String>, family: Family, last: Option<IpAddr>) -> Answer {
    let same = || ips.iter().flatten().copied().filter(|ip| Family::of(*ip) == family);
    ips.as_ref().map_err(Clone::clone)?;
    let found = same().find(|ip| Some(*ip) == last).or_else(|| same().next());
    found.ok_or_else(|| format!("it has no {} address", family.name()))
}
