//! PURE  Renders the daemon's numbers in the text format of Prometheus.

use std::fmt::Write as _;

use crate::observed::{Certificates, Front, Observed, Relay, Rooms};

/// All numbers of a daemon, in the text exposition format, version 0.0.4.
#[must_use]
pub fn render(observed: &Observed) -> String {
    let Observed { lifecycle: _, relay, rooms, site, front, certificates } = observed;
    let mut text = String::new();
    render_requests(&mut text, relay);
    render_relay(&mut text, relay);
    render_connections(&mut text, relay, front);
    family(&mut text, "hairpin_http_connections", "gauge", "live HTTP connections");
    sample(&mut text, "hairpin_http_connections", "", site.connections as u64);
    render_rooms(&mut text, rooms);
    if let Some(certificates) = certificates {
        render_certificates(&mut text, certificates);
    }
    text
}

fn render_requests(text: &mut String, relay: &Relay) {
    let name = "hairpin_requests_total";
    family(text, name, "counter", "requests and what became of them");
    for (method, requests) in &relay.requests {
        let granted = format!("method=\"{method}\",outcome=\"success\",reason=\"\"");
        sample(text, name, &granted, requests.granted);
        for refused in &requests.refused {
            let (code, reason) = (refused.code, refused.reason);
            let labels = format!("method=\"{method}\",outcome=\"{code}\",reason=\"{reason}\"");
            sample(text, name, &labels, refused.count);
        }
    }
}

fn render_relay(text: &mut String, relay: &Relay) {
    family(text, "hairpin_ignored_total", "counter", "datagrams dropped without an answer");
    for (reason, count) in &relay.ignored {
        sample(text, "hairpin_ignored_total", &format!("reason=\"{reason}\""), *count);
    }
    family(text, "hairpin_relayed_packets_total", "counter", "packets relayed");
    for (way, relayed) in &relay.relayed {
        sample(text, "hairpin_relayed_packets_total", &format!("direction=\"{way}\""), relayed.packets);
    }
    family(text, "hairpin_relayed_bytes_total", "counter", "bytes of payload relayed");
    for (way, relayed) in &relay.relayed {
        sample(text, "hairpin_relayed_bytes_total", &format!("direction=\"{way}\""), relayed.bytes);
    }
    family(text, "hairpin_icmp_total", "counter", "ICMP errors passed on to clients");
    sample(text, "hairpin_icmp_total", "", relay.icmp);
    family(text, "hairpin_allocations", "gauge", "live allocations");
    for (shard, allocations) in relay.allocations.iter().enumerate() {
        sample(text, "hairpin_allocations", &format!("shard=\"{shard}\""), *allocations);
    }
}

fn render_connections(text: &mut String, relay: &Relay, front: &Front) {
    family(text, "hairpin_connections_ended_total", "counter", "TCP and TLS connections that ended");
    for (reason, count) in &relay.ended {
        let early = front.ended.get(reason).copied().unwrap_or(0);
        let labels = format!("reason=\"{reason}\"");
        sample(text, "hairpin_connections_ended_total", &labels, count.wrapping_add(early));
    }
    family(text, "hairpin_connections", "gauge", "live TCP and TLS connections");
    sample(text, "hairpin_connections", "", relay.connections);
    family(text, "hairpin_connections_admitted", "gauge", "live TCP and TLS connections, HTTP included");
    sample(text, "hairpin_connections_admitted", "", front.connections as u64);
}

fn render_rooms(text: &mut String, rooms: &Rooms) {
    for (name, help, gauge) in [
        ("hairpin_rooms", "rooms", rooms.rooms),
        ("hairpin_room_members", "members of rooms", rooms.members),
        ("hairpin_signaling_sessions", "signaling sessions, resumable ones included", rooms.sessions),
        ("hairpin_signaling_sockets", "open WebSockets", rooms.sockets),
    ] {
        family(text, name, "gauge", help);
        sample(text, name, "", gauge);
    }
    family(text, "hairpin_joins_refused_total", "counter", "joins that were refused");
    for (code, count) in &rooms.joins_refused {
        sample(text, "hairpin_joins_refused_total", &format!("code=\"{code}\""), *count);
    }
    family(text, "hairpin_signaling_closed_total", "counter", "WebSockets that the server closed");
    for closed in &rooms.closed {
        let labels = format!("code=\"{}\",reason=\"{}\"", closed.code, closed.reason);
        sample(text, "hairpin_signaling_closed_total", &labels, closed.count);
    }
}

fn render_certificates(text: &mut String, certificates: &Certificates) {
    let name = "hairpin_certificate_reloads_total";
    family(text, name, "counter", "new certificates and what became of them");
    sample(text, name, "outcome=\"taken\"", certificates.taken);
    sample(text, name, "outcome=\"refused\"", certificates.refused);
    let name = "hairpin_certificate_expiry_seconds";
    family(text, name, "gauge", "when the first certificate expires, as a Unix time");
    sample(text, name, "", certificates.expiry);
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String cannot fail");
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(text, "{name}{labels} {value}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_shown_once_there_are_any() {
        assert!(!render(&Observed::default()).contains("certificate"));
        let certificates = Some(Certificates { expiry: 1_790_812_800, refused: 2, taken: 0 });

        let text = render(&Observed { certificates, ..Observed::default() });

        assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"taken\"} 0"));
        assert!(text.contains("hairpin_certificate_reloads_total{outcome=\"refused\"} 2"));
        assert!(text.contains("hairpin_certificate_expiry_seconds 1790812800"));
    }

    #[test]
    fn a_connection_that_ended_early_is_counted_with_the_others() {
        let mut observed = Observed::default();
        observed.relay.ended.insert("silent", 2);
        observed.front.ended.insert("silent", 3);
        assert!(render(&observed).contains("hairpin_connections_ended_total{reason=\"silent\"} 5\n"));
    }
}
