//! Which datagrams are heard at all, and which of their attributes count (RFC 8489 §6.3, §14).
//!
//! H1 to H9 and A1 to A12 are the items of the list of hostile inputs that the suite must try; those about
//! credentials, A9 to A11, are tried in `authenticating.rs`.

use hairpin::outcome::{Ignored, Method, Refusal};
use proptest::prelude::*;

use crate::support::client::Client;
use crate::support::stun::{
    ADDITIONAL_ADDRESS_FAMILY, ALLOCATE, BINDING, Builder, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION,
    Class, DATA, DONT_FRAGMENT, ERROR_CODE, EVEN_PORT, FINGERPRINT, ICMP, LIFETIME, MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256, NONCE, PASSWORD_ALGORITHM, PASSWORD_ALGORITHMS, REALM, REFRESH,
    REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, RESERVATION_TOKEN, SEND, SOFTWARE, UNKNOWN_ATTRIBUTES,
    USERHASH, USERNAME, XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, channel_data, crc32,
    hmac_sha1, xor_address,
};
use crate::support::world::{LISTENER, World, path};

const ID: [u8; 12] = *b"transaction!";
const CLIENT: &str = "203.0.113.1:5000";
const PEER: &str = "1.1.1.1:9000";
const OTHER_PEER: &str = "1.0.0.1:9000";
const CHANGE_REQUEST: u16 = 0x0003;
/// An attribute that must be understood, and that nobody has defined.
const UNKNOWN: u16 = 0x7FFF;

fn binding() -> Builder {
    Builder::new(Class::Request, BINDING, ID)
}

/// A world in which one client has one IPv4 allocation.
fn allocated() -> (World, Client) {
    let mut world = World::new();
    let mut client = world.client(CLIENT, "alice");
    client.allocate(&mut world);
    (world, client)
}

/// Where the only allocation relays from.
fn relayed(world: &World) -> std::net::SocketAddr {
    *world.ports.open.values().next().expect("there is an allocation")
}

// Binding.

#[test]
fn a_binding_answer_is_the_clients_address_and_nothing_else() {
    let mut world = World::new();
    for (client, bytes) in [(CLIENT, 32), ("[2001:db8:1::1]:5000", 44)] {
        let answer = world.ask(path(client), &binding().0);
        assert_eq!((answer.class, answer.method, answer.transaction), (Class::Success, BINDING, ID));
        assert_eq!(answer.kinds(), [XOR_MAPPED_ADDRESS]);
        assert_eq!(answer.address(XOR_MAPPED_ADDRESS).to_string(), client);
        assert_eq!(answer.bytes.len(), bytes);
    }
}

#[test]
fn a_fingerprint_is_answered_with_a_fingerprint() {
    let mut world = World::new();
    let answer = world.ask(path(CLIENT), &binding().fingerprint().0);
    assert_eq!(answer.kinds(), [XOR_MAPPED_ADDRESS, FINGERPRINT]);
    assert!(answer.is_fingerprinted());
    let error = world.ask(path(CLIENT), &binding().attr(UNKNOWN, &[]).fingerprint().0);
    assert!(error.is_fingerprinted());
}

#[test]
fn a_binding_indication_is_a_keepalive_without_an_answer() {
    let (mut world, mut client) = allocated();
    let indication = client.indication(BINDING);
    for datagram in [indication.clone(), indication.clone().attr(UNKNOWN, &[]), indication.fingerprint()] {
        assert_eq!(world.drop_of(client.path, &datagram.0), Ignored::NothingToDo);
    }
}

/// Who asks to be answered from another address or port, or at another length (RFC 5780), must not believe that it was.
#[test]
fn what_binding_cannot_do_is_refused_as_unknown() {
    const PADDING: u16 = 0x0026;
    const RESPONSE_PORT: u16 = 0x0027;
    for (kind, value) in
        [(CHANGE_REQUEST, &[0, 0, 0, 6][..]), (PADDING, &[0; 64]), (RESPONSE_PORT, &[0x13, 0x88, 0, 0])]
    {
        let answer = World::new().ask(path(CLIENT), &binding().attr(kind, value).0);
        assert_eq!(answer.code(), Some(420));
        assert_eq!(answer.kinds(), [ERROR_CODE, UNKNOWN_ATTRIBUTES]);
        assert_eq!(answer.get(UNKNOWN_ATTRIBUTES), Some(&kind.to_be_bytes()[..]));
    }
}

