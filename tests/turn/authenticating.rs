//! Who is let in, who is told what, and who hears nothing (RFC 8489 §9.2.4).
//!
//! N1 to N10 and A9 to A11 are the items of the list of hostile inputs that the suite must try.

use std::net::Ipv4Addr;
use std::time::Duration;

use hairpin::clock::Unix;
use hairpin::credentials::tag::Tag;
use hairpin::credentials::{CheckExpiry, RevokeError};
use hairpin::outcome::{Method, Refusal};
use hairpin::relay::address::ClientPath;
use hairpin::relay::engine::nonce::Nonces;
use hairpin::secret::Secret;

use crate::support::client::Client;
use crate::support::stun::{
    ALLOCATE, Builder, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, Class, ERROR_CODE, LIFETIME,
    MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, Message, NONCE, PASSWORD_ALGORITHM, PASSWORD_ALGORITHMS,
    REALM, REFRESH, REQUESTED_TRANSPORT, RESERVATION_TOKEN, SOFTWARE, UNKNOWN_ATTRIBUTES, USERHASH, USERNAME,
    md5_key, sha256_key, user_hash,
};
use crate::support::world::{self, SECRET, START, World, path};

const CLIENT: &str = "203.0.113.1:5000";
const PEER: &str = "1.1.1.1:9000";
const UDP: [u8; 4] = [17, 0, 0, 0];
const METHODS: [u16; 4] = [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND];
const UNKNOWN: u16 = 0x7FFF;

/// What the server offers, and what a client may choose of it.
const OFFER: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];
const CHOOSE_MD5: [u8; 4] = [0, 1, 0, 0];
const CHOOSE_SHA256: [u8; 4] = [0, 2, 0, 0];

/// What a rejected request is told, so that it can be tried again.
const CHALLENGE: [u16; 4] = [ERROR_CODE, REALM, NONCE, PASSWORD_ALGORITHMS];

/// The static user of every world.
fn alice() -> Client {
    Client::new(path(CLIENT), "alice", "wonderland")
}

/// A new client tries to allocate with this name and password, in a world of its own.
fn log_in(username: &str, password: &str) -> Message {
    Client::new(path(CLIENT), username, password).try_allocate(&mut World::new(), |request| request)
}

/// A credential of the tests' secret.
fn password(username: &str) -> String {
    Secret::new(SECRET).password(username).reveal().to_owned()
}

fn allocate(client: &mut Client) -> Builder {
    client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &UDP)
}

// The challenge.

#[test]
fn the_first_request_is_challenged_and_leaves_no_trace() {
    let mut world = World::new();
    let request = Builder::new(Class::Request, ALLOCATE, [9; 12]).attr(REQUESTED_TRANSPORT, &UDP);

    let answer = world.ask(path(CLIENT), &request.0);

    assert_eq!((answer.code(), answer.transaction), (Some(401), [9; 12]));
    assert_eq!(answer.kinds(), CHALLENGE);
    assert_eq!(answer.text(REALM), world::REALM);
    assert!(answer.text(NONCE).starts_with("obMatJos2AAAB") && answer.text(NONCE).len() == 32);
    assert_eq!(answer.get(PASSWORD_ALGORITHMS), Some(&OFFER[..]));
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::Challenge), 1);
    assert_eq!((world.allocations(), world.quotas.total()), (0, 0));
}

/// A spoofed request of 28 bytes must not become a large answer for somebody else.
#[test]
fn a_challenge_is_small() {
    let answer = World::new().ask(path(CLIENT), &Builder::new(Class::Request, ALLOCATE, [9; 12]).0);
    println!("a challenge has {} bytes", answer.bytes.len());
    assert!(answer.bytes.len() <= 92);
}

/// The crate looked for the allocation first, and so told strangers whether there was one.
#[test]
fn a_stranger_does_not_hear_whether_there_is_an_allocation() {
    let (mut empty, mut busy) = (World::new(), World::new());
    alice().allocate(&mut busy);
    let mut stranger = Client::new(path(CLIENT), "alice", "a guess");
    stranger.challenge(&mut empty);
    for method in METHODS {
        let request = stranger.request(method);
        for datagram in [request.0.clone(), stranger.sign(request)] {
            let answer = empty.ask(stranger.path, &datagram);
            assert_eq!((answer.code(), answer.kinds()), (Some(401), CHALLENGE.to_vec()));
            assert_eq!(answer.bytes, busy.ask(stranger.path, &datagram).bytes, "{method:#x}");
        }
    }
}

/// The crate said nothing at all, and clients asked for forty seconds.
#[test]
fn a_user_hears_that_there_is_no_allocation() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for method in [REFRESH, CREATE_PERMISSION, CHANNEL_BIND] {
        let request = client.request(method).attr(LIFETIME, &[0; 4]);
        let request = request.attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]).peer(PEER);
        let answer = client.ask(&mut world, request);
        assert_eq!(answer.code(), Some(437), "{method:#x}");
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()));
    }
}

