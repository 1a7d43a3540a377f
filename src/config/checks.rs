//! Finds contradictions between the keys of a configuration, each of which is right by itself.

use std::net::SocketAddr;

use crate::config::Config;
use crate::ice::PublicPorts;
use crate::network::address::Transport;
use crate::peers::OwnPorts;
use crate::room_token::Create;
use crate::secret::Secret;
use crate::sections::admin::{Admin, AdminAddress};
use crate::sections::http::Http;
use crate::sections::listen::{Listen, includes};
use crate::sections::reading::Unread;
use crate::sections::tls::Tls;

/// What was found so far.
#[derive(Debug)]
pub(super) struct Mistakes<'a> {
    unread: &'a Unread,
    found: Vec<(&'static str, String)>,
}

impl<'a> Mistakes<'a> {
    pub(super) fn new(unread: &'a Unread) -> Self {
        Self { unread, found: Vec::new() }
    }

    /// The keys that are wrong, each with what is wrong and what to write.
    pub(super) fn found(self) -> Vec<(&'static str, String)> {
        self.found
    }

    fn add(&mut self, key: &'static str, reason: impl Into<String>) {
        self.found.push((key, reason.into()));
    }

    /// Whether it is known what the file says of these keys. A value that is wrong itself is here as its default, and
    /// contradicts nothing.
    fn know(&self, keys: &[&str]) -> bool {
        self.unread.leaves(keys)
    }
}

impl Config {
    pub(super) fn check(&self, mistakes: &mut Mistakes<'_>) {
        self.check_listen(mistakes);
        self.check_tls(mistakes);
        self.check_http(mistakes);
        self.check_secrets(mistakes);
        self.check_own_ports(mistakes);
        self.check_rooms(mistakes);
        self.check_admin(mistakes);
        self.check_limits(mistakes);
    }

    fn check_listen(&self, mistakes: &mut Mistakes<'_>) {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _, takeover: _ } = &self.listen;
        let known = mistakes.know(&["listen.udp", "listen.tcp", "listen.tls"]);
        if known && udp.is_empty() && tcp.is_empty() && tls.is_empty() {
            mistakes.add("listen.udp", "there must be at least one address to listen on");
        }
        let over_tcp = self.relay.tcp;
        for (key, addresses, relayed) in
            [("listen.udp", udp, true), ("listen.tcp", tcp, over_tcp), ("listen.tls", tls, over_tcp)]
        {
            let inside = |address: &&SocketAddr| self.relay.ports.contains(&address.port());
            let known = mistakes.know(&[key, "relay.ports", "relay.tcp"]);
            if let Some(address) = addresses.iter().find(inside).filter(|_| relayed && known) {
                mistakes.add(key, format!("port {} is in relay.ports: choose one outside", address.port()));
            }
        }
        if let Some(address) = shared(tls, tcp).filter(|_| mistakes.know(&["listen.tcp", "listen.tls"])) {
            let reason =
                format!("{address} is in listen.tcp too, which serves TLS beside TCP: remove one of the two");
            mistakes.add("listen.tls", reason);
        }
    }

    fn check_tls(&self, mistakes: &mut Mistakes<'_>) {
        let Tls { certificate, key, names, coalesce: _, acme } = &self.tls;
        self.check_acme(mistakes);
        if !mistakes.know(&["tls.certificate", "tls.key"]) {
            return;
        }
        let (certificates, keys) = (certificate.0.len(), key.0.len());
        if certificates == 0 && keys == 0 && !acme.is_on() && !self.listen.tls.is_empty() {
            let reason = "there is no certificate for it: name the host in tls.acme.names, or the files of a certificate \
                          in tls.certificate and tls.key";
            mistakes.add("listen.tls", reason);
        }
        if keys == 0 && certificates > 0 {
            mistakes.add("tls.certificate", "its private key is missing: name its file in tls.key");
        } else if certificates == 0 && keys > 0 {
            mistakes.add("tls.key", "its certificate is missing: name its file in tls.certificate");
        } else if certificates != keys {
            let reason = format!(
                "there are {keys} keys and {certificates} certificates: name the key of each in tls.certificate, in the same order"
            );
            mistakes.add("tls.key", reason);
        }
        if certificates == 0 && !acme.is_on() && !names.is_empty() {
            let reason = "there is no certificate: name tls.certificate and tls.key, or remove the names";
            mistakes.add("tls.names", reason);
        }
    }