/// An ICE agent that takes the server for a peer asks for no more than an answer.
#[test]
fn a_connectivity_check_is_answered_as_any_binding() {
    const PRIORITY: u16 = 0x0024;
    const USE_CANDIDATE: u16 = 0x0025;
    let check = binding().attr(PRIORITY, &[0, 0, 0, 1]).attr(USE_CANDIDATE, &[]);
    let answer = World::new().ask(path(CLIENT), &check.0);
    assert_eq!((answer.code(), answer.address(XOR_MAPPED_ADDRESS)), (None, path(CLIENT).client));
}

// Headers.

/// H1 to H4 and H9.
#[test]
fn what_is_no_message_meets_silence() {
    let (mut world, client) = allocated();
    for (item, datagram, reason) in broken_headers() {
        assert_eq!(world.drop_of(client.path, &datagram), reason, "{item}: {datagram:x?}");
    }
    assert_eq!(world.allocations(), 1);
}

fn broken_headers() -> Vec<(&'static str, Vec<u8>, Ignored)> {
    let binding = binding().0;
    let mut rows = Vec::new();
    for bytes in [0, 1, 3, 4, 8, 19] {
        rows.push(("H1", binding[..bytes].to_vec(), Ignored::NotStun));
    }
    for bytes in [1, 2, 3] {
        rows.push(("H1", channel_data(0x4000, &[])[..bytes].to_vec(), Ignored::NotStun));
    }
    for length in [1, 2, 3, 4, 8, 0x4000].into_iter().chain(0xFFEC..=0xFFFF) {
        rows.push(("H2", self::binding().set_length(length).0, Ignored::Malformed));
    }
    for odd in 1..=3 {
        let longer = [&binding[..], &[0; 3][..odd]].concat();
        rows.push(("H2", Builder(longer).set_length(odd).0, Ignored::Malformed));
    }
    for length in [0, 4, 5, 7, 12] {
        let longer = self::binding().attr(SOFTWARE, b"abcd");
        rows.push(("H2", longer.set_length(length).0, Ignored::Malformed));
    }
    for cookie in [[0x21, 0x12, 0xA4, 0x43], [0; 4], *b"3489"] {
        rows.push(("H3", [&binding[..4], &cookie, &binding[8..]].concat(), Ignored::NotStun));
    }
    for first in [0x50, 0x6F, 0x7F] {
        rows.push(("H4", [&[first, 0, 0, 0][..], &binding[4..]].concat(), Ignored::NoChannel));
    }
    for first in [0x80, 0x90, 0xC0, 0xFF] {
        rows.push(("H4", [&[first][..], &binding[1..]].concat(), Ignored::NotStun));
    }
    let dtls = [&[22, 254, 253][..], &[0; 40]].concat();
    rows.push(("H4", dtls, Ignored::NotStun));
    for trailing in [&b"\0"[..], b"\0\0\0\0", b"\x80\x22\0\0", &binding] {
        rows.push(("H9", [&binding[..], trailing].concat(), Ignored::Malformed));
    }
    rows
}

/// H4: numbers that RFC 5766 knew as channels are reserved now (RFC 8656 §12).
#[test]
fn a_reserved_channel_number_meets_silence() {
    let (mut world, client) = allocated();
    for number in 0x5000..=0xFFFF {
        let reason = if number < 0x8000 { Ignored::NoChannel } else { Ignored::NotStun };
        assert_eq!(world.drop_of(client.path, &channel_data(number, b"media")), reason);
    }
}

/// H5: what answers a response can be made to talk to itself.
#[test]
fn a_response_or_an_indication_of_any_method_meets_silence() {
    let (mut world, client) = allocated();
    for method in 0..=0xFFF {
        for class in [Class::Indication, Class::Success, Class::Error] {
            let is_send = (class, method) == (Class::Indication, SEND);
            let reason = if is_send { Ignored::BadSend } else { Ignored::NothingToDo };
            let datagram = Builder::new(class, method, ID).0;
            assert_eq!(world.drop_of(client.path, &datagram), reason, "{class:?} {method:#x}");
        }
    }
}

