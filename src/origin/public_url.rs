//! PURE  The URL at which browsers reach the site: its origin, and the path if the site shares its host with others.

use std::fmt;

use crate::origin::Origin;

/// Where browsers reach the site, such as `https://call.example.org` or `https://example.org/call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: Origin,
    /// Begins and ends with a slash.
    base: String,
}

/// The path of a site that has its host for itself.
pub const ROOT: &str = "/";
/// Bytes of the longest path.
const BASE_MAX: usize = 128;

impl PublicUrl {
    /// Parses an origin with a path, or without.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text.find("://").map_or(0, |at| at + 3);
        let (origin, path) = text.split_at(text[at..].find('/').map_or(text.len(), |slash| at + slash));
        let origin = Origin::parse(origin)?;
        let path = path.trim_matches('/');
        if path.split('/').any(|segment| segment == "r") {
            return Err(format!("{text:?} is the link of a room: write {:?}", origin.as_str()));
        }
        if !path.is_empty() && (path.len() > BASE_MAX || !path.split('/').all(is_segment)) {
            return Err(format!(
                "{text:?} has a path that cannot be used: write letters, digits, -, . and _ between slashes, such as \
                 \"{origin}/call\", or no path"
            ));
        }
        let base = if path.is_empty() { ROOT.to_owned() } else { format!("/{path}/") };
        Ok(Self { origin, base })
    }

    /// The origin of its pages.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path of the site, with a slash at both ends.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }
}

/// The path of a request to a site under the path `base`, as it would be to a site of its own. A proxy may have taken the
/// base away already.
#[must_use]
pub fn within<'a>(path: &'a str, base: &str) -> &'a str {
    let bare = base.trim_end_matches('/');
    match path.strip_prefix(bare) {
        _ if bare.is_empty() => path,
        Some("") => ROOT,
        Some(rest) if rest.starts_with(['/', '?']) => rest,
        Some(_) | None => path,
    }
}

fn is_segment(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(fits) && !matches!(text, "." | "..")
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_may_have_a_path() {
        for (written, shown, base) in [
            ("https://Call.example.org", "https://call.example.org", "/"),
            ("https://call.example.org/", "https://call.example.org", "/"),
            ("https://example.org/call", "https://example.org/call", "/call/"),
            ("https://example.org:8443/a-b/c_1.d/", "https://example.org:8443/a-b/c_1.d", "/a-b/c_1.d/"),
        ] {
            let url = PublicUrl::parse(written).unwrap();
            assert_eq!((url.to_string().as_str(), url.base()), (shown, base));
            assert_eq!(PublicUrl::parse(shown), Ok(url));
        }
    }

    #[test]
    fn what_no_browser_would_send_or_a_page_could_not_hold_is_no_path() {
        for wrong in
            ["a b", "a//b", "../a", "a/.", "%61", "a?b", "a#b", "\"><script>", "~a", "한", &"a".repeat(129)]
        {
            let error = PublicUrl::parse(&format!("https://example.org/{wrong}")).unwrap_err();
            assert!(error.contains("has a path that cannot be used"), "{error}");
        }
        let error = PublicUrl::parse("https://example.org/r/our-room").unwrap_err();
        assert!(error.ends_with("is the link of a room: write \"https://example.org\""), "{error}");
        for wrong in ["example.org/call", "ftp://example.org/call", "https://me@example.org/call", ""] {
            assert!(PublicUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_for_the_same_page_whether_the_proxy_takes_the_path_away_or_not() {
        for (path, inside) in [
            ("/call/", "/"),
            ("/call", "/"),
            ("/call?a", "?a"),
            ("/call/r/a?b", "/r/a?b"),
            ("/r/a", "/r/a"),
            ("/caller", "/caller"),
            ("/", "/"),
            ("/call/call/", "/call/"),
        ] {
            assert_eq!(within(path, "/call/"), inside, "{path}");
            assert_eq!(within(path, "/"), path);
        }
    }
}