// Who is it?

#[test]
fn static_users_and_time_limited_credentials_are_let_in() {
    let soon = START + 3600;
    for tag in ["", ":", ":alice", ":a:b:c", ":::", ":\u{e9}\u{1F600}", ":alice@example.org"] {
        let username = format!("{soon}{tag}");
        assert_eq!(log_in(&username, &password(&username)).code(), None, "{username:?}");
    }
    assert_eq!(log_in("alice", "wonderland").code(), None);
}

/// RFC 8489 §14.3: what is longer than 508 bytes must not be sent, and must be read up to 763.
#[test]
fn a_long_user_name_is_let_in() {
    for bytes in [508, 509, 763] {
        let username = format!("{:a<bytes$}", format!("{}:", START + 3600));
        assert_eq!((username.len(), log_in(&username, &password(&username)).code()), (bytes, None));
    }
    let longer = format!("{:a<764}", format!("{}:", START + 3600));
    assert_eq!(log_in(&longer, &password(&longer)).code(), Some(401), "nobody has such a name");
}

/// A9. Signed as the server itself would, were the name somebody's.
#[test]
fn a_name_that_is_nobodys_is_unknown() {
    const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let long = [1, 508, 509, 763, 60_000].map(|bytes| vec![b'a'; bytes]);
    let odd: [&[u8]; 14] = [
        b"",
        b"\xFF\xFE",
        b"\xC0\x80",
        b"alice\0",
        b"\0",
        b"alice\r\n",
        b"\r\nalice",
        b"%s%x%n",
        b"../alice",
        b"alice ",
        b"Alice",
        b"alice:",
        "al\u{ad}ice".as_bytes(),
        "\u{ff41}lice".as_bytes(),
    ];
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for name in long.iter().map(Vec::as_slice).chain(odd) {
        for password in ["wonderland", NOBODYS, &password(&String::from_utf8_lossy(name))] {
            let request = allocate(&mut client).attr(USERNAME, name).attr(REALM, world::REALM.as_bytes());
            let request = request.attr(NONCE, client.nonce.as_bytes());
            let key = md5_key(&String::from_utf8_lossy(name), world::REALM, password);
            let answer = world.ask(client.path, &request.sign_sha1(&key).0);
            assert_eq!((answer.code(), answer.kinds()), (Some(401), CHALLENGE.to_vec()), "{name:x?}");
        }
    }
    assert_eq!(world.allocations(), 0);
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::UnknownUser), 3 * 19);
}

/// A10: the password is right for each of them, and each could be taken for a credential without an end.
#[test]
fn a_name_that_does_not_begin_with_a_time_is_unknown() {
    for username in [
        "",
        ":",
        ":alice",
        "alice:1900000000",
        "-1",
        "+1",
        "-1:alice",
        "+1900000000:alice",
        " 1900000000",
        "1900000000 ",
        "1900000000 :alice",
        "1e9",
        "1e9:alice",
        "0x7FFFFFFF",
        "1900000000.5",
        "1900000000;alice",
        "\u{661}\u{669}00000000",
        "253402300800",
        "1900000000000:alice",
        "18446744073709551615",
        "18446744073709551616:alice",
        &"9".repeat(700),
    ] {
        assert_eq!(log_in(username, &password(username)).code(), Some(401), "{username:?}");
    }
    let end_of_time = "253402300799:alice";
    assert_eq!(log_in(end_of_time, &password(end_of_time)).code(), None);
}

/// The crate said 400, which a client must not even look at.
#[test]
fn a_wrong_password_is_challenged_again() {
    let soon = format!("{}:alice", START + 3600);
    for (username, wrong) in [
        ("alice", ""),
        ("alice", "Wonderland"),
        ("alice", &password("alice")),
        (&soon, "wonderland"),
        (&soon, &password("alice")),
        (&soon, SECRET),
    ] {
        let answer = log_in(username, wrong);
        assert_eq!((answer.code(), answer.kinds()), (Some(401), CHALLENGE.to_vec()), "{username} {wrong}");
    }
}

/// N10: nobody can find out who has an account.
#[test]
fn an_unknown_user_and_a_wrong_password_are_told_the_same() {
    let expected = log_in("alice", "wrong").bytes;
    let soon = format!("{}:alice", START + 3600);
    for username in ["nobody", "bob", "", &soon, "1:alice", "1e9", "18446744073709551615"] {
        assert_eq!(log_in(username, "wrong").bytes, expected, "{username:?}");
    }
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let request = allocate(&mut client);
    for hash in [user_hash("alice", world::REALM), vec![7; 32], vec![7; 31], vec![]] {
        let request = request.clone().attr(USERHASH, &hash).attr(REALM, world::REALM.as_bytes());
        let signed = request.attr(NONCE, client.nonce.as_bytes()).sign_sha1(b"wrong");
        assert_eq!(world.ask(client.path, &signed.0).bytes, expected, "{hash:x?}");
    }
}

