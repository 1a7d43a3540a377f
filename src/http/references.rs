//! PURE  Lets a page refer to files by their version, so that a browser never asks twice for the same file.

/// `html` for a site under the path `base`, such as `/`, whose files have this version. Every attribute that begins with a
/// slash is a reference: to a file, which `is_file` knows by its path, or to a page. A page has no version, because people
/// keep its address.
pub(super) fn versioned(html: &str, base: &str, version: &str, is_file: impl Fn(&str) -> bool) -> String {
    let mut pieces = html.split("=\"/");
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        result.push_str("=\"");
        if piece.starts_with('/') {
            // A host follows, not a path.
            result.push('/');
        } else {
            result.push_str(base);
            let end = piece.find(['"', '#', '?']).unwrap_or(piece.len());
            if is_file(&format!("/{}", &piece[..end])) {
                result.extend(["~", version, "/"]);
            }
        }
        result.push_str(piece);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str, html: &str) -> String {
        versioned(html, base, "v1", |path| ["/js/call.js", "/icons.svg"].contains(&path))
    }

    #[test]
    fn files_get_their_version_and_pages_only_the_base() {
        for (html, root, below) in [
            (
                r#"<script src="/js/call.js">"#,
                r#"<script src="/~v1/js/call.js">"#,
                r#"<script src="/call/~v1/js/call.js">"#,
            ),
            (
                r#"<use href="/icons.svg#x"/>"#,
                r#"<use href="/~v1/icons.svg#x"/>"#,
                r#"<use href="/call/~v1/icons.svg#x"/>"#,
            ),
            (r#"<a href="/check">"#, r#"<a href="/check">"#, r#"<a href="/call/check">"#),
            (r#"<a href="/">"#, r#"<a href="/">"#, r#"<a href="/call/">"#),
            (
                r#"<a href="/js/call.json">"#,
                r#"<a href="/js/call.json">"#,
                r#"<a href="/call/js/call.json">"#,
            ),
        ] {
            assert_eq!((at("/", html), at("/call/", html)), (root.to_owned(), below.to_owned()));
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for html in [
            "",
            "=\"",
            r#"<a href="https://h/js/call.js">/js/call.js</a>"#,
            r#"<a href="//h/check">"#,
            r##"<a href="#top">"##,
        ] {
            assert_eq!(at("/call/", html), html);
        }
    }
}
