//! How often strangers are answered, and how often a password can be tried: whoever does it too often is bounded, and
//! whoever is beside them is heard.

use std::time::Duration;

use hairpin::bounds::rate::Rate;
use hairpin::outcome::{Ignored, Method, Refusal};
use hairpin::relay::address::ClientPath;
use hairpin::relay::engine::Action;
use hairpin::secret::Secret;

use crate::support::client::Client;
use crate::support::stun::{ALLOCATE, BINDING, Builder, Class, REFRESH, REQUESTED_TRANSPORT};
use crate::support::world::{SECRET, World, path};

const CLIENT: &str = "203.0.113.1:5000";
const UDP: [u8; 4] = [17, 0, 0, 0];
const UNKNOWN: u16 = 0x7FFF;

/// The static user of every world.
fn alice() -> Client {
    Client::new(path(CLIENT), "alice", "wonderland")
}

fn allocate(client: &mut Client) -> Builder {
    client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &UDP)
}

/// How many of `count` equal datagrams are answered.
fn answered(world: &mut World, path: ClientPath, datagram: &[u8], count: usize) -> usize {
    (0..count).filter(|_| matches!(world.deliver(path, datagram), Action::Reply(_))).count()
}

/// An answer to a spoofed request hits somebody who never asked.
#[test]
fn an_address_hears_so_many_errors_a_second_and_then_silence() {
    let mut world = World::with(|plan| plan.limits.answers_per_ip = Rate::per_second(10));
    let mut client = alice();
    client.challenge(&mut world);
    let stranger = client.request(ALLOCATE).0;
    assert_eq!(answered(&mut world, client.path, &stranger, 100), 9);

    let challenges = |world: &World| world.counters.refusals(Method::Allocate, Refusal::Challenge);
    assert_eq!((challenges(&world), world.counters.drops(Ignored::AnswerBudget)), (10, 91));
    let unknown = Builder::new(Class::Request, BINDING, [1; 12]).attr(UNKNOWN, &[]);
    let incomplete = client.clone().request(REFRESH).sign_sha1(b"a key");
    for datagram in [&unknown.0, &incomplete.0] {
        assert_eq!(world.drop_of(client.path, datagram), Ignored::AnswerBudget);
    }
    assert_eq!(answered(&mut world, path("203.0.113.2:5000"), &stranger, 100), 10, "the neighbour");
    let binding = Builder::new(Class::Request, BINDING, [1; 12]).0;
    assert_eq!(answered(&mut world, client.path, &binding, 100), 100, "Binding is for everybody");
    let mut wrong = Client { password: "a typo".to_owned(), ..client.clone() };
    assert_eq!(wrong.refresh(&mut world, None).code(), Some(401), "an answer no longer than its question");
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &["127.0.0.1:9000"]), Some(403), "users hear their errors");
    let stale = Client { nonce: "stale".to_owned(), ..client.clone() }.permit(&mut world, &["1.1.1.1:9000"]);
    assert_eq!(stale, Some(438), "or a call would end for want of a fresh nonce");
    world.pass(1);
    assert_eq!(answered(&mut world, path("203.0.113.2:5000"), &stranger, 100), 10, "a second later");
}

/// Whoever pads a first request to the length of the answer is no use to anybody who spoofs one (RFC 8489 lets clients
/// add what is ignored).
#[test]
fn an_answer_that_is_no_longer_than_its_question_has_no_budget() {
    let mut world = World::with(|plan| plan.limits.answers_per_ip = Rate::per_second(1));
    let padded =
        |bytes: usize| Builder::new(Class::Request, ALLOCATE, [1; 12]).attr(0x8022, &vec![0; bytes]).0;
    let answer = world.ask(path(CLIENT), &padded(200));
    let enough = answer.bytes.len() + 8 - 20 - 4;
    assert_eq!(answered(&mut world, path(CLIENT), &padded(enough), 100), 100);
    assert_eq!(answered(&mut world, path(CLIENT), &padded(enough - 4), 100), 1);
}

