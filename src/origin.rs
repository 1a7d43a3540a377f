//! PURE  Web origins: which site a page is of (RFC 6454).

use std::fmt;

use serde::{Deserialize, Deserializer};
use url::{Host, Url};

/// The origin of a site, such as `https://call.example.org`: scheme, host and port, as a browser writes it in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As a browser writes it: lower case, names in Punycode, the scheme's own port left out.
    text: String,
    url: Url,
}

impl Origin {
    /// The origin of a page at `text`, which has nothing behind the host and port.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address of a site: write \"https://call.example.org\"");
        let url = Url::parse(text).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong());
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            let origin = url.origin().ascii_serialization();
            return Err(format!("{text:?} says more than where a site is: write {origin:?}"));
        }
        Ok(Self { text: url.origin().ascii_serialization(), url })
    }

    /// As a browser writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its pages come over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host's name; `None` if it is an IP address.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.url.domain()
    }

    /// Host and port as in a URL, the scheme's own port left out.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The host: a name, or an IP address, an IPv6 one in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.url.host().as_ref().map(Host::to_string).unwrap_or_default()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(value)?).map_err(serde::de::Error::custom)
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
