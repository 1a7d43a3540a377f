//! PURE  Renders the daemon's numbers in the text format of Prometheus.
//!
//! docs/operating.md says what each metric means. A label is never a user, a room or an address: each has a few values that
//! the program knows.

#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use crate::observed::prometheus::text::{Label, Text};
use crate::observed::{
    Acme, Certificates, Compat, Flow, Front, Histogram, Lifecycle, Observed, Process, Relay, Reloads, Rooms,
    Site, Usage,
};

/// All numbers of a daemon, in the text exposition format, version 0.0.4.
#[must_use]
pub fn render(observed: &Observed) -> String {
    let Observed {
        version,
        started,
        lifecycle,
        relay,
        rooms,
        site,
        compat,
        front,
        certificates,
        acme,
        usage,
        reloads,
        log_lines_lost,
        process,
    } = observed;
    let mut text = Text::default();
    text.gauge("hairpin_build_info", "The version of the program; the value is 1.")
        .with(&[("version", version)], 1);
    let draining = u8::from(*lifecycle != Lifecycle::Serving);
    text.gauge("hairpin_draining", "1 while the daemon stops and takes no new clients, 0 otherwise.")
        .value(draining);
    render_allocations(&mut text, relay);
    render_traffic(&mut text, relay);
    render_connections(&mut text, relay, front);
    render_site(&mut text, site);
    render_credentials(&mut text, site, rooms);
    render_rooms(&mut text, rooms);
    render_messages(&mut text, rooms);
    render_compat(&mut text, compat);
    if let Some(certificates) = certificates {
        render_certificates(&mut text, certificates);
    }
    if let Some(acme) = acme {
        render_acme(&mut text, acme);
    }
    if usage.stores {
        render_usage(&mut text, usage);
    }
    render_reloads(&mut text, reloads);
    let help = "Lines of the log that were lost, because nobody read them or they could not be written.";
    text.counter("hairpin_log_lines_lost_total", help).value(log_lines_lost);
    text.gauge("process_start_time_seconds", "When the daemon started, as a Unix time.").value(started);
    if let Some(process) = process {
        render_process(&mut text, process);
    }
    text.finish()
}

fn render_allocations(text: &mut Text, relay: &Relay) {
    let mut held = text.gauge("hairpin_allocations", "Live allocations.");
    for it in &relay.held {
        let labels =
            [("transport", it.transport), ("peer_transport", it.peer_transport), ("family", it.family)];
        held.with(&labels, it.count);
    }
    text.gauge("hairpin_allocations_limit", "The most allocations that are allowed.")
        .value(relay.most_allocations);
    text.gauge("hairpin_relay_addresses", "Addresses that new allocations relay from.")
        .each("family", counts(&relay.addresses));
    let mut shards = text.gauge("hairpin_shard_allocations", "Live allocations of each shard.");
    for (shard, count) in relay.allocations.iter().enumerate() {
        shards.with(&[("shard", &shard.to_string())], count);
    }
    let help = "Live allocations by the secret that signed the credential; 0 is the newest one.";
    let mut secrets = text.gauge("hairpin_secret_allocations", help);
    for (generation, count) in relay.secrets.live.iter().enumerate() {
        secrets.with(&[("generation", &generation.to_string())], count);
    }
    secrets.with(&[("generation", "removed")], relay.secrets.removed);
    text.counter("hairpin_allocations_ended_total", "Allocations that ended.")
        .each("reason", counts(&relay.concluded));
    text.gauge("hairpin_permissions", "Permissions of live allocations.").value(relay.permissions);
    text.gauge("hairpin_channels", "Channels of live allocations, bound or reserved.").value(relay.channels);
    let mut answers = text.counter("hairpin_answers_total", "Answers to STUN and TURN requests.");
    for (method, requests) in &relay.requests {
        let granted = [("method", *method), ("code", "success"), ("cause", "granted")];
        answers.with(&granted, requests.granted);
        for refused in &requests.refused {
            let code = refused.code.to_string();
            answers.with(&[("method", method), ("code", &code), ("cause", refused.reason)], refused.count);
        }
    }
}

fn render_traffic(text: &mut Text, relay: &Relay) {
    let mut packets = text.counter("hairpin_relayed_packets_total", "Relayed packets.");
    relay.flows.iter().for_each(|flow| packets.with(&labels(flow), flow.relayed.packets));
    let mut bytes = text.counter("hairpin_relayed_bytes_total", "Relayed bytes of payload.");
    relay.flows.iter().for_each(|flow| bytes.with(&labels(flow), flow.relayed.bytes));
    text.counter("hairpin_icmp_reports_total", "ICMP errors that were reported to clients.")
        .value(relay.icmp);
    text.counter(
        "hairpin_dropped_messages_total",
        "Messages and packets that the relay dropped without an answer.",
    )
    .each("reason", counts(&relay.ignored));
    let help = "Datagrams that the kernel dropped because a receive buffer was full.";
    text.counter("hairpin_receive_buffer_drops_total", help).each("socket", counts(&relay.overflowed));
    let help = "Runs of datagrams that were sent one by one because the kernel refused to cut them.";
    text.counter("hairpin_segmentation_refused_total", help).value(relay.uncut);
    text.gauge("hairpin_relay_threads_awake", "Relay threads that serve clients; the others sleep.")
        .value(relay.threads_awake);
}