/// H6: an unknown method tells a stranger no more than a known one does.
#[test]
fn an_unknown_method_is_refused_after_authentication() {
    let (mut world, mut client) = allocated();
    for method in [0x000, 0x002, 0x005, SEND, 0x007, 0x00A, 0x00B, 0x00C, 0xFFF] {
        let stranger = client.request(method);
        assert_eq!(world.ask(client.path, &stranger.0).code(), Some(401), "{method:#x}");
        let request = client.request(method);
        let answer = client.ask(&mut world, request);
        assert_eq!((answer.code(), answer.method), (Some(400), method));
        assert!(answer.is_signed(MESSAGE_INTEGRITY, &client.key()), "{method:#x}");
    }
    assert_eq!(world.counters.refusals(Method::Unknown, Refusal::UnknownMethod), 8);
}

/// H7: an answer would go to a service that answers in turn, to a crowd, or to ourselves.
#[test]
fn a_source_that_nobody_can_have_meets_silence() {
    let mut world = World::new();
    let ports = [0, 19, 53, 123, 389, 1900, 11_211].map(|port| format!("203.0.113.1:{port}"));
    let addresses = ["0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "[::]", "[ff02::1]"];
    let sources = addresses.map(|ip| format!("{ip}:5000"));
    for source in ports.iter().chain(&sources).map(String::as_str).chain([LISTENER]) {
        for method in [BINDING, ALLOCATE] {
            let request = Builder::new(Class::Request, method, ID).0;
            assert_eq!(world.drop_of(path(source), &request), Ignored::ImpossibleSource, "{source}");
        }
    }
}

/// H8: 65,507 bytes are the most that UDP carries over IPv4; the kernel has put fragments together before.
#[test]
fn the_largest_datagrams_are_handled_whole() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.bind(&mut world, 0x4000, PEER), None);

    let media = channel_data(0x4000, &vec![7; 65_503]);
    let send = client.send(PEER, &vec![7; 65_468]);
    let question = binding().attr(SOFTWARE, &vec![7; 65_480]).0;

    assert_eq!((media.len(), send.len(), question.len()), (65_507, 65_504, 65_504));
    assert_eq!(world.relayed(client.path, &media).1.len(), 65_503);
    assert_eq!(world.relayed(client.path, &send).1.len(), 65_468);
    assert_eq!(world.ask(client.path, &question).bytes.len(), 32);
    for cut in [&media[..65_506], &send[..65_503], &send[..65_500], &question[..65_500]] {
        assert_eq!(world.drop_of(client.path, cut), Ignored::Malformed);
    }
}

// Attributes.

/// A1.
#[test]
fn an_attribute_that_ends_behind_its_message_meets_silence() {
    let mut world = World::new();
    for length in [5, 6, 7, 8, 0x7FFF, 0xFFFC, 0xFFFD, 0xFFFF_u16] {
        let mut datagram = binding().attr(SOFTWARE, b"abcd").0;
        datagram[22..24].copy_from_slice(&length.to_be_bytes());
        assert_eq!(world.drop_of(path(CLIENT), &datagram), Ignored::Malformed, "{length}");
    }
}

/// A1.
#[test]
fn an_attribute_of_the_wrong_length_is_a_bad_request() {
    for (method, kind, lengths) in WRONG_LENGTHS {
        let (mut world, mut client) = if *method == ALLOCATE {
            let mut world = World::new();
            let mut client = world.client(CLIENT, "alice");
            client.challenge(&mut world);
            (world, client)
        } else {
            allocated()
        };
        for length in *lengths {
            let request = with_length(client.request(*method), *method, *kind, Some(*length));
            let answer = client.ask(&mut world, request);
            assert_eq!(answer.code(), Some(400), "{method:#x}, {kind:#x} of {length} bytes");
        }
        let request = with_length(client.request(*method), *method, *kind, None);
        assert_eq!(client.ask(&mut world, request).code(), None, "{method:#x}, {kind:#x} as it should be");
    }
}

const WRONG_LENGTHS: &[(u16, u16, &[usize])] = &[
    (ALLOCATE, REQUESTED_TRANSPORT, &[0, 1, 3, 5, 8]),
    (ALLOCATE, LIFETIME, &[0, 3, 5, 8]),
    (ALLOCATE, EVEN_PORT, &[0, 2, 4]),
    (ALLOCATE, DONT_FRAGMENT, &[1, 4]),
    (ALLOCATE, REQUESTED_ADDRESS_FAMILY, &[0, 1, 3, 5, 8]),
    (ALLOCATE, ADDITIONAL_ADDRESS_FAMILY, &[0, 1, 3, 5, 8]),
    (REFRESH, LIFETIME, &[0, 3, 5, 8]),
    (REFRESH, REQUESTED_ADDRESS_FAMILY, &[0, 1, 3, 5, 8]),
    (CREATE_PERMISSION, XOR_PEER_ADDRESS, &[0, 4, 5, 7, 9, 19, 20, 21]),
    (CHANNEL_BIND, CHANNEL_NUMBER, &[0, 2, 3, 5, 8]),
    (CHANNEL_BIND, XOR_PEER_ADDRESS, &[0, 4, 5, 7, 9, 19, 20, 21]),
];

