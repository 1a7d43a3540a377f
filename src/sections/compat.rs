//! PURE  `[compat]`: the clients of other signaling servers that are served too.

use std::path::PathBuf;

use crate::sections::value::{Off, Text};

section! {
    /// `[compat]`
    pub struct Compat {
        /// The path under which clients of PeerJS are served.
        pub peerjs: Off<SitePath> = Off(None),
        /// The key that they must name.
        pub peerjs_key: PeerJsKey = PeerJsKey::usual(),
        /// Whether everybody may list the ids of the peers that are connected.
        pub peerjs_discovery: bool = false,
        /// Whether clients of socket.io are served.
        pub socketio: bool = false,
        /// The file of socket.io's client, as npm publishes it, for pages that load it from the server.
        pub socketio_client: Option<PathBuf> = None,
        /// The path of the WebSocket for pages that speak JSON of their own.
        pub websocket: Off<SitePath> = Off(None),
        /// Whether pages that may enter rooms get ICE servers without an API key, by `/compat.js`.
        pub script: bool = false,
    }
}

/// A path of the site, such as `/peerjs`; or `/`, all of the site that nothing else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePath(String);

/// Bytes of the longest path.
const PATH_MAX: usize = 128;

impl SitePath {
    /// The rest of a request's path below this one: nothing, or what begins with a slash. `None` if it is not below.
    #[must_use]
    pub fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.0.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// Whether it is all of the site.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }
}

impl Text for SitePath {
    const EXAMPLE: &'static str = "\"/peerjs\"";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "/" {
            return Ok(Self(text.to_owned()));
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        let Some(inside) = path.strip_prefix('/') else {
            return Err(format!(
                "{text:?} does not begin with a slash: write a path such as {}",
                Self::EXAMPLE
            ));
        };
        if path.len() > PATH_MAX || !inside.split('/').all(is_segment) {
            return Err(format!(
                "{text:?} is not a path that can be used: write letters, digits, -, . and _ between slashes, such as {}",
                Self::EXAMPLE
            ));
        }
        if inside.split('/').next() == Some("r") {
            return Err(format!(
                "{text:?} belongs to the links of rooms: write another path, such as {}",
                Self::EXAMPLE
            ));
        }
        Ok(Self(path.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// The key that clients of PeerJS name. It stands in pages and URLs, so it is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerJsKey(String);

/// Bytes of the longest key.
const KEY_MAX: usize = 64;

impl PeerJsKey {
    /// The key of clients that are not told another one.
    fn usual() -> Self {
        Self("peerjs".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for PeerJsKey {
    const EXAMPLE: &'static str = "\"peerjs\", or 1 to 64 other letters, digits, -, . and _";

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() <= KEY_MAX && is_segment(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} cannot be part of a path: write {}", Self::EXAMPLE))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

fn is_segment(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.bytes().all(fits) && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_with_or_without_a_slash_at_its_end() {
        for (written, shown) in
            [("/", "/"), ("/peerjs", "/peerjs"), ("/peerjs/", "/peerjs"), ("/a/b_1.c", "/a/b_1.c")]
        {
            assert_eq!(SitePath::parse(written).map(|path| path.write()), Ok(shown.to_owned()));
        }
        for wrong in ["", "peerjs", "//", "/a//b", "/../a", "/a b", "/%61", "/a?b", "/~1/a", "/r", "/r/a"] {
            assert!(SitePath::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_below_a_path_by_whole_segments() {
        let (path, root) = (SitePath::parse("/peerjs").unwrap(), SitePath::parse("/").unwrap());
        assert_eq!(
            [path.rest("/peerjs"), path.rest("/peerjs/"), path.rest("/peerjs/a/id")],
            [Some(""), Some("/"), Some("/a/id")]
        );
        assert_eq!([path.rest("/peerjsa"), path.rest("/"), path.rest("")], [None, None, None]);
        assert_eq!([root.rest("/"), root.rest("/peerjs/id")], [Some("/"), Some("/peerjs/id")]);
    }

    #[test]
    fn a_key_can_stand_in_a_path() {
        assert_eq!(PeerJsKey::parse("peerjs"), Ok(PeerJsKey::usual()));
        for wrong in ["", "a/b", "..", "a b", "한", &"a".repeat(65)] {
            assert!(PeerJsKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
