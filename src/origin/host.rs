//! PURE  Parses the hosts that operators write into the form that clients use.

use std::net::IpAddr;

use url::{Host, Url};

/// Why a text is not a host that a client can connect to.
enum Wrong {
    /// It is the unspecified address, which stands for all addresses of a machine.
    Unspecified,
    /// It is not a host.
    NoHost,
}

/// RFC 1035 §2.3.4; a name's last dot is left out here.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A host as clients use it: a name in lower case and Punycode, without the root dot, or an address without brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Parses a host as an operator writes it.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        match exact(text) {
            Ok(host) => Ok(Self(host)),
            Err(Wrong::Unspecified) => Err(format!("{text:?} {UNSPECIFIED}, such as \"turn.example.org\"")),
            Err(Wrong::NoHost) => Err(match inside(text) {
                Some(host) => format!("{text:?} must be only a host: write {host:?}"),
                None => format!(
                    "{text:?} is not a host name or an address: write the name that clients use, such as \
                     \"turn.example.org\""
                ),
            }),
        }
    }

    /// The host as clients use it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether this is a valid host name. It must already be in lower case and Punycode.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('.').all(is_label)
}

/// Whether this is a valid label of a domain name. `_`, and `-` at its ends, are allowed: registries refuse them, but
/// browsers do not.
pub(super) fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(fits)
}

pub(super) const UNSPECIFIED: &str = "is an address to listen on, which clients cannot connect to: write the server's \
                                      name";

fn exact(text: &str) -> Result<String, Wrong> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bracketed {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse::<IpAddr>().ok(),
    };
    match address {
        Some(ip) if ip.is_unspecified() => return Err(Wrong::Unspecified),
        Some(ip) => return Ok(ip.to_canonical().to_string()),
        None => {}
    }
    match Host::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(Host::Domain(name)) if is_name(&name) => Ok(name),
        Ok(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => Err(Wrong::NoHost),
    }
}

/// The host in a URL, or in a host with a port or path.
fn inside(text: &str) -> Option<String> {
    if !text.contains([':', '/', '@', '?', '#']) {
        return None;
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    exact(Url::parse(&url).ok()?.host_str()?).ok()
}