/// A request that is right but for the length of one attribute.
fn with_length(request: Builder, method: u16, kind: u16, length: Option<usize>) -> Builder {
    let peer = xor_address(PEER.parse().unwrap(), &request.0[8..20]);
    let right = |kind| match kind {
        REQUESTED_TRANSPORT => vec![17, 0, 0, 0],
        LIFETIME => vec![0, 0, 3, 0],
        EVEN_PORT => vec![0],
        DONT_FRAGMENT => vec![],
        REQUESTED_ADDRESS_FAMILY => vec![1, 0, 0, 0],
        ADDITIONAL_ADDRESS_FAMILY => vec![2, 0, 0, 0],
        CHANNEL_NUMBER => vec![0x40, 0, 0, 0],
        XOR_PEER_ADDRESS => peer.clone(),
        other => panic!("{other:#x} has no place here"),
    };
    let needed: &[u16] = match method {
        ALLOCATE => &[REQUESTED_TRANSPORT],
        CREATE_PERMISSION => &[XOR_PEER_ADDRESS],
        CHANNEL_BIND => &[CHANNEL_NUMBER, XOR_PEER_ADDRESS],
        _ => &[],
    };
    let request = needed.iter().filter(|other| **other != kind).fold(request, |r, k| r.attr(*k, &right(*k)));
    let mut value = right(kind);
    value.resize(length.unwrap_or(value.len()), 0);
    request.attr(kind, &value)
}

/// A1.
#[test]
fn a_token_of_the_wrong_length_is_a_bad_request() {
    let mut world = World::new();
    let mut client = world.client(CLIENT, "alice");
    for (bytes, code) in [(0, 400), (7, 400), (8, 508), (9, 400), (12, 400)] {
        let answer = client.try_allocate(&mut world, |r| r.attr(RESERVATION_TOKEN, &vec![7; bytes]));
        assert_eq!(answer.code(), Some(code), "{bytes} bytes");
    }
}

/// A1: the crate filled a short address up with zeros.
#[test]
fn a_peer_address_of_the_wrong_length_or_family_is_not_sent_to() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[PEER, "0.0.0.0:9000"]), Some(403));
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let good = xor_address(PEER.parse().unwrap(), &client.indication(SEND).0[8..20]);
    for length in [0, 1, 3, 4, 5, 7, 9, 12, 19, 20, 21] {
        let mut value = good.clone();
        value.resize(length, 0);
        let send = client.indication(SEND).attr(XOR_PEER_ADDRESS, &value).attr(DATA, b"x").0;
        assert_eq!(world.drop_of(client.path, &send), Ignored::BadSend, "{length} bytes");
    }
    for family in [0, 2, 3, 0xFF] {
        let mut value = good.clone();
        value[1] = family;
        let send = client.indication(SEND).attr(XOR_PEER_ADDRESS, &value).attr(DATA, b"x").0;
        assert_eq!(world.drop_of(client.path, &send), Ignored::BadSend, "family {family}");
    }
}

/// The first byte of an address is to be ignored (RFC 8489 §14.2); the crate took it for a part of the family.
#[test]
fn the_reserved_byte_of_a_peer_address_does_not_matter() {
    let (mut world, mut client) = allocated();
    let request = client.request(CREATE_PERMISSION);
    let mut value = xor_address(PEER.parse().unwrap(), &request.0[8..20]);
    value[0] = 0xFF;
    assert_eq!(client.ask(&mut world, request.attr(XOR_PEER_ADDRESS, &value)).code(), None);
    assert!(world.arrives_as_indication(relayed(&world), PEER));
}

