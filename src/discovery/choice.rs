//! PURE  Decides which addresses are relayed from, by what the operator wants, what this machine has, and what others told.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::network::address::{Family, RelayAddress};
use crate::peers::PeerPolicy;
use crate::sections::addresses::{Public, WantedAddress};
use crate::sections::relay::fault;

/// An address of this machine that may be relayed from, if its public address is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The address.
    pub bind: IpAddr,
    /// Whether the operator names it; otherwise it is a default address of the machine.
    pub named: bool,
    /// Where its public address comes from.
    pub public: &'a Public,
}

/// The last public address that a name or a STUN server told for each address of this machine.
#[derive(Debug, Default)]
pub struct Answers(HashMap<(Public, IpAddr), IpAddr>);

/// What the operator should know of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// New allocations use this address from now on.
    Taken(RelayAddress),
    /// The public side of an address is another one now. The first is the new one.
    Moved(RelayAddress, IpAddr),
    /// New allocations do not use this address any more.
    Gone(RelayAddress),
}

/// The addresses of this machine that the operator wants. `defaults` are those that "auto" stands for.
#[must_use]
pub fn candidates<'a>(wanted: &'a [WantedAddress], defaults: &[IpAddr]) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    for item in wanted {
        let families = item.families(wanted);
        let automatic = defaults.iter().copied().filter(|ip| families.contains(&Family::of(*ip)));
        let binds: Vec<IpAddr> = item.bind.map_or_else(|| automatic.collect(), |ip| vec![ip]);
        for bind in binds {
            // The machine's default address may be one that another item names.
            if candidates.iter().all(|other| other.bind != bind) {
                candidates.push(Candidate { bind, named: item.bind.is_some(), public: &item.public });
            }
        }
    }
    candidates
}

/// The addresses to relay from. An address whose public side nobody tells is left out, unless it is public itself.
#[must_use]
pub fn choose(candidates: &[Candidate<'_>], answers: &Answers) -> Vec<RelayAddress> {
    let mut chosen: Vec<RelayAddress> = Vec::new();
    for candidate in candidates {
        let bind = candidate.bind;
        let told = answers.get(candidate.public, bind).filter(|ip| candidate.accepts(*ip));
        let Some(public) = told.or_else(|| candidate.is_public().then_some(bind)) else { continue };
        let address = RelayAddress { bind, public };
        // A NAT with one public address for two of ours could not tell their ports apart.
        if fault(&address).is_none() && chosen.iter().all(|other| other.public != public) {
            chosen.push(address);
        }
    }
    chosen
}

/// What has changed from `before` to `after`.
#[must_use]
pub fn news(before: &[RelayAddress], after: &[RelayAddress]) -> Vec<News> {
    let same = |list: &[RelayAddress], bind| list.iter().find(|address| address.bind == bind).copied();
    let gone = before.iter().filter(|address| same(after, address.bind).is_none());
    let now = after.iter().filter_map(|address| match same(before, address.bind) {
        None => Some(News::Taken(*address)),
        Some(old) if old.public != address.public => Some(News::Moved(*address, old.public)),
        Some(_) => None,
    });
    now.chain(gone.map(|address| News::Gone(*address))).collect()
}

impl Candidate<'_> {
    /// Whether the address is public itself, so that it works without a NAT.
    #[must_use]
    pub fn is_public(&self) -> bool {
        PeerPolicy::is_global(&IpNet::from(self.bind))
    }

    /// Whether others may reach the address at `public`. Debian's `/etc/hosts` leads the machine's own name to 127.0.1.1; and
    /// what is public itself is not behind a private address.
    #[must_use]
    pub fn accepts(&self, public: IpAddr) -> bool {
        let is_private = !PeerPolicy::is_global(&IpNet::from(public));
        !(public.is_loopback() && !self.bind.is_loopback() || is_private && self.is_public())
    }
}

impl Answers {
    /// Somebody has told the public address of `bind`.
    pub fn learn(&mut self, public: &Public, bind: IpAddr, ip: IpAddr) {
        self.0.insert((public.clone(), bind), ip);
    }

    /// The public address of `bind`, if it is known.
    #[must_use]
    pub fn get(&self, public: &Public, bind: IpAddr) -> Option<IpAddr> {
        match public {
            Public::Bound => Some(bind),
            Public::Address(ip) => Some(*ip),
            Public::Name(_) | Public::Stun(_) => self.0.get(&(public.clone(), bind)).copied(),
        }
    }

