//! PURE  Hosts as operators write them, turned into what clients use.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::Error};
use url::{Host, Url};

/// Why a text is no host that a client can go to.
enum Wrong {
    /// It stands for all addresses of a machine.
    Unspecified,
    /// It is no host at all.
    NoHost,
}

/// RFC 1035 §2.3.4; a name's last dot is left out here.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// The host in `text` as clients use it: lower case, in Punycode, without the dot of the root; an address without brackets.
///
/// # Errors
/// What to write instead.
pub fn read(text: &str) -> Result<String, String> {
    match exact(text) {
        Ok(host) => Ok(host),
        Err(Wrong::Unspecified) => Err(format!("{text:?} {UNSPECIFIED}, such as \"turn.example.org\"")),
        Err(Wrong::NoHost) => Err(match inside(text) {
            Some(host) => format!("{text:?} says more than a host: write {host:?}"),
            None => format!(
                "{text:?} is no host name and no address: write what clients use, such as \"turn.example.org\""
            ),
        }),
    }
}

/// Whether there can be a host of this name, which is in lower case and Punycode already.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('.').all(is_label)
}

/// Whether a domain name can have such a part. With `_` and with `-` at its ends, which no registry gives, but browsers go to.
pub(super) fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(fits)
}

pub(super) const UNSPECIFIED: &str = "is where a server listens, and no client goes there: write its name";

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

/// The host, if that is what stands between a scheme, a port or a path.
fn inside(text: &str) -> Option<String> {
    if !text.contains([':', '/', '@', '?', '#']) {
        return None;
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    exact(Url::parse(&url).ok()?.host_str()?).ok()
}

/// For one host that may be left out.
pub(crate) fn optional<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    read(&String::deserialize(value)?).map(Some).map_err(D::Error::custom)
}

/// For a list of hosts.
pub(crate) fn list<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    texts.iter().map(|text| read(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
}