/// A1: what Binding has no use for cannot harm it either.
#[test]
fn an_empty_attribute_of_any_known_type_does_not_disturb_a_binding() {
    let mut world = World::new();
    for kind in [
        0x0001,
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        CHANNEL_NUMBER,
        LIFETIME,
        XOR_PEER_ADDRESS,
        DATA,
        REALM,
        NONCE,
        XOR_RELAYED_ADDRESS,
        REQUESTED_ADDRESS_FAMILY,
        EVEN_PORT,
        REQUESTED_TRANSPORT,
        DONT_FRAGMENT,
        MESSAGE_INTEGRITY_SHA256,
        PASSWORD_ALGORITHM,
        USERHASH,
        XOR_MAPPED_ADDRESS,
        RESERVATION_TOKEN,
        ADDITIONAL_ADDRESS_FAMILY,
        PASSWORD_ALGORITHMS,
        ICMP,
        SOFTWARE,
    ] {
        assert_eq!(world.ask(path(CLIENT), &binding().attr(kind, &[]).0).code(), None, "{kind:#x}");
    }
}

/// A2: RFC 5769 pads with spaces.
#[test]
fn padding_may_be_anything() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[PEER]), None);

    let mut send = client.indication(SEND).peer(PEER).attr(DATA, b"five!").0;
    let end = send.len();
    send[end - 3..].fill(b' ');
    assert_eq!(world.relayed(client.path, &send).1, b"five!");

    let mut request = client.request(REFRESH).attr(REALM, client.realm.as_bytes());
    *request.0.last_mut().unwrap() = b' ';
    let request = request.attr(USERNAME, client.username.as_bytes()).attr(NONCE, client.nonce.as_bytes());
    assert_eq!(world.ask(client.path, &request.sign_sha1(&client.key()).0).code(), None);
}

/// A3.
#[test]
fn each_unknown_attribute_is_listed_once() {
    let mut world = World::new();
    let request = [0x7001, 0x0002, 0x7001, 0x7002, 0x0002].map(|kind| (kind, b"value"));
    let request = request.into_iter().fold(binding(), |request, (kind, value)| request.attr(kind, value));
    let answer = world.ask(path(CLIENT), &request.0);
    assert_eq!(answer.code(), Some(420));
    assert_eq!(answer.get(UNKNOWN_ATTRIBUTES), Some(&[0x70, 1, 0, 2, 0x70, 2][..]));
}

/// A3: else a question of a few kilobytes would have an answer of as many, sent to whoever was named as its source.
#[test]
fn at_most_sixty_four_unknown_attributes_are_listed() {
    let mut world = World::new();
    let request = (0x7000..0x7000 + 1000).fold(binding(), |request, kind| request.attr(kind, &[]));
    let answer = world.ask(path(CLIENT), &request.0);
    assert_eq!(answer.get(UNKNOWN_ATTRIBUTES).map(<[u8]>::len), Some(2 * 64));
}

/// A3.
#[test]
fn an_indication_with_an_unknown_attribute_is_dropped() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let send = client.indication(SEND).peer(PEER).attr(DATA, b"x");
    assert_eq!(world.drop_of(client.path, &send.clone().attr(UNKNOWN, &[]).0), Ignored::BadSend);
    assert_eq!(world.relayed(client.path, &send.0).1, b"x");
}

/// A4.
#[test]
fn what_need_not_be_understood_is_ignored() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    for kind in [0x8000, 0x8003, 0xABCD, 0xFFFF] {
        assert_eq!(world.ask(client.path, &binding().attr(kind, b"odd").0).code(), None, "{kind:#x}");
        let request = client.request(REFRESH).attr(kind, b"odd");
        assert_eq!(client.ask(&mut world, request).code(), None, "{kind:#x}");
        let send = client.indication(SEND).attr(kind, b"odd").peer(PEER).attr(DATA, b"x");
        assert_eq!(world.relayed(client.path, &send.0).1, b"x", "{kind:#x}");
    }
}

/// A12: each has a place, and it is not here.
#[test]
fn an_attribute_out_of_place_has_a_defined_answer() {
    const ACCESS_TOKEN: u16 = 0x001B;
    const PRIORITY: u16 = 0x0024;
    const CONNECTION_ID: u16 = 0x002A;
    const ALTERNATE_SERVER: u16 = 0x8023;
    const ORIGIN: u16 = 0x802F;
    const MOBILITY_TICKET: u16 = 0x8030;
    for (kind, value, code) in [
        (ERROR_CODE, &[0, 0, 4, 1][..], None),
        (SOFTWARE, b"a client", None),
        (ALTERNATE_SERVER, &[0, 1, 0, 80, 127, 0, 0, 1], None),
        (ORIGIN, b"https://example.org", None),
        (MOBILITY_TICKET, &[], None),
        (ACCESS_TOKEN, &[7; 32], Some(420)),
        (CONNECTION_ID, &[0, 0, 0, 1], None),
        (PRIORITY, &[0, 0, 0, 1], Some(420)),
        (RESERVATION_TOKEN, b"8 random", Some(508)),
        (XOR_RELAYED_ADDRESS, &[0, 1, 0, 0, 1, 1, 1, 1], None),
        (DATA, b"data", None),
    ] {
        let mut world = World::new();
        let mut client = world.client(CLIENT, "alice");
        let answer = client.try_allocate(&mut world, |request| request.attr(kind, value));
        assert_eq!(answer.code(), code, "{kind:#x}");
        assert_eq!(world.allocations(), usize::from(code.is_none()), "{kind:#x}");
    }
}

