//! PURE  Every option that coturn has had since 4.5, and what becomes of it.

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried over; if there are several lines, the last one counts.
    Once,
    /// The same, for an option that is on or off.
    Switch,
    /// It is carried over, every line.
    List,
    /// Hairpin needs no such option, because…
    Needless(&'static str),
    /// Hairpin has nothing like it, because…
    Unsupported(&'static str),
    /// The operator must do something: …
    ByHand(&'static str),
}

use Fate::{ByHand, List, Needless, Once, Switch, Unsupported};

/// What becomes of the option `name`; `None` if coturn has no such option.
pub(super) fn fate(name: &str) -> Option<Fate> {
    OPTIONS.iter().find(|(option, _)| *option == name).map(|(_, fate)| *fate)
}

const ADMIN: &str = "`hairpin status`, `sessions`, `kick`, `rooms` and `reload` talk to the admin listener (docs/operating.md)";
const ALTERNATE: &str =
    "Hairpin sends clients elsewhere only while it drains: see relay.alternates and relay.drain_timeout";
const BATCHES: &str = "Hairpin always reads and sends many datagrams at once";
const CLASSIC: &str = "Hairpin answers RFC 3489 only with rfc3489 = true in [listen]";
const DATABASE: &str = "Hairpin has no user database: write the users into [credentials] users, the secrets into [credentials] secrets, or \
                        let your backend request credentials over HTTP (docs/http.md)";
const DTLS: &str = "Hairpin has no DTLS listeners: clients use UDP, or TLS over TCP";
const FIXED: &str = "the lifetime is the one that RFC 8656 sets";
const JOURNAL: &str =
    "Hairpin writes to standard error, which systemd stores in the journal: journalctl -u hairpin";
const LINES: &str = "[log] format is \"text\" or \"json\", and the journal adds the time";
const METRICS: &str = "metrics are on the admin listener: name an address in [admin] listen, and a token in token_hash \
                       (docs/operating.md)";
const NO_DATABASE: &str = "Hairpin has no user database";
const NO_FAMILY: &str =
    "a client that names no address family gets IPv4, as RFC 8656 wants it, or IPv6 if there is only IPv6";
const NAT_DISCOVERY: &str = "Hairpin does not serve NAT discovery (RFC 5780)";
const NONCES: &str = "Hairpin's nonces are stateless and expire after 10 minutes";
const OAUTH: &str = "Hairpin does not accept RFC 7635 tokens: use time-limited credentials";
const ONE_PORT: &str = "every allocation has a relay port of its own";
const RUSTLS: &str = "Hairpin speaks TLS 1.2 and 1.3, with ciphers that are safe today";
const SAFE_PEERS: &str = "Hairpin never relays to such addresses";
const SECOND_PORT: &str = "this port is for NAT discovery (RFC 5780), which Hairpin does not serve. If other clients use it, add it to \
                           the lists in [listen]";
const SERVICE: &str = "the systemd unit does this";
const TERSE: &str = "Hairpin sends neither SOFTWARE nor reason phrases, which keeps answers small";
const WEB: &str = "the status page is on the admin listener (docs/operating.md)";

/// Every option with its fate, in groups. coturn's option table is in `src/apps/relay/mainrelay.c`.
pub(super) const OPTIONS: &[(&str, Fate)] = &[
    // Where clients connect.
    ("listening-ip", List),
    ("listening-port", Once),
    ("tls-listening-port", Once),
    ("tcp-proxy-port", Once),
    ("aux-server", List),
    ("no-udp", Switch),
    ("no-tcp", Switch),
    ("no-tls", Switch),
    ("rfc3489-compatibility", Switch),
    ("stun-backward-compatibility", Switch),
    ("no-stun-backward-compatibility", Needless(CLASSIC)),
    ("alt-listening-port", ByHand(SECOND_PORT)),
    ("alt-tls-listening-port", ByHand(SECOND_PORT)),
    ("rfc5780", Unsupported(NAT_DISCOVERY)),
    ("no-rfc5780", Needless(NAT_DISCOVERY)),
    ("response-origin-only-with-rfc5780", Needless(NAT_DISCOVERY)),
    (
        "listening-device",
        ByHand("Hairpin binds addresses, not devices: name the addresses of the device in [listen]"),
    ),
    ("udp-self-balance", Needless("the kernel spreads clients over Hairpin's threads")),
    ("dtls", Unsupported(DTLS)),
    ("no-dtls", Needless(DTLS)),
    ("respond-http-unsupported", Needless("Hairpin serves HTTP on its TLS ports")),
    ("no-http", Needless("the pages need a certificate, or a client on this machine")),
    ("acme-redirect", ByHand("Hairpin gets its certificate itself: see [tls.acme]")),
    // Certificates.
    ("cert", Once),
    ("pkey", Once),
    (
        "pkey-pwd",
        ByHand(
            "Hairpin reads only keys without a password: run `openssl pkey -in OLD -out NEW`, and name NEW in [tls] key",
        ),
    ),
    ("CA-file", Unsupported("Hairpin does not ask clients for certificates")),
    ("raw-public-keys", Unsupported("Hairpin has no raw public keys (RFC 7250)")),
    ("cipher-list", Needless(RUSTLS)),
    ("ec-curve-name", Needless(RUSTLS)),
    ("dh-file", Needless(RUSTLS)),
    ("dh566", Needless(RUSTLS)),
    ("dh1066", Needless(RUSTLS)),
    ("dh2066", Needless(RUSTLS)),
    ("tlsv1", Unsupported("Hairpin speaks TLS 1.2 and 1.3 only")),
    ("tlsv1_1", Unsupported("Hairpin speaks TLS 1.2 and 1.3 only")),
    ("no-tlsv1", Needless(RUSTLS)),
    ("no-tlsv1_1", Needless(RUSTLS)),
    ("no-tlsv1_2", Unsupported("Hairpin cannot switch TLS 1.2 off")),
    ("no-sslv2", Needless(RUSTLS)),
    ("no-sslv3", Needless(RUSTLS)),
    // Where it relays.
    ("relay-ip", List),
    ("external-ip", List),
    ("min-port", Once),
    ("max-port", Once),
    ("relay-threads", Once),
    ("cpus", Once),
    ("rfc5766-channel-numbers", Switch),
    (
        "relay-device",
        ByHand("Hairpin binds addresses, not devices: name the addresses of the device in [relay] addresses"),
    ),
    ("no-tcp-relay", Switch),
    ("no-udp-relay", Unsupported("Hairpin always relays over UDP")),
    ("keep-address-family", Unsupported(NO_FAMILY)),
    ("allocation-default-address-family", Unsupported(NO_FAMILY)),
    ("multiplex-peer", Unsupported(ONE_PORT)),
    ("multiplex-peer-port", Unsupported(ONE_PORT)),
    (
        "multiplex-peer-max-peers",
        Unsupported("limits.permissions and limits.new_peers_burst bound the peers of one allocation"),
    ),
    ("sock-buf-size", Needless("Hairpin chooses the sizes of its socket buffers")),
    ("udp-recvmmsg", Needless(BATCHES)),
    ("udp-recvmmsg-log", Needless(BATCHES)),
    ("udp-sendmmsg-log", Needless(BATCHES)),
    ("udp-gso", Needless(BATCHES)),
    ("server-relay", Unsupported("it lets peers send without a permission, which is dangerous")),
    ("mobility", Unsupported("Hairpin has no RFC 8016 mobility: browsers restart ICE instead")),
    // Who may use it.
    ("realm", Once),
    ("static-auth-secret", List),
    ("user", List),
    ("use-auth-secret", Once),
    ("lt-cred-mech", Needless("Hairpin always requires credentials")),
    ("no-auth", Unsupported("Hairpin never relays for anonymous clients: give them credentials")),
    ("st-cred-mech", Unsupported("RFC 8656 knows only long-term credentials")),
    ("rest-api-separator", Once),
    ("server-name", Unsupported(OAUTH)),
    ("oauth", Unsupported(OAUTH)),
    ("userdb", ByHand(DATABASE)),
    ("db", ByHand(DATABASE)),
    ("psql-userdb", ByHand(DATABASE)),
    ("sql-userdb", ByHand(DATABASE)),
    ("mysql-userdb", ByHand(DATABASE)),
    ("mongo-userdb", ByHand(DATABASE)),
    ("redis-userdb", ByHand(DATABASE)),
    ("secret-key-file", Needless(NO_DATABASE)),
    ("allow-encoding-with-aes", Needless(NO_DATABASE)),
    ("no-auth-pings", Needless(NO_DATABASE)),
    ("no-dynamic-ip-list", Needless(NO_DATABASE)),
    ("no-dynamic-realms", Needless(NO_DATABASE)),
    ("no-sqlite", Needless(NO_DATABASE)),
    ("secret-ts-exp-time", Needless("coturn ignores it, too")),
    ("check-origin-consistency", Unsupported("TURN has no ORIGIN attribute")),
    (
        "secure-stun",
        Unsupported("Binding needs no credentials, and its answers are limited (limits.answers_per_ip)"),
    ),
    ("stale-nonce", Needless(NONCES)),
    ("stateless-nonce", Needless(NONCES)),
    (
        "stateless-nonce-secret",
        Unsupported(
            "each Hairpin has a nonce key of its own: a client that changes servers gets a new nonce",
        ),
    ),
    ("sha256", Needless("the client chooses MD5 or SHA-256 (RFC 8489)")),
    ("sha384", Unsupported("RFC 8489 has only MD5 and SHA-256")),
    ("sha512", Unsupported("RFC 8489 has only MD5 and SHA-256")),
    // Which peers.
    ("allowed-peer-ip", List),
    ("denied-peer-ip", List),
    (
        "allow-loopback-peers",
        ByHand(
            "Hairpin relays to this machine's loopback only for tests: write loopback = true into [peers]",
        ),
    ),
    ("no-loopback-peers", Needless(SAFE_PEERS)),
    ("no-multicast-peers", Needless(SAFE_PEERS)),
    // How much.
    ("user-quota", Once),
    ("total-quota", Once),
    ("max-bps", Once),
    ("bps-capacity", Once),
    ("unauthorized-ratelimit", Switch),
    ("unauthorized-ratelimit-rps", Once),
    ("max-allocate-lifetime", Needless("the longest lifetime is an hour")),
    ("channel-lifetime", Needless(FIXED)),
    ("permission-lifetime", Needless(FIXED)),
    (
        "max-allocate-timeout",
        Needless("Hairpin keeps no state for clients without an allocation, and closes their connections"),
    ),
    ("drop-invalid-packets", Needless("Hairpin ignores what is not STUN")),
    // Answers.
    ("fingerprint", Needless("an answer has a FINGERPRINT if the request has one")),
    ("software-attribute", Unsupported(TERSE)),
    ("no-software-attribute", Needless(TERSE)),
    ("prod", Needless(TERSE)),
    ("include-reason-string", Unsupported(TERSE)),
    ("stun-only", Unsupported("Hairpin always relays, for clients with credentials")),
    ("no-stun", Unsupported("Hairpin always answers Binding, as RFC 8656 wants it")),
    // Several servers, and the end of one.
    ("alternate-server", Unsupported(ALTERNATE)),
    ("tls-alternate-server", Unsupported(ALTERNATE)),
    ("tcp-alternate-server", Unsupported(ALTERNATE)),
    ("udp-alternate-server", Unsupported(ALTERNATE)),
    (
        "drain-min-allocations",
        Unsupported("a draining Hairpin waits for its last allocation, at most relay.drain_timeout"),
    ),
    // The log.
    ("log-min-level", Once),
    ("log-file", Needless(JOURNAL)),
    ("no-stdout-log", Needless(JOURNAL)),
    ("syslog", Needless(JOURNAL)),
    ("syslog-facility", Needless(JOURNAL)),
    ("simple-log", Needless(JOURNAL)),
    ("new-log-timestamp", Needless(LINES)),
    ("new-log-timestamp-format", Needless(LINES)),
    ("new-timestamp-format", Needless(LINES)),
    (
        "verbose",
        Needless(
            "the log shows every allocation that has ended; with level = \"debug\" in [log], every refusal, too",
        ),
    ),
    ("Verbose", Needless("level = \"debug\" or \"trace\" in [log] shows more than the default")),
    ("log-binding", Unsupported("Binding requests are counted in the metrics, and not logged")),
    ("drop-invalid-packets-log", Unsupported("what is ignored is counted in the metrics")),
    // Administration.
    ("prometheus", ByHand(METRICS)),
    ("prometheus-port", ByHand(METRICS)),
    ("prometheus-address", ByHand(METRICS)),
    ("prometheus-path", ByHand("the path is /metrics, on the admin listener (docs/operating.md)")),
    (
        "prometheus-tls",
        ByHand(
            "the admin listener has no TLS: use a Unix socket, or an address that only your network reaches",
        ),
    ),
    ("prometheus-cert", Needless("the admin listener has no TLS")),
    ("prometheus-key", Needless("the admin listener has no TLS")),
    ("prometheus-username-labels", Unsupported("metrics name no users: see `hairpin usage` and [usage]")),
    ("no-prometheus", Needless("metrics are on the admin listener, which is not public")),
    (
        "redis-statsdb",
        Unsupported("metrics and `hairpin sessions` show what runs, and [usage] keeps what users have used"),
    ),
    ("cli", Needless(ADMIN)),
    ("no-cli", Needless(ADMIN)),
    ("cli-ip", Needless(ADMIN)),
    ("cli-port", Needless(ADMIN)),
    ("cli-password", Needless(ADMIN)),
    ("cli-max-output-sessions", Needless(ADMIN)),
    ("web-admin", Needless(WEB)),
    ("web-admin-ip", Needless(WEB)),
    ("web-admin-port", Needless(WEB)),
    ("web-admin-listen-on-workers", Unsupported("nothing of the admin listener is on the public ports")),
    // The process.
    ("proc-user", Needless(SERVICE)),
    ("proc-group", Needless(SERVICE)),
    ("pidfile", Needless(SERVICE)),
    ("daemon", Needless(SERVICE)),
    ("systemd", Needless(SERVICE)),
    ("version", Needless("it is `hairpin --version`")),
    ("ne", Needless("it is for coturn's tests")),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The option table of coturn 4.17.1.
    const NEWEST: &str = "CA-file Verbose acme-redirect allocation-default-address-family allow-loopback-peers \
        allowed-peer-ip alt-listening-port alt-tls-listening-port alternate-server aux-server \
        bps-capacity cert channel-lifetime check-origin-consistency cipher-list cli cli-ip \
        cli-max-output-sessions cli-password cli-port cpus daemon db denied-peer-ip dh-file dh1066 \
        dh566 drain-min-allocations drop-invalid-packets drop-invalid-packets-log dtls ec-curve-name \
        external-ip fingerprint include-reason-string keep-address-family listening-device listening-ip \
        listening-port log-binding log-file log-min-level lt-cred-mech max-allocate-lifetime \
        max-allocate-timeout max-bps max-port min-port mobility mongo-userdb multiplex-peer \
        multiplex-peer-max-peers multiplex-peer-port mysql-userdb new-log-timestamp \
        new-log-timestamp-format no-auth no-auth-pings no-cli no-dtls no-dynamic-ip-list \
        no-dynamic-realms no-multicast-peers no-rfc5780 no-software-attribute no-stdout-log no-stun \
        no-tcp no-tcp-relay no-tls no-tlsv1_2 no-udp no-udp-relay oauth permission-lifetime pidfile \
        pkey pkey-pwd proc-group proc-user prometheus prometheus-address prometheus-cert prometheus-key \
        prometheus-path prometheus-port prometheus-tls prometheus-username-labels psql-userdb \
        raw-public-keys realm redis-statsdb redis-userdb relay-device relay-ip relay-threads \
        respond-http-unsupported response-origin-only-with-rfc5780 rest-api-separator \
        rfc3489-compatibility rfc5766-channel-numbers rfc5780 secret-key-file secure-stun server-name \
        server-relay simple-log sock-buf-size software-attribute sql-userdb stale-nonce stateless-nonce \
        stateless-nonce-secret static-auth-secret stun-backward-compatibility stun-only syslog \
        syslog-facility tcp-alternate-server tcp-proxy-port tls-alternate-server tls-listening-port \
        tlsv1 tlsv1_1 total-quota udp-alternate-server udp-gso udp-recvmmsg udp-recvmmsg-log \
        udp-self-balance udp-sendmmsg-log unauthorized-ratelimit unauthorized-ratelimit-rps \
        use-auth-secret user user-quota userdb verbose version web-admin web-admin-ip \
        web-admin-listen-on-workers web-admin-port ";

    /// What was in the option tables of coturn 4.5 to 4.16, and in no later one.
    const FORMER: &str = "allow-encoding-with-aes dh2066 ne new-timestamp-format no-http no-loopback-peers no-prometheus \
        no-sslv2 no-sslv3 no-stun-backward-compatibility no-tlsv1 no-tlsv1_1 prod secret-ts-exp-time \
        sha256 sha384 sha512 st-cred-mech systemd ";

    #[test]
    fn every_option_of_coturn_has_a_fate() {
        assert_eq!(NEWEST.split_whitespace().count(), 143);
        let unknown: Vec<&str> = NEWEST
            .split_whitespace()
            .chain(FORMER.split_whitespace())
            .filter(|name| fate(name).is_none())
            .collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn no_option_has_two_fates() {
        for (at, (name, _)) in OPTIONS.iter().enumerate() {
            assert!(!OPTIONS[..at].iter().any(|(other, _)| other == name), "{name}");
        }
    }
}
