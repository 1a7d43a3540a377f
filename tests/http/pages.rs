//! Pages are files of the binary, each under one path, with headers that keep others out.

use std::io::Read as _;

use flate2::read::GzDecoder;
use hairpin::daemon::Daemon;

use crate::support::daemon::start_with;
use crate::support::http::{Http, request};

pub(crate) fn start(ports: &str) -> Daemon {
    start_with(ports, |config| config.http.listen = vec!["127.0.0.1:0".parse().unwrap()])
}

#[test]
fn a_page_is_served_with_headers_that_allow_what_it_needs_and_nothing_else() {
    let daemon = start("17400-17409");
    let page = Http::of(&daemon).get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    for directive in
        ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for"]
    {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    assert!(page.header("permissions-policy").unwrap().contains("camera=(self)"));
    assert_eq!(page.header("strict-transport-security"), None, "it came without TLS");
    daemon.stop();
}

/// Elsewhere browsers ignore it, and complain to whoever looks at the console.
#[test]
fn pages_are_kept_from_those_that_open_them_where_nobody_can_have_replaced_them_on_the_way() {
    let policy = |daemon: &Daemon, host: &str, more: &str| {
        let mut http = Http::of(daemon);
        http.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"));
        let answer = http.answer();
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        answer.header("cross-origin-opener-policy").map(str::to_owned)
    };
    let same = Some("same-origin".to_owned());
    let daemon = start("19140-19149");
    for host in ["localhost:8080", "call.localhost", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
        assert_eq!(policy(&daemon, host, ""), same, "{host}");
    }
    for host in ["192.0.2.1:8080", "[2001:db8::1]", "nas.local:8080", "notlocalhost", "localhost.example", ""]
    {
        assert_eq!(policy(&daemon, host, ""), None, "{host}");
        assert_eq!(policy(&daemon, host, "X-Forwarded-Proto: https\r\n"), same, "behind a proxy: {host}");
    }
    daemon.stop();

    let daemon = start_with("19150-19159", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.public_url = Some(hairpin::origin::PublicUrl::parse("https://call.example").unwrap());
    });
    assert_eq!(policy(&daemon, "call.example", ""), same, "a proxy may say nothing of itself");
    daemon.stop();
}

#[test]
fn behind_a_public_https_url_browsers_are_told_to_stay_with_tls() {
    let daemon = start_with("17410-17419", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.public_url = Some(hairpin::origin::PublicUrl::parse("https://call.example").unwrap());
    });
    let page = Http::of(&daemon).get("/");
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    assert!(
        page.header("content-security-policy").unwrap().contains("connect-src 'self' wss://call.example;")
    );
    daemon.stop();
}

#[test]
fn a_site_under_a_path_is_the_same_whether_the_proxy_takes_the_path_away_or_not() {
    let daemon = start_with("19070-19079", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.public_url = Some(hairpin::origin::PublicUrl::parse("https://example.org/call").unwrap());
    });
    let mut http = Http::of(&daemon);
    for (page, inside) in [
        ("/call/", "/"),
        ("/call", "/"),
        ("/call?a=b", "/"),
        ("/call/r/garden", "/r/garden"),
        ("/call/check", "/check"),
    ] {
        let (kept, stripped) = (http.get(page), http.get(inside));
        assert_eq!((kept.status, &kept.body), (200, &stripped.body), "{page}");
        let all: Vec<&str> = references(&kept.body).collect();
        assert!(!all.is_empty() && all.iter().all(|path| path.starts_with("/call/")), "{all:?}");
        for path in all.iter().filter(|path| path.contains("/~")) {
            let path = path.split('#').next().unwrap();
            let mut head = |path: &str| http.ask("HEAD", path, &[], "");
            let (kept, stripped) = (head(path), head(path.strip_prefix("/call").unwrap()));
            assert_eq!((kept.status, stripped.status), (200, 200), "{path}");
            assert_eq!(kept.header("content-length"), stripped.header("content-length"), "{path}");
            assert_eq!(kept.header("cache-control"), Some("public, max-age=31536000, immutable"));
        }
        // The host has other sites, too, for which this header would count.
        assert_eq!(kept.header("strict-transport-security"), None);
    }
    let lost = http.ask("GET", "/call/nowhere", &[("Accept", "text/html")], "");
    assert_eq!(lost.status, 404);
    assert!(lost.body.contains("href=\"/call/\""), "{}", lost.body);
    for door in ["/call/api/v1/door", "/api/v1/door"] {
        let told = http.ask("POST", door, &[("Origin", "https://example.org")], "").json();
        assert_eq!((&told["allowed"], &told["expected"]), (&true.into(), &"https://example.org".into()));
    }
    assert_eq!(http.get("/caller/").status, 404);
    daemon.stop();
}

