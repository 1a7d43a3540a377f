//! PURE  Decides which thread serves which shards, so that as few threads are awake as the load needs.
//!
//! A packet that wakes an idle core costs twice as much as one that comes while its thread is at work. So all shards
//! begin on one thread, which gives one away when it uses half of a core. A thread that is quiet again gives all its
//! shards back, and sleeps. A shard moves as a whole: its clients and their sockets notice nothing.

use std::time::Duration;

/// A share of one core, in thousandths.
pub(super) type Load = u32;

/// How often a thread at work looks at its load.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// A thread that uses more gives a shard away, if it has several.
const BUSY: Load = 500;
/// A thread takes a shard only if it then uses no more than this, unless all others use more.
const ROOM: Load = 400;
/// Two threads that use less together for [`QUIET_FOR`] become one.
const QUIET: Load = 250;
pub(super) const QUIET_FOR: Duration = Duration::from_secs(2);

/// What one thread knows of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Other {
    /// Its number.
    pub(super) index: usize,
    /// How many shards it has.
    pub(super) shards: usize,
    /// What it uses.
    pub(super) load: Load,
}

/// Which shard a busy thread should give to which other one: its position in `own`, which has the load of each shard, and
/// the number of the other thread. `None` if that makes nothing better.
pub(super) fn relief(own: &[Load], others: &[Other]) -> Option<(usize, usize)> {
    let load: Load = own.iter().sum();
    if load < BUSY || own.len() < 2 {
        return None;
    }
    // The shard that comes closest to half.
    let shard = (0..own.len()).min_by_key(|shard| own[*shard].abs_diff(load / 2))?;
    let has_room = |other: &&Other| other.shards > 0 && other.load + own[shard] <= ROOM;
    let busiest_with_room = others.iter().filter(has_room).max_by_key(|other| other.load);
    let asleep = || others.iter().find(|other| other.shards == 0);
    let idlest = || others.iter().min_by_key(|other| other.load);
    let to = busiest_with_room.or_else(asleep).or_else(idlest)?;
    (to.load + own[shard] < load).then_some((shard, to.index))
}

/// The thread that a quiet thread should give its shards to: the first one that has shards, if both together use little.
pub(super) fn union(index: usize, load: Load, others: &[Other]) -> Option<usize> {
    let first = others.iter().find(|other| other.shards > 0)?;
    (first.index < index && first.load + load < QUIET).then_some(first.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(threads: &[(usize, Load)]) -> Vec<Other> {
        let other =
            |(index, (shards, load)): (usize, &(usize, Load))| Other { index, shards: *shards, load: *load };
        threads.iter().enumerate().map(other).collect()
    }

    #[test]
    fn a_thread_keeps_its_shards_until_it_uses_half_of_a_core() {
        let asleep = others(&[(0, 0), (0, 0)]);
        assert_eq!(relief(&[200, 299], &asleep), None);
        assert_eq!(relief(&[200, 300], &asleep), Some((0, 0)));
        assert_eq!(relief(&[900], &asleep), None);
    }

    #[test]
    fn the_shard_that_halves_the_load_goes() {
        assert_eq!(relief(&[50, 260, 40, 250], &others(&[(0, 0)])), Some((1, 0)));
    }

    #[test]
    fn a_thread_at_work_that_has_room_comes_before_one_that_sleeps() {
        let own = [150, 200, 250];
        assert_eq!(relief(&own, &others(&[(0, 0), (2, 100), (1, 90)])), Some((2, 1)));
        assert_eq!(relief(&own, &others(&[(1, 300), (0, 0), (0, 0)])), Some((2, 1)));
    }

    #[test]
    fn when_all_are_at_work_the_idlest_takes_a_shard_if_that_helps() {
        assert_eq!(relief(&[400, 400], &others(&[(2, 700), (1, 300)])), Some((0, 1)));
        assert_eq!(relief(&[400, 400], &others(&[(2, 700), (1, 400)])), None);
    }

    #[test]
    fn a_quiet_thread_gives_its_shards_to_the_first_one_at_work() {
        assert_eq!(union(1, 100, &others(&[(2, 149)])), Some(0));
        assert_eq!(union(1, 100, &others(&[(2, 150)])), None);
        assert_eq!(union(0, 10, &[Other { index: 1, shards: 1, load: 10 }]), None);
        let sleeping_first =
            [Other { index: 0, shards: 0, load: 0 }, Other { index: 1, shards: 1, load: 10 }];
        assert_eq!(union(2, 10, &sleeping_first), Some(1));
    }

    /// However the loads change, shards are neither lost nor thrown to and fro.
    #[test]
    fn a_steady_load_comes_to_rest() {
        for load in [1, 50, 100, 124, 125, 200, 249, 250, 400, 499] {
            // Four shards of this load, on four threads.
            let mut hosts: Vec<Vec<Load>> = vec![vec![load; 4], vec![], vec![], vec![]];
            let mut moves = 0;
            for _ in 0..100 {
                for me in 0..hosts.len() {
                    let all: Vec<Other> = hosts
                        .iter()
                        .enumerate()
                        .filter(|(index, _)| *index != me)
                        .map(|(index, own)| Other { index, shards: own.len(), load: own.iter().sum() })
                        .collect();
                    let used = hosts[me].iter().sum();
                    let step = relief(&hosts[me], &all)
                        .or_else(|| Some((0, union(me, used, &all)?)).filter(|_| !hosts[me].is_empty()));
                    if let Some((shard, to)) = step {
                        let shard = hosts[me].remove(shard);
                        hosts[to].push(shard);
                        moves += 1;
                    }
                }
            }
            assert!(moves <= 4, "{moves} moves of shards that use {load} each: {hosts:?}");
            assert_eq!(hosts.iter().map(Vec::len).sum::<usize>(), 4);
        }
    }
}
