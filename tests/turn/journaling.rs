//! What the journal says: which limit was reached, with its key; and which clients were refused, and why.

use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::outcome::Ignored;
use hairpin::sections::number::Count;

use crate::connecting::{allocated, connect};
use crate::support::client::Client;
use crate::support::logged::logged;
use crate::support::stun::{ALLOCATE, Builder, Class, REQUESTED_TRANSPORT, channel_data};
use crate::support::world::{Plan, World, path};

const HOME: &str = "203.0.113.1:5000";
const PEER: &str = "1.1.1.1:9000";
const UDP: [u8; 4] = [17, 0, 0, 0];

fn address(host: u16, port: u16) -> String {
    format!("203.0.{host}.1:{port}")
}

/// Users of these names at these addresses allocate.
fn allocate(world: &mut World, clients: &[(String, &str)]) {
    for (address, tag) in clients {
        let _ = world.client(address, tag).try_allocate(world, |request| request);
    }
}

/// A client that sends more than its rate allows, and its peer that does, too.
fn flood(world: &mut World) {
    let mut client = world.client(HOME, "alice");
    let relayed = client.allocate(world);
    assert_eq!(client.bind(world, 0x4000, PEER), None);
    for _ in 0..10 {
        world.deliver(client.path, &channel_data(0x4000, &[0; 1000]));
        let _ = world.peer_sends(relayed, PEER, 1000);
    }
}

/// Somebody tries this name and password from this address.
fn guess(world: &mut World, address: &str, name: &str, password: &str) -> Option<u16> {
    Client::new(path(address), name, password).try_allocate(world, |request| request).code()
}

/// The lines about limits, and the lines about clients, of what happens in a world.
fn said(change: impl FnOnce(&mut Plan), act: impl FnOnce(&mut World)) -> (Vec<String>, Vec<String>) {
    let lines = logged(|| {
        let mut world = World::with(change);
        act(&mut world);
        world.journal.conclude();
    });
    lines.into_iter().partition(|line| line.starts_with("INFO limit reached: "))
}

/// What the journal says of the clients in a world.
fn refused(act: impl FnOnce(&mut World)) -> Vec<String> {
    said(|_| {}, act).1
}

/// A limit of the relay: its key, how it is set, and what reaches it.
type Case = (&'static str, fn(&mut Plan), fn(&mut World));

const CASES: &[Case] = &[
    (
        "limits.allocations_per_user",
        |plan| plan.limits.configured.allocations_per_user = Count::of::<1>(),
        |world| allocate(world, &[(address(1, 5000), "alice"), (address(2, 5000), "alice")]),
    ),
    (
        "limits.allocations_per_ip",
        |plan| plan.limits.allocations_per_ip = 1,
        |world| allocate(world, &[(address(1, 5000), "alice"), (address(1, 5001), "bob")]),
    ),
    (
        "limits.allocations",
        |plan| plan.limits.allocations_per_network = 1,
        |world| allocate(world, &[(address(1, 5000), "alice"), (address(1, 5001), "bob")]),
    ),
    (
        "limits.allocations",
        |plan| plan.limits.allocations = 1,
        |world| allocate(world, &[(address(1, 5000), "alice"), (address(2, 5000), "bob")]),
    ),
    (
        "limits.allocations_per_user",
        |plan| plan.limits.configured.allocations_per_user = Count::of::<32>(),
        |world| {
            for port in 5001..5040 {
                let mut client = world.client(&address(1, port), "alice");
                let _ = client.try_allocate(world, |request| request);
                client.refresh(world, Some(0));
            }
        },
    ),
    (
        "limits.permissions",
        |plan| plan.limits.configured.permissions = Count::of::<1>(),
        |world| {
            let mut client = world.client(HOME, "alice");
            client.allocate(world);
            assert_eq!(client.permit(world, &[PEER, "1.1.1.2:9000"]), Some(508));
        },
    ),
    (
        "limits.channels",
        |plan| plan.limits.configured.channels = Count::of::<1>(),
        |world| {
            let mut client = world.client(HOME, "alice");
            client.allocate(world);
            assert_eq!(client.bind(world, 0x4000, PEER), None);
            assert_eq!(client.bind(world, 0x4001, "1.1.1.2:9000"), Some(508));
        },
    ),
    (
        "limits.channels",
        |plan| (plan.tcp, plan.limits.configured.channels) = (true, Count::of::<1>()),
        |world| {
            let (mut client, _) = allocated(world, 1);
            assert!(connect(world, &mut client, PEER).is_ok());
            assert_eq!(connect(world, &mut client, "1.1.1.2:9000"), Err(Some(508)));
        },
    ),
    (
        "limits.new_peers_per_second",
        |plan| plan.limits.new_peers = Rate::per_second(1),
        |world| {
            let mut client = world.client(HOME, "alice");
            client.allocate(world);
            assert_eq!(client.permit(world, &[PEER, "1.1.1.2:9000"]), Some(508));
        },
    ),
    ("limits.packets_per_second", |plan| plan.limits.packets = Rate::per_second(1), flood),
    ("limits.bits_per_second", |plan| plan.limits.bytes = Rate::per_second(1000), flood),
    ("limits.bits_per_second_per_user", |plan| plan.limits.user_bytes = Some(Rate::per_second(1000)), flood),
    ("limits.bits_per_second_total", |plan| plan.limits.total_bytes = Some(Rate::per_second(1000)), flood),
    (
        "limits.answers_per_ip_burst",
        |plan| plan.limits.answers_per_ip = Rate::per_second(1),
        |world| {
            let request = Builder::new(Class::Request, ALLOCATE, [1; 12]).0;
            world.ask(path(HOME), &request);
            assert_eq!(world.drop_of(path(HOME), &request), Ignored::AnswerBudget);
        },
    ),
    (
        "limits.failures_per_minute",
        |plan| plan.limits.failures = Rate::new(1, Duration::from_secs(60), 1),
        |world| {
            let mut guesser = Client::new(path(HOME), "alice", "a guess");
            guesser.challenge(world);
            let guess = guesser.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &UDP);
            let guess = guesser.sign(guess);
            world.ask(guesser.path, &guess);
            assert_eq!(world.drop_of(guesser.path, &guess), Ignored::GuessBudget);
        },
    ),
];