#[test]
fn only_the_sites_that_the_operator_names_may_show_a_page_in_a_frame() {
    let daemon = start_with("19080-19089", |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.frame_ancestors = ["https://app.example.org", "http://localhost:8000"]
            .map(|site| hairpin::origin::Origin::parse(site).unwrap())
            .into();
    });
    let page = Http::of(&daemon).get("/r/garden");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors https://app.example.org http://localhost:8000;"), "{policy}");
    assert!(
        page.body
            .contains(r#"<meta name="embedders" content="https://app.example.org http://localhost:8000">"#)
    );
    daemon.stop();
    let daemon = start("19090-19099");
    let page = Http::of(&daemon).get("/r/garden");
    daemon.stop();
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none';"));
    assert!(page.body.contains(r#"<meta name="embedders" content="">"#));
}

#[test]
fn a_browser_that_has_a_page_already_is_not_sent_it_again() {
    let daemon = start("17420-17429");
    let mut http = Http::of(&daemon);
    let first = http.get("/");
    let tag = first.header("etag").unwrap();
    let strong = tag.strip_prefix("W/").expect("the same for a compressed page");
    for tags in [tag.to_owned(), strong.to_owned(), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = http.ask("GET", "/", &[("If-None-Match", &tags)], "");
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)), "{tags}");
    }
    for tags in ["", "\"other\"", strong.trim_matches('"')] {
        assert_eq!(http.ask("GET", "/", &[("If-None-Match", tags)], "").body, first.body, "{tags}");
    }
    let head = http.ask("HEAD", "/", &[], "");
    daemon.stop();
    assert_eq!((head.status, head.header("etag")), (200, Some(tag)));
}

#[test]
fn whatever_a_page_refers_to_is_kept_for_ever_and_a_page_is_asked_for_each_time() {
    let daemon = start("19000-19009");
    let mut http = Http::of(&daemon);
    for page in ["/", "/check", "/r/garden"] {
        let page = http.get(page);
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let files = references(&page.body).filter(|path| path.starts_with("/~"));
        let files: Vec<&str> = files.map(|path| path.split('#').next().unwrap()).collect();
        assert!(files.len() > 10, "{files:?}");
        for path in files {
            let file = http.ask("HEAD", path, &[], "");
            assert_eq!(file.status, 200, "{path}");
            assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"), "{path}");
            // Scripts and styles obey no policy of their own, and there are many of them.
            let is_document = !path.ends_with(".js") && !path.ends_with(".css");
            assert_eq!(file.header("content-security-policy").is_some(), is_document, "{path}");
            assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(file.header("cross-origin-resource-policy").is_some(), is_document, "{path}");
        }
    }
    daemon.stop();
}

#[test]
fn scripts_and_styles_are_sent_without_the_lines_that_are_only_comments() {
    let daemon = start("19110-19119");
    let mut http = Http::of(&daemon);
    for (path, source, comment) in [
        ("/js/wire/link.js", include_str!("../../web/js/wire/link.js"), "// @ts-check"),
        ("/css/base.css", include_str!("../../web/css/base.css"), "/* What all pages share"),
    ] {
        let sent = http.get(path).body;
        assert!(source.contains(comment) && !sent.contains(comment), "{path}");
        assert_eq!(sent.lines().count(), source.lines().count(), "{path}");
        for (sent, written) in sent.lines().zip(source.lines()) {
            assert!(sent == written || sent.is_empty(), "{path}: {written}");
        }
    }
    daemon.stop();
}

