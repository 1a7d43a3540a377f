//! PURE  The sites that an operator allows, and whether a page belongs to one of them.

use std::fmt;

use super::host::is_label;
use super::{Origin, Parts, Wrong};

/// Sites whose pages may do something: one site, all sites below a domain, or pages with the origin `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// As a browser writes it, apart from the star.
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `null`: files, frames with `sandbox`, some app shells.
    Nameless,
    /// One site.
    One,
    /// All sites whose names end in a domain.
    Below,
}

/// The origin that browsers send for a page that belongs to no site or hides it.
pub const NAMELESS: &str = "null";

/// Schemes whose pages have no origin, or the origin of the page that made them.
const WITHOUT_ORIGIN: &[&str] =
    &["about", "blob", "data", "filesystem", "javascript", "mailto", "view-source"];

impl OriginPattern {
    /// Parses `https://app.example.org`, `https://*.example.org`, `capacitor://localhost` or `null`.
    ///
    /// # Errors
    /// What to write instead. Every accepted pattern matches an origin that some browser sends.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == NAMELESS {
            return Ok(Self { text: text.to_owned(), kind: Kind::Nameless });
        }
        if text == "*" {
            return Err(EVERYBODY.to_owned());
        }
        if text.contains([',', ' ', '\t', '\n', '\r']) {
            return Err(format!("{text:?} {SEVERAL}"));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(without_scheme(text)) };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" | "ws" | "wss" if rest.contains('*') => below(text, scheme, rest),
            "http" | "https" | "ws" | "wss" | "ftp" => one(text),
            other => shell(text, other, rest),
        }
    }

    /// Whether `origin`, as a browser sent it, is one of these sites'.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        match self.kind {
            Kind::Nameless => origin == NAMELESS,
            Kind::One => Parts::of(&self.text).is_some_and(|own| Parts::of(origin) == Some(own)),
            Kind::Below => Parts::of(&self.text).zip(Parts::of(origin)).is_some_and(is_below),
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The star stands for one or more labels, as in a Content-Security-Policy: the domain's owner controls all names below it.
fn is_below((pattern, page): (Parts<'_>, Parts<'_>)) -> bool {
    let domain = pattern.host.strip_prefix('*').unwrap_or(pattern.host);
    let names = page.host.strip_suffix(domain);
    (pattern.scheme, pattern.port) == (page.scheme, page.port)
        && names.is_some_and(|names| names.split('.').all(is_label))
}

fn one(text: &str) -> Result<OriginPattern, String> {
    let origin = Origin::read(text).map_err(|wrong| explain(text, wrong))?;
    Ok(OriginPattern { text: origin.to_string(), kind: Kind::One })
}

/// Parses a pattern with a star in `rest`.
fn below(text: &str, scheme: &str, rest: &str) -> Result<OriginPattern, String> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.ends_with(":*") {
        return Err(format!(
            "{text:?}: a * cannot stand for a port: write one entry for each port that you use"
        ));
    }
    let domain = match authority.strip_prefix('*') {
        Some("" | ".") => return Err(format!("{text:?} {TOO_WIDE}")),
        Some(domain) => domain.strip_prefix('.').filter(|domain| !domain.contains('*')),
        None => None,
    };
    let Some(domain) = domain else { return Err(format!("{text:?}: {STAR}")) };
    let behind = &rest[authority.len()..];
    let origin = Origin::read(&format!("{scheme}://{domain}{behind}")).map_err(|wrong| {
        let starred = |origin: String| origin.replacen("://", "://*.", 1);
        explain(text, wrong.writing(starred))
    })?;
    match origin.domain() {
        None => Err(format!("{text:?}: {STAR}")),
        Some(domain) if !domain.contains('.') => Err(format!("{text:?} {TOO_WIDE}")),
        Some(_) => {
            let text = origin.as_str().replacen("://", "://*.", 1);
            Ok(OriginPattern { text, kind: Kind::Below })
        }
    }
}

