//! The pages and what they need: files that are in the binary, each under one path.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};

use crate::http::Site;
use crate::http::problem::Problem;

/// A file under its path.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// Every file there is; nothing else is ever looked for.
const FILES: &[File] = &[
    File { path: "/", kind: HTML, bytes: include_bytes!("../../web/index.html") },
    File { path: "/css/base.css", kind: CSS, bytes: include_bytes!("../../web/css/base.css") },
];

const NOT_FOUND: &[u8] = include_bytes!("../../web/404.html");

/// The routes of all files.
pub(super) fn routes() -> Router<Arc<Site>> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = entity_tag(file.bytes);
        router.route(file.path, get(async move |headers: HeaderMap| serve(file, &tag, &headers)))
    })
}

/// What is answered to who asks for anything else: a page to people, a problem to programs.
pub(super) async fn not_found(headers: HeaderMap) -> Response {
    let page = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if page {
        let headers = [(CONTENT_TYPE, HTML), (CACHE_CONTROL, "no-cache")];
        return (StatusCode::NOT_FOUND, headers, NOT_FOUND).into_response();
    }
    Problem::of(StatusCode::NOT_FOUND).into_response()
}

/// A file, or that the browser has it already. Asking each time is cheap, and a new version is seen at once.
fn serve(file: &File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|line| {
        let tags = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        // RFC 9110 §13.1.2: compared weakly, as a proxy that compresses makes a tag weak.
        tags.map(|other| other.strip_prefix(b"W/").unwrap_or(other))
            .any(|other| other == tag || other == b"*")
    });
    let headers = [(ETAG, tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, file.kind)], file.bytes).into_response()
}

fn entity_tag(bytes: &[u8]) -> HeaderValue {
    let hash = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16]);
    HeaderValue::try_from(format!("\"{hash}\"")).expect("Base64 is ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Whoever adds a page must say under which path it is served.
    #[test]
    fn every_file_in_web_is_embedded() {
        let root = Path::new("web");
        let (mut folders, mut files) = (vec![root.to_owned()], BTreeSet::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(fs::read(path).unwrap());
                }
            }
        }
        let embedded: BTreeSet<_> =
            FILES.iter().map(|file| file.bytes).chain([NOT_FOUND]).map(<[u8]>::to_vec).collect();
        assert_eq!(files.len(), embedded.len());
        assert!(files == embedded);
    }
}
