//! Whose pages may open rooms and fetch credentials: our own, and those of the sites that the operator names.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderValue};

use crate::origin::Origin;

/// The origins of our own pages, and of others that are allowed.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    public: Option<Origin>,
    own: Vec<String>,
    allowed: Vec<String>,
}

/// Where a site is served, which its own pages' origins follow from.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Addresses with plain HTTP.
    pub plain: &'a [SocketAddr],
    /// Addresses with TLS.
    pub secure: &'a [SocketAddr],
    /// The names that the certificates are for.
    pub names: &'a [String],
    /// The machine's own addresses, which stand for an unspecified one.
    pub machine: &'a [IpAddr],
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
    /// Any other page.
    Stranger,
}

impl Origins {
    /// The origins of a site at `places`, which browsers reach at `public`.
    ///
    /// They are listed, not compared with `Host`: a name that somebody lets point to this machine is not ours by that.
    #[must_use]
    pub fn new(public: Option<&Origin>, allowed: &[Origin], places: Places<'_>) -> Self {
        let mut own: Vec<String> = public.iter().map(ToString::to_string).collect();
        let hosts = |ip: IpAddr| -> Vec<String> {
            let ips = if ip.is_unspecified() { places.machine.to_vec() } else { vec![ip] };
            let fits = |other: &IpAddr| other.is_ipv4() == ip.is_ipv4();
            let ips = ips.into_iter().filter(fits).map(|ip| SocketAddr::new(ip, 0).to_string());
            let mut hosts: Vec<_> =
                ips.filter_map(|text| Some(text.strip_suffix(":0")?.to_owned())).collect();
            if ip.is_loopback() || ip.is_unspecified() {
                hosts.push("localhost".to_owned());
            }
            hosts
        };
        for (scheme, addresses, names) in
            [("http", places.plain, &[][..]), ("https", places.secure, places.names)]
        {
            for address in addresses {
                let hosts = hosts(address.ip()).into_iter().chain(names.iter().cloned());
                let parse =
                    |host: String| Origin::parse(&format!("{scheme}://{host}:{}", address.port())).ok();
                own.extend(hosts.filter_map(parse).map(|origin| origin.to_string()));
            }
        }
        let allowed = allowed.iter().map(ToString::to_string).collect();
        Self { public: public.cloned(), own, allowed }
    }

    /// Where browsers reach the site, if the operator says so.
    #[must_use]
    pub fn public(&self) -> Option<&Origin> {
        self.public.as_ref()
    }

    /// Of which site the page is that sent a request with `headers`.
    #[must_use]
    pub fn page_of(&self, headers: &HeaderMap) -> PageOf {
        let mut lines = headers.get_all(ORIGIN).iter();
        match (lines.next().map(HeaderValue::as_bytes), lines.next()) {
            (None, _) => PageOf::Nobody,
            (Some(origin), None) if self.own.iter().any(|own| own.as_bytes() == origin) => PageOf::Own,
            (Some(origin), None) if self.allowed.iter().any(|other| other.as_bytes() == origin) => {
                PageOf::Allowed
            }
            (Some(_), _) => PageOf::Stranger,
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
    use super::*;

    fn origins() -> Origins {
        let public = Origin::parse("https://call.example.org").unwrap();
        let allowed = [Origin::parse("https://app.example.org").unwrap()];
        let places = Places {
            plain: &["127.0.0.1:8080".parse().unwrap(), "[::]:80".parse().unwrap()],
            secure: &["0.0.0.0:443".parse().unwrap()],
            names: &["turn.example.org".to_owned()],
            machine: &["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        Origins::new(Some(&public), &allowed, places)
    }

    fn page_of(origin: &'static str) -> PageOf {
        origins().page_of(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]))
    }

    #[test]
    fn our_own_pages_are_where_we_are_reached() {
        for own in [
            "https://call.example.org",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://localhost",
            "http://[2001:db8::1]",
            "https://192.0.2.1",
            "https://turn.example.org",
        ] {
            assert_eq!(page_of(own), PageOf::Own, "{own}");
        }
        assert_eq!(page_of("https://app.example.org"), PageOf::Allowed);
        assert_eq!(origins().page_of(&HeaderMap::new()), PageOf::Nobody);
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
            "http://localhost:8081",
            "http://turn.example.org",
            "http://192.0.2.1",
            "null",
            "",
            "*",
        ] {
            assert_eq!(page_of(stranger), PageOf::Stranger, "{stranger}");
        }
        let mut two = HeaderMap::new();
        two.append(ORIGIN, HeaderValue::from_static("https://call.example.org"));
        two.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert_eq!(origins().page_of(&two), PageOf::Stranger);
    }
}