/// Parses the origin of an app, an extension or local files.
fn shell(text: &str, scheme: &str, rest: &str) -> Result<OriginPattern, String> {
    let named = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !named {
        return Err(format!("{text:?} has no scheme: write \"https://app.example.org\""));
    }
    if WITHOUT_ORIGIN.contains(&scheme) {
        return Err(without_origin(text, scheme));
    }
    if rest.contains('*') {
        return Err(format!("{text:?}: a * works only with https and http: name each app or extension"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let origin = format!("{scheme}://{authority}");
    let there = !authority.is_empty() || scheme == "file";
    if !there || Parts::of(&origin).is_none() {
        return Err(format!("{text:?} {NO_SITE}"));
    }
    if !matches!(&rest[authority.len()..], "" | "/") {
        return Err(format!("{text:?} must be an origin, without a path or user name: write {origin:?}"));
    }
    Ok(OriginPattern { text: origin, kind: Kind::One })
}

fn without_scheme(text: &str) -> String {
    if text.eq_ignore_ascii_case(NAMELESS) {
        return format!("{text:?} {NO_SITE}");
    }
    if let Some((scheme, _)) = text.split_once(':').filter(|(scheme, _)| WITHOUT_ORIGIN.contains(scheme)) {
        return without_origin(text, scheme);
    }
    let bare = text.trim_start_matches('/');
    let guess = |scheme: &str| Origin::read(&format!("{scheme}://{bare}")).ok();
    match (guess("https"), guess("http")) {
        // Without a host name there is probably no certificate.
        (Some(named), _) if named.domain().is_some_and(|name| name != "localhost") => {
            format!("{text:?} has no scheme: write \"{named}\"")
        }
        (_, Some(plain)) => format!("{text:?} has no scheme: write \"{plain}\""),
        (_, None) => format!("{text:?} {NO_SITE}"),
    }
}

fn without_origin(text: &str, scheme: &str) -> String {
    format!(
        "{text:?}: pages of {scheme}: have the origin of the site that made them, such as \"https://app.example.org\", \
         or none: write that origin, or \"null\""
    )
}

fn explain(text: &str, wrong: Wrong) -> String {
    match wrong {
        Wrong::NoSite => format!("{text:?} {NO_SITE}"),
        Wrong::Otherwise { why, origin } => format!("{text:?} {why}: write {origin:?}"),
        Wrong::Never(why) => format!("{text:?} {why}"),
    }
}

const NO_SITE: &str = "is not an origin: write \"https://app.example.org\", \"https://*.example.org\" for every name \
                       below a domain, the origin of an app, such as \"capacitor://localhost\", or \"null\"";
const EVERYBODY: &str = "\"*\" matches every page on the web: name each site";
const SEVERAL: &str = "contains more than one origin: write one string for each, as in [\"https://app.example.org\", \
                       \"https://b.example.org\"]";
const TOO_WIDE: &str = "matches other people's sites: at least two labels must follow the star, and every name below them should be yours";
const STAR: &str =
    "a * stands for every name below a domain, and must come first: write \"https://*.example.org\"";

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// An attacker who can choose a page's origin can only match with a host below the domain.
        #[test]
        fn below_a_domain_is_what_dns_says(host in "[a-z.:/@\\[\\]*-]{0,12}(\\.example\\.org|example\\.org|\\.evil)?") {
            let pattern = OriginPattern::parse("https://*.example.org").unwrap();
            let matches = pattern.matches(&format!("https://{host}"));
            let parsed = url::Url::parse(&format!("https://{host}")).ok();
            let name = parsed.as_ref().and_then(url::Url::domain).unwrap_or_default();
            proptest::prop_assert!(!matches || name.ends_with(".example.org"), "{host}");
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error_and_a_pattern_without_a_star_matches_itself(text in "([a-z]{1,9}(://|:))?\\PC{0,20}") {
            if let Ok(pattern) = OriginPattern::parse(&text) {
                let shown = pattern.to_string();
                proptest::prop_assert!(shown.contains('*') || pattern.matches(&shown), "{shown}");
                proptest::prop_assert_eq!(OriginPattern::parse(&shown), Ok(pattern));
            }
        }
    }
}
