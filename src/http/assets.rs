//! The pages and their scripts, styles and images: the files of `web/`, embedded in the binary, each under its own path.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};

use crate::current::Current;
use crate::http::app_state::AppState;
use crate::http::asset::Asset;
use crate::http::comments;
use crate::http::problem::Problem;
use crate::http::references::versioned;
use crate::http::screen::Bare;
use crate::origin::Origin;

/// Path, content type and bytes.
type File = (&'static str, &'static str, &'static [u8]);

/// Every file that is served; made by `build.rs`. No file is read at run time.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where a page says who may show it in a frame, and is to be told what happens in it.
const EMBEDDERS: &str = "<meta name=\"embedders\" content=\"";

const NOT_FOUND: &str = include_str!("../../web/404.html");

const ADMIN: &str = include_str!("../../web/admin.html");
const HTML: &str = "text/html; charset=utf-8";
/// Browsers know an installed page by the path of its manifest, which therefore has no version.
const MANIFEST: &str = "application/manifest+json";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DOCUMENT: &str = "text/plain; charset=utf-8";

/// The path of a file that a page refers to. The version is a hash of all these files, so a file never changes under it.
const VERSIONED: &str = "/~{version}/{*path}";

/// All files, as they are served under one path.
pub struct Assets {
    files: HashMap<&'static str, Asset>,
    not_found: String,
    admin: Asset,
}

impl Assets {
    /// For a site under the path `base`, such as `/`, which pages of these sites may show in a frame.
    #[must_use]
    pub fn new(base: &str, frame_ancestors: &[Origin]) -> Self {
        let embedders: Vec<&str> = frame_ancestors.iter().map(Origin::as_str).collect();
        let named = format!("{EMBEDDERS}{}\"", embedders.join(" "));
        let page = |html: &str| {
            versioned(html, base, &VERSION, is_versioned).replacen(&format!("{EMBEDDERS}\""), &named, 1)
        };
        let asset = |(path, kind, bytes): File| match str::from_utf8(bytes) {
            Ok(html) if kind == HTML => (path, Asset::new(kind, page(html))),
            Ok(text) if kind == SCRIPT => (path, Asset::new(kind, comments::script(text))),
            Ok(text) if kind == STYLE => (path, Asset::new(kind, comments::style(text))),
            _ => (path, Asset::new(kind, bytes)),
        };
        Self {
            files: FILES.iter().copied().map(asset).collect(),
            not_found: page(NOT_FOUND),
            admin: Asset::new(HTML, page(ADMIN)),
        }
    }

    /// The file at a path of its own. Bookmarks have such paths, and pages of older versions that are still open.
    fn plain(&self, path: &str, headers: &HeaderMap) -> Response {
        self.files.get(path).map_or_else(unknown, |asset| bare(path, asset.answer(headers)))
    }

    /// The file at a path with a version. If the version is another one, the page came from a server before or after an
    /// upgrade, and the current file most probably fits.
    fn versioned(&self, version: &str, path: &str, headers: &HeaderMap) -> Response {
        let path = format!("/{path}");
        match self.files.get(path.as_str()).filter(|_| is_versioned(&path)) {
            Some(asset) if version == *VERSION => bare(&path, asset.answer_forever(headers)),
            Some(asset) => bare(&path, asset.answer(headers)),
            None => unknown(),
        }
    }
}

/// The routes of all files.
pub(super) fn routes(assets: &Arc<Current<Assets>>) -> Router<Arc<AppState>> {
    serve(assets, FILES.iter().map(|(path, _, _)| *path))
}

/// The routes of the status page of the admin service: the page, and what it shares with the other pages.
pub fn admin_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let assets = Arc::new(Current::new(Assets::new("/", &[])));
    let shared = FILES.iter().map(|(path, _, _)| *path).filter(|path| is_versioned(path));
    serve(&assets, shared)
        .route("/", get(async move |headers: HeaderMap| assets.get().admin.answer(&headers)))
}

fn serve<S: Clone + Send + Sync + 'static>(
    assets: &Arc<Current<Assets>>,
    paths: impl Iterator<Item = &'static str>,
) -> Router<S> {
    let all = Arc::clone(assets);
    let versioned = async move |Path((version, path)): Path<(String, String)>, headers: HeaderMap| {
        all.get().versioned(&version, &path, &headers)
    };
    paths.fold(Router::new().route(VERSIONED, get(versioned)), |router, path| {
        let all = Arc::clone(assets);
        router.route(path, get(async move |headers: HeaderMap| all.get().plain(path, &headers)))
    })
}

/// Whether a route is that of a file.
pub(super) fn is_file(template: &str) -> bool {
    template == VERSIONED || FILES.iter().any(|(file, _, _)| *file == template)
}

/// Whether a file belongs to pages, and is served with its version in the path.
fn is_versioned(path: &str) -> bool {
    FILES.iter().any(|(file, kind, _)| *file == path && ![HTML, DOCUMENT, MANIFEST].contains(kind))
}

/// A hash of all files that belong to pages.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (path, _, bytes) in FILES.iter().filter(|(path, _, _)| is_versioned(path)) {
        hash.update(format!("{path} {} ", bytes.len()));
        hash.update(bytes);
    }
    BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..9])
});

/// Marks scripts and styles, which obey no policy: only a document does, as SVG is one if it is opened by itself.
fn bare(path: &str, mut response: Response) -> Response {
    if path.ends_with(".js") || path.ends_with(".css") {
        response.extensions_mut().insert(Bare);
    }
    response
}

fn unknown() -> Response {
    Problem::of(StatusCode::NOT_FOUND).into_response()
}

/// The answer to a request for any other path: a page to people, a problem to programs.
pub(super) async fn not_found(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let vary = [(VARY, "Accept")];
    if headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html")) {
        let headers = [(CONTENT_TYPE, HTML), (CACHE_CONTROL, "no-cache")];
        return (StatusCode::NOT_FOUND, vary, headers, state.assets.get().not_found.clone()).into_response();
    }
    (vary, Problem::of(StatusCode::NOT_FOUND)).into_response()
}