/// A11: the crate took the realm that the client named, and so let another server's users in.
#[test]
fn the_realm_of_another_server_is_refused() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let ours = client.key();
    for realm in ["", "example.com", "Example.org", "example.org ", "example.org\0"] {
        client.realm = realm.to_owned();
        for key in [client.key(), ours.clone()] {
            let request = allocate(&mut client);
            let answer = world.ask(client.path, &client.claim(request).sign_sha1(&key).0);
            assert_eq!((answer.code(), answer.text(REALM)), (Some(401), world::REALM.to_owned()), "{realm}");
        }
    }
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::WrongRealm), 10);
}

#[test]
fn a_secret_can_be_replaced_while_credentials_of_the_old_one_are_out() {
    let username = format!("{}:alice", START + 3600);
    let log_in = |secret: &str, port| {
        let mut world = World::with(|plan| plan.secrets = ["new", "old"].map(Secret::new).to_vec());
        let password = Secret::new(secret).password(&username);
        let mut client = Client::new(path(&format!("203.0.113.1:{port}")), &username, password.reveal());
        client.try_allocate(&mut world, |request| request).code()
    };
    assert_eq!([log_in("new", 1024), log_in("old", 1025)], [None, None]);
    assert_eq!([log_in("older", 1026), log_in(SECRET, 1027)], [Some(401), Some(401)]);
}

/// The crate said 400.
#[test]
fn an_expired_credential_is_challenged_again() {
    let log_in = |expiry: u64| {
        let username = format!("{expiry}:alice");
        log_in(&username, &password(&username))
    };
    assert_eq!(log_in(START).code(), None, "its last second");
    for expiry in [START - 1, 1, 0] {
        let answer = log_in(expiry);
        assert_eq!((answer.code(), answer.kinds()), (Some(401), CHALLENGE.to_vec()), "{expiry}");
    }
}

#[test]
fn a_call_may_outlast_its_credential_unless_that_is_forbidden() {
    for (check_expiry, code) in [(CheckExpiry::Allocate, None), (CheckExpiry::Always, Some(401))] {
        let mut world = World::with(|plan| plan.check_expiry = check_expiry);
        let mut client = world.client(CLIENT, "alice");
        assert_eq!(client.try_allocate(&mut world, |r| r.attr(LIFETIME, &[0, 0, 255, 255])).lifetime(), 3600);
        world.now.unix = world.now.unix + Duration::from_secs(3601);
        assert_eq!(client.refresh(&mut world, None).code(), code, "{check_expiry:?}");
        assert_eq!(client.permit(&mut world, &[PEER]), code, "{check_expiry:?}");
        assert_eq!(client.bind(&mut world, 0x4000, PEER), code, "{check_expiry:?}");
        client.path = path("203.0.113.1:5001");
        client.challenge(&mut world);
        assert_eq!(client.try_allocate(&mut world, |r| r).code(), Some(401), "{check_expiry:?}");
    }
}

/// Strangers get these, to check their connection.
#[test]
fn nothing_outlasts_the_credential_of_a_check() {
    let mut world = World::new();
    let mut client = world.client(CLIENT, "");
    client.username = format!("{}:{}", START + 120, Tag::Check { id: "somebody" });
    client.password = password(&client.username);
    let answer = client.try_allocate(&mut world, |r| r.attr(LIFETIME, &[0, 0, 255, 255]));
    assert_eq!((answer.code(), answer.lifetime()), (None, 120));
    world.now.unix = world.now.unix + Duration::from_secs(100);
    assert_eq!(client.refresh(&mut world, None).lifetime(), 20);
    world.now.unix = world.now.unix + Duration::from_secs(21);
    assert_eq!(client.refresh(&mut world, None).code(), Some(401));
    assert_eq!(client.permit(&mut world, &[PEER]), Some(401));
}

#[test]
fn a_revoked_credential_is_refused_until_it_would_have_ended_and_others_of_its_tag_are_not() {
    let mut world = World::with(|plan| plan.check_expiry = CheckExpiry::Always);
    let mut client = world.client(CLIENT, "alice");
    client.allocate(&mut world);

    world.credentials().revoke(&client.username, world.now.unix).unwrap();

    let answer = client.refresh(&mut world, None);
    assert_eq!((answer.code(), answer.kinds()), (Some(401), CHALLENGE.to_vec()));
    assert_eq!(client.permit(&mut world, &[PEER]), Some(401));
    client.path = path("203.0.113.1:5001");
    client.challenge(&mut world);
    assert_eq!(client.try_allocate(&mut world, |request| request).code(), Some(401));
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::Revoked), 1);
    world.pass(1);
    world.client("203.0.113.1:5002", "alice").allocate(&mut world);
}

