//! The pages and what they need: files that are in the binary, each under one path.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::Site;
use crate::http::problem::Problem;
use crate::http::served::Served;

/// A file under its path.
struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every file there is; nothing else is ever looked for.
const FILES: &[File] = &[
    file("/", HTML, include_bytes!("../../web/index.html")),
    file("/r/{room}", HTML, include_bytes!("../../web/call.html")),
    file("/r/{room}/", HTML, include_bytes!("../../web/call.html")),
    file("/check", HTML, include_bytes!("../../web/check.html")),
    file("/css/base.css", CSS, include_bytes!("../../web/css/base.css")),
    file("/css/call.css", CSS, include_bytes!("../../web/css/call.css")),
    file("/css/check.css", CSS, include_bytes!("../../web/css/check.css")),
    file("/css/lobby.css", CSS, include_bytes!("../../web/css/lobby.css")),
    file("/css/panel.css", CSS, include_bytes!("../../web/css/panel.css")),
    file("/css/start.css", CSS, include_bytes!("../../web/css/start.css")),
    file("/css/tokens.css", CSS, include_bytes!("../../web/css/tokens.css")),
    file("/i18n/en.js", JAVASCRIPT, include_bytes!("../../web/i18n/en.js")),
    file("/i18n/ko.js", JAVASCRIPT, include_bytes!("../../web/i18n/ko.js")),
    file("/icon.svg", SVG, include_bytes!("../../web/icon.svg")),
    file("/icons.svg", SVG, include_bytes!("../../web/icons.svg")),
    file("/js/call.js", JAVASCRIPT, include_bytes!("../../web/js/call.js")),
    file("/js/check.js", JAVASCRIPT, include_bytes!("../../web/js/check.js")),
    file("/js/early.js", JAVASCRIPT, include_bytes!("../../web/js/early.js")),
    file("/js/lost.js", JAVASCRIPT, include_bytes!("../../web/js/lost.js")),
    file("/js/start.js", JAVASCRIPT, include_bytes!("../../web/js/start.js")),
    file("/js/view/awake.js", JAVASCRIPT, include_bytes!("../../web/js/view/awake.js")),
    file("/js/view/banner.js", JAVASCRIPT, include_bytes!("../../web/js/view/banner.js")),
    file("/js/view/bar.js", JAVASCRIPT, include_bytes!("../../web/js/view/bar.js")),
    file("/js/view/call.js", JAVASCRIPT, include_bytes!("../../web/js/view/call.js")),
    file("/js/view/chat.js", JAVASCRIPT, include_bytes!("../../web/js/view/chat.js")),
    file("/js/view/devices.js", JAVASCRIPT, include_bytes!("../../web/js/view/devices.js")),
    file("/js/view/dom.js", JAVASCRIPT, include_bytes!("../../web/js/view/dom.js")),
    file("/js/view/figures.js", JAVASCRIPT, include_bytes!("../../web/js/view/figures.js")),
    file("/js/view/invite.js", JAVASCRIPT, include_bytes!("../../web/js/view/invite.js")),
    file("/js/view/keys.js", JAVASCRIPT, include_bytes!("../../web/js/view/keys.js")),
    file("/js/view/language.js", JAVASCRIPT, include_bytes!("../../web/js/view/language.js")),
    file("/js/view/level.js", JAVASCRIPT, include_bytes!("../../web/js/view/level.js")),
    file("/js/view/lobby.js", JAVASCRIPT, include_bytes!("../../web/js/view/lobby.js")),
    file("/js/view/memory.js", JAVASCRIPT, include_bytes!("../../web/js/view/memory.js")),
    file("/js/view/meter.js", JAVASCRIPT, include_bytes!("../../web/js/view/meter.js")),
    file("/js/view/network.js", JAVASCRIPT, include_bytes!("../../web/js/view/network.js")),
    file("/js/view/notice.js", JAVASCRIPT, include_bytes!("../../web/js/view/notice.js")),
    file("/js/view/panel.js", JAVASCRIPT, include_bytes!("../../web/js/view/panel.js")),
    file("/js/view/parcel.js", JAVASCRIPT, include_bytes!("../../web/js/view/parcel.js")),
    file("/js/view/people.js", JAVASCRIPT, include_bytes!("../../web/js/view/people.js")),
    file("/js/view/plot.js", JAVASCRIPT, include_bytes!("../../web/js/view/plot.js")),
    file("/js/view/report.js", JAVASCRIPT, include_bytes!("../../web/js/view/report.js")),
    file("/js/view/self.js", JAVASCRIPT, include_bytes!("../../web/js/view/self.js")),
    file("/js/view/sound.js", JAVASCRIPT, include_bytes!("../../web/js/view/sound.js")),
    file("/js/view/stage.js", JAVASCRIPT, include_bytes!("../../web/js/view/stage.js")),
    file("/js/view/switches.js", JAVASCRIPT, include_bytes!("../../web/js/view/switches.js")),
    file("/js/view/tie.js", JAVASCRIPT, include_bytes!("../../web/js/view/tie.js")),
    file("/js/view/ties.js", JAVASCRIPT, include_bytes!("../../web/js/view/ties.js")),
    file("/js/view/tile.js", JAVASCRIPT, include_bytes!("../../web/js/view/tile.js")),
    file("/js/view/toasts.js", JAVASCRIPT, include_bytes!("../../web/js/view/toasts.js")),
    file("/js/wire/backoff.js", JAVASCRIPT, include_bytes!("../../web/js/wire/backoff.js")),
    file("/js/wire/bucket.js", JAVASCRIPT, include_bytes!("../../web/js/wire/bucket.js")),
    file("/js/wire/checkup.js", JAVASCRIPT, include_bytes!("../../web/js/wire/checkup.js")),
    file("/js/wire/clock.js", JAVASCRIPT, include_bytes!("../../web/js/wire/clock.js")),
    file("/js/wire/conversation.js", JAVASCRIPT, include_bytes!("../../web/js/wire/conversation.js")),
    file("/js/wire/door.js", JAVASCRIPT, include_bytes!("../../web/js/wire/door.js")),
    file("/js/wire/emitter.js", JAVASCRIPT, include_bytes!("../../web/js/wire/emitter.js")),
    file("/js/wire/failure.js", JAVASCRIPT, include_bytes!("../../web/js/wire/failure.js")),
    file("/js/wire/files.js", JAVASCRIPT, include_bytes!("../../web/js/wire/files.js")),
    file("/js/wire/i18n.js", JAVASCRIPT, include_bytes!("../../web/js/wire/i18n.js")),
    file("/js/wire/lines.js", JAVASCRIPT, include_bytes!("../../web/js/wire/lines.js")),
    file("/js/wire/link.js", JAVASCRIPT, include_bytes!("../../web/js/wire/link.js")),
    file("/js/wire/look.js", JAVASCRIPT, include_bytes!("../../web/js/wire/look.js")),
    file("/js/wire/loop.js", JAVASCRIPT, include_bytes!("../../web/js/wire/loop.js")),
    file("/js/wire/media.js", JAVASCRIPT, include_bytes!("../../web/js/wire/media.js")),
    file("/js/wire/name.js", JAVASCRIPT, include_bytes!("../../web/js/wire/name.js")),
    file("/js/wire/negotiation.js", JAVASCRIPT, include_bytes!("../../web/js/wire/negotiation.js")),
    file("/js/wire/peer.js", JAVASCRIPT, include_bytes!("../../web/js/wire/peer.js")),
    file("/js/wire/probe.js", JAVASCRIPT, include_bytes!("../../web/js/wire/probe.js")),
    file("/js/wire/protocol.js", JAVASCRIPT, include_bytes!("../../web/js/wire/protocol.js")),
    file("/js/wire/qr.js", JAVASCRIPT, include_bytes!("../../web/js/wire/qr.js")),
    file("/js/wire/quality.js", JAVASCRIPT, include_bytes!("../../web/js/wire/quality.js")),
    file("/js/wire/recovery.js", JAVASCRIPT, include_bytes!("../../web/js/wire/recovery.js")),
    file("/js/wire/room.js", JAVASCRIPT, include_bytes!("../../web/js/wire/room.js")),
    file("/js/wire/signaling.js", JAVASCRIPT, include_bytes!("../../web/js/wire/signaling.js")),
    file("/js/wire/stats.js", JAVASCRIPT, include_bytes!("../../web/js/wire/stats.js")),
];