#[test]
fn a_page_can_be_installed_and_has_icons_for_it() {
    let daemon = start("19100-19109");
    let mut http = Http::of(&daemon);
    let pages = ["/", "/check", "/r/garden"].map(|page| http.get(page).body);
    for page in &pages {
        assert!(page.contains(r#"<link rel="manifest" href="/manifest.webmanifest">"#));
        let icon = references(page).find(|path| path.ends_with("/icon-180.png")).unwrap();
        http.send(request("HEAD", icon, &[("Accept-Encoding", "gzip")], ""));
        let head = http.head().unwrap();
        assert_eq!((head.header("content-type"), head.header("content-encoding")), (Some("image/png"), None));
    }
    let manifest = http.get("/manifest.webmanifest");
    assert_eq!(
        (manifest.header("content-type"), manifest.header("cache-control")),
        (Some("application/manifest+json"), Some("no-cache"))
    );
    for icon in manifest.json()["icons"].as_array().unwrap() {
        let path = format!("/{}", icon["src"].as_str().unwrap());
        let head = http.ask("HEAD", &path, &[], "");
        assert_eq!((head.status, head.header("content-type")), (200, icon["type"].as_str()), "{path}");
    }
    daemon.stop();
}

#[test]
fn a_file_of_another_version_is_the_current_one_which_is_asked_for_each_time() {
    let daemon = start("19010-19019");
    let mut http = Http::of(&daemon);
    let plain = http.get("/js/call.js");
    for path in ["/~older/js/call.js", "/~/js/call.js", "/js/call.js"] {
        let answer = http.get(path);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")), "{path}");
        assert_eq!((&answer.body, answer.header("etag")), (&plain.body, plain.header("etag")), "{path}");
    }
    let page = http.get("/").body;
    let version = references(&page).find_map(|path| path.strip_suffix("/js/start.js")).unwrap();
    for nothing in ["/js/none.js", "/check", "/r/garden", "/docs/http.md", "/../js/call.js", "//js/call.js"] {
        assert_eq!(http.get(&format!("{version}{nothing}")).status, 404, "{nothing}");
    }
    daemon.stop();
}

/// What begins with a slash in the attributes of a page.
fn references(page: &str) -> impl Iterator<Item = &str> {
    page.split("=\"").skip(1).filter_map(|rest| rest.split('"').next()).filter(|value| value.starts_with('/'))
}

#[test]
fn a_page_is_compressed_for_whoever_can_read_that() {
    let daemon = start("18440-18449");
    let mut http = Http::of(&daemon);
    let plain = http.get("/");
    for (accepted, encoding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br, zstd", Some("gzip")),
        ("br, GZIP;q=0.001", Some("gzip")),
        ("*", Some("gzip")),
        ("*;q=0, gzip", Some("gzip")),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip; q=0.000, *", None),
        ("*;q=0", None),
        ("x-gzip-not", None),
    ] {
        let answer = http.ask("HEAD", "/", &[("Accept-Encoding", accepted)], "");
        assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{accepted:?}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert_eq!(answer.header("content-type"), plain.header("content-type"));
        assert_eq!(answer.header("etag"), plain.header("etag"));
    }
    http.send(request("GET", "/", &[("Accept-Encoding", "gzip")], ""));
    let length = http.head().unwrap().header("content-length").unwrap().parse().unwrap();
    let compressed = http.bytes(length).unwrap();
    daemon.stop();
    assert!(length < plain.body.len() / 2);
    let mut body = String::new();
    GzDecoder::new(&compressed[..]).read_to_string(&mut body).unwrap();
    assert_eq!(body, plain.body);
}

/// W1
#[test]
fn nothing_but_an_exact_path_is_a_file() {
    let daemon = start("17430-17439");
    for path in [
        "/../etc/passwd",
        "/css/../../etc/passwd",
        "/%2e%2e%2fetc/passwd",
        "/css/%2e%2e/index.html",
        "/..%5cetc%5cpasswd",
        "//",
        "//etc/passwd",
        "/css/",
        "/css//base.css",
        "/css/base.css/",
        "/css/base.css%00.html",
        "/index.html",
        "/%00",
        "/%c0%ae%c0%ae/etc/passwd",
        "/%ff",
        "/CSS/base.css",
        "/.git/config",
        "/a b",
        "/~v/../index.html",
        "/~v/%2e%2e/%2e%2e/etc/passwd",
        "/~v//etc/passwd",
        "/~v",
        "/~v/",
        "/\u{1}",
    ] {
        let mut http = Http::of(&daemon);
        let answer = http.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.body.contains("root:"), "{path}");
    }
    for target in
        ["http://turn.example/", "http://169.254.169.254/", "*", "turn.example:443", "index.html", ""]
    {
        let mut http = Http::of(&daemon);
        http.send(format!("GET {target} HTTP/1.1\r\nHost: turn.example\r\n\r\n"));
        assert!(matches!(http.answer().status, 400 | 404), "{target}");
    }
    daemon.stop();
}

#[test]
fn a_room_has_one_page_whether_its_link_ends_in_a_slash_or_not() {
    let daemon = start("18430-18439");
    let mut http = Http::of(&daemon);
    let page = http.get("/r/garden");
    assert_eq!(page.status, 200);
    assert_eq!(http.get("/r/garden/").body, page.body);
    assert_eq!(http.get("/r/garden/shed").status, 404);
    daemon.stop();
}

#[test]
fn people_get_a_page_and_programs_a_problem_when_there_is_nothing() {
    let daemon = start("17440-17449");
    let mut http = Http::of(&daemon);
    let page = http.ask("GET", "/nowhere", &[("Accept", "text/html,*/*;q=0.8")], "");
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    let problem = http.get("/nowhere");
    assert_eq!((problem.status, problem.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(problem.json()["status"], 404);
    // Else a cache would give people what it has kept for programs.
    assert_eq!([page.header("vary"), problem.header("vary")], [Some("Accept"); 2]);
    let method = http.ask("DELETE", "/", &[], "");
    assert_eq!((method.status, method.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(method.header("content-type"), Some("application/problem+json"));
    daemon.stop();
}

#[test]
fn every_document_to_which_a_page_links_is_served_as_text() {
    let daemon = start("17480-17489");
    let mut http = Http::of(&daemon);
    let page = http.get("/").body;
    let links: Vec<&str> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let documents: Vec<&str> = links.into_iter().filter(|link| link.ends_with(".md")).collect();
    assert_eq!(documents, ["/docs/http.md", "/docs/signaling.md"]);
    for document in documents {
        let answer = http.get(document);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        assert!(answer.body.starts_with("# "), "{document}");
    }
    daemon.stop();
}
