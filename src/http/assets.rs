//! The pages and their scripts, styles and images: the files of `web/`, embedded in the binary, each under its own path.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::app_state::AppState;
use crate::http::asset::Asset;
use crate::http::problem::Problem;

/// Path, content type and bytes.
type File = (&'static str, &'static str, &'static [u8]);

/// Every file that is served; made by `build.rs`. No file is read at run time.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const NOT_FOUND: &str = include_str!("../../web/404.html");

const ADMIN: &[u8] = include_bytes!("../../web/admin.html");
const HTML: &str = "text/html; charset=utf-8";

/// The routes of all files.
pub(super) fn routes() -> Router<Arc<AppState>> {
    serve(FILES.iter().copied())
}

/// The routes of the status page of the admin service: the page, and what it shares with the other pages.
pub fn admin_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let shared = FILES.iter().copied().filter(|(_, kind, _)| *kind != HTML);
    serve(shared.chain([("/", HTML, ADMIN)]))
}

fn serve<S: Clone + Send + Sync + 'static>(files: impl Iterator<Item = File>) -> Router<S> {
    files.fold(Router::new(), |router, (path, kind, bytes)| {
        let asset = Arc::new(Asset::new(kind, bytes));
        router.route(path, get(async move |headers: HeaderMap| asset.answer(&headers)))
    })
}

/// Whether a path is that of a file.
pub(super) fn is_file(path: &str) -> bool {
    FILES.iter().any(|(file, _, _)| *file == path)
}

/// The answer to a request for any other path: a page to people, a problem to programs.
pub(super) async fn not_found(headers: HeaderMap) -> Response {
    let vary = [(VARY, "Accept")];
    if headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html")) {
        let headers = [(CONTENT_TYPE, HTML), (CACHE_CONTROL, "no-cache")];
        return (StatusCode::NOT_FOUND, vary, headers, NOT_FOUND).into_response();
    }
    (vary, Problem::of(StatusCode::NOT_FOUND)).into_response()
}
