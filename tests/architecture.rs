//! The sources keep to their layers: which layer may use which, and which files are pure.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "architecture/sources.rs"]
mod sources;

use std::sync::LazyLock;

use sources::Source;

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(sources::read);

/// The layers of `src/`, and for each the layers that it may use beside itself. A layer uses only layers above it in
/// this list, so there is no circle; and only those that are named, so siblings stay siblings.
const LAYERS: &[(&str, &[&str])] = &[
    // The ground floor: values that belong to no part of the daemon.
    ("clock", &[]),
    ("current", &[]),
    ("life", &[]),
    ("files", &[]),
    ("system", &[]),
    ("secret", &[]),
    ("unseen", &[]),
    ("labels", &[]),
    ("outcome", &["labels"]),
    ("network", &["labels"]),
    ("observed", &["labels", "network"]),
    ("origin", &[]),
    ("bounds", &["clock", "labels"]),
    ("metrics", &["labels", "network", "observed", "outcome"]),
    ("peers", &["network"]),
    // Who may do what, and what they are shown.
    ("certificates", &["clock", "current", "files", "life", "metrics", "observed"]),
    ("credentials", &["clock", "secret"]),
    ("api_key", &["credentials", "secret"]),
    ("password", &[]),
    ("room_token", &["clock", "password", "secret"]),
    ("ice", &["clock", "credentials", "network", "secret"]),
    ("usage", &["bounds", "clock", "credentials", "life", "metrics", "observed"]),
    // What `config.toml` says: its sections, and all of it.
    (
        "sections",
        &[
            "api_key",
            "certificates",
            "credentials",
            "ice",
            "network",
            "origin",
            "password",
            "peers",
            "room_token",
            "secret",
            "unseen",
        ],
    ),
    (
        "config",
        &["certificates", "files", "ice", "network", "origin", "peers", "room_token", "secret", "sections"],
    ),
    ("discovery", &["bounds", "clock", "network", "peers", "sections"]),
    ("coturn", &["network", "peers", "secret", "sections"]),
    ("journal", &["bounds", "clock", "labels", "life", "sections"]),
    ("log", &["bounds", "clock", "journal", "sections"]),
    ("acme", &["certificates", "clock", "files", "life", "metrics", "observed", "origin", "sections"]),
    // The services. None uses another, except for the items in [`EXCEPTIONS`].
    (
        "relay",
        &[
            "bounds",
            "clock",
            "credentials",
            "journal",
            "life",
            "metrics",
            "network",
            "observed",
            "outcome",
            "peers",
            "sections",
            "system",
            "usage",
        ],
    ),
    (
        "signaling",
        &[
            "bounds",
            "clock",
            "credentials",
            "ice",
            "journal",
            "labels",
            "life",
            "metrics",
            "observed",
            "room_token",
            "secret",
            "sections",
            "unseen",
        ],
    ),
    (
        "compat",
        &["bounds", "clock", "journal", "labels", "metrics", "observed", "secret", "sections", "signaling"],
    ),
    (
        "http",
        &[
            "api_key",
            "bounds",
            "clock",
            "compat",
            "credentials",
            "current",
            "ice",
            "journal",
            "labels",
            "metrics",
            "observed",
            "origin",
            "password",
            "room_token",
            "secret",
            "sections",
        ],
    ),
    (
        "front",
        &[
            "bounds",
            "certificates",
            "clock",
            "current",
            "journal",
            "labels",
            "life",
            "metrics",
            "network",
            "observed",
            "outcome",
            "system",
        ],
    ),
    (
        "admin",
        &[
            "api_key",
            "bounds",
            "clock",
            "credentials",
            "current",
            "life",
            "network",
            "observed",
            "sections",
            "usage",
        ],
    ),
    // What puts the parts together, and what starts it.
    (
        "daemon",
        &[
            "acme",
            "admin",
            "bounds",
            "certificates",
            "clock",
            "compat",
            "config",
            "credentials",
            "current",
            "discovery",
            "files",
            "front",
            "http",
            "ice",
            "journal",
            "life",
            "log",
            "metrics",
            "network",
            "observed",
            "peers",
            "relay",
            "room_token",
            "secret",
            "sections",
            "signaling",
            "system",
            "usage",
        ],
    ),
    ("doctor", &["clock", "config", "credentials", "discovery", "ice", "network", "peers", "system"]),
    (
        "cli",
        &[
            "api_key",
            "certificates",
            "clock",
            "config",
            "coturn",
            "credentials",
            "daemon",
            "discovery",
            "doctor",
            "files",
            "log",
            "network",
            "observed",
            "origin",
            "password",
            "peers",
            "room_token",
            "secret",
            "sections",
            "system",
            "unseen",
            "usage",
        ],
    ),
];