#[test]
fn a_static_user_cannot_be_revoked() {
    let world = World::new();
    assert_eq!(world.credentials().revoke("alice", Unix::from_secs(START)), Err(RevokeError::Malformed));
}

/// Whoever shares our secret makes credentials by itself. Each password was made by
/// `printf USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64`.
#[test]
fn the_credentials_of_others_are_accepted_as_they_make_them() {
    for (maker, username, password) in MADE_BY_OTHERS {
        let mut world = World::with(|plan| plan.secrets = vec![Secret::new(SHARED)]);
        let mut client = Client::new(path(CLIENT), username, password);
        client.allocate(&mut world);
        assert_eq!(world.allocations(), 1, "{maker}");
    }
}

const SHARED: &str = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";

/// Who makes it, the user name, and the password under [`SHARED`].
const MADE_BY_OTHERS: [(&str, &str, &str); 9] = [
    ("Matrix Synapse", "1800003600:@user:example.com", "F+q3WkkCmdtsYfWaFS+oi5sRqWU="),
    ("Nextcloud Talk", "1800086400:ov4cWmGfcUPcFZPm", "Jov+b94rUDt0Py4IgAZ97jgm+zk="),
    ("Nextcloud Talk, its admin's test", "1800000300:turn-test-user", "QZBI4/dHW+5/aw/6YKfWT45x73Y="),
    ("Prosody for Jitsi Meet", "1800086400", "w6uDlY7C2hx1wusw6nf3xVu48Kc="),
    ("Mattermost Calls", "1800014400:8fdzgp37fpr7tfb8k7zxqd4oyh", "T/zSXu46dNvNptJPAY5i483/7wE="),
    ("LiveKit", "1800003600:PA_8vKeX3mbnqsd", "RrQrvdcWzXurs6KGgaJBbl1ZI3A="),
    ("Galène", "1800086400:galene", "22ESl7EFLb6RLvFxrCDh5+DEdJU="),
    ("Galène, without a user", "1800086400", "w6uDlY7C2hx1wusw6nf3xVu48Kc="),
    ("draft-uberti-behave-turn-rest", "1800086400:mbzrxpgjys", "5yVDIuh/vvpM8iDsvdrsONKcioY="),
];

// User names that do not show.

#[test]
fn a_static_user_may_be_named_by_a_hash() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let with_hash = |request: Builder, nonce: &str| {
        let request = request.attr(USERHASH, &user_hash("alice", world::REALM));
        request.attr(REALM, world::REALM.as_bytes()).attr(NONCE, nonce.as_bytes()).sign_sha1(&alice().key()).0
    };
    let request = with_hash(allocate(&mut client), &client.nonce);
    assert_eq!(world.ask(client.path, &request).code(), None);
    let refresh = with_hash(client.request(REFRESH), &client.nonce);
    assert_eq!(world.ask(client.path, &refresh).code(), None);
    assert_eq!(client.refresh(&mut world, None).code(), None, "by name it is the same user");
}

/// Names of time-limited credentials are made elsewhere: a hash of one tells us nothing.
#[test]
fn hashes_are_asked_for_only_where_every_user_is_known() {
    for (secrets, features) in [(vec![], "obMatJos2AAAD"), (vec![Secret::new(SECRET)], "obMatJos2AAAB")] {
        let mut world = World::with(|plan| plan.secrets = secrets);
        let mut client = alice();
        client.challenge(&mut world);
        assert!(client.nonce.starts_with(features), "{}", client.nonce);
        assert_eq!(client.try_allocate(&mut world, |r| r).code(), None, "a name is still good");
    }
}

// Is anything missing, or was it tampered with?

/// The answer has nothing to try again with, and cannot be signed: nobody knows for whom (RFC 8489 §9.2.4).
#[test]
fn incomplete_credentials_are_a_bad_request() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for nonce in [client.nonce.clone(), "an old one".to_owned()] {
        let claims = [(USERNAME, "alice"), (REALM, world::REALM), (NONCE, &nonce)];
        for missing in [USERNAME, REALM, NONCE] {
            let present = claims.iter().filter(|(kind, _)| *kind != missing);
            let request =
                present.fold(allocate(&mut client), |r, (kind, text)| r.attr(*kind, text.as_bytes()));
            for signed in [request.clone().sign_sha1(&client.key()), request.sign_sha256(&client.key())] {
                let answer = world.ask(client.path, &signed.0);
                assert_eq!(answer.code(), Some(400), "without {missing:#x}");
                assert_eq!(answer.kinds(), [ERROR_CODE], "without {missing:#x}");
            }
        }
    }
}