// Duplicates.

/// A5.
#[test]
fn of_several_credentials_the_first_count() {
    let (mut world, mut client) = allocated();
    let right = client.clone();
    let names = |client: &Client| [client.username.clone(), client.realm.clone(), client.nonce.clone()];
    for (wrong, code) in [
        (["nobody", &right.realm, &right.nonce], 401),
        ([&right.username, "example.com", &right.nonce], 401),
        ([&right.username, &right.realm, "a nonce of nobody"], 438),
    ] {
        for (first, second, code) in [
            (names(&right), wrong.map(str::to_owned), None),
            (wrong.map(str::to_owned), names(&right), Some(code)),
        ] {
            let claims = [USERNAME, REALM, NONCE].into_iter().cycle().zip(first.iter().chain(&second));
            let request =
                claims.fold(client.request(REFRESH), |r, (kind, text)| r.attr(kind, text.as_bytes()));
            let answer = world.ask(client.path, &request.sign_sha1(&right.key()).0);
            assert_eq!(answer.code(), code, "{first:?} before {second:?}");
        }
    }
}

/// A5.
#[test]
fn of_several_lifetimes_channels_and_peers_the_first_counts() {
    let (mut world, mut client) = allocated();
    let relayed = relayed(&world);
    let twice = client.request(REFRESH).attr(LIFETIME, &[0, 0, 4, 0]).attr(LIFETIME, &[0; 4]);
    assert_eq!(client.ask(&mut world, twice).lifetime(), 1024);

    let bind = client.request(CHANNEL_BIND).attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
    let bind = bind.attr(CHANNEL_NUMBER, &[0x40, 1, 0, 0]).peer(PEER).peer(OTHER_PEER);
    assert_eq!(client.ask(&mut world, bind).code(), None);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    assert_eq!(world.peer_sends(relayed, OTHER_PEER, 1), Err(Ignored::NoPermission));
    assert_eq!(world.drop_of(client.path, &channel_data(0x4001, b"x")), Ignored::NoChannel);

    let send = client.indication(SEND).peer(PEER).peer(OTHER_PEER).attr(DATA, b"x").0;
    assert_eq!(world.relayed(client.path, &send).0.peer.0.to_string(), PEER);
}

/// A5: as in coturn, because nobody can say which was meant.
#[test]
fn a_send_indication_with_two_payloads_is_dropped() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[PEER]), None);
    let send = client.indication(SEND).peer(PEER).attr(DATA, b"one").attr(DATA, b"two");
    assert_eq!(world.drop_of(client.path, &send.0), Ignored::BadSend);
}

// Fingerprints and signatures.

/// A6.
#[test]
fn a_fingerprint_that_is_wrong_or_not_last_meets_silence() {
    let (mut world, mut client) = allocated();
    let mut flipped = binding().fingerprint();
    flipped.0[27] ^= 1;
    let request = client.request(REFRESH);
    let signed = client.claim(request).sign_sha1(&client.key());
    // Right for all that is before it, under the header of all that there is.
    let mut early = binding().attr(FINGERPRINT, &[0; 4]).attr(SOFTWARE, b"late");
    let value = crc32(&early.0[..20]) ^ 0x5354_554E;
    early.0[24..28].copy_from_slice(&value.to_be_bytes());
    let mut rows = vec![
        flipped,
        early,
        binding().fingerprint().attr(SOFTWARE, b"late"),
        binding().fingerprint().fingerprint(),
        signed.clone().attr(FINGERPRINT, &[0; 4]),
        client.indication(SEND).peer(PEER).attr(FINGERPRINT, &[0; 4]).attr(DATA, b"x"),
    ];
    let request = client.request(REFRESH);
    rows.push(client.claim(request).fingerprint().sign_sha1(&client.key()));
    rows.extend([0, 1, 3, 5, 8].map(|bytes| binding().attr(FINGERPRINT, &vec![0; bytes])));
    for datagram in rows {
        assert_eq!(world.drop_of(client.path, &datagram.0), Ignored::BadFingerprint, "{datagram:x?}");
    }
    assert_eq!(world.ask(client.path, &signed.fingerprint().0).code(), None);
}