/// What a layer may use beside its list: single items of another layer, or a module of it, each for its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("http", "signaling::hub", "a WebSocket begins as an HTTP request, which is handed to the hub"),
    ("http", "signaling::socket", "what serves the WebSocket from then on"),
    ("http", "signaling::switchboard::Visit", "what the request has shown of its client"),
    ("http", "signaling::seats::NoSeat", "why the hub has no place for a WebSocket: the response says it"),
    ("http", "signaling::protocol::FRAME_MAX", "the largest message of a WebSocket, which axum enforces"),
    ("http", "signaling::protocol::TOKEN_MAX", "the longest token, in a URL as in a message"),
    (
        "http",
        "signaling::protocol::codes::Close",
        "why the transport of a client of socket.io ends its session",
    ),
    ("http", "signaling::heartbeat::DEAD", "how long such a client may take to read"),
    ("http", "signaling::protocol::names::RoomName", "the API names rooms as clients do"),
    ("http", "certificates::Challenges", "a certificate authority asks for some of them over HTTP"),
    ("http", "relay::Relay", "revoking a credential ends its allocations"),
    ("front", "http::connection", "a connection that speaks HTTP is handed to the HTTP server"),
    ("front", "relay::Relay", "a connection that speaks TURN is handed to the relay"),
    ("front", "relay::Arrival", "such a connection, with what it has said"),
    ("front", "relay::TlsSession", "and with TLS, whose handshake the front did"),
    ("admin", "http::connection", "the same server, with the same bounds on time and size"),
    ("admin", "http::origins::Origins", "that server knows whose page asks; no page of a site may"),
    ("admin", "http::assets", "the status page has the style and the languages of the other pages"),
    ("admin", "http::authentication::bearer", "tokens are written as keys are"),
    ("admin", "http::problem", "errors have the same form"),
    ("admin", "http::screen", "requests are screened in the same way"),
    ("admin", "relay::Relay", "sessions are the relay's"),
    ("admin", "signaling::hub::Hub", "rooms are the hub's"),
    ("cli", "signaling::protocol::names::RoomName", "an invitation names a room as clients do"),
    ("doctor", "relay::framing", "where a message ends in a stream is said once"),
];

/// Crates that only these files and folders may name.
const CRATES: &[(&str, &[&str])] = &[
    ("stun", &["src/relay/wire.rs", "src/relay/wire/", "src/relay/engine.rs", "src/relay/engine/"]),
    ("turn", &["src/doctor/attempt.rs", "src/relay/engine.rs", "src/relay/engine/"]),
    ("webrtc_util", &["src/doctor/", "src/network/interfaces.rs"]),
    ("rusqlite", &["src/usage/store.rs"]),
    ("aya", &["src/relay/lookup.rs"]),
    (
        "axum",
        &[
            "src/admin/",
            "src/compat/peerjs/socket.rs",
            "src/compat/plain/socket.rs",
            "src/http.rs",
            "src/http/",
            "src/signaling/socket.rs",
        ],
    ),
];

/// Words that only these files may have.
const WORDS: &[(&str, &[&str])] = &[
    (
        "unsafe",
        &[
            "src/relay/datagrams/batch.rs",
            "src/relay/datagrams/control.rs",
            "src/relay/datagrams/name.rs",
            "src/relay/datagrams/send.rs",
            "src/relay/datagrams/socket.rs",
            "src/system.rs",
        ],
    ),
    ("OsRng", &[]), // system::random_bytes says why
    ("Instant", &["src/clock.rs"]),
    ("SystemTime", &["src/clock.rs"]),
];

/// What a pure file names nowhere: runtimes, sockets, threads, files, clocks, and random numbers that are not arguments.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "libc",
    "axum",
    "hyper",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "OsRng",
    "rand::random",
    "rand::rng",
];