fn labels(flow: &Flow) -> [Label<'static>; 4] {
    let &Flow { direction, transport, peer_transport, family, relayed: _ } = flow;
    [
        ("direction", direction),
        ("transport", transport),
        ("peer_transport", peer_transport),
        ("family", family),
    ]
}

fn render_connections(text: &mut Text, relay: &Relay, front: &Front) {
    text.gauge("hairpin_connections", "Live TCP and TLS connections of clients and peers.")
        .value(front.connections);
    text.gauge("hairpin_connections_limit", "The most TCP and TLS connections that are allowed.")
        .value(front.most_connections);
    text.gauge("hairpin_relay_connections", "Live TCP and TLS connections of the relay.")
        .value(relay.connections);
    text.counter("hairpin_connections_identified_total", "Connections whose protocol became known.")
        .each("protocol", counts(&front.identified));
    let help = "TCP and TLS connections that ended on the relay, or before a service got them.";
    let mut ended = text.counter("hairpin_connections_ended_total", help);
    for (reason, count) in &relay.ended {
        let early = front.ended.get(reason).copied().unwrap_or(0);
        ended.with(&[("reason", reason)], count.wrapping_add(early));
    }
    text.counter("hairpin_tls_handshakes_total", "TLS handshakes.")
        .each("outcome", counts(&front.handshakes));
}

fn render_site(text: &mut Text, site: &Site) {
    text.gauge("hairpin_http_connections", "Live HTTP connections, without WebSockets.")
        .value(site.connections);
    let mut requests = text.counter("hairpin_http_requests_total", "Answered HTTP requests.");
    for it in &site.requests {
        requests.with(&[("route", it.route), ("status", it.status)], it.count);
    }
    let help = "The time from a request's header to the answer's header.";
    let mut durations = text.histogram("hairpin_http_request_duration_seconds", help);
    for (route, Histogram { counts, sum }) in &site.durations {
        let mut total = 0;
        let bounds = Histogram::BOUNDS.map(|bound| seconds(bound, 3)).into_iter().chain(["+Inf".to_owned()]);
        for (count, bound) in counts.iter().zip(bounds) {
            total += count;
            durations.sample("_bucket", &[("route", route), ("le", &bound)], total);
        }
        durations.sample("_sum", &[("route", route)], seconds(*sum, 9));
        durations.sample("_count", &[("route", route)], total);
    }
}

fn render_credentials(text: &mut Text, site: &Site, rooms: &Rooms) {
    let mut issued =
        text.counter("hairpin_credentials_issued_total", "Credentials and room tokens that were issued.");
    issued.each("endpoint", counts(&site.credentials));
    issued.with(&[("endpoint", "rooms")], rooms.credentials);
}

fn render_rooms(text: &mut Text, rooms: &Rooms) {
    text.gauge("hairpin_rooms", "Rooms.").value(rooms.rooms);
    text.gauge("hairpin_room_members", "Members of rooms, including those that are away.")
        .value(rooms.members);
    text.gauge("hairpin_signaling_sessions", "Signaling sessions, including resumable ones.")
        .value(rooms.sessions);
    text.gauge("hairpin_signaling_sessions_limit", "The most signaling sessions that are allowed.")
        .value(rooms.most_sessions);
    text.gauge("hairpin_websockets", "Open WebSockets.").value(rooms.sockets);
    text.counter("hairpin_websockets_opened_total", "WebSockets that were opened.").value(rooms.opened);
    text.counter(
        "hairpin_websockets_refused_total",
        "WebSockets that were refused because of a limit or a stop.",
    )
    .each("reason", counts(&rooms.turned_away));
    let mut closed = text.counter("hairpin_websockets_closed_total", "WebSockets that the server closed.");
    for it in &rooms.closed {
        closed.with(&[("code", &it.code.to_string()), ("reason", it.reason)], it.count);
    }
}

fn render_messages(text: &mut Text, rooms: &Rooms) {
    text.counter("hairpin_signaling_messages_received_total", "Signaling messages from clients.")
        .each("type", counts(&rooms.received));
    text.counter("hairpin_signaling_messages_sent_total", "Signaling messages to clients.")
        .each("type", counts(&rooms.sent));
    text.counter("hairpin_signaling_refusals_total", "Signaling requests that were refused.")
        .each("code", counts(&rooms.refused));
    text.counter("hairpin_joins_refused_total", "Joins that were refused.")
        .each("code", counts(&rooms.joins_refused));
}

