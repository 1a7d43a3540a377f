//! Knows whose pages may open rooms and fetch credentials: our own pages, and those of the sites that the operator allows.

use std::net::{IpAddr, SocketAddr};

use crate::origin::public_url::ROOT;
use crate::origin::{NAMELESS, Origin, OriginPattern, PublicUrl};
use crate::sections::http::ApiKey;

/// The origins of our own pages and of the allowed sites.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    public: Option<PublicUrl>,
    /// The origins of plain HTTP. They only count for a request that comes without TLS and without a proxy.
    plain: Vec<String>,
    allowed: Vec<OriginPattern>,
    /// The origins of all API keys.
    of_keys: Vec<OriginPattern>,
}

/// Which site's page sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOf {
    /// No page: without an `Origin` header, the request is a program's, or a browser's navigation or same-origin GET.
    Nobody,
    /// Our own page.
    Own,
    /// A page of an allowed site.
    Allowed,
    /// A page with the origin `null`, if that is allowed. Any site can make such a page, so the request needs a key or a token.
    Nameless,
    /// A page of a site that only the `origins` of an API key name: it may use that key.
    SomeKey,
    /// Any other page.
    Stranger,
}

impl PageOf {
    /// Whether such a page needs a room token to open a WebSocket; `None` if it may not open one.
    #[must_use]
    pub const fn needs_token(self) -> Option<bool> {
        match self {
            Self::Own | Self::Allowed => Some(false),
            Self::Nobody | Self::Nameless => Some(true),
            Self::SomeKey | Self::Stranger => None,
        }
    }

    /// Whether such a page may read the answers of the API. A preflight request does not say which key the page will send.
    #[must_use]
    pub const fn may_read(self) -> bool {
        match self {
            Self::Own | Self::Allowed | Self::Nameless | Self::SomeKey => true,
            Self::Nobody | Self::Stranger => false,
        }
    }

    /// Whether the page's site is neither ours nor allowed.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::SomeKey | Self::Stranger)
    }
}

impl Origins {
    /// The origins of a site that browsers reach at `public` and, without TLS and without a proxy, at `plain`. An unspecified
    /// address in `plain` stands for all addresses in `machine`.
    ///
    /// Without `public`, no page that came over TLS or through a proxy is our own: adding a certificate for `turns:` must not
    /// open the rooms. The `Host` header never makes a page our own, because anybody can point a name to this machine.
    #[must_use]
    pub fn new(
        public: Option<&PublicUrl>,
        allowed: &[OriginPattern],
        keys: &[ApiKey],
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
        let of_keys = keys.iter().flat_map(|key| key.origins.clone()).collect();
        Self { public: public.cloned(), plain, allowed: allowed.to_vec(), of_keys }
    }

    /// The origin of `http.public_url`, if it is set.
    #[must_use]
    pub fn public(&self) -> Option<&Origin> {
        self.public.as_ref().map(PublicUrl::origin)
    }

    /// The path of the site, which is `/` if it has its host for itself.
    #[must_use]
    pub fn base(&self) -> &str {
        self.public.as_ref().map_or(ROOT, PublicUrl::base)
    }

    /// The allowed sites.
    #[must_use]
    pub fn allowed(&self) -> &[OriginPattern] {
        &self.allowed
    }

    /// Which site's page sends the header `Origin: page`. `page` is `None` if there is more than one header or it is not
    /// ASCII. `direct` means that the request came without TLS and without a proxy.
    #[must_use]
    pub fn page_of(&self, page: Option<&str>, direct: bool) -> PageOf {
        let Some(page) = page else { return PageOf::Stranger };
        let is_one_of = |patterns: &[OriginPattern]| patterns.iter().any(|pattern| pattern.matches(page));
        let own = self.public().is_some_and(|public| public.matches(page))
            || (direct && self.plain.iter().any(|plain| plain == page));
        match page {
            _ if own => PageOf::Own,
            NAMELESS if is_one_of(&self.allowed) => PageOf::Nameless,
            _ if is_one_of(&self.allowed) => PageOf::Allowed,
            _ if is_one_of(&self.of_keys) => PageOf::SomeKey,
            _ => PageOf::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::ORIGIN;
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::http::requester::{Requester, Trust};

    fn origins() -> Origins {
        let public = PublicUrl::parse("https://call.example.org").unwrap();
        let allowed = [OriginPattern::parse("https://app.example.org").unwrap()];
        let plain = ["127.0.0.1:8080".parse().unwrap(), "[::]:80".parse().unwrap()];
        let machine = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        Origins::new(Some(&public), &allowed, &[], &plain, &machine)
    }

    fn page_of(origin: &'static str, direct: bool) -> PageOf {
        seen(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]), direct)
    }

    fn seen(headers: &HeaderMap, direct: bool) -> PageOf {
        let trust = Trust { origins: origins(), ..Trust::default() };
        Requester::of([127, 0, 0, 1].into(), !direct, headers, &trust).page
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
            assert_eq!(seen(&HeaderMap::new(), direct), PageOf::Nobody);
        }
    }

    /// Otherwise adding a certificate for TURN would open the rooms and the relay to pages of unknown sites.
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
        assert_eq!(seen(&two, true), PageOf::Stranger);
    }
}
