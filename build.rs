//! Makes the table of the embedded files, with their paths and types: every file in `web/` that is served, and the documents
//! to which the start page links.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Files for developers of the pages; they are not served.
const NOT_SERVED: [&str; 3] = ["test", "jsconfig.json", "package.json"];

/// For developers of applications, at `/docs/`. As plain text, because browsers download Markdown instead of showing it.
const DOCUMENTS: [&str; 2] = ["http.md", "signaling.md"];

const MANIFEST: &str = "application/manifest+json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let web = root.join("web");
    let mut files = Vec::new();
    walk(&web, "", &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        for path in paths(file) {
            let (kind, source) = (content_type(file), web.join(file));
            writeln!(table, "    ({path:?}, {kind:?}, include_bytes!({source:?})),")
                .expect("a String takes all");
        }
    }
    for document in DOCUMENTS {
        let (path, source) = (format!("/docs/{document}"), root.join("docs").join(document));
        println!("cargo::rerun-if-changed={}", source.display());
        writeln!(table, "    ({path:?}, \"text/plain; charset=utf-8\", include_bytes!({source:?})),")
            .expect("a String takes all");
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("assets.rs"), table).expect("OUT_DIR can be written");
}

/// Collects the files below a folder of `web`, as paths with slashes.
fn walk(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
        let name = entry
            .file_name()
            .into_string()
            .unwrap_or_else(|name| panic!("web/{prefix}{name:?}: rename it in ASCII"));
        let path = format!("{prefix}{name}");
        // Editors, desktops and `patch` leave files with such names.
        let is_left_over = name.starts_with('.') || name.ends_with('~') || name.ends_with(".orig");
        if is_left_over || NOT_SERVED.contains(&path.as_str()) {
            continue;
        }
        if entry.path().is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else {
            files.push(path);
        }
    }
}

/// The paths of a file. A page has no suffix, and a room's page is that of every room.
fn paths(file: &str) -> Vec<String> {
    match file {
        // Answers every other path: see src/http/assets.rs.
        "404.html" => Vec::new(),
        // Is served to administrators alone, by the same file.
        "admin.html" => Vec::new(),
        "index.html" => vec!["/".to_owned()],
        "call.html" => vec!["/r/{room}".to_owned(), "/r/{room}/".to_owned()],
        _ => vec![format!("/{}", file.strip_suffix(".html").unwrap_or(file))],
    }
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => MANIFEST,
        _ => panic!("web/{file} has no known type: remove it, or name its extension and type in build.rs"),
    }
}