/// Whoever is in between wants a weaker algorithm used than both sides know: both attributes must come back as they
/// went out, or neither (RFC 8489 §9.2.4).
#[test]
fn a_tampered_offer_of_algorithms_is_a_bad_request() {
    type Value = Option<&'static [u8]>;
    let rows: [(Value, Value); 14] = [
        (None, Some(&CHOOSE_SHA256)),
        (None, Some(&CHOOSE_MD5)),
        (Some(&OFFER), None),
        (Some(&CHOOSE_MD5), Some(&CHOOSE_MD5)),
        (Some(&CHOOSE_SHA256), Some(&CHOOSE_SHA256)),
        (Some(&[0, 1, 0, 0, 0, 2, 0, 0]), Some(&CHOOSE_MD5)),
        (Some(&[0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0]), Some(&CHOOSE_MD5)),
        (Some(&[]), Some(&CHOOSE_MD5)),
        (Some(&OFFER[..7]), Some(&CHOOSE_MD5)),
        (Some(&OFFER), Some(&[0, 3, 0, 0])),
        (Some(&OFFER), Some(&[0, 0, 0, 0])),
        (Some(&OFFER), Some(&[0, 2, 0, 4, 1, 2, 3, 4])),
        (Some(&OFFER), Some(&[0, 1])),
        (Some(&OFFER), Some(&[])),
    ];
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for (offer, choice) in rows {
        let mut request = allocate(&mut client);
        request = client.claim(request);
        request = offer.iter().fold(request, |request, offer| request.attr(PASSWORD_ALGORITHMS, offer));
        request = choice.iter().fold(request, |request, choice| request.attr(PASSWORD_ALGORITHM, choice));
        for key in [client.key(), sha256_key("alice", world::REALM, "wonderland")] {
            let answer = world.ask(client.path, &request.clone().sign_sha256(&key).0);
            assert_eq!(
                (answer.code(), answer.kinds()),
                (Some(400), vec![ERROR_CODE]),
                "{offer:x?} {choice:x?}"
            );
        }
    }
}

// Is the nonce ours?

/// The answer to a Refresh with this nonce: 437 if the nonce is good, for there is nothing to refresh.
fn with_nonce(world: &mut World, client: &mut Client, nonce: &[u8]) -> Message {
    let request = client.request(REFRESH).attr(USERNAME, client.username.as_bytes());
    let request = request.attr(REALM, client.realm.as_bytes()).attr(NONCE, nonce);
    world.ask(client.path, &request.sign_sha1(&client.key()).0)
}

/// N1: whoever records a nonce cannot use it from elsewhere, nor lead us to answer somebody else.
#[test]
fn a_nonce_belongs_to_one_address_and_port() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let nonce = client.nonce.clone();
    assert_eq!(with_nonce(&mut world, &mut client, nonce.as_bytes()).code(), Some(437));
    for other in ["203.0.113.1:5001", "203.0.113.2:5000", "[2001:db8:1::1]:5000"] {
        client.path = path(other);
        assert_eq!(with_nonce(&mut world, &mut client, nonce.as_bytes()).code(), Some(438), "{other}");
    }
}

/// N2.
#[test]
fn an_old_nonce_is_replaced_by_a_fresh_one() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let nonce = client.nonce.clone();
    world.pass(600);
    assert_eq!(with_nonce(&mut world, &mut client, nonce.as_bytes()).code(), Some(437));
    world.pass(1);

    let answer = with_nonce(&mut world, &mut client, nonce.as_bytes());

    assert_eq!((answer.code(), answer.kinds()), (Some(438), CHALLENGE.to_vec()));
    assert_eq!(
        (answer.text(REALM), answer.get(PASSWORD_ALGORITHMS)),
        (client.realm.clone(), Some(&OFFER[..]))
    );
    let fresh = answer.text(NONCE);
    assert_eq!(with_nonce(&mut world, &mut client, fresh.as_bytes()).code(), Some(437));
}

/// N3 and N4.
#[test]
fn a_nonce_that_is_not_ours_is_stale() {
    let mut world = World::new();
    let mut client = alice();
    let mut later = World::new();
    later.pass(6);
    client.challenge(&mut later);
    let nonce = client.nonce.clone();
    assert_eq!(with_nonce(&mut world, &mut client, nonce.as_bytes()).code(), Some(438), "from the future");

    client.challenge(&mut world);
    let nonce = client.nonce.clone().into_bytes();
    let mut nonces: Vec<Vec<u8>> = [0, 127, 128, 129, 763].map(|bytes| vec![b'a'; bytes]).to_vec();
    nonces.extend(
        [&b"not hexadecimal, nor base64!"[..], b"\0", b"\xFF\xFE", b"\"", b"obMatJos2"].map(<[u8]>::to_vec),
    );
    nonces.extend(
        [&nonce[..31], &nonce[1..], &[&nonce[..], b"A"].concat(), &[&nonce[..], &nonce].concat()]
            .map(<[u8]>::to_vec),
    );
    nonces.extend((0..nonce.len() * 8).map(|bit| {
        let mut flipped = nonce.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }));
    for nonce in &nonces {
        let answer = with_nonce(&mut world, &mut client, nonce);
        assert_eq!(answer.code(), Some(438), "{:?}", String::from_utf8_lossy(nonce));
    }
    assert_eq!(with_nonce(&mut world, &mut client, &nonce).code(), Some(437));
}

