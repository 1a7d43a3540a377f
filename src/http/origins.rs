//! Whose pages may open rooms and fetch credentials: our own, and those of the sites that the operator names.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::http::Visitor;
use crate::origin::{NAMELESS, Origin, OriginPattern};

/// The origins of our own pages, and of others that are allowed.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    public: Option<Origin>,
    /// Where plain HTTP is served; this counts for who comes straight to it.
    plain: Vec<String>,
    allowed: Vec<OriginPattern>,
}

/// Who a request says its page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOf {
    /// No browser sent it, or a browser's own navigation did.
    Nobody,
    /// Our own page.
    Own,
    /// A page of a site that is allowed.
    Allowed,
    /// A page of no site, where such are allowed. Any site can make one, so it must show something better.
    Nameless,
    /// Any other page.
    Stranger,
}

impl PageOf {
    /// Whether a room token must be shown over a WebSocket that such a page opens; `None` if it may open none.
    #[must_use]
    pub const fn needs_token(self) -> Option<bool> {
        match self {
            Self::Own | Self::Allowed => Some(false),
            Self::Nobody | Self::Nameless => Some(true),
            Self::Stranger => None,
        }
    }
}

impl Origins {
    /// The origins of a site that browsers reach at `public`, and whoever comes straight to it at `plain`, where an
    /// unspecified address stands for those of the `machine`.
    ///
    /// Without `public` nothing is our own page that comes over TLS or through a proxy: who runs a relay for others does not
    /// open rooms by adding a certificate. And nothing is by what `Host` says: a name that somebody lets point to this machine is
    /// not ours by that.
    #[must_use]
    pub fn new(
        public: Option<&Origin>,
        allowed: &[OriginPattern],
        plain: &[SocketAddr],
        machine: &[IpAddr],
    ) -> Self {
        let origins = |address: &SocketAddr| {
            let (ip, port) = (address.ip(), address.port());
            let ips = if ip.is_unspecified() { machine.to_vec() } else { vec![ip] };
            let ips = ips.into_iter().filter(move |other| other.is_ipv4() == ip.is_ipv4());
            let local = (ip.is_loopback() || ip.is_unspecified()).then(|| format!("localhost:{port}"));
            let hosts = ips.map(move |ip| SocketAddr::new(ip, port).to_string()).chain(local);
            hosts
                .filter_map(|host| Origin::parse(&format!("http://{host}")).ok())
                .map(|origin| origin.to_string())
        };
        let plain = plain.iter().flat_map(origins).collect();
        Self { public: public.cloned(), plain, allowed: allowed.to_vec() }
    }

    /// Where browsers reach the site, if the operator says so.
    #[must_use]
    pub fn public(&self) -> Option<&Origin> {
        self.public.as_ref()
    }

    /// The other sites whose pages are let in.
    #[must_use]
    pub fn allowed(&self) -> &[OriginPattern] {
        &self.allowed
    }

    /// Of which site the page is that sent a request with `headers`.
    #[must_use]
    pub fn page_of(&self, visitor: Visitor, headers: &HeaderMap) -> PageOf {
        if !headers.contains_key(ORIGIN) {
            return PageOf::Nobody;
        }
        match page(headers) {
            Some(page) if self.public.as_ref().is_some_and(|public| public.matches(page)) => PageOf::Own,
            Some(page) if visitor.direct && self.plain.iter().any(|plain| plain == page) => PageOf::Own,
            Some(page) if !self.allowed.iter().any(|allowed| allowed.matches(page)) => PageOf::Stranger,
            Some(NAMELESS) => PageOf::Nameless,
            Some(_) => PageOf::Allowed,
            None => PageOf::Stranger,
        }
    }
}

/// The origin of the page that sent a request, if it is of exactly one.
#[must_use]
pub fn page(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(ORIGIN).iter();
    lines.next()?.to_str().ok().filter(|_| lines.next().is_none())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn origins() -> Origins {
        let public = Origin::parse("https://call.example.org").unwrap();
        let allowed = [OriginPattern::parse("https://app.example.org").unwrap()];
        let plain = ["127.0.0.1:8080".parse().unwrap(), "[::]:80".parse().unwrap()];
        let machine = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        Origins::new(Some(&public), &allowed, &plain, &machine)
    }

    fn page_of(origin: &'static str, direct: bool) -> PageOf {
        let visitor = Visitor { ip: [127, 0, 0, 1].into(), direct };
        origins().page_of(visitor, &HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]))
    }

    const PLAIN: [&str; 4] =
        ["http://127.0.0.1:8080", "http://localhost:8080", "http://localhost", "http://[2001:db8::1]"];

    #[test]
    fn our_own_pages_are_where_we_are_reached() {
        for own in PLAIN {
            assert_eq!(page_of(own, true), PageOf::Own, "{own}");
        }
        for direct in [true, false] {
            assert_eq!(page_of("https://call.example.org", direct), PageOf::Own);
            assert_eq!(page_of("https://app.example.org", direct), PageOf::Allowed);
            let visitor = Visitor { ip: [127, 0, 0, 1].into(), direct };
            assert_eq!(origins().page_of(visitor, &HeaderMap::new()), PageOf::Nobody);
        }
    }

    /// Else whoever adds a certificate for TURN would let strangers into rooms, and have them relay.
    #[test]
    fn over_tls_or_through_a_proxy_only_the_public_url_is_ours() {
        for plain in PLAIN {
            assert_eq!(page_of(plain, false), PageOf::Stranger, "{plain}");
        }
    }

    #[test]
    fn any_difference_makes_a_stranger() {
        for stranger in [
            "http://call.example.org",
            "https://call.example.org:8443",
            "https://evil-call.example.org",
            "https://call.example.org.evil.example",
            "https://example.org",
            "https://CALL.example.org",
            "https://localhost:8080",
            "http://localhost:8081",
            "http://192.0.2.1",
            "null",
            "",
            "*",
        ] {
            assert_eq!(page_of(stranger, true), PageOf::Stranger, "{stranger}");
        }
        let mut two = HeaderMap::new();
        two.append(ORIGIN, HeaderValue::from_static("https://call.example.org"));
        two.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        let visitor = Visitor { ip: [127, 0, 0, 1].into(), direct: true };
        assert_eq!(origins().page_of(visitor, &two), PageOf::Stranger);
    }
}
