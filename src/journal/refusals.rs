//! PURE  Counts refusals for one minute: by group of clients and cause, in bounded memory, for a bounded number of lines.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Moment;
use crate::journal::cause::{Cause, MANY, Tried};

/// The current minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When the minute ends; `None` before its first refusal.
    ends: Option<Moment>,
    counts: BTreeMap<(IpAddr, Cause), Count>,
    /// Refusals of clients beyond [`COUNTS_MAX`].
    beyond: u64,
    /// Wrong credentials over UDP without a valid nonce.
    unproven: u64,
}

#[derive(Debug, Default)]
struct Count {
    times: u64,
    /// The different names or keys that were tried, at most [`MANY`].
    tried: Vec<Tried>,
}

/// What the log says of a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// The attacks, then the others; of each the most frequent first.
    pub(super) lines: Vec<Line>,
    /// Refusals that have no line of their own.
    pub(super) others: u64,
    /// Wrong credentials whose senders' addresses may be spoofed.
    pub(super) unproven: u64,
}

/// The refusals of one group of clients for one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) client: IpAddr,
    pub(super) cause: Cause,
    pub(super) count: u64,
}

/// The most counts of one minute: half a megabyte.
const COUNTS_MAX: usize = 4096;
/// The most lines of one minute.
const LINES_MAX: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);

impl Refusals {
    /// A client of the group that `client` stands for was refused, perhaps for something that it had `tried`.
    pub(super) fn add(&mut self, client: IpAddr, cause: Cause, tried: Option<Tried>, now: Moment) {
        self.begin(now);
        if self.counts.len() >= COUNTS_MAX && !self.counts.contains_key(&(client, cause)) {
            self.beyond += 1;
            return;
        }
        let count = self.counts.entry((client, cause)).or_default();
        count.times += 1;
        if let Some(tried) = tried
            && count.tried.len() < MANY
            && !count.tried.contains(&tried)
        {
            count.tried.push(tried);
        }
    }

    /// Credentials were wrong, and their sender's address may be spoofed. It is not counted for this address: an
    /// attacker could otherwise have somebody else's address banned.
    pub(super) fn add_unproven(&mut self, now: Moment) {
        self.begin(now);
        self.unproven += 1;
    }

    /// Takes the minute out, if it is over. Another one begins with the next refusal.
    pub(super) fn due(&mut self, now: Moment) -> Option<Self> {
        self.ends.filter(|ends| *ends <= now)?;
        Some(std::mem::take(self))
    }

    /// The report of what has been counted. It sorts all counts, so nobody should have to wait for it.
    pub(super) fn report(self) -> Report {
        let Self { ends: _, counts, beyond, unproven } = self;
        let mut sums = BTreeMap::<(Cause, IpAddr), u64>::new();
        for ((client, cause), Count { times, tried }) in counts {
            let cause = if tried.len() >= MANY { cause.if_many() } else { cause };
            *sums.entry((cause, client)).or_default() += times;
        }
        let line = |((cause, client), count)| Line { client, cause, count };
        let mut lines: Vec<Line> = sums.into_iter().map(line).collect();
        lines.sort_by_key(|line| (!line.cause.is_attack(), std::cmp::Reverse(line.count)));
        let left_out = lines.split_off(lines.len().min(LINES_MAX));
        let others = beyond + left_out.iter().map(|line| line.count).sum::<u64>();
        Report { lines, others, unproven }
    }

    fn begin(&mut self, now: Moment) {
        self.ends.get_or_insert(now + MINUTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHOOL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 0));

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    /// What is reported of one client that tried all these.
    fn tried<T: std::hash::Hash>(cause: Cause, all: impl IntoIterator<Item = T>) -> Vec<(Cause, u64)> {
        let mut refusals = Refusals::default();
        for one in all {
            refusals.add(SCHOOL, cause, Some(Tried::of(one)), at(5));
        }
        refusals.report().lines.into_iter().map(|line| (line.cause, line.count)).collect()
    }

    #[test]
    fn a_minute_begins_with_the_first_refusal_and_is_reported_once() {
        let mut refusals = Refusals::default();
        assert!(refusals.due(at(1000)).is_none());
        refusals.add(SCHOOL, Cause::Quota, None, at(1000));
        refusals.add(SCHOOL, Cause::Quota, None, at(1059));
        assert!(refusals.due(at(1059)).is_none());
        let lines = vec![Line { client: SCHOOL, cause: Cause::Quota, count: 2 }];
        assert_eq!(refusals.due(at(1060)).unwrap().report(), Report { lines, ..Report::default() });
        assert!(refusals.due(at(1200)).is_none());
    }

    #[test]
    fn one_wrong_name_is_a_mistake_however_often_it_is_tried_and_ten_are_guesses() {
        for (cause, guessing) in [
            (Cause::WrongPassword, Cause::GuessingPasswords),
            (Cause::UnknownUser, Cause::GuessingPasswords),
            (Cause::WrongApiKey, Cause::GuessingKeys),
            (Cause::WrongRoomKey, Cause::GuessingRooms),
            (Cause::UnknownRoom, Cause::GuessingRooms),
        ] {
            assert_eq!(tried(cause, [1; 10_000]), [(cause, 10_000)]);
            assert_eq!(tried(cause, 0..9), [(cause, 9)]);
            assert_eq!(tried(cause, 0..37), [(guessing, 37)]);
        }
    }

    #[test]
    fn what_nobody_can_guess_is_never_a_guess() {
        assert_eq!(tried(Cause::WrongSecret, 0..1000), [(Cause::WrongSecret, 1000)]);
    }

    #[test]
    fn an_attack_is_one_line_whether_the_guessed_names_exist_or_not() {
        let mut refusals = Refusals::default();
        for name in 0..20 {
            refusals.add(SCHOOL, Cause::UnknownUser, Some(Tried::of(name)), at(5));
            refusals.add(SCHOOL, Cause::WrongPassword, Some(Tried::of(name)), at(5));
        }
        let lines = vec![Line { client: SCHOOL, cause: Cause::GuessingPasswords, count: 40 }];
        assert_eq!(refusals.report().lines, lines);
    }

    #[test]
    fn a_spoofed_address_is_counted_for_nobody() {
        let mut refusals = Refusals::default();
        (0..1000).for_each(|_| refusals.add_unproven(at(5)));
        assert_eq!(refusals.report(), Report { unproven: 1000, ..Report::default() });
    }

    #[test]
    fn a_million_clients_take_bounded_memory_and_lines_and_hide_no_attack() {
        let mut refusals = Refusals::default();
        for name in 0..20 {
            refusals.add(SCHOOL, Cause::UnknownUser, Some(Tried::of(name)), at(5));
        }
        for client in 0..1_000_000_u32 {
            let client = std::net::Ipv4Addr::from(0x0A00_0000 + client).into();
            (0..2).for_each(|_| refusals.add(client, Cause::WrongPassword, Some(Tried::of(1)), at(5)));
        }
        assert_eq!(refusals.counts.len(), COUNTS_MAX);

        let report = refusals.report();

        let lines: u64 = report.lines.iter().map(|line| line.count).sum();
        assert_eq!((report.lines.len(), lines + report.others), (LINES_MAX, 2_000_020));
        assert_eq!(report.lines[0], Line { client: SCHOOL, cause: Cause::GuessingPasswords, count: 20 });
    }
}