/// The crate judged the nonce first; but that it is stale is only for who knows the password (RFC 8489 §9.2.4).
#[test]
fn a_stale_nonce_is_named_only_to_who_knows_the_password() {
    let mut world = World::new();
    for (username, password, code) in
        [("alice", "wonderland", 438), ("alice", "wrong", 401), ("bob", "wrong", 401)]
    {
        let mut client = Client::new(path(CLIENT), username, password);
        assert_eq!(with_nonce(&mut world, &mut client, b"stale").code(), Some(code), "{username} {password}");
    }
    let mut client = alice();
    client.realm = "example.com".to_owned();
    assert_eq!(with_nonce(&mut world, &mut client, b"stale").code(), Some(401));
}

/// N9: after a restart, every nonce was made under another key.
#[test]
fn a_new_key_costs_a_client_one_round_trip() {
    let mut world = World::new();
    let mut client = alice();
    client.allocate(&mut world);
    client.nonce = Nonces::new([9; 32], false).issue(client.path.client, world.now.moment);

    let answer = client.refresh(&mut world, None);
    client.nonce = answer.text(NONCE);

    assert_eq!(answer.code(), Some(438));
    for _ in 0..3 {
        assert_eq!(client.refresh(&mut world, None).code(), None);
    }
    assert_eq!(world.counters.refusals(Method::Refresh, Refusal::StaleNonce), 1);
}

// Once again?

/// N5: a replayed request is a retransmission, and gets what that gets.
#[test]
fn a_repeated_request_has_the_same_answer_and_no_second_effect() {
    let mut world = World::new();
    let mut client = alice();
    client.allocate(&mut world);
    for request in changes(&mut client) {
        let datagram = client.sign(request);
        let first = world.ask(client.path, &datagram);
        assert_eq!((first.code(), &first), (None, &world.ask(client.path, &datagram)));
    }
    assert_eq!(counts(&world), (1, 1, 1));
    let end = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    let end = client.sign(end);
    assert_eq!([world.ask(client.path, &end).code(), world.ask(client.path, &end).code()], [None, Some(437)]);
}

/// N6: the same once more, but as a transaction of its own.
#[test]
fn a_request_made_again_is_a_refresh() {
    let mut world = World::new();
    let mut client = alice();
    client.allocate(&mut world);
    for _ in 0..2 {
        for request in changes(&mut client) {
            assert_eq!(client.ask(&mut world, request).code(), None);
        }
        let again = allocate(&mut client);
        assert_eq!(client.ask(&mut world, again).code(), Some(437));
    }
    assert_eq!(counts(&world), (1, 1, 1));
}

/// N7, and the crate let anybody who was somebody do this.
#[test]
fn a_forged_request_changes_nothing() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for allocations in [0, 1] {
        let mut requests = changes(&mut client).to_vec();
        requests.extend([allocate(&mut client), client.request(REFRESH).attr(LIFETIME, &[0; 4])]);
        for request in requests {
            let claimed = client.claim(request);
            let wrong = claimed.clone().sign_sha1(&md5_key("alice", world::REALM, "a guess"));
            for datagram in [claimed.clone().attr(MESSAGE_INTEGRITY, &[7; 20]), claimed.clone(), wrong] {
                assert_eq!(world.ask(client.path, &datagram.0).code(), Some(401));
            }
        }
        assert_eq!(counts(&world), (allocations, 0, 0));
        if allocations == 0 {
            client.allocate(&mut world);
        }
    }
}

/// A Refresh, a CreatePermission and a ChannelBind.
fn changes(client: &mut Client) -> [Builder; 3] {
    let refresh = client.request(REFRESH).attr(LIFETIME, &[0, 0, 4, 0]);
    let permit = client.request(CREATE_PERMISSION).peer(PEER);
    [refresh, permit, client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]).peer(PEER)]
}

/// How many allocations, permissions and channels there are.
fn counts(world: &World) -> (usize, usize, usize) {
    let allocations = || world.engine.allocations().iter().map(|(_, allocation)| allocation);
    let permissions = allocations().map(|allocation| allocation.permissions.len()).sum();
    (world.allocations(), permissions, allocations().map(|allocation| allocation.channels.len()).sum())
}