/// The clients of other signaling servers, if any are served. Their kind is the label `client`.
fn render_compat(text: &mut Text, compat: &BTreeMap<&'static str, Compat>) {
    if compat.is_empty() {
        return;
    }
    let mut open = text.gauge("hairpin_compat_websockets", "Open WebSockets of other servers' clients.");
    compat.iter().for_each(|(client, it)| open.with(&[("client", client)], it.sockets));
    let mut opened = text.counter("hairpin_compat_websockets_opened_total", "Those that were opened.");
    compat.iter().for_each(|(client, it)| opened.with(&[("client", client)], it.opened));
    let mut waiting =
        text.gauge("hairpin_compat_waiting_bytes", "Messages for clients that are not there, in bytes.");
    compat.iter().for_each(|(client, it)| waiting.with(&[("client", client)], it.waiting_bytes));
    type Counted = fn(&Compat) -> &BTreeMap<&'static str, u64>;
    let families: [(&str, &str, &str, Counted); 4] = [
        (
            "hairpin_compat_websockets_refused_total",
            "Those that were refused because of a limit or a stop.",
            "reason",
            |it| &it.refused,
        ),
        ("hairpin_compat_websockets_closed_total", "Those that the server closed.", "reason", |it| {
            &it.closed
        }),
        ("hairpin_compat_messages_received_total", "Messages from such clients.", "type", |it| &it.received),
        ("hairpin_compat_messages_sent_total", "Messages to such clients.", "type", |it| &it.sent),
    ];
    for (name, help, label, counted) in families {
        let mut family = text.counter(name, help);
        for (client, it) in compat {
            counts(counted(it))
                .for_each(|(value, count)| family.with(&[("client", client), (label, value)], count));
        }
    }
}

fn render_certificates(text: &mut Text, certificates: &Certificates) {
    let Certificates { expiry, taken, refused } = *certificates;
    text.counter("hairpin_certificate_reloads_total", "New certificates.")
        .each("outcome", [("taken", taken), ("refused", refused)]);
    let help = "When the first certificate expires, as a Unix time.";
    text.gauge("hairpin_certificate_expiry_timestamp_seconds", help).value(expiry);
}

fn render_acme(text: &mut Text, acme: &Acme) {
    let Acme { issued, failed, failures, next, problem: _ } = acme;
    text.counter("hairpin_acme_orders_total", "Orders at the certificate authority.")
        .each("outcome", [("issued", *issued), ("failed", *failed)]);
    let help = "Orders that have failed since the last one that succeeded.";
    text.gauge("hairpin_acme_failures", help).value(*failures);
    let help = "When the next order at the certificate authority is due, as a Unix time.";
    text.gauge("hairpin_acme_next_order_timestamp_seconds", help).value(*next);
}

fn render_usage(text: &mut Text, usage: &Usage) {
    let Usage { stores: _, users_unwritten: _, seconds_behind, failures } = *usage;
    text.gauge("hairpin_usage_behind_seconds", "How long ago usage was last written.").value(seconds_behind);
    text.counter("hairpin_usage_write_failures_total", "Writes of usage that failed.").value(failures);
}

fn render_reloads(text: &mut Text, reloads: &Reloads) {
    let Reloads { good, bad, last, last_good } = *reloads;
    text.counter("hairpin_reloads_total", "Reloads of the configuration.")
        .each("outcome", [("good", good), ("bad", bad)]);
    let help = "When the configuration was last reloaded, as a Unix time; 0 is never.";
    text.gauge("hairpin_last_reload_timestamp_seconds", help).value(last);
    let help = "0 if the last reload changed nothing because the configuration was wrong, 1 otherwise.";
    text.gauge("hairpin_last_reload_success", help).value(u8::from(last_good || last == 0));
}

fn render_process(text: &mut Text, process: &Process) {
    let Process { cpu_ms, threads, resident_bytes, virtual_bytes, open_files, most_files } = process;
    text.counter("process_cpu_seconds_total", "Processor time of all threads.").value(seconds(*cpu_ms, 3));
    text.gauge("process_resident_memory_bytes", "Resident memory.").value(resident_bytes);
    text.gauge("process_virtual_memory_bytes", "Address space.").value(virtual_bytes);
    text.gauge("process_open_fds", "Open files.").value(open_files);
    text.gauge("process_max_fds", "The most open files that are allowed.").value(most_files);
    text.counter("hairpin_thread_cpu_seconds_total", "Processor time of each thread.")
        .each("thread", threads.iter().map(|(name, ms)| (name.as_str(), seconds(*ms, 3))));
}

fn counts<'a>(counts: &'a BTreeMap<&'static str, u64>) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    counts.iter().map(|(name, count)| (*name, *count))
}

/// A number of seconds with so many decimals, without zeros at the end.
fn seconds(count: u64, decimals: u32) -> String {
    let unit = 10_u64.pow(decimals);
    let text = format!("{}.{:0width$}", count / unit, count % unit, width = decimals as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
