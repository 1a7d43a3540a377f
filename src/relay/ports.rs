//! The relay ports, in two halves: all shards take ports from one [`PortPool`], and each keeps its sockets in
//! [`ShardPorts`].
//!
//! The pool has one bit for each port of each relay address ([`Offered`]). It skips ports that other programs use. It binds
//! a reserved port (RFC 8656 §7.2) at once; the token that opens it works on any shard.

mod offered;
mod pool;
mod sockets;

pub use offered::Offered;
pub use pool::PortPool;
pub use sockets::ShardPorts;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};
    use std::ops::RangeInclusive;
    use std::sync::Arc;

    use mio::Poll;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::clock::Clock;
    use crate::network::address::{RelayAddress, Transport};
    use crate::relay::address::Family;
    use crate::relay::engine::seam::{IcmpReports, NoPort, OpenPort, Parity, Ports as _, ReservationToken};
    use crate::relay::source::Watcher;

    const LOOPBACK: RelayAddress = RelayAddress {
        bind: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        public: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    };

    fn ports(pool: &Arc<PortPool>) -> ShardPorts {
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        ShardPorts::new(Arc::clone(pool), Watcher::new(registry, 0))
    }

    fn pool(range: RangeInclusive<u16>) -> Arc<PortPool> {
        Arc::new(PortPool::new(&[LOOPBACK], range, Clock::start()))
    }

    fn open(ports: &mut ShardPorts, parity: Parity) -> Result<OpenPort, NoPort> {
        ports.open(Family::V4, parity, IcmpReports::Unknown, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn every_port_is_found_and_every_port_comes_back() {
        let pool = pool(25_000..=25_049);
        let mut ports = ports(&pool);
        for _ in 0..3 {
            let opened: Vec<OpenPort> = (0..50).map(|_| open(&mut ports, Parity::Any).unwrap()).collect();
            assert_eq!((open(&mut ports, Parity::Any), pool.taken()), (Err(NoPort), 50));
            opened.iter().for_each(|relay| ports.close(relay.id));
            ports.reap();
            assert_eq!(pool.taken(), 0);
        }
    }

    #[test]
    fn an_even_port_leaves_its_neighbour_free() {
        let pool = pool(25_100..=25_101);
        let mut ports = ports(&pool);
        assert_eq!(open(&mut ports, Parity::Even).unwrap().addr.0.port(), 25_100);
        assert_eq!(open(&mut ports, Parity::Even), Err(NoPort));
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_101);
    }

    #[test]
    fn a_reserved_port_waits_for_its_token_on_any_shard_and_works_once() {
        let pool = pool(25_200..=25_201);
        let (mut here, mut there) = (ports(&pool), ports(&pool));
        let token = ReservationToken([7; 8]);
        assert_eq!(open(&mut here, Parity::EvenAndNext(token)).unwrap().addr.0.port(), 25_200);
        assert_eq!(open(&mut there, Parity::Any), Err(NoPort));
        assert_eq!(there.redeem(token, IcmpReports::Unknown).unwrap().addr.0.port(), 25_201);
        assert_eq!(here.redeem(token, IcmpReports::Unknown), None);
    }

    #[test]
    fn a_forgotten_reservation_frees_its_port() {
        let pool = pool(25_300..=25_301);
        let mut ports = ports(&pool);
        open(&mut ports, Parity::EvenAndNext(ReservationToken([7; 8]))).unwrap();
        ports.forget(ReservationToken([7; 8]));
        assert_eq!((ports.redeem(ReservationToken([7; 8]), IcmpReports::Unknown), pool.taken()), (None, 1));
    }

    #[test]
    fn a_range_without_a_pair_has_none() {
        for range in [25_401..=25_401, 25_400..=25_400, 25_401..=25_402] {
            let pool = pool(range);
            let mut ports = ports(&pool);
            assert_eq!(open(&mut ports, Parity::EvenAndNext(ReservationToken([7; 8]))), Err(NoPort));
            assert_eq!(pool.taken(), 0);
        }
    }

    #[test]
    fn a_port_of_another_program_is_skipped() {
        let foreign = std::net::UdpSocket::bind("127.0.0.1:25500").unwrap();
        let pool = pool(25_500..=25_501);
        let mut ports = ports(&pool);
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_501);
        assert_eq!((open(&mut ports, Parity::Any), pool.taken()), (Err(NoPort), 1));
        drop(foreign);
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0.port(), 25_500);
    }

    #[test]
    fn the_world_sees_the_public_address_and_we_stay_inside() {
        let pool = pool(25_600..=25_600);
        let mut ports = ports(&pool);
        let relay = open(&mut ports, Parity::Any).unwrap();
        let public: SocketAddr = "192.0.2.1:25600".parse().unwrap();
        assert_eq!((relay.addr.0, ports.local(public)), (public, Some(relay.id)));
        assert!(ports.is_relay_ip(public.ip()) && ports.is_live(public));
        assert_eq!(ports.inside(Transport::Udp, public), "127.0.0.1:25600".parse().unwrap());
        assert_eq!(ports.outside(Transport::Udp, "127.0.0.1:25600".parse().unwrap()), public);
        ports.close(relay.id);
        assert_eq!(ports.local(public), None);
        ports.reap();
        assert!(!ports.is_live(public));
        assert_eq!(open(&mut ports, Parity::Any).unwrap().addr.0, public);
    }

    #[test]
    fn a_family_without_an_address_is_not_served() {
        let mut ports = ports(&pool(25_700..=25_700));
        assert!(ports.serves(Family::V4) && !ports.serves(Family::V6));
        assert_eq!(
            ports.open(Family::V6, Parity::Any, IcmpReports::Unknown, &mut StdRng::seed_from_u64(1)),
            Err(NoPort)
        );
    }

    /// The pool has other addresses from now on.
    fn move_to(pool: &PortPool, ports: &mut ShardPorts, addresses: &[(&str, &str)]) {
        let ip = |text: &str| text.parse().unwrap();
        let addresses =
            addresses.iter().map(|(bind, public)| RelayAddress { bind: ip(bind), public: ip(public) });
        ports.change(pool.offer(&addresses.collect::<Vec<_>>()));
    }

    #[test]
    fn new_allocations_use_a_new_address_and_existing_ones_keep_theirs() {
        let pool = pool(25_800..=25_801);
        let mut ports = ports(&pool);
        let old = open(&mut ports, Parity::Any).unwrap();

        move_to(&pool, &mut ports, &[("127.0.0.2", "127.0.0.2")]);

        let new = open(&mut ports, Parity::Any).unwrap();
        assert_eq!((new.addr.0.ip(), old.addr.0.ip()), (IpAddr::from([127, 0, 0, 2]), LOOPBACK.public));
        assert!(ports.is_live(old.addr.0) && ports.is_live(new.addr.0));
        assert_eq!(
            ports.inside(Transport::Udp, old.addr.0),
            SocketAddr::new(LOOPBACK.bind, old.addr.0.port())
        );
        // And when nobody has the old address any more, it is none of ours after the next change.
        ports.close(old.id);
        ports.reap();
        move_to(&pool, &mut ports, &[("127.0.0.2", "127.0.0.2")]);
        assert!(!ports.is_relay_ip(LOOPBACK.public) && ports.is_relay_ip(new.addr.0.ip()));
        assert_eq!(pool.taken(), 1);
    }

    #[test]
    fn an_address_that_a_shard_may_still_choose_is_not_forgotten() {
        let pool = pool(25_820..=25_821);
        let mut ports = ports(&pool);
        let other = RelayAddress { bind: IpAddr::from([127, 0, 0, 2]), public: IpAddr::from([127, 0, 0, 2]) };

        let offered = pool.offer(&[other]);
        let late = open(&mut ports, Parity::Any).unwrap();
        ports.change(offered);

        assert!(ports.is_live(late.addr.0) && ports.is_relay_ip(LOOPBACK.public));
        // And it is, once the shards know, and nobody uses it any more.
        assert!(!pool.offered().has_unused());
        ports.close(late.id);
        ports.reap();
        assert!(pool.offered().has_unused());
        ports.change(pool.offer(&[other]));
        assert!(!ports.is_relay_ip(LOOPBACK.public));
    }

    #[test]
    fn where_the_public_side_has_changed_each_allocation_is_known_by_its_own() {
        let pool = pool(25_810..=25_811);
        let mut ports = ports(&pool);
        let old = open(&mut ports, Parity::Any).unwrap();

        move_to(&pool, &mut ports, &[("127.0.0.1", "192.0.2.9")]);

        let new = open(&mut ports, Parity::Any).unwrap();
        assert_eq!(new.addr.0.ip(), IpAddr::from([192, 0, 2, 9]));
        assert_ne!(new.addr.0.port(), old.addr.0.port());
        for relay in [old, new] {
            let inside = SocketAddr::new(LOOPBACK.bind, relay.addr.0.port());
            assert_eq!(
                (ports.inside(Transport::Udp, relay.addr.0), ports.outside(Transport::Udp, inside)),
                (inside, relay.addr.0)
            );
        }
        assert_eq!(
            ports.outside(Transport::Udp, "127.0.0.1:22".parse().unwrap()),
            "192.0.2.9:22".parse().unwrap()
        );
        let never = SocketAddr::new(new.addr.0.ip(), old.addr.0.port());
        assert!(!ports.is_live(never), "{never}");
        // And back again.
        move_to(&pool, &mut ports, &[("127.0.0.1", "192.0.2.1")]);
        assert_eq!((ports.is_live(old.addr.0), pool.taken()), (true, 2));
    }

    #[test]
    fn without_any_address_there_is_no_port_now_but_perhaps_later() {
        let pool = pool(25_820..=25_821);
        let mut ports = ports(&pool);
        move_to(&pool, &mut ports, &[]);
        assert!(ports.serves(Family::V4) && ports.serves(Family::V6));
        assert_eq!(open(&mut ports, Parity::Any), Err(NoPort));
        move_to(&pool, &mut ports, &[("127.0.0.1", "127.0.0.1")]);
        assert!(!ports.serves(Family::V6));
        assert!(open(&mut ports, Parity::Any).is_ok());
    }
}