/// Files and folders whose files say `PURE`, so that nobody removes that line to get a clock or a socket: what decides,
/// reads what clients send, or is tested with a clock that the test moves.
const MUST_BE_PURE: &[&str] = &[
    "src/bounds/",
    "src/compat/peerjs/arrival.rs",
    "src/compat/peerjs/broker.rs",
    "src/compat/peerjs/message.rs",
    "src/compat/peerjs/waiting.rs",
    "src/compat/news.rs",
    "src/compat/plain/member.rs",
    "src/compat/socketio/client.rs",
    "src/compat/socketio/dialect.rs",
    "src/compat/socketio/dialect/",
    "src/compat/socketio/engine.rs",
    "src/compat/socketio/line.rs",
    "src/compat/socketio/packet.rs",
    "src/coturn.rs",
    "src/coturn/",
    "src/credentials.rs",
    "src/credentials/",
    "src/discovery/binding.rs",
    "src/discovery/choice.rs",
    "src/http/frames.rs",
    "src/ice.rs",
    "src/log/bound.rs",
    "src/network/ipv6.rs",
    "src/observed.rs",
    "src/observed/",
    "src/origin.rs",
    "src/origin/",
    "src/peers.rs",
    "src/relay/engine.rs",
    "src/relay/engine/",
    "src/relay/framing.rs",
    "src/relay/patience.rs",
    "src/relay/wire.rs",
    "src/relay/wire/",
    "src/room_token.rs",
    "src/signaling/protocol.rs",
    "src/signaling/protocol/",
    "src/signaling/replay.rs",
    "src/signaling/room.rs",
    "src/signaling/room/",
    "src/signaling/rooms.rs",
    "src/signaling/seats.rs",
    "src/signaling/sessions.rs",
    "src/signaling/switchboard.rs",
    "src/signaling/switchboard/",
];

/// The one file in these folders that is not pure: it holds a lock, and tells connections that they are evicted.
const MAY_BE_IMPURE: &str = "src/bounds/admission.rs";

/// Values of files that are not pure, which pure files may use all the same.
const VALUES: &[&str] = &[
    "clock::Expiry",
    "clock::Moment",
    "clock::Now",
    "clock::Unix",
    "clock::Validity",
    "sections::http::ApiKey",
    "sections::number::Count",
];

#[test]
fn every_file_belongs_to_a_layer_and_a_layer_uses_only_what_is_above_it() {
    for source in &*SOURCES {
        let layer = source.layer();
        assert!(layer.is_none_or(|layer| place(layer).is_some()), "{}: add {layer:?} to LAYERS", source.file);
    }
    for (at, (layer, uses)) in LAYERS.iter().enumerate() {
        let above = |used: &&str| place(used).is_some_and(|place| place < at);
        assert!(uses.iter().all(above), "{layer} lists a layer that is not above it");
    }
}

#[test]
fn a_layer_uses_only_the_layers_that_it_may_use() {
    let mut forbidden = Vec::new();
    for source in &*SOURCES {
        for path in uses(source).filter(|path| !may_use(source, path)) {
            let layer = source.layer().unwrap_or("the crate's root");
            forbidden.push(format!("{} uses {path}, which is not allowed to {layer}", source.file));
        }
    }
    assert!(forbidden.is_empty(), "{}\nmove what is shared down, or see LAYERS", forbidden.join("\n"));
}

#[test]
fn nothing_is_allowed_that_nobody_uses() {
    let is_used = |layer: &str, path: &str| {
        let own = SOURCES.iter().filter(|source| source.layer() == Some(layer));
        own.flat_map(uses).any(|used| is_below(used, path))
    };
    let listed = LAYERS.iter().flat_map(|(layer, uses)| uses.iter().map(move |used| (layer, used)));
    let excepted = EXCEPTIONS.iter().map(|(layer, path, _)| (layer, path));
    let unused: Vec<_> = listed.chain(excepted).filter(|(layer, path)| !is_used(layer, path)).collect();
    assert!(unused.is_empty(), "remove what is not used any more: {unused:?}");
}

#[test]
fn crates_and_words_stay_where_they_belong() {
    for source in &*SOURCES {
        for (name, places) in CRATES.iter().filter(|(_, places)| !is_one_of(&source.file, places)) {
            let found = source.paths.iter().find(|path| path.split("::").next() == Some(name));
            assert_eq!(found, None, "{}: {name} is for {places:?}", source.file);
        }
        for (word, places) in WORDS.iter().filter(|(_, places)| !is_one_of(&source.file, places)) {
            assert!(
                !source.words.iter().any(|found| found == word),
                "{}: {word} is for {places:?}",
                source.file
            );
        }
    }
}