#[test]
fn every_limit_that_is_reached_is_said_once_with_the_key_that_raises_it() {
    for (key, change, reach) in CASES {
        let (limits, _) = said(*change, *reach);
        let [line] = &limits[..] else { panic!("{key}: {limits:#?}") };
        assert!(line.contains(&format!("key=\"{key}\"")), "{key}: {line}");
    }
}

#[test]
fn an_ordinary_call_is_not_in_the_journal() {
    let lines = refused(|world| {
        let mut client = world.client(HOME, "alice");
        client.allocate(world);
        assert_eq!(client.permit(world, &["10.0.0.1:9000"]), Some(403), "a private candidate");
        world.pass(700);
        let mut stale = Client { nonce: "stale".to_owned(), ..world.client(HOME, "alice") };
        assert_eq!(stale.refresh(world, None).code(), Some(438));
    });
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn a_password_that_is_wrong_again_and_again_is_a_mistake() {
    let lines = refused(|world| {
        for port in 5000..5300 {
            assert_eq!(guess(world, &address(113, port), "alice", "wunderland"), Some(401));
        }
    });
    assert_eq!(lines, ["INFO refused: cause=wrong_password count=300"]);
}

#[test]
fn many_names_are_an_attack() {
    let lines = refused(|world| {
        for n in 0..40 {
            assert_eq!(guess(world, &address(113, 5000 + n), &format!("user{n}"), "12345678"), Some(401));
        }
    });
    assert_eq!(lines, ["INFO refused: cause=guessing_passwords count=40"]);
}

#[test]
fn credentials_of_another_secret_are_a_mistake_however_many_there_are() {
    let lines = refused(|world| {
        for n in 0..40 {
            let name = format!("1900000000:user{n}");
            assert_eq!(guess(world, &address(113, 5000 + n), &name, "of another secret"), Some(401));
        }
    });
    assert_eq!(lines, ["INFO refused: cause=wrong_secret count=40"]);
}

#[test]
fn expired_and_revoked_credentials_and_quotas_have_causes_of_their_own() {
    let (_, lines) = said(
        |plan| plan.limits.configured.allocations_per_user = Count::of::<1>(),
        |world| {
            let mut late = world.client(HOME, "alice");
            let mut revoked = world.client("203.0.113.1:5001", "carol");
            world.revoke(&revoked.username.clone());
            assert_eq!(revoked.try_allocate(world, |request| request).code(), Some(401));
            world.pass(4000);
            assert_eq!(late.try_allocate(world, |request| request).code(), Some(401));
            allocate(world, &[(address(113, 5002), "bob"), (address(113, 5003), "bob")]);
        },
    );
    let cause = |cause| format!("INFO refused: cause={cause} count=1");
    assert_eq!(lines, ["expired_credential", "revoked_credential", "quota"].map(cause));
}

/// Whoever could have somebody else's address banned would not need to attack it.
#[test]
fn guesses_from_a_spoofed_address_are_counted_for_nobody() {
    let lines = refused(|world| {
        for n in 0..40 {
            let mut guesser = Client::new(path(HOME), &format!("user{n}"), "12345678");
            guesser.nonce = "made up".to_owned();
            let guess = guesser.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &UDP);
            assert_eq!(guesser.ask(world, guess).code(), Some(401));
        }
    });
    assert_eq!(lines, ["INFO refused, wrong credentials from addresses that may be spoofed: count=40"]);
}

#[test]
fn the_minutes_are_counted_apart() {
    let lines = logged(|| {
        let mut world = World::new();
        for minute in 0..3 {
            assert_eq!(guess(&mut world, &address(113, 5000 + minute), "alice", "wunderland"), Some(401));
            world.pass(61);
            world.journal.tick(world.now.moment);
        }
    });
    assert_eq!(lines, ["INFO refused: cause=wrong_password count=1"; 3]);
}