const NOT_FOUND: &[u8] = include_bytes!("../../web/404.html");

/// The routes of all files.
pub(super) fn routes() -> Router<Arc<Site>> {
    FILES.iter().fold(Router::new(), |router, &File { path, kind, bytes }| {
        let served = Arc::new(Served::new(kind, bytes));
        router.route(path, get(async move |headers: HeaderMap| served.answer(&headers)))
    })
}

/// What is answered to who asks for anything else: a page to people, a problem to programs.
pub(super) async fn not_found(headers: HeaderMap) -> Response {
    let vary = [(VARY, "Accept")];
    let page = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if page {
        let headers = [(CONTENT_TYPE, HTML), (CACHE_CONTROL, "no-cache")];
        return (StatusCode::NOT_FOUND, vary, headers, NOT_FOUND).into_response();
    }
    (vary, Problem::of(StatusCode::NOT_FOUND)).into_response()
}

const fn file(path: &'static str, kind: &'static str, bytes: &'static [u8]) -> File {
    File { path, kind, bytes }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// For those who work on the pages, and not for those who see them.
    const NOT_SERVED: &[&str] = &["web/test", "web/jsconfig.json", "web/package.json"];

    /// Whoever adds a page must say under which path it is served.
    #[test]
    fn every_file_in_web_is_embedded() {
        let root = Path::new("web");
        let (mut folders, mut files) = (vec![root.to_owned()], BTreeSet::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if NOT_SERVED.iter().any(|name| path == Path::new(name)) {
                    continue;
                }
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