/// N8: the crate kept a nonce for each of them.
#[test]
fn a_flood_of_spoofed_requests_leaves_nothing_behind() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let plain = allocate(&mut client);
    let forged = client.claim(plain.clone()).attr(MESSAGE_INTEGRITY, &[7; 20]).0;
    for n in 0..100_000_u32 {
        let ip = Ipv4Addr::from_bits(0x0B00_0000 + n * 97);
        let spoofed = ClientPath { client: (ip, 5000).into(), ..client.path };
        world.deliver(spoofed, if n % 10 == 0 { &forged } else { &plain.0 });
    }
    assert_eq!((counts(&world), world.engine.routes().len()), ((0, 0, 0), (0, 0)));
    assert_eq!((world.engine.next_deadline(), world.quotas.total()), (None, 0));
    assert_eq!(world.ports.free(), world.ports.size());
    assert_eq!(world.counters.refusals(Method::Allocate, Refusal::WrongPassword), 10_000);
}

// How is it signed?

/// One way to prove a password: the algorithm of the key, if one was chosen, and the attribute that is signed with.
#[derive(Debug, Clone, Copy)]
struct Proof {
    choice: Option<[u8; 4]>,
    integrity: u16,
}

impl Proof {
    const OLD: Self = Self { choice: None, integrity: MESSAGE_INTEGRITY };
    const NEW: Self = Self { choice: Some(CHOOSE_SHA256), integrity: MESSAGE_INTEGRITY_SHA256 };

    fn key(self, client: &Client) -> Vec<u8> {
        match self.choice {
            Some(CHOOSE_SHA256) => sha256_key(&client.username, &client.realm, &client.password),
            _ => client.key(),
        }
    }

    fn sign(self, client: &Client, request: Builder) -> Builder {
        let claimed = client.claim(request);
        let claimed = match self.choice {
            Some(choice) => claimed.attr(PASSWORD_ALGORITHMS, &OFFER).attr(PASSWORD_ALGORITHM, &choice),
            None => claimed,
        };
        let key = self.key(client);
        if self.integrity == MESSAGE_INTEGRITY { claimed.sign_sha1(&key) } else { claimed.sign_sha256(&key) }
    }
}

/// Key and integrity are chosen apart. Who negotiated is answered with SHA-256 (RFC 8489 §9.2.4), who did not with
/// what was used.
#[test]
fn every_algorithm_goes_with_every_integrity() {
    for (choice, integrity, answered) in [
        (None, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY),
        (None, MESSAGE_INTEGRITY_SHA256, MESSAGE_INTEGRITY_SHA256),
        (Some(CHOOSE_MD5), MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256),
        (Some(CHOOSE_MD5), MESSAGE_INTEGRITY_SHA256, MESSAGE_INTEGRITY_SHA256),
        (Some(CHOOSE_SHA256), MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256),
        (Some(CHOOSE_SHA256), MESSAGE_INTEGRITY_SHA256, MESSAGE_INTEGRITY_SHA256),
    ] {
        let proof = Proof { choice, integrity };
        let mut world = World::new();
        for mut client in [alice(), world.client("203.0.113.1:5001", "alice")] {
            client.challenge(&mut world);
            let request = allocate(&mut client);
            let answer = world.ask(client.path, &proof.sign(&client, request).0);
            assert_eq!(answer.code(), None, "{proof:?}");
            assert!(answer.is_signed(answered, &proof.key(&client)), "{proof:?}");
            assert_eq!(answer.kinds().last(), Some(&answered), "{proof:?}");
        }
    }
}

#[test]
fn a_key_of_another_algorithm_than_the_chosen_one_is_wrong() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let keys = [client.key(), sha256_key("alice", world::REALM, "wonderland")];
    for (choice, key) in [(None, &keys[1]), (Some(CHOOSE_MD5), &keys[1]), (Some(CHOOSE_SHA256), &keys[0])] {
        let request = allocate(&mut client);
        let mut request = client.claim(request);
        if let Some(choice) = choice {
            request = request.attr(PASSWORD_ALGORITHMS, &OFFER).attr(PASSWORD_ALGORITHM, &choice);
        }
        for signed in [request.clone().sign_sha1(key), request.sign_sha256(key)] {
            assert_eq!(world.ask(client.path, &signed.0).code(), Some(401), "{choice:?}");
        }
    }
}

/// RFC 8489 §14.6 allows it where a usage says so, and TURN does not.
#[test]
fn a_truncated_signature_is_wrong() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    for (bytes, code) in [(0, 401), (4, 401), (16, 401), (20, 401), (28, 401), (31, 401), (32, 437)] {
        let request = client.request(REFRESH);
        let signed = client.claim(request).sign_sha256_cut(&client.key(), bytes);
        assert_eq!(world.ask(client.path, &signed.0).code(), Some(code), "{bytes} bytes");
    }
}