    fn check_acme(&self, mistakes: &mut Mistakes<'_>) {
        let acme = &self.tls.acme;
        if !acme.is_on() {
            return;
        }
        if !acme.accept_terms && mistakes.know(&["tls.acme.accept_terms"]) {
            let reason = "the certificate authority asks for your consent to its terms: read them, and write \
                          accept_terms = true in [tls.acme]";
            mistakes.add("tls.acme.names", reason);
        }
        let known = mistakes.know(&["listen.tcp", "listen.tls"]);
        if known && self.listen.tcp.is_empty() && self.listen.tls.is_empty() {
            let reason =
                "no client sees the certificate: name addresses in listen.tls, such as \"0.0.0.0:443\"";
            mistakes.add("tls.acme.names", reason);
        }
    }

    fn check_http(&self, mistakes: &mut Mistakes<'_>) {
        for (key, others) in [("listen.tcp", &self.listen.tcp), ("listen.tls", &self.listen.tls)] {
            let known = mistakes.know(&["http.listen", key]);
            if let Some(address) = shared(&self.http.listen, others).filter(|_| known) {
                let reason = format!("{address} is in {key} too: choose another port, or remove it there");
                mistakes.add("http.listen", reason);
            }
        }
        let has_turn = self.http.ice_urls.iter().any(|url| url.transport.is_some());
        if !self.http.ice_urls.is_empty() && !has_turn {
            mistakes
                .add("http.ice_urls", "there is no TURN URL, so no credential could be given out: add one");
        }
        self.check_ports(mistakes);
        let secrets = ["credentials.secrets", "credentials.secrets_file", "credentials.users"];
        // Without users either, the daemon makes a secret for each run.
        let credentials = &self.credentials;
        let only_users = credentials.secrets.is_empty()
            && credentials.secrets_file.is_none()
            && !credentials.users.is_empty();
        if !self.http.keys.is_empty() && only_users && mistakes.know(&secrets) {
            let reason = "there is no secret to make credentials from: name one in credentials.secrets";
            mistakes.add("http.keys", reason);
        }
    }

    /// Checks what ICE URLs are to have beside what follows from the listeners.
    fn check_ports(&self, mistakes: &mut Mistakes<'_>) {
        let Http { ice_urls, public_ports, literal_address, .. } = &self.http;
        let stated = !ice_urls.is_empty() && mistakes.know(&["http.ice_urls"]);
        for (key, is_used) in [
            ("http.public_ports", *public_ports != PublicPorts::default()),
            ("http.literal_address", *literal_address),
        ] {
            if stated && is_used {
                mistakes.add(key, "http.ice_urls says already what all URLs are: remove one of the two");
            }
        }
        let Listen { udp, tcp, tls, .. } = &self.listen;
        if !public_ports.udp.is_empty() && udp.is_empty() && mistakes.know(&["listen.udp"]) {
            let reason = "nothing listens over UDP: add an address to listen.udp, or remove udp here";
            mistakes.add("http.public_ports", reason);
        }
        let over_tcp = !public_ports.tcp.is_empty() || !public_ports.tls.is_empty();
        let known = mistakes.know(&["listen.tcp", "listen.tls"]);
        if over_tcp && tcp.is_empty() && tls.is_empty() && known {
            let reason = "nothing listens over TCP: add an address to listen.tcp or listen.tls, or remove tcp and tls here";
            mistakes.add("http.public_ports", reason);
        }
    }

    fn check_rooms(&self, mistakes: &mut Mistakes<'_>) {
        let (rooms, credentials) = (&self.rooms, &self.credentials);
        if rooms.create != Create::Password || !mistakes.know(&["rooms.create", "rooms.password_hash"]) {
            return;
        }
        if rooms.password_hash.is_none() {
            let reason = "there is no password: run `hairpin room-password`, and write the lines that it prints into [rooms]";
            mistakes.add("rooms.create", reason);
        }
        let only_users = credentials.secrets.is_empty()
            && credentials.secrets_file.is_none()
            && !credentials.users.is_empty();
        let secrets = ["credentials.secrets", "credentials.secrets_file", "credentials.users"];
        if only_users && mistakes.know(&secrets) {
            let reason = "there is no secret to make room tokens from: name one in credentials.secrets";
            mistakes.add("rooms.create", reason);
        }
    }

