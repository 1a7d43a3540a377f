//! PURE  Web origins: which site a page belongs to (RFC 6454).

pub mod host;
mod pattern;
pub mod public_url;

use std::fmt;

use url::{Host, Url};

pub use pattern::{NAMELESS, OriginPattern};
pub use public_url::PublicUrl;

/// The origin of a site, such as `https://call.example.org`: scheme, host and port, as a browser writes it in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As a browser writes it: lower case, names in Punycode without the root dot, without the scheme's default port.
    text: String,
    /// As in a URL.
    host: String,
    kind: HostKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostKind {
    Name,
    Address,
}

/// Why a text is not a valid origin.
enum Wrong {
    /// It is not the URL of a site.
    NoSite,
    /// It is valid if it is written as `origin`.
    Otherwise { why: &'static str, origin: String },
    /// No such site can exist.
    Never(String),
}

/// The parts of an origin as a browser sends it, so that origins are compared by their meaning.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl Origin {
    /// Parses an origin: scheme, host and port, with nothing after them.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|wrong| match wrong {
            Wrong::NoSite => {
                format!("{text:?} is not the URL of a site: write \"https://call.example.org\"")
            }
            Wrong::Otherwise { why, origin } => format!("{text:?} {why}: write {origin:?}"),
            Wrong::Never(why) => format!("{text:?} {why}"),
        })
    }

    fn read(text: &str) -> Result<Self, Wrong> {
        let url = Url::parse(text).map_err(|_| Wrong::NoSite)?;
        let scheme = match url.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(Wrong::NoSite),
        };
        let (host, kind) = site(&url)?;
        let text = match url.port() {
            None => format!("{scheme}://{host}"),
            Some(0) => {
                return Err(Wrong::Never("has port 0, which is not valid: use another port".to_owned()));
            }
            Some(port) if BAD_PORTS.contains(&port) => {
                return Err(Wrong::Never(format!(
                    "cannot be reached: browsers refuse port {port}: use another port"
                )));
            }
            Some(port) => format!("{scheme}://{host}:{port}"),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::Otherwise {
                why: "must be an origin, without a path or user name",
                origin: text,
            });
        }
        if url.scheme() != scheme {
            return Err(Wrong::Otherwise { why: "cannot be the origin of a page", origin: text });
        }
        Ok(Self { text, host, kind })
    }

    /// As a browser writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `origin`, as a browser sent it, is this site's.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        Parts::of(&self.text).is_some_and(|own| Parts::of(origin) == Some(own))
    }

    /// Whether the site's pages are served over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// The host's name; `None` if it is an IP address.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        match self.kind {
            HostKind::Name => Some(&self.host),
            HostKind::Address => None,
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(usual)
    }

    /// Host and port as in a URL, without the scheme's default port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The host: a name or an IP address; an IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.clone()
    }
}

impl Wrong {
    /// Changes the origin that [`Wrong::Otherwise`] suggests.
    fn writing(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Otherwise { why, origin } => Self::Otherwise { why, origin: change(origin) },
            Self::NoSite | Self::Never(_) => self,
        }
    }
}

impl<'a> Parts<'a> {
    /// `None` if no browser writes such an origin.
    fn of(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let (host, port) = match authority.rsplit_once(':').filter(|_| !authority.ends_with(']')) {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let port = match port {
            Some(text) => Some(text.parse::<u16>().ok().filter(|port| port.to_string() == text)?),
            None => None,
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*[:]".contains(&byte);
        if !host.bytes().all(fits) {
            return None;
        }
        // A host name with the root dot names the same host, and a visitor may have typed the dot.
        let host = if is_web(scheme) { host.strip_suffix('.').unwrap_or(host) } else { host };
        Some(Self { scheme, host, port })
    }
}

impl PartialEq for Parts<'_> {
    /// Browsers write host names of web sites in lower case. For other schemes some browsers keep capitals, as Safari does
    /// for its extensions.
    fn eq(&self, other: &Self) -> bool {
        let same = (self.scheme, self.port) == (other.scheme, other.port);
        let same_host = self.host == other.host;
        same && (same_host || (!is_web(self.scheme) && self.host.eq_ignore_ascii_case(other.host)))
    }
}

fn is_web(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// The host of a URL, if it can serve a page.
fn site(url: &Url) -> Result<(String, HostKind), Wrong> {
    let unspecified = || Wrong::Never(format!("{}, such as \"https://call.example.org\"", host::UNSPECIFIED));
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.contains('*') {
                return Err(Wrong::NoSite);
            }
            if !host::is_name(name) {
                return Err(Wrong::Never(format!("cannot be reached: {name:?} is not a possible host name")));
            }
            Ok((name.to_owned(), HostKind::Name))
        }
        Some(Host::Ipv4(ip)) if ip.is_unspecified() => Err(unspecified()),
        Some(Host::Ipv6(ip)) if ip.is_unspecified() => Err(unspecified()),
        Some(Host::Ipv4(ip)) => Ok((ip.to_string(), HostKind::Address)),
        Some(Host::Ipv6(ip)) => Ok((format!("[{ip}]"), HostKind::Address)),
        None => Err(Wrong::NoSite),
    }
}

/// Ports that browsers load no page from: the "bad ports" of the Fetch standard.
const BAD_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, origin, host, domain) in [
            ("https://Call.Example.org", "https://call.example.org", "call.example.org", true),
            ("https://call.example.org:443/", "https://call.example.org", "call.example.org", true),
            ("http://localhost:8080", "http://localhost:8080", "localhost", true),
            ("http://[0:0::1]:8080", "http://[::1]:8080", "[::1]", false),
            ("https://192.0.2.1", "https://192.0.2.1", "192.0.2.1", false),
            ("https://통화.example", "https://xn--hz7bo8f.example", "xn--hz7bo8f.example", true),
        ] {
            let parsed = Origin::parse(text).unwrap();
            assert_eq!((parsed.as_str(), parsed.host().as_str()), (origin, host), "{text}");
            assert_eq!(parsed.domain().is_some(), domain, "{text}");
            assert!(origin.ends_with(parsed.authority()) && !parsed.authority().contains('/'));
        }
    }

    #[test]
    fn what_is_no_origin_is_explained() {
        for (text, remedy) in [
            ("call.example.org", "https://call.example.org"),
            ("localhost:8080", "https://call.example.org"),
            ("ftp://example.org", "https://call.example.org"),
            ("", "https://call.example.org"),
            ("https://example.org/hairpin", "write \"https://example.org\""),
            ("https://me@example.org", "write \"https://example.org\""),
            ("https://example.org/?a", "write \"https://example.org\""),
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