/// A7.
#[test]
fn a_signature_that_is_odd_is_wrong() {
    let (mut world, mut client) = allocated();
    let key = client.key();
    let request = client.request(REFRESH);
    let claimed = client.claim(request);
    let unadjusted = hmac_sha1(&key, &claimed.0);
    let longer = hmac_sha1(&key, &claimed.clone().set_length(claimed.0.len() - 20 + 24 + 8).0);
    let request = client.request(REFRESH).sign_sha1(&key);
    for (what, datagram, code) in [
        ("no bytes", claimed.clone().attr(MESSAGE_INTEGRITY, &[]), Some(401)),
        ("19 bytes", claimed.clone().attr(MESSAGE_INTEGRITY, &[7; 19]), Some(401)),
        ("21 bytes", claimed.clone().attr(MESSAGE_INTEGRITY, &[7; 21]), Some(401)),
        ("over the length without it", claimed.clone().attr(MESSAGE_INTEGRITY, &unadjusted), Some(401)),
        ("over the length with more", claimed.clone().attr(MESSAGE_INTEGRITY, &longer), Some(401)),
        ("right, then wrong", claimed.clone().sign_sha1(&key).attr(MESSAGE_INTEGRITY, &[7; 20]), None),
        ("wrong, then right", claimed.clone().attr(MESSAGE_INTEGRITY, &[7; 20]).sign_sha1(&key), Some(401)),
        ("in front of the credentials", client.claim(request), Some(400)),
    ] {
        assert_eq!(world.ask(client.path, &datagram.0).code(), code, "{what}");
    }
}

type Sign = fn(Builder, &[u8]) -> Builder;

/// A8: on the way, anybody can append to a signed message. coturn and the crate obeyed what they found there.
#[test]
fn what_follows_the_signature_is_ignored() {
    let additions: [(u16, &[u8]); 8] = [
        (LIFETIME, &[0; 4]),
        (REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]),
        (XOR_PEER_ADDRESS, &[0; 3]),
        (CHANNEL_NUMBER, &[0x40, 0, 0, 0]),
        (UNKNOWN, &[]),
        (USERNAME, b"mallory"),
        (NONCE, b"a nonce of nobody"),
        (MESSAGE_INTEGRITY, &[0; 20]),
    ];
    let (mut world, mut client) = allocated();
    for sign in [Builder::sign_sha1 as Sign, Builder::sign_sha256] {
        for (kind, value) in additions {
            let request = client.request(REFRESH);
            let signed = sign(client.claim(request), &client.key()).attr(kind, value);
            for datagram in [signed.clone(), signed.fingerprint()] {
                let answer = world.ask(client.path, &datagram.0);
                assert_eq!((answer.code(), world.allocations()), (None, 1), "{kind:#x}");
                assert_eq!(answer.lifetime(), 600);
            }
        }
    }
}

/// A8.
#[test]
fn a_peer_or_a_channel_behind_the_signature_is_not_installed() {
    let (mut world, mut client) = allocated();
    let relayed = relayed(&world);
    let mut ask =
        |world: &mut World, request: fn(Builder) -> Builder, method, append: fn(Builder) -> Builder| {
            let request = request(client.request(method));
            world.ask(client.path, &append(client.claim(request).sign_sha1(&client.key())).0).code()
        };
    let number = |request: Builder| request.attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
    let other = |request: Builder| request.attr(CHANNEL_NUMBER, &[0x40, 1, 0, 0]);

    assert_eq!(ask(&mut world, |r| r, CREATE_PERMISSION, |r| r.peer(OTHER_PEER)), Some(400));
    assert_eq!(ask(&mut world, |r| r.peer(PEER), CREATE_PERMISSION, |r| r.peer(OTHER_PEER)), None);
    assert_eq!(ask(&mut world, |r| r.peer(PEER), CHANNEL_BIND, number), Some(400));
    assert_eq!(ask(&mut world, number, CHANNEL_BIND, |r| r.peer(PEER)), Some(400));
    assert!(world.arrives_as_indication(relayed, PEER));
    assert_eq!(world.peer_sends(relayed, OTHER_PEER, 1), Err(Ignored::NoPermission));

    let whole = |r: Builder| r.attr(CHANNEL_NUMBER, &[0x40, 0, 0, 0]).peer(PEER);
    assert_eq!(ask(&mut world, whole, CHANNEL_BIND, other), None);
    assert!(world.arrives_on_channel(relayed, PEER, 0x4000));
    assert_eq!(world.drop_of(path(CLIENT), &channel_data(0x4001, b"x")), Ignored::NoChannel);
}