/// Whoever has any credential at an address once used up the fresh nonces of all calls there.
#[test]
fn a_fresh_nonce_is_kept_from_nobody_who_knows_the_password() {
    let mut world = World::with(|plan| {
        plan.limits.answers_per_ip = Rate::per_second(10);
        plan.limits.failures = Rate::new(20, Duration::from_secs(60), 20);
    });
    let mut calls: Vec<Client> =
        (0..6).map(|n| world.client(&format!("203.0.113.1:{}", 5000 + n), "alice")).collect();
    for call in &mut calls {
        call.allocate(&mut world);
    }
    world.pass(599);
    let mut attacker = world.client("203.0.113.1:6666", "mallory");
    attacker.nonce = "stale".to_owned();
    let flood = attacker.request(REFRESH);
    let flood = attacker.sign(flood);
    calls.iter_mut().for_each(|call| call.nonce = "stale".to_owned());
    for _ in 0..200 {
        assert_eq!(answered(&mut world, attacker.path, &flood, 1), 1);
        world.now = world.now + Duration::from_millis(5);
    }
    let heard: Vec<_> = calls.iter_mut().map(|call| call.refresh(&mut world, None).code()).collect();
    assert_eq!(heard, [Some(438); 6]);
}

/// 30 spoofed packets a second once kept everybody at an address from a first nonce.
#[test]
fn newcomers_where_somebody_has_an_allocation_are_challenged_beside_a_flood() {
    let mut world =
        World::with(|plan| plan.limits.answers_per_ip = Rate::new(10, Duration::from_secs(1), 600));
    world.client("203.0.113.1:5000", "alice").allocate(&mut world);
    let stranger = Builder::new(Class::Request, ALLOCATE, [1; 12]).0;
    let mut unanswered = 0;
    for packet in 0..6000 {
        answered(&mut world, path("203.0.113.1:6666"), &stranger, 1);
        if packet % 100 == 0 {
            unanswered += 1 - answered(&mut world, path("203.0.113.1:7000"), &stranger, 1);
        }
        world.now = world.now + Duration::from_millis(10);
    }
    assert_eq!(unanswered, 0, "at a hundred spoofed packets a second, for a minute");
}

#[test]
fn a_network_hears_a_hundred_errors_a_second_and_then_silence() {
    let mut world = World::with(|plan| plan.limits.answers_per_network = Rate::per_second(100));
    let stranger = Builder::new(Class::Request, ALLOCATE, [1; 12]).0;
    let hosts = (0..=255).map(|host| path(&format!("203.0.113.{host}:5000")));
    assert_eq!(hosts.map(|host| answered(&mut world, host, &stranger, 2)).sum::<usize>(), 100);
    assert_eq!(answered(&mut world, path("203.0.112.1:5000"), &stranger, 2), 2, "the next network");
}

fn twenty_guesses_a_minute() -> World {
    World::with(|plan| plan.limits.failures = Rate::new(20, Duration::from_secs(60), 20))
}

/// The same for a user who exists and for one who does not, or silence would tell them apart.
#[test]
fn a_password_can_be_guessed_twenty_times_and_then_there_is_silence() {
    for username in ["alice", "nobody"] {
        let mut world = twenty_guesses_a_minute();
        let mut guesser = Client::new(path(CLIENT), username, "a guess");
        guesser.challenge(&mut world);
        let guess = allocate(&mut guesser);
        let guess = guesser.sign(guess);
        assert_eq!(answered(&mut world, guesser.path, &guess, 100), 20, "{username}");
        assert_eq!(world.counters.drops(Ignored::GuessBudget), 80, "{username}");
        world.pass(3);
        assert_eq!(answered(&mut world, guesser.path, &guess, 100), 1, "{username}, three seconds later");
    }
}

