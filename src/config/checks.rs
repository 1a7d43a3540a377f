//! Finds what is wrong in a configuration whose single values are all right.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::relay::engine::peers::PeerPolicy;

/// The key that is wrong, and what is wrong with it.
pub(super) type Mistake = (&'static str, String);

impl Config {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        self.check_listen()?;
        self.check_relay()?;
        self.check_credentials()?;
        self.check_peers()?;
        self.check_limits()
    }

    /// What works, but is probably not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.peers.loopback {
            let text =
                "peers.loopback: clients can reach every service on this machine's loopback; for tests only";
            warnings.push(text.to_owned());
        }
        if self.credentials.allow_weak_secret {
            warnings.push(
                "credentials.allow_weak_secret: whoever holds one credential can guess the secret".to_owned(),
            );
        }
        if self.peers.allow.iter().any(|net| net.prefix_len() == 0) {
            warnings
                .push("peers.allow: every private network that this machine can reach is open".to_owned());
        }
        if self.credentials.users.values().any(|password| password.len() < SHORT_PASSWORD) {
            let text = format!(
                "credentials.users: a password has less than {SHORT_PASSWORD} bytes; it can be guessed"
            );
            warnings.push(text);
        }
        warnings
    }

    fn check_listen(&self) -> Result<(), Mistake> {
        let udp = &self.listen.udp;
        let wrong = |reason: String| Err(("listen.udp", reason));
        if udp.is_empty() {
            return wrong("there must be at least one address to listen on".to_owned());
        }
        if let Some(twice) = udp.iter().enumerate().find(|(i, address)| udp[..*i].contains(address)) {
            return wrong(format!("{} stands there twice: remove one", twice.1));
        }
        let inside = |address: &&SocketAddr| self.relay.ports.contains(&address.port());
        match udp.iter().find(inside) {
            Some(address) => {
                wrong(format!("port {} lies in relay.ports: choose one outside", address.port()))
            }
            None => Ok(()),
        }
    }

    fn check_relay(&self) -> Result<(), Mistake> {
        let Some(addresses) = &self.relay.addresses else { return Ok(()) };
        let wrong = |reason: String| Err(("relay.addresses", reason));
        if addresses.is_empty() {
            return wrong("there is no address: write \"auto\", or name at least one".to_owned());
        }
        let repeated = |(i, address): &(usize, &crate::relay::ports::RelayAddress)| {
            addresses[..*i].iter().any(|other| other.bind == address.bind || other.public == address.public)
        };
        match addresses.iter().enumerate().find(repeated) {
            Some((_, address)) => wrong(format!("{} stands there twice: remove one", address.public)),
            None => Ok(()),
        }
    }

    fn check_credentials(&self) -> Result<(), Mistake> {
        let credentials = &self.credentials;
        let realm = &credentials.realm;
        if realm.is_empty() || realm.chars().count() > REALM_MAX {
            let reason = format!("a realm has 1 to {REALM_MAX} characters; your domain name is a good one");
            return Err(("credentials.realm", reason));
        }
        if realm.contains(['"', '\\', ':']) || realm.chars().any(char::is_control) {
            return Err((
                "credentials.realm",
                "a realm has no quote, backslash, colon or control character".to_owned(),
            ));
        }
        if !credentials.allow_weak_secret
            && credentials.secrets.iter().any(crate::credentials::Secret::is_weak)
        {
            let key = if credentials.secrets_file.is_some() {
                "credentials.secrets_file"
            } else {
                "credentials.secrets"
            };
            let reason =
                "a secret can be guessed: make one of 32 random bytes with `openssl rand -base64 32`";
            return Err((key, reason.to_owned()));
        }
        if !(TTL_MIN..=TTL_MAX).contains(&credentials.ttl) {
            return Err(("credentials.ttl", "a credential lives from \"1m\" to \"30days\"".to_owned()));
        }
        Ok(())
    }

    fn check_peers(&self) -> Result<(), Mistake> {
        let Some(net) = self.peers.allow.iter().find(|net| !PeerPolicy::can_open(net)) else { return Ok(()) };
        let remedy = if net.addr().is_loopback() {
            "for tests, write loopback = true instead"
        } else {
            "remove it; it can never be opened"
        };
        Err(("peers.allow", format!("{net} is never a peer: {remedy}")))
    }

    fn check_limits(&self) -> Result<(), Mistake> {
        let limits = &self.limits;
        let zero = [
            ("limits.allocations_per_user", u64::from(limits.allocations_per_user)),
            ("limits.allocations_per_ip", limits.allocations_per_ip.into()),
            ("limits.permissions", limits.permissions.into()),
            ("limits.channels", limits.channels.into()),
            ("limits.new_peers_per_second", limits.new_peers_per_second.into()),
            ("limits.new_peers_burst", limits.new_peers_burst.into()),
            ("limits.packets_per_second", limits.packets_per_second.into()),
            ("limits.bits_per_second", limits.bits_per_second),
            ("limits.answers_per_ip", limits.answers_per_ip.into()),
            ("limits.answers_per_network", limits.answers_per_network.into()),
            ("limits.failures_per_minute", limits.failures_per_minute.into()),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, limit)| *limit == 0) {
            return Err((key, "it must be at least 1".to_owned()));
        }
        let ports = self.relay.ports.len() * self.relay.addresses.as_ref().map_or(2, Vec::len);
        match limits.allocations {
            Some(allocations) if allocations as usize > ports => {
                let reason = format!("relay.ports has room for {ports}: lower this, or widen the range");
                Err(("limits.allocations", reason))
            }
            _ => Ok(()),
        }
    }
}

/// RFC 8489 §14.9.
const REALM_MAX: usize = 127;
const SHORT_PASSWORD: usize = 16;
const TTL_MIN: Duration = Duration::from_secs(60);
const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
