//! The whole text, and what the documents say about it.

use std::collections::BTreeSet;

use super::*;
use crate::observed::{Answered, Coded, Held, Relayed, Requests, Secrets};

/// A relay that has done something of everything.
fn relay() -> Relay {
    let relayed = Relayed { packets: 40, bytes: 6_400 };
    let flow = |direction, transport, peer_transport, family| Flow {
        direction,
        transport,
        peer_transport,
        family,
        relayed,
    };
    let held = |transport, peer_transport, family, count| Held { transport, peer_transport, family, count };
    let refused = vec![Coded { code: 401, reason: "challenge", count: 3 }];
    Relay {
        allocations: vec![2, 1],
        held: vec![held("udp", "udp", "ipv4", 2), held("tls", "tcp", "ipv6", 1)],
        most_allocations: 900,
        addresses: [("ipv4", 2), ("ipv6", 0)].into(),
        concluded: [("expired", 6)].into(),
        permissions: 4,
        channels: 3,
        connections: 1,
        requests: [("allocate", Requests { granted: 3, refused })].into(),
        ignored: [("no_permission", 5), ("over_rate", 0)].into(),
        relayed: [("up", relayed), ("down", relayed)].into(),
        flows: vec![flow("up", "udp", "udp", "ipv4"), flow("down", "tls", "tcp", "ipv6")],
        overflowed: [("listener", 7), ("relay", 0)].into(),
        uncut: 3,
        threads_awake: 2,
        icmp: 1,
        ended: [("closed", 2), ("silent", 1)].into(),
        secrets: Secrets { live: vec![2, 0], removed: 1 },
    }
}

fn rooms() -> Rooms {
    Rooms {
        rooms: 1,
        members: 2,
        sessions: 3,
        most_sessions: 10_000,
        sockets: 2,
        received: [("join", 2), ("signal", 9)].into(),
        sent: [("joined", 2), ("signal", 9)].into(),
        refused: [("room_full", 1)].into(),
        joins_refused: [("room_full", 1)].into(),
        credentials: 2,
        opened: 4,
        turned_away: [("address", 1)].into(),
        closed: vec![Coded { code: 4413, reason: "slow_consumer", count: 1 }],
    }
}

fn site() -> Site {
    let mut counts = [0; Histogram::BOUNDS.len() + 1];
    (counts[0], counts[2], counts[11]) = (4, 1, 2);
    Site {
        connections: 2,
        requests: vec![Answered { route: "/ws", status: "1xx", count: 7 }],
        durations: [("/ws", Histogram { counts, sum: 1_500_000_001 })].into(),
        credentials: [("turn", 6)].into(),
    }
}

fn compat() -> Compat {
    Compat {
        sockets: 2,
        opened: 5,
        waiting_bytes: 700,
        received: [("HEARTBEAT", 40), ("OFFER", 1)].into(),
        sent: [("OPEN", 5), ("OFFER", 1)].into(),
        refused: [("too_often", 3)].into(),
        closed: [("replaced", 1)].into(),
    }
}

fn front() -> Front {
    Front {
        connections: 4,
        most_connections: 1_000,
        identified: [("https", 3)].into(),
        ended: [("silent", 3)].into(),
        handshakes: [("failed", 1), ("ok", 8)].into(),
    }
}

fn process() -> Process {
    Process {
        cpu_ms: 12_340,
        threads: [("front".to_owned(), 340), ("relay-0".to_owned(), 12_000)].into(),
        resident_bytes: 20 << 20,
        virtual_bytes: 600 << 20,
        open_files: 45,
        most_files: 524_288,
    }
}

fn busy() -> Observed {
    Observed {
        version: "1.2.3",
        started: 1_790_000_000,
        lifecycle: Lifecycle::Serving,
        relay: relay(),
        rooms: rooms(),
        site: site(),
        compat: [("peerjs", compat())].into(),
        front: front(),
        certificates: Some(Certificates { expiry: 1_790_812_800, refused: 2, taken: 0 }),
        acme: Some(Acme { issued: 2, failed: 5, failures: 1, next: 1_790_000_300, problem: None }),
        usage: Usage { stores: true, users_unwritten: 3, seconds_behind: 90, failures: 4 },
        reloads: Reloads { good: 3, bad: 1, last: 1_790_000_100, last_good: false },
        log_lines_lost: 12,
        process: Some(process()),
    }
}

/// The names of all metrics.
fn names() -> BTreeSet<String> {
    let text = render(&busy());
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The metrics that a document names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("hairpin_") || word.starts_with("process_"));
    // The samples of a histogram have endings.
    let names = words.map(|word| match word.strip_prefix("hairpin_http_request_duration_seconds_") {
        Some("bucket" | "sum" | "count") => "hairpin_http_request_duration_seconds",
        Some(_) | None => word,
    });
    names.map(str::to_owned).collect()
}

/// When this text changes on purpose, docs/operating.md, the dashboard and the alerts may have to change too.
#[test]
fn the_whole_text_is_as_expected() {
    assert_eq!(render(&busy()), include_str!("expected.txt"));
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let document = include_str!("../../../docs/operating.md");
    let (_, section) = document.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: BTreeSet<String> =
        section.lines().filter(|line| line.starts_with("| `")).flat_map(named).collect();
    assert_eq!(rows, names());
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_exist() {
    for (file, text) in [
        ("alerts.yml", include_str!("../../../docs/monitoring/alerts.yml")),
        ("grafana.json", include_str!("../../../docs/monitoring/grafana.json")),
    ] {
        let unknown: Vec<_> = named(text).difference(&names()).cloned().collect();
        assert!(unknown.is_empty() && named(text).len() > 10, "{file}: {unknown:?}");
    }
}

#[test]
fn a_daemon_that_stops_says_so() {
    let observed = Observed { lifecycle: Lifecycle::Draining, ..Observed::default() };
    assert!(render(&observed).contains("\nhairpin_draining 1\n"));
}

#[test]
fn certificates_are_shown_once_there_are_any() {
    assert!(!render(&Observed::default()).contains("certificate"));
    let certificates = Some(Certificates { expiry: 1_790_812_800, refused: 2, taken: 0 });

    let text = render(&Observed { certificates, ..Observed::default() });

    assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"taken\"} 0"));
    assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"refused\"} 2"));
    assert!(text.contains("hairpin_certificate_expiry_timestamp_seconds 1790812800"));
}

#[test]
fn a_reload_that_was_refused_is_told_from_none() {
    let success = |reloads| {
        let text = render(&Observed { reloads, ..Observed::default() });
        text.lines().find_map(|line| line.strip_prefix("hairpin_last_reload_success ")).unwrap().to_owned()
    };
    assert_eq!(success(Reloads::default()), "1");
    assert_eq!(success(Reloads { bad: 1, last: 7, ..Reloads::default() }), "0");
    assert_eq!(success(Reloads { bad: 1, good: 1, last: 8, last_good: true }), "1");
}

#[test]
fn a_connection_that_ended_early_is_counted_with_the_others() {
    let mut observed = Observed::default();
    observed.relay.ended.insert("silent", 2);
    observed.front.ended.insert("silent", 3);
    assert!(render(&observed).contains("hairpin_connections_ended_total{reason=\"silent\"} 5\n"));
}

#[test]
fn seconds_are_exact() {
    assert_eq!(
        [(0, 3), (5, 3), (2_500, 3), (10_000, 3)].map(|(ms, d)| seconds(ms, d)),
        ["0", "0.005", "2.5", "10"]
    );
    assert_eq!(seconds(u64::MAX, 9), "18446744073.709551615");
}
