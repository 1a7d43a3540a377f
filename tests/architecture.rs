//! The sources keep to their layers: who may import whom, and which files are pure.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up: a layer may use those above it in this list, and itself.
const LAYERS: &[&str] = &[
    "clock",
    "life",
    "bounds",
    "files",
    "unseen",
    "outcome",
    "metrics",
    "credentials",
    "certificates",
    "network",
    "peers",
    "relay",
    "origin",
    "room_token",
    "api_key",
    "sections",
    "ice",
    "config",
    "log",
    "signaling",
    "http",
    "front",
    "daemon",
    "cli",
];

/// Bytes, time and random numbers are arguments here, and nothing is done but deciding.
const PURE: &[&str] = &[
    "src/api_key.rs",
    "src/bounds/",
    "src/outcome.rs",
    "src/credentials.rs",
    "src/credentials/",
    "src/http/formats.rs",
    "src/http/frames.rs",
    "src/http/keys.rs",
    "src/ice.rs",
    "src/log/bound.rs",
    "src/network/address.rs",
    "src/network/own.rs",
    "src/origin.rs",
    "src/origin/",
    "src/peers.rs",
    "src/room_token.rs",
    "src/unseen.rs",
    "src/signaling/guesses.rs",
    "src/signaling/heartbeat.rs",
    "src/signaling/joins.rs",
    "src/signaling/pace.rs",
    "src/signaling/post.rs",
    "src/signaling/protocol",
    "src/signaling/replay.rs",
    "src/signaling/room.rs",
    "src/signaling/rooms.rs",
    "src/signaling/seats.rs",
    "src/signaling/secret.rs",
    "src/signaling/sessions.rs",
    "src/signaling/switchboard",
    "src/signaling/worth.rs",
    "src/relay/wire.rs",
    "src/relay/address.rs",
    "src/relay/framing.rs",
    "src/relay/patience.rs",
    "src/relay/engine",
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (file, line) in lines() {
        let Some(own) = layer(&file) else { continue };
        let used =
            line.split("crate::").nth(1).map(|rest| rest.split([':', ';', ' ', '{']).next().unwrap_or(""));
        let Some(used) = used.and_then(|name| LAYERS.iter().position(|layer| *layer == name)) else {
            continue;
        };
        if used > own {
            wrong.push(format!("{}: {line}", file.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_webrtc_crates_stay_where_the_protocol_is() {
    only_in("stun::", &["src/relay/wire.rs", "src/relay/engine"]);
    only_in("turn::", &["src/relay/engine"]);
    only_in("webrtc_util::", &["src/network/interfaces.rs"]);
}

#[test]
fn the_web_framework_stays_where_http_is() {
    only_in("axum::", &["src/http.rs", "src/http/", "src/signaling/socket.rs"]);
}

#[test]
fn system_calls_stay_in_one_file() {
    only_in("unsafe", &["src/relay/datagrams.rs"]);
}

#[test]
fn pure_files_use_no_runtime_no_clock_and_no_chance_of_their_own() {
    for word in [
        "tokio",
        "mio::",
        "std::net::UdpSocket",
        "Instant::now",
        "SystemTime",
        "OsRng",
        "rand::rng()",
        "rand::random",
        "std::fs",
    ] {
        let found = lines().into_iter().filter(|(file, line)| is_one_of(file, PURE) && line.contains(word));
        assert_eq!(found.collect::<Vec<_>>(), [], "{word} in a pure file");
    }
}

#[test]
fn the_clock_is_read_in_one_place() {
    only_in("Instant::now", &["src/clock.rs"]);
    only_in("SystemTime", &["src/clock.rs"]);
}

fn only_in(word: &str, places: &[&str]) {
    let used = |line: &str| {
        line.match_indices(word)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let found = lines().into_iter().filter(|(file, line)| used(line) && !is_one_of(file, places));
    assert_eq!(found.collect::<Vec<_>>(), [], "{word} outside of {places:?}");
}

fn is_one_of(file: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| file.to_str().is_some_and(|file| file.starts_with(place)))
}

fn layer(file: &Path) -> Option<usize> {
    let name = file.components().nth(1)?.as_os_str().to_str()?;
    LAYERS.iter().position(|layer| *layer == name.trim_end_matches(".rs"))
}

/// Every line of code of every source file, comments left out.
fn lines() -> Vec<(PathBuf, String)> {
    let mut files = vec![PathBuf::from("src")];
    let mut lines = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (path.clone(), line.to_owned())));
    }
    assert!(lines.len() > 1000, "the sources were found");
    lines
}