    /// Forgets what the operator does not want to know any more.
    pub fn keep(&mut self, wanted: &[WantedAddress]) {
        self.0.retain(|(public, _), _| wanted.iter().any(|item| item.public == *public));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::addresses::StunServer;
    use crate::sections::value::Text as _;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn relay(bind: &str, public: &str) -> RelayAddress {
        RelayAddress { bind: ip(bind), public: ip(public) }
    }

    /// Somebody else tells the public addresses.
    fn asked() -> Public {
        Public::Stun(StunServer::parse("stun.example.org:3478").unwrap())
    }

    fn item(bind: Option<&str>, public: Public) -> WantedAddress {
        WantedAddress { bind: bind.map(ip), public }
    }

    /// The addresses to relay from, if a name or a server has told `told`: in the order of the addresses of this machine.
    fn chosen(wanted: &[WantedAddress], defaults: &[&str], told: &[&str]) -> Vec<RelayAddress> {
        let defaults: Vec<IpAddr> = defaults.iter().map(|text| ip(text)).collect();
        let candidates = candidates(wanted, &defaults);
        let mut answers = Answers::default();
        for (candidate, text) in candidates.iter().filter(|it| *it.public == asked()).zip(told) {
            answers.learn(&asked(), candidate.bind, ip(text));
        }
        choose(&candidates, &answers)
    }

    const DUAL: [&str; 2] = ["10.0.0.5", "fd00::5"];

    #[test]
    fn auto_is_every_default_address_as_it_is() {
        let expected = DUAL.map(|own| relay(own, own));
        assert_eq!(chosen(&[WantedAddress::AUTO], &DUAL, &[]), expected);
        assert_eq!(chosen(&[WantedAddress::AUTO], &[], &[]), []);
    }

    #[test]
    fn auto_behind_a_public_address_is_the_default_address_of_its_family() {
        let wanted = [item(None, Public::Address(ip("203.0.113.5")))];
        assert_eq!(chosen(&wanted, &DUAL, &[]), [relay("10.0.0.5", "203.0.113.5")]);
        let wanted = [wanted[0].clone(), WantedAddress::AUTO];
        assert_eq!(
            chosen(&wanted, &DUAL, &[]),
            [relay("10.0.0.5", "203.0.113.5"), relay("fd00::5", "fd00::5")]
        );
    }

    #[test]
    fn auto_behind_a_name_or_a_server_is_each_family_in_which_it_tells_an_address() {
        let wanted = [item(None, asked())];
        let both = [relay("10.0.0.5", "203.0.113.5"), relay("fd00::5", "2001:db8::5")];
        assert_eq!(chosen(&wanted, &DUAL, &["203.0.113.5", "2001:db8::5"]), both);
        assert_eq!(chosen(&wanted, &DUAL, &["203.0.113.5"]), both[..1]);
        assert_eq!(chosen(&wanted, &DUAL, &[]), []);
    }

    #[test]
    fn an_address_that_is_public_itself_needs_nobody_to_tell_another() {
        let wanted = [item(None, asked())];
        let own = ["10.0.0.5", "2606:4700::5"];
        assert_eq!(chosen(&wanted, &own, &[]), [relay("2606:4700::5", "2606:4700::5")]);
        let told = ["203.0.113.5", "2606:4700::6"];
        assert_eq!(chosen(&wanted, &own, &told)[1], relay("2606:4700::5", "2606:4700::6"));
    }

    #[test]
    fn no_address_is_there_twice_on_either_side() {
        let wanted = [item(Some("10.0.0.5"), Public::Bound), item(None, asked())];
        assert_eq!(chosen(&wanted, &DUAL, &["203.0.113.5"]), [relay("10.0.0.5", "10.0.0.5")]);
        let wanted = [item(Some("10.0.0.5"), asked()), item(Some("10.0.0.6"), asked())];
        assert_eq!(chosen(&wanted, &[], &["203.0.113.5"; 2]), [relay("10.0.0.5", "203.0.113.5")]);
    }

    #[test]
    fn each_address_has_its_own_answer_of_the_same_server() {
        let wanted = [item(Some("10.0.0.5"), asked()), item(Some("10.0.0.6"), asked())];
        let expected = [relay("10.0.0.5", "203.0.113.5"), relay("10.0.0.6", "203.0.113.6")];
        assert_eq!(chosen(&wanted, &[], &["203.0.113.5", "203.0.113.6"]), expected);
        assert_eq!(chosen(&wanted, &[], &["203.0.113.5"]), expected[..1]);
    }

    /// As Debian's `/etc/hosts` has it.
    #[test]
    fn an_address_that_others_cannot_reach_is_not_believed() {
        let wanted = [item(None, asked())];
        assert_eq!(chosen(&wanted, &["10.0.0.5"], &["127.0.1.1"]), []);
        let own = relay("93.184.216.34", "93.184.216.34");
        assert_eq!(chosen(&wanted, &["93.184.216.34"], &["10.0.0.9"]), [own]);
        assert_eq!(chosen(&wanted, &["127.0.0.1"], &["127.0.0.9"]), [relay("127.0.0.1", "127.0.0.9")]);
    }

    #[test]
    fn what_cannot_be_an_address_of_a_relay_is_not_believed() {
        assert_eq!(chosen(&[item(None, asked())], &DUAL, &["0.0.0.0", "ff02::1"]), []);
    }

    #[test]
    fn answers_are_forgotten_with_the_question() {
        let mut answers = Answers::default();
        answers.learn(&asked(), ip("10.0.0.5"), ip("203.0.113.5"));
        answers.keep(&[item(None, asked())]);
        assert_eq!(answers.get(&asked(), ip("10.0.0.5")), Some(ip("203.0.113.5")));
        answers.keep(&[WantedAddress::AUTO]);
        assert_eq!(answers.get(&asked(), ip("10.0.0.5")), None);
    }

    #[test]
    fn news_are_what_came_what_moved_and_what_went() {
        let (a, b, c) =
            (relay("10.0.0.5", "203.0.113.5"), relay("10.0.0.6", "10.0.0.6"), relay("fd00::5", "fd00::5"));
        let moved = relay("10.0.0.5", "203.0.113.9");
        assert_eq!(news(&[a, b], &[a, b]), []);
        let expected = [News::Moved(moved, a.public), News::Taken(c), News::Gone(b)];
        assert_eq!(news(&[a, b], &[moved, c]), expected);
    }
}
