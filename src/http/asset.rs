//! Serves one embedded file: compressed if the client accepts gzip, and without a body if the client's copy is current.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

const VARIES: [(HeaderName, &str); 1] = [(VARY, "Accept-Encoding")];

/// An embedded file.
pub(super) struct Asset {
    kind: &'static str,
    bytes: Bytes,
    tag: HeaderValue,
    /// Compressed once, at the first request that accepts gzip.
    gzip: OnceLock<Bytes>,
}

impl Asset {
    pub(super) fn new(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { kind, tag: entity_tag(&bytes), bytes, gzip: OnceLock::new() }
    }

    /// The file at a path that has another one after an upgrade, or 304 if the browser's copy is current. Browsers revalidate
    /// it at each use, so a new version is used at once.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let common = [(ETAG, self.tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        if self.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, common, VARIES).into_response();
        }
        (common, self.content(headers)).into_response()
    }

    /// The file at a path that always has this one: browsers never ask for it again.
    pub(super) fn answer_forever(&self, headers: &HeaderMap) -> Response {
        ([(CACHE_CONTROL, "public, max-age=31536000, immutable")], self.content(headers)).into_response()
    }

    fn content(&self, headers: &HeaderMap) -> Response {
        let about = ([(CONTENT_TYPE, self.kind)], VARIES);
        if self.is_text() && accepts_gzip(headers) {
            let body = self.gzip.get_or_init(|| gzip(&self.bytes)).clone();
            return (about, [(CONTENT_ENCODING, "gzip")], body).into_response();
        }
        (about, self.bytes.clone()).into_response()
    }

    /// Other files are compressed by their own format.
    fn is_text(&self) -> bool {
        self.kind != "image/png"
    }

    /// RFC 9110 §13.1.2: tags are compared weakly, so they match whether the copy was compressed or not.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = weak(self.tag.as_bytes());
        members(headers, &IF_NONE_MATCH).any(|tag| tag == b"*" || weak(tag) == known)
    }
}

/// RFC 9110 §12.5.3: the entry for gzip decides, or else the entry for `*`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let said_of = |name: &[u8]| {
        members(headers, &ACCEPT_ENCODING).find_map(|member| {
            let mut parts = member.splitn(2, |byte| *byte == b';');
            let coding = parts.next()?.trim_ascii_end();
            coding.eq_ignore_ascii_case(name).then(|| parts.next().is_none_or(is_above_zero))
        })
    };
    said_of(b"gzip").or_else(|| said_of(b"*")).unwrap_or(false)
}

/// A weight of 0, with or without decimals, means "not acceptable".
fn is_above_zero(weight: &[u8]) -> bool {
    weight.iter().any(|byte| matches!(byte, b'1'..=b'9'))
}

/// The members of a list header, over all its lines (RFC 9110 §5.6.1).
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// A weak tag: the compressed and the plain file have the same one (RFC 9110 §8.8.1).
fn entity_tag(bytes: &[u8]) -> HeaderValue {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16]);
    HeaderValue::try_from(format!("W/\"{hash}\"")).expect("Base64 is ASCII")
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.expect("memory takes everything").into()
}
