//! Every request is counted by the template of its route, and nothing that a client writes becomes a label.

use hairpin::daemon::Daemon;
use hairpin::observed::prometheus::render;

use crate::backend::{post, start};
use crate::support::http::Http;
use crate::support::stream::eventually;
use crate::support::websocket::WebSocket;

/// The lines of a metric that are not zero.
fn lines(daemon: &Daemon, metric: &str) -> Vec<String> {
    let text = render(&daemon.snapshot());
    let lines = text.lines().filter(|line| line.starts_with(metric) && !line.ends_with(" 0"));
    lines.map(|line| line.strip_prefix(metric).unwrap().to_owned()).collect()
}

#[test]
fn requests_are_counted_by_route_and_class_of_status() {
    let daemon = start("18700-18709");
    for path in ["/", "/js/call.js", "/healthz", "/nowhere/a-room", "/nowhere/another"] {
        Http::of(&daemon).get(path);
    }
    post(&daemon, "/api/v1/credentials/1800000000:other.alice/revoke", "");
    post(&daemon, "/api/v1/ice-servers", "no JSON");
    post(&daemon, "/api/v1/ice-servers", "{}");
    assert_eq!(
        lines(&daemon, "hairpin_http_requests_total"),
        [
            "{route=\"/healthz\",status=\"2xx\"} 1",
            "{route=\"/api/v1/ice-servers\",status=\"2xx\"} 1",
            "{route=\"/api/v1/ice-servers\",status=\"4xx\"} 1",
            "{route=\"/api/v1/credentials/{username}/revoke\",status=\"4xx\"} 1",
            "{route=\"pages\",status=\"2xx\"} 2",
            "{route=\"none\",status=\"4xx\"} 2",
        ]
    );
    let counts = lines(&daemon, "hairpin_http_request_duration_seconds_count");
    assert!(counts.contains(&"{route=\"pages\"} 2".to_owned()), "{counts:?}");
    let text = render(&daemon.snapshot());
    assert!(!text.contains("nowhere") && !text.contains("alice") && !text.contains("127.0.0.1"));
    daemon.stop();
}

#[test]
fn credentials_are_counted_by_endpoint_and_not_by_key() {
    let daemon = start("18710-18719");
    post(&daemon, "/api/v1/ice-servers", "{}");
    post(&daemon, "/turn?service=turn", "");
    post(&daemon, "/turn?service=turn", "");
    post(&daemon, "/api/v1/room-tokens", "{}");
    let (_member, _) = WebSocket::member(&daemon, "garden");
    assert_eq!(
        lines(&daemon, "hairpin_credentials_issued_total"),
        [
            "{endpoint=\"ice_servers\"} 1",
            "{endpoint=\"room_tokens\"} 1",
            "{endpoint=\"turn\"} 2",
            "{endpoint=\"rooms\"} 1",
        ]
    );
    assert!(!render(&daemon.snapshot()).contains("shop"));
    daemon.stop();
}

#[test]
fn members_and_their_messages_are_counted() {
    let daemon = start("18720-18729");
    let (member, _) = WebSocket::member(&daemon, "garden");
    for (metric, expected) in [
        ("hairpin_websockets_opened_total", &[" 1"][..]),
        ("hairpin_websockets ", &["1"]),
        ("hairpin_room_members", &[" 1"]),
        ("hairpin_connections_identified_total", &["{protocol=\"http\"} 1"]),
        ("hairpin_signaling_messages_received_total", &["{type=\"hello\"} 1", "{type=\"join\"} 1"]),
        ("hairpin_signaling_messages_sent_total", &["{type=\"joined\"} 1", "{type=\"welcome\"} 1"]),
    ] {
        assert_eq!(lines(&daemon, metric), expected, "{metric}");
    }
    drop(member);
    eventually("it is gone", || lines(&daemon, "hairpin_websockets ").is_empty());
    daemon.stop();
}