#[test]
fn what_decides_is_pure() {
    for place in MUST_BE_PURE {
        let mut files = SOURCES.iter().filter(|source| source.file.starts_with(place)).peekable();
        assert!(
            files.peek().is_some(),
            "{place} is gone: remove it from MUST_BE_PURE, or name its new place"
        );
        let is_test = |source: &Source| source.file.ends_with("/tests.rs");
        let impure = files.find(|source| !source.is_pure && !is_test(source) && source.file != MAY_BE_IMPURE);
        assert_eq!(impure.map(|source| &source.file), None, "its first line must begin with `//! PURE `");
    }
}

#[test]
fn a_pure_file_does_nothing_but_decide() {
    for source in SOURCES.iter().filter(|source| source.is_pure) {
        for path in &source.paths {
            let inside = format!("::{path}::");
            let found = IMPURE.iter().find(|word| inside.contains(&format!("::{word}::")));
            assert_eq!(found, None, "{} is pure, and uses {path}", source.file);
        }
    }
}

#[test]
fn a_pure_file_uses_pure_files_only() {
    let mut impure = Vec::new();
    for source in SOURCES.iter().filter(|source| source.is_pure) {
        for path in source.paths.iter().filter_map(|path| path.strip_prefix("crate::")) {
            let defines = |other: &&Source| is_below(path, &other.module.join("::"));
            let file = SOURCES.iter().filter(defines).max_by_key(|other| other.module.len());
            let is_pure = file.is_none_or(|file| file.is_pure || file.module.is_empty());
            if !is_pure && !VALUES.iter().any(|value| is_below(path, value)) {
                impure.push(format!("{} is pure, and uses {path}, which is not", source.file));
            }
        }
    }
    assert!(impure.is_empty(), "{}", impure.join("\n"));
}

/// The nine directions that DESIGN.md forbids. They stay forbidden however the lists above change.
#[test]
fn no_list_allows_what_the_design_forbids() {
    for (file, import) in [
        ("src/http/api.rs", "use crate::relay::engine::Engine;"),
        ("src/signaling/hub.rs", "use crate::{clock, relay::{engine::{limits::Limits}}};"),
        ("src/config/checks.rs", "use super::super::relay::datagrams;"),
        ("src/bounds/throttle.rs", "use crate::relay::Relay;"),
        ("src/ice.rs", "fn port() -> u16 { crate::relay::ports::first() }"),
        ("src/signaling/rooms.rs", "use crate::config::Config;"),
        ("src/relay/shard.rs", "use crate::config::Config;"),
        ("src/relay/engine.rs", "mod tests { use super::super::super::http::Site; }"),
        ("src/relay.rs", "fn hub() { assert!(matches!(x, crate::signaling::hub::Hub { .. })); }"),
    ] {
        let source = Source::parse(file, import);
        assert!(uses(&source).any(|path| !may_use(&source, path)), "{file}: {import}");
    }
}

#[test]
fn no_path_escapes_the_reader() {
    let text = "use crate::{a::{self, b as c, d::*}, e};\nfn f(x: &crate::g::H) -> Vec<super::super::i::J> {\n\
                println!(\"{}\", self::k::l());\n// use crate::comment;\nlet s = \"crate::text\"; }\n\
                mod inner { use super::super::m; use std::{fs, net::UdpSocket}; }\nuse crate as all;";
    let source = Source::parse("src/relay/shard.rs", text);
    let expected = [
        "crate::a",
        "crate::a::b",
        "crate::a::d::*",
        "crate::e",
        "crate::g::H",
        "crate::i::J",
        "crate::relay::shard::k::l",
        "crate::relay::m",
        "std::fs",
        "std::net::UdpSocket",
        "crate",
    ];
    assert_eq!(source.paths, expected);
}

/// The paths of other layers that a file names, without `crate`. The root of the crate is none.
fn uses(source: &Source) -> impl Iterator<Item = &str> {
    let paths = source.paths.iter().filter_map(|path| path.strip_prefix("crate"));
    let paths = paths.map(|path| path.strip_prefix("::").unwrap_or("the whole crate"));
    paths.filter(|path| path.split("::").next() != source.layer())
}

fn may_use(source: &Source, path: &str) -> bool {
    // `main.rs` and `lib.rs` only say where everything is.
    let Some(layer) = source.layer() else { return true };
    let mut listed = LAYERS.iter().filter(|(name, _)| *name == layer).flat_map(|(_, uses)| *uses);
    let mut excepted = EXCEPTIONS.iter().filter(|(name, _, _)| *name == layer);
    listed.any(|used| is_below(path, used)) || excepted.any(|(_, used, _)| is_below(path, used))
}

/// Whether a path is another one, or begins with it.
fn is_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_one_of(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place))
}

fn place(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|(name, _)| *name == layer)
}
