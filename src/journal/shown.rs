//! PURE  How the address of a client, or of a client's peer, appears in the log: not at all, shortened, or whole.
//!
//! Every line that could carry such an address asks this file, at every level. The log is one for the whole process, so
//! its setting is, too.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::field::{DisplayValue, display};

use crate::bounds::client_net::{address, network};
use crate::sections::log::Addresses;

/// A field of a log line: with `None`, the line does not have the field.
pub type Field = Option<DisplayValue<String>>;

/// The setting, as its index in [`SETTINGS`]. Nothing is shown until the log has been configured.
static SETTING: AtomicU8 = AtomicU8::new(0);
const SETTINGS: [Addresses; 3] = [Addresses::None, Addresses::Network, Addresses::Full];

/// From now on, the log shows this much of an address.
pub fn set(addresses: Addresses) {
    let index = SETTINGS.iter().position(|setting| *setting == addresses).unwrap_or_default();
    SETTING.store(index as u8, Ordering::Relaxed);
}

/// How much of an address the log shows.
#[must_use]
pub fn setting() -> Addresses {
    SETTINGS[usize::from(SETTING.load(Ordering::Relaxed))]
}

/// A transport address, for a line about one client or peer.
#[must_use]
pub fn socket(client: SocketAddr) -> Field {
    text(client.ip(), setting(), |_| SocketAddr::new(client.ip().to_canonical(), client.port()).to_string())
}

/// An IP address, for a line about one client or peer.
#[must_use]
pub fn ip(client: IpAddr) -> Field {
    text(client, setting(), |ip| ip.to_string())
}

/// A group of clients whose refusals are counted together: an address, as limits count it, or a network.
#[must_use]
pub fn group(member: IpAddr) -> Field {
    group_as(member, setting())
}

/// The same, shown as much as `addresses` says.
fn group_as(member: IpAddr, addresses: Addresses) -> Field {
    text(member, addresses, |ip| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(_) => format!("{}/64", address(ip)),
    })
}

fn text(client: IpAddr, addresses: Addresses, whole: impl FnOnce(IpAddr) -> String) -> Field {
    let client = client.to_canonical();
    match addresses {
        Addresses::None => None,
        Addresses::Network => {
            let length = if client.is_ipv4() { 24 } else { 48 };
            Some(display(format!("{}/{length}", network(client))))
        }
        Addresses::Full => Some(display(whole(client))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(client: &str, addresses: Addresses) -> Option<String> {
        group_as(client.parse().unwrap(), addresses).map(|field| field.to_string())
    }

    #[test]
    fn nothing_is_shown_unless_it_is_configured() {
        assert_eq!(setting(), Addresses::None);
        assert!(socket("203.0.113.7:5000".parse().unwrap()).is_none());
        assert!(ip("203.0.113.7".parse().unwrap()).is_none());
    }

    #[test]
    fn an_address_is_shortened_to_its_network_or_is_whole() {
        for (client, network, whole) in [
            ("203.0.113.7", "203.0.113.0/24", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.0/24", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(shown(client, Addresses::None), None);
            assert_eq!(shown(client, Addresses::Network).as_deref(), Some(network));
            assert_eq!(shown(client, Addresses::Full).as_deref(), Some(whole));
        }
    }
}