#[test]
fn who_guesses_shuts_out_nobody_else() {
    let mut world = twenty_guesses_a_minute();
    let mut guesser = Client::new(path(CLIENT), "alice", "a guess");
    guesser.challenge(&mut world);
    let guess = allocate(&mut guesser);
    let guess = guesser.sign(guess);
    assert_eq!(answered(&mut world, guesser.path, &guess, 100), 20);

    let mut same = Client::new(path("203.0.113.1:5001"), "alice", "wonderland");
    same.challenge(&mut world);
    assert_eq!(same.try_allocate(&mut world, |r| r).code(), None, "the same user behind the same NAT");
    assert_eq!(world.client("203.0.113.1:5002", "bob").try_allocate(&mut world, |r| r).code(), None);
    let mut elsewhere = Client::new(path("203.0.113.2:5000"), "alice", "wonderland");
    assert_eq!(elsewhere.try_allocate(&mut world, |r| r).code(), None);
}

/// Two guesses a second once silenced a user's running call, from any device in the same network.
#[test]
fn a_running_call_is_heard_whatever_its_neighbours_guess() {
    for (name, password) in [
        ("alice", "wonderland".to_owned()),
        ("1900000000:carol", Secret::new(SECRET).password("1900000000:carol").reveal().to_owned()),
    ] {
        let mut world = twenty_guesses_a_minute();
        let mut call = Client::new(path(CLIENT), name, &password);
        call.allocate(&mut world);
        for port in 6000..6100 {
            let mut guesser = Client::new(path(&format!("203.0.113.1:{port}")), name, "a guess");
            guesser.challenge(&mut world);
            let guess = allocate(&mut guesser);
            let guess = guesser.sign(guess);
            answered(&mut world, guesser.path, &guess, 100);
            assert_eq!(call.refresh(&mut world, None).code(), None, "{name}");
        }
        let mut stale = Client { nonce: "stale".to_owned(), ..call.clone() };
        assert_eq!(stale.refresh(&mut world, None).code(), Some(438), "{name}");
        let mut new = Client::new(path("203.0.113.1:7000"), name, &password);
        new.challenge(&mut world);
        let request = allocate(&mut new);
        let request = new.sign(request);
        let heard = answered(&mut world, new.path, &request, 1);
        assert_eq!(
            heard,
            usize::from(name != "alice"),
            "{name}: a chosen password has a bound for its user and address"
        );
    }
}

/// A guess counts only with a nonce of ours, and that went to where it was made for.
#[test]
fn a_spoofed_source_cannot_shut_anybody_out() {
    let mut world = twenty_guesses_a_minute();
    let mut guesser = Client::new(path("198.51.100.66:6666"), "alice", "a guess");
    guesser.challenge(&mut world);
    let victim = path(CLIENT);
    for nonce in [guesser.nonce.clone(), String::new(), "made up".to_owned()] {
        guesser.nonce = nonce;
        let guess = allocate(&mut guesser);
        let guess = guesser.sign(guess);
        assert_eq!(answered(&mut world, victim, &guess, 100), 100);
    }
    assert_eq!(alice().try_allocate(&mut world, |r| r).code(), None);
}

/// 438 says that the password was right: with nonces that were never ours, one could guess for ever.
#[test]
fn a_stale_nonce_is_no_way_to_go_on_guessing() {
    for username in ["alice", "nobody"] {
        let mut world = twenty_guesses_a_minute();
        let mut guesser = Client::new(path(CLIENT), username, "a guess");
        guesser.nonce = "made up".to_owned();
        let guess = allocate(&mut guesser);
        let wrong = guesser.sign(guess.clone());
        guesser.password = "wonderland".to_owned();
        let right = guesser.sign(guess);

        let heard: Vec<_> = (0..30).map(|_| world.ask(guesser.path, &wrong).code()).collect();

        assert_eq!(heard, [vec![Some(401); 20], vec![Some(438); 10]].concat(), "{username}");
        assert_eq!(world.ask(guesser.path, &right), world.ask(guesser.path, &wrong), "{username}");
    }
}