/// A8: MESSAGE-INTEGRITY-SHA256 alone counts behind the other, and then it is what counts (RFC 8489 §9.2.4).
#[test]
fn of_two_signatures_the_sha256_one_decides() {
    let (mut world, mut client) = allocated();
    let key = client.key();
    let request = client.request(REFRESH);
    let claimed = client.claim(request);
    let (none, wrong) = ([7; 20], [7; 32]);
    for (what, datagram, code) in [
        ("both right", claimed.clone().sign_sha1(&key).sign_sha256(&key), None),
        ("SHA-256 wrong", claimed.clone().sign_sha1(&key).attr(MESSAGE_INTEGRITY_SHA256, &wrong), Some(401)),
        ("SHA-1 wrong", claimed.clone().attr(MESSAGE_INTEGRITY, &none).sign_sha256(&key), None),
        (
            "SHA-256 right, then wrong",
            claimed.clone().sign_sha1(&key).sign_sha256(&key).attr(MESSAGE_INTEGRITY_SHA256, &wrong),
            None,
        ),
        (
            "SHA-256 wrong, then right",
            claimed.clone().sign_sha1(&key).attr(MESSAGE_INTEGRITY_SHA256, &wrong).sign_sha256(&key),
            Some(401),
        ),
        ("SHA-1 after SHA-256", claimed.sign_sha256(&key).attr(MESSAGE_INTEGRITY, &none), None),
    ] {
        assert_eq!(world.ask(client.path, &datagram.0).code(), code, "{what}");
    }
}

/// A8: what stands between the two is covered by the second only, and ignored all the same (RFC 8489 §14.5).
#[test]
fn what_stands_between_two_signatures_is_ignored() {
    let (mut world, mut client) = allocated();
    let key = client.key();
    let request = client.request(REFRESH);
    let signed = client.claim(request).sign_sha1(&key).attr(LIFETIME, &[0; 4]).attr(UNKNOWN, &[]);
    let answer = world.ask(client.path, &signed.sign_sha256(&key).0);
    assert_eq!((answer.code(), answer.lifetime(), world.allocations()), (None, 600, 1));
}

// All of it at once.

#[test]
fn no_bit_of_a_signed_request_can_be_changed() {
    let (mut world, mut client) = allocated();
    let request = client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    let datagram = client.claim(request).sign_sha1(&client.key()).0;
    for bit in 0..datagram.len() * 8 {
        let mut changed = datagram.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        world.deliver(client.path, &changed);
        assert_eq!(world.allocations(), 1, "bit {bit}");
    }
    assert_eq!((world.ask(client.path, &datagram).code(), world.allocations()), (None, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes from a stranger, the engine answers with a message or not at all, and remembers nothing.
    #[test]
    fn a_stranger_changes_nothing(
        datagrams in proptest::collection::vec(hostile(), 20),
    ) {
        let (mut world, client) = allocated();
        for datagram in &datagrams {
            for path in [client.path, path("203.0.113.9:9000")] {
                world.deliver(path, datagram);
            }
        }
        prop_assert_eq!((world.allocations(), world.engine.routes().len()), (1, (0, 0)));
    }
}

/// Messages with a right header and attributes of all kinds, and a few bytes changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let methods = prop_oneof![Just(BINDING), Just(SEND), Just(REFRESH), Just(ALLOCATE), 0..0x1000_u16];
    let classes = prop_oneof![Just(Class::Request), Just(Class::Indication)];
    let kinds = prop_oneof![0..0x30_u16, any::<u16>()];
    let values = proptest::collection::vec(any::<u8>(), 0..40);
    let attributes = proptest::collection::vec((kinds, values), 0..12);
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (methods, classes, attributes, changes).prop_map(|(method, class, attributes, changes)| {
        let start = Builder::new(class, method, ID);
        let mut bytes = attributes.iter().fold(start, |message, (kind, value)| message.attr(*kind, value)).0;
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}