/// The crate signed no error, and a careful client threw them all away.
#[test]
fn every_answer_to_a_user_is_signed_and_says_no_more_than_it_must() {
    type Extend = fn(Builder) -> Builder;
    let busy: [(u16, Extend, Option<u16>); 8] = [
        (REFRESH, |r| r, None),
        (CREATE_PERMISSION, |r| r.peer(PEER), None),
        (CREATE_PERMISSION, |r| r, Some(400)),
        (0x00A, |r| r, Some(400)),
        (CREATE_PERMISSION, |r| r.peer("127.0.0.1:9000"), Some(403)),
        (REFRESH, |r| r.attr(UNKNOWN, &[]), Some(420)),
        (ALLOCATE, |r| r.attr(REQUESTED_TRANSPORT, &UDP), Some(437)),
        (CREATE_PERMISSION, |r| r.peer("[2606:4700::1]:9000"), Some(443)),
    ];
    let free: [(u16, Extend, Option<u16>); 3] = [
        (REFRESH, |r| r, Some(437)),
        (ALLOCATE, |r| r.attr(REQUESTED_TRANSPORT, &[6, 0, 0, 0]), Some(442)),
        (ALLOCATE, |r| r.attr(REQUESTED_TRANSPORT, &UDP).attr(RESERVATION_TOKEN, &[7; 8]), Some(508)),
    ];
    for proof in [Proof::OLD, Proof::NEW] {
        let mut world = World::new();
        let mut client = alice();
        client.challenge(&mut world);
        let try_all = |world: &mut World, client: &mut Client, rows: &[(u16, Extend, Option<u16>)]| {
            for (method, extend, code) in rows {
                let request = extend(client.request(*method));
                let answer = world.ask(client.path, &proof.sign(client, request).fingerprint().0);
                assert_eq!((answer.method, answer.code()), (*method, *code));
                assert!(answer.is_signed(proof.integrity, &proof.key(client)), "{method:#x} {code:?}");
                assert!(answer.is_fingerprinted(), "{method:#x} {code:?}");
                let extra = [USERNAME, USERHASH, REALM, NONCE, PASSWORD_ALGORITHMS, SOFTWARE];
                assert!(answer.kinds().iter().all(|kind| !extra.contains(kind)), "{method:#x} {code:?}");
            }
        };
        try_all(&mut world, &mut client, &free);
        client.allocate(&mut world);
        try_all(&mut world, &mut client, &busy);
    }
}

// Whose is it?

/// In the crate, any user on the same path could end or steer another's allocation.
#[test]
fn another_users_allocation_cannot_be_touched() {
    let mut world = World::with(|plan| {
        plan.users.insert("bob".to_owned(), Secret::new("builder"));
    });
    let mut client = alice();
    client.challenge(&mut world);
    let request = allocate(&mut client);
    assert_eq!(client.ask(&mut world, request.clone()).code(), None);
    let mut bob = Client::new(client.path, "bob", "builder");
    bob.nonce = client.nonce.clone();

    let mut attempts = changes(&mut bob).map(|request| (request, 441)).to_vec();
    attempts.push((bob.request(REFRESH).attr(LIFETIME, &[0; 4]), 441));
    attempts.extend([(allocate(&mut bob), 437), (request, 437)]);
    for (request, code) in attempts {
        let answer = bob.ask(&mut world, request);
        assert_eq!(answer.code(), Some(code));
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &bob.key()));
    }

    assert_eq!(counts(&world), (1, 0, 0));
    assert_eq!(client.refresh(&mut world, None).code(), None);
}

/// Authentication, then what is unknown, then the allocation (RFC 8489 §6.3, RFC 8656 §5).
#[test]
fn an_unknown_attribute_is_named_to_a_user_and_before_anything_else() {
    let mut world = World::new();
    let mut client = alice();
    client.challenge(&mut world);
    let request = client.request(REFRESH).attr(UNKNOWN, &[]);

    let stranger = world.ask(client.path, &request.0);
    let guess = world.ask(client.path, &client.claim(request.clone()).sign_sha1(b"a guess").0);
    let answer = client.ask(&mut world, request);

    assert_eq!([stranger.code(), guess.code(), answer.code()], [Some(401), Some(401), Some(420)]);
    assert_eq!(answer.kinds(), [ERROR_CODE, UNKNOWN_ATTRIBUTES, MESSAGE_INTEGRITY]);
    assert_eq!(answer.get(UNKNOWN_ATTRIBUTES), Some(&UNKNOWN.to_be_bytes()[..]));
    assert_eq!(client.refresh(&mut world, None).code(), Some(437));
}