    fn check_admin(&self, mistakes: &mut Mistakes<'_>) {
        let Admin { listen, token_hash } = &self.admin;
        let addresses: Vec<SocketAddr> = listen.0.iter().flatten().filter_map(AdminAddress::tcp).collect();
        for (key, others) in [
            ("listen.tcp", &self.listen.tcp),
            ("listen.tls", &self.listen.tls),
            ("http.listen", &self.http.listen),
        ] {
            let known = mistakes.know(&["admin.listen", key]);
            if let Some(address) = shared(&addresses, others).filter(|_| known) {
                let reason = format!("{address} is in {key} too, which is public: choose another port");
                mistakes.add("admin.listen", reason);
            }
        }
        let named =
            listen.0.iter().flatten().any(|address| address.tcp().is_none_or(|address| address.port() != 0));
        if self.listen.takeover && named && mistakes.know(&["admin.listen", "listen.takeover"]) {
            let reason = "with listen.takeover two daemons run at once, and only one can have this address: write \"auto\"";
            mistakes.add("admin.listen", reason);
        }
        let known = mistakes.know(&["admin.listen", "admin.token_hash"]);
        if !addresses.is_empty() && token_hash.is_none() && known {
            let reason = "over TCP a token is required: run `hairpin admin-token`, and write the line that it prints \
                          into [admin]; or name a Unix socket, such as \"/run/hairpin/admin.sock\"";
            mistakes.add("admin.listen", reason);
        }
    }

    fn check_secrets(&self, mistakes: &mut Mistakes<'_>) {
        let credentials = &self.credentials;
        if credentials.secrets_file.is_some() && !credentials.secrets.is_empty() {
            let reason =
                "credentials.secrets is given too: keep the secrets in one place, and remove the other key";
            mistakes.add("credentials.secrets_file", reason);
        } else if !credentials.allow_weak_secret
            && mistakes.know(&["credentials.allow_weak_secret"])
            && credentials.secrets.iter().any(Secret::is_weak)
        {
            mistakes.add("credentials.secrets", WEAK);
        }
    }

    fn check_own_ports(&self, mistakes: &mut Mistakes<'_>) {
        for own in &self.peers.allow_own {
            if let Some(reason) = self.contradiction(own, mistakes) {
                mistakes.add("peers.allow_own", reason);
            }
        }
    }

    /// Why a range of this machine's ports cannot be open.
    fn contradiction(&self, own: &OwnPorts, mistakes: &Mistakes<'_>) -> Option<String> {
        let (low, high) = (own.ports.start(), own.ports.end());
        if own.transport == Transport::Tcp && !self.relay.tcp && mistakes.know(&["relay.tcp"]) {
            return Some(format!("{own}: clients reach peers over TCP only if relay.tcp is true"));
        }
        let relay = &self.relay.ports;
        if high >= relay.start() && low <= relay.end() && mistakes.know(&["relay.ports"]) {
            let (start, end) = (relay.start(), relay.end());
            return Some(format!(
                "{own} overlaps relay.ports, {start}-{end}: move the service's ports, or choose others there"
            ));
        }
        let all = |(_, listener): &(&str, SocketAddr)| listener.ip().is_unspecified();
        let (key, listener) =
            self.listeners_within(own).filter(|(key, _)| mistakes.know(&[key])).find(all)?;
        Some(format!(
            "{own}: {listener} is one of {key}, and stays closed: leave that port out here, or move the service"
        ))
    }

    /// The addresses that we listen on ourselves at these ports, each with its key.
    pub(super) fn listeners_within(
        &self,
        own: &OwnPorts,
    ) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let Listen { udp, tcp, tls, rfc3489: _, proxies: _, takeover: _ } = &self.listen;
        let lists = match own.transport {
            Transport::Udp => vec![("listen.udp", udp)],
            Transport::Tcp => {
                vec![("listen.tcp", tcp), ("listen.tls", tls), ("http.listen", &self.http.listen)]
            }
        };
        let all = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |listener| (key, *listener)));
        all.filter(|(_, listener)| own.ports.contains(&listener.port()))
    }

    fn check_limits(&self, mistakes: &mut Mistakes<'_>) {
        let wanted = self.relay.wanted();
        let addresses = wanted.iter().map(|item| item.families(wanted).len()).sum::<usize>();
        let ports = self.relay.ports.len() * addresses;
        let too_many =
            self.limits.allocations.0.is_some_and(|allocations| allocations.get() as usize > ports);
        if too_many && mistakes.know(&["limits.allocations", "relay.ports", "relay.addresses"]) {
            let reason = format!("relay.ports has room for {ports}: lower this, or widen the range");
            mistakes.add("limits.allocations", reason);
        }
    }
}

/// What is wrong with a weak secret.
pub(super) const WEAK: &str =
    "a secret can be guessed: make one of 32 random bytes with `openssl rand -base64 32`";

/// The first of `addresses` at which a socket would receive what is meant for one of `others`, or the other way round.
fn shared<'a>(addresses: &'a [SocketAddr], others: &[SocketAddr]) -> Option<&'a SocketAddr> {
    addresses.iter().find(|one| others.iter().any(|other| includes(other, one) || includes(one, other)))
}
