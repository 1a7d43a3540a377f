//! Whose pages are let in is what the configuration says, however its author writes it, and nothing in it is in vain.

use std::path::Path;

use hairpin::clock::{Expiry, Unix};
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::host::HostName;
use hairpin::room_token::RoomTokens;
use hairpin::sections::http::Http as Settings;
use serde_json::json;

use crate::backend::{SECRET, key, start_changed};
use crate::support::http::Http;
use crate::support::websocket::{WebSocket, headers, own_origin};

const PATH: &str = "/api/v1/ice-servers";

/// `[http]` with these lines.
fn http(lines: &str) -> Result<Settings, String> {
    let config = Config::parse(&format!("[http]\n{lines}"), Path::new("config.toml"));
    config.map(|config| config.http).map_err(|error| error.to_string())
}

fn start(ports: &str, allowed: &str, of_key: &str) -> Daemon {
    let hash = "0".repeat(64);
    let keys = format!("[[http.keys]]\nid = \"page\"\nhash = \"sha256:{hash}\"\norigins = [{of_key}]");
    let written = http(&format!("allowed_origins = [{allowed}]\n{keys}")).unwrap();
    start_changed(ports, |config| {
        config.http.allowed_origins = written.allowed_origins.clone();
        let origins = written.keys[0].origins.clone();
        config.http.keys = vec![hairpin::sections::http::ApiKey { origins, ..key("page", "of the page") }];
    })
}

/// What a page of `origin` meets at the WebSocket, with the key, and which origin may read that.
fn meets(daemon: &Daemon, origin: &str) -> (u16, u16, Option<String>) {
    let socket = WebSocket::try_open(Http::of(daemon), &headers(origin));
    let headers = [("Origin", origin), ("Authorization", "Bearer of the page")];
    let answer = Http::of(daemon).ask("POST", PATH, &headers, "");
    let preflight = Http::of(daemon).ask("OPTIONS", PATH, &headers[..1], "").status;
    let readable = answer.header("access-control-allow-origin").map(str::to_owned);
    assert_eq!(preflight == 204, readable.is_some(), "{origin}");
    (socket.err().map_or(101, |refused| refused.status), answer.status, readable)
}

#[test]
fn the_page_in_an_app_may_be_allowed_whatever_its_shell_calls_it() {
    let shells = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "http://tauri.localhost",
        "https://tauri.localhost",
        "https://localhost",
        "http://localhost",
        "app://localhost:3000",
        "app://.",
        "file://",
        "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "safari-web-extension://E5B3C6F2-0D1B-4D8C-9F6A-3B2A1C0D9E8F",
    ];
    let list = shells.map(|shell| format!("{shell:?}")).join(", ");
    let daemon = start("18500-18509", &list, "");
    for shell in shells {
        assert_eq!(meets(&daemon, shell), (101, 201, Some(shell.to_owned())), "{shell}");
    }
    for stranger in
        ["capacitor://localhost:1", "capacitor://evil", "evil://localhost", "http://localhost:1", "null"]
    {
        assert_eq!(meets(&daemon, stranger), (403, 403, None), "{stranger}");
    }
    daemon.stop();
}

#[test]
fn a_wildcard_is_every_name_below_a_domain_and_nothing_beside_it() {
    let wildcards = r#""https://*.Example.org", "https://*.example.net:8443", "http://*.통화.example""#;
    let inside = [
        "https://app.example.org",
        "https://a.b.example.org",
        "https://xn--hz7bo8f.example.org",
        "https://app.example.net:8443",
        "http://app.xn--hz7bo8f.example",
    ];
    let outside = [
        "https://example.org",
        "https://.example.org",
        "https://a..example.org",
        "https://evil-example.org",
        "https://app.example.org.evil.example",
        "https://app.example.org:8443",
        "http://app.example.org",
        "https://app.example.net",
        "https://app.example.net:84430",
        "https://evil.example/.example.org",
        "https://evil.example?.example.org",
        "https://evil.example#.example.org",
        "https://evil.example@app.example.org",
        "https://evil.example:80.example.org",
        "https://*.example.org",
        "https://evil example.example.org",
        "https://[::1].example.org",
    ];
    let daemon = start("18510-18519", wildcards, "");
    for origin in inside {
        assert_eq!(meets(&daemon, origin), (101, 201, Some(origin.to_owned())), "{origin}");
    }
    for origin in outside {
        assert_eq!(meets(&daemon, origin), (403, 403, None), "{origin}");
    }
    daemon.stop();
    // The origins of a key are the same, but for the WebSocket.
    let daemon = start("18510-18519", "", wildcards);
    for origin in inside {
        assert_eq!(meets(&daemon, origin), (403, 201, Some(origin.to_owned())), "{origin}");
    }
    for origin in outside {
        assert_eq!(meets(&daemon, origin), (403, 403, None), "{origin}");
    }
    daemon.stop();
}

/// Any site can make a page whose origin is `null`: a frame with `sandbox`.
#[test]
fn a_page_of_no_site_comes_in_where_it_is_allowed_and_only_with_a_token() {
    let daemon = start("18520-18529", "\"null\"", "");
    assert_eq!(meets(&daemon, "null"), (101, 201, Some("null".to_owned())));
    let open = || WebSocket::try_open(Http::of(&daemon), &headers("null")).ok().unwrap();
    let mut socket = open();
    socket.say(&json!({"t": "hello", "v": [1]}));
    assert_eq!(socket.end(), (Some(4401), Some("unauthorized".to_owned())));
    let token = RoomTokens::new(&[hairpin::secret::Secret::new(SECRET)])
        .issue(None, Expiry::at(Unix::from_secs(u64::MAX / 2)));
    assert_eq!(open().ask(json!({"t": "hello", "v": [1], "token": token}))["t"], "welcome");
    for (path, status) in [(PATH, 401), ("/api/v1/check-ice", 403), ("/api/v1/room-tokens", 401)] {
        assert_eq!(Http::of(&daemon).ask("POST", path, &[("Origin", "null")], "").status, status, "{path}");
    }
    daemon.stop();
    let daemon = start("18520-18529", "", "\"null\"");
    assert_eq!(meets(&daemon, "null"), (403, 201, Some("null".to_owned())));
    daemon.stop();
}

#[test]
fn what_browsers_write_otherwise_is_the_same_site() {
    for (written, sent) in [
        ("https://App.Example.org", "https://app.example.org"),
        ("HTTPS://app.example.org:443/", "https://app.example.org"),
        ("http://app.example.org:80", "http://app.example.org"),
        ("https://app.example.org.", "https://app.example.org"),
        ("https://app.example.org", "https://app.example.org."),
        ("https://app.example.org.:8443", "https://app.example.org:8443"),
        ("https://통화.example", "https://xn--hz7bo8f.example"),
        ("https://[0:0::1]:8443", "https://[::1]:8443"),
        ("Capacitor://localhost/", "capacitor://localhost"),
        ("app://My-App", "app://my-app"),
        ("app://my-app", "app://My-App"),
    ] {
        let daemon = start("18530-18539", &format!("{written:?}"), "");
        assert_eq!(meets(&daemon, sent), (101, 201, Some(sent.to_owned())), "{written}");
        daemon.stop();
    }
}

#[test]
fn the_public_url_may_be_written_with_a_dot_and_be_opened_with_one() {
    for public in ["https://Call.example.org.", "https://call.example.org:443"] {
        let daemon = start_changed("18540-18549", |config| {
            config.http.public_url = http(&format!("public_url = {public:?}")).unwrap().public_url;
        });
        let policy = Http::of(&daemon).get("/");
        let policy = policy.header("content-security-policy").unwrap();
        assert!(policy.contains("connect-src 'self' wss://call.example.org;"), "{policy}");
        for page in ["https://call.example.org", "https://call.example.org."] {
            let check = Http::of(&daemon).ask("POST", "/api/v1/check-ice", &[("Origin", page)], "");
            assert_eq!((check.status, meets(&daemon, page).0), (201, 101), "{page}");
        }
        assert_eq!(meets(&daemon, &own_origin(&daemon)).0, 101, "and straight to the plain port");
        daemon.stop();
    }
}

/// What cannot be meant, and what the error says.
const NOWHERE: &[(&str, &str)] = &[
    ("*", "name each site"),
    ("", "https://app.example.org"),
    ("app.example.org", "https://app.example.org"),
    ("localhost:8080", "http://localhost:8080"),
    ("192.0.2.1:8080", "http://192.0.2.1:8080"),
    ("//app.example.org", "https://app.example.org"),
    ("https://app.example.org/page", "write \"https://app.example.org\""),
    ("https://app.example.org/?a", "write \"https://app.example.org\""),
    ("https://app.example.org#a", "write \"https://app.example.org\""),
    ("https://me@app.example.org", "write \"https://app.example.org\""),
    ("capacitor://localhost/index.html", "write \"capacitor://localhost\""),
    ("wss://app.example.org", "write \"https://app.example.org\""),
    ("ws://app.example.org", "write \"http://app.example.org\""),
    ("https://*", "two labels"),
    ("https://*.org", "two labels"),
    ("https://*.", "two labels"),
    ("https://*.localhost", "two labels"),
    ("https://*.0.2.1", "https://*.example.org"),
    ("https://app*.example.org", "https://*.example.org"),
    ("https://app.*.org", "https://*.example.org"),
    ("https://*.*.example.org", "https://*.example.org"),
    ("*://app.example.org", "https://app.example.org"),
    ("https://app.example.org:*", "cannot stand for a port"),
    ("app://*.local", "only with https and http"),
    ("app://*", "only with https and http"),
    ("chrome-extension://*", "only with https and http"),
    ("https://app..example.org", "is not a possible host"),
    ("https://.example.org", "is not a possible host"),
    ("https://app.example.org:0", "port 0"),
    ("https://app.example.org:6667", "browsers refuse port 6667"),
    ("https://app.example.org:99999", "https://app.example.org"),
    ("http://0.0.0.0:8080", "address to listen on"),
    ("http://[::]:8080", "address to listen on"),
    ("https://app example.org", "one string for each"),
    ("app://", "capacitor://localhost"),
    ("app://a b", "one string for each"),
    ("app://통화", "capacitor://localhost"),
    ("data:text/html", "null"),
    ("blob:https://app.example.org/1", "https://app.example.org"),
    ("about:blank", "null"),
    ("ftp://app.example.org", "https://app.example.org"),
    ("NULL", "null"),
    ("https://app.example.org, https://b.example.org", "one string for each"),
    ("https://app.example.org https://b.example.org", "one string for each"),
];

/// A value that looks right and lets nobody in costs its author an evening.
#[test]
fn what_no_browser_can_send_is_refused_with_what_to_write() {
    for (origin, says) in NOWHERE {
        for (line, name) in [
            (format!("allowed_origins = [{origin:?}]"), "config.toml:2: http.allowed_origins: "),
            (
                format!("[[http.keys]]\nid = \"a\"\norigins = [{origin:?}]\nhash = \"sha256:{:064}\"", 0),
                "config.toml:4: http.keys.origins: ",
            ),
        ] {
            let error = http(&line).expect_err(origin);
            assert!(error.starts_with(name) && error.contains(says), "{origin}: {error}");
        }
    }
}

#[test]
fn a_public_url_that_no_page_can_have_is_refused_with_what_to_write() {
    for (url, says) in [
        ("https://*.example.org", "call.example.org"),
        ("null", "https://call.example.org"),
        ("capacitor://localhost", "https://call.example.org"),
        ("wss://call.example.org", "write \"https://call.example.org\""),
        ("https://call.example.org/r/room", "write \"https://call.example.org\""),
        ("https://0.0.0.0", "address to listen on"),
        ("https://call..example.org", "is not a possible host"),
        ("https://call.example.org:6000", "browsers refuse port 6000"),
    ] {
        let error = http(&format!("public_url = {url:?}")).expect_err(url);
        assert!(
            error.starts_with("config.toml:2: http.public_url: ") && error.contains(says),
            "{url}: {error}"
        );
    }
}

#[test]
fn a_host_may_be_written_in_any_way_that_clients_can_use() {
    for (written, used) in [
        ("Turn.Example.org", "turn.example.org"),
        ("turn.example.org.", "turn.example.org"),
        ("통화.example", "xn--hz7bo8f.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("turn_1.example.org", "turn_1.example.org"),
    ] {
        assert_eq!(
            http(&format!("ice_host = {written:?}")).unwrap().ice_host.as_ref().map(HostName::as_str),
            Some(used),
            "{written}"
        );
        let tls = format!("[tls]\ncertificate = \"a\"\nkey = \"b\"\nnames = [{written:?}]");
        assert_eq!(Config::parse(&tls, Path::new("config.toml")).unwrap().tls.names(), [used], "{written}");
    }
    for (written, says) in [
        ("", "turn.example.org"),
        ("turn.example.org:3478", "write \"turn.example.org\""),
        ("192.0.2.1:3478", "write \"192.0.2.1\""),
        ("[2001:db8::1]:3478", "write \"2001:db8::1\""),
        ("https://turn.example.org", "write \"turn.example.org\""),
        ("turn:turn.example.org", "turn.example.org"),
        ("turn.example.org/turn", "write \"turn.example.org\""),
        ("*.example.org", "is not a host name"),
        ("turn..example.org", "is not a host name"),
        (".", "is not a host name"),
        ("turn example.org", "is not a host name"),
        ("192.0.2.1.", "is not a host name"),
        ("192.0.2", "is not a host name"),
        ("0x7f.1", "is not a host name"),
        ("0.0.0.0", "address to listen on"),
        ("::", "address to listen on"),
        (&"a".repeat(64), "is not a host name"),
        (&"a.".repeat(128), "is not a host name"),
    ] {
        let error = http(&format!("ice_host = {written:?}")).expect_err(written);
        assert!(
            error.starts_with("config.toml:2: http.ice_host: ") && error.contains(says),
            "{written}: {error}"
        );
        let tls = format!("[tls]\ncertificate = \"a\"\nkey = \"b\"\nnames = [{written:?}]");
        let error = Config::parse(&tls, Path::new("config.toml")).expect_err(written).to_string();
        assert!(
            error.starts_with("config.toml:4: tls.names: ") && error.contains(says),
            "{written}: {error}"
        );
    }
}

/// Addresses are compared as IPv4 wherever they are; a range of the others would never be met.
#[test]
fn a_range_of_ipv4_addresses_in_ipv6_is_refused_with_what_to_write() {
    for (table, key) in [("http", "proxies"), ("listen", "proxies"), ("peers", "allow"), ("peers", "deny")] {
        for (range, says) in
            [("::ffff:10.0.0.0/104", "write \"10.0.0.0/8\""), ("::ffff:192.0.2.1", "write \"192.0.2.1/32\"")]
        {
            let text = format!("[{table}]\n{key} = [{range:?}]");
            let error = Config::parse(&text, Path::new("config.toml")).expect_err(&text).to_string();
            assert!(error.starts_with(&format!("config.toml:2: {table}.{key}: ")), "{error}");
            assert!(error.contains(says), "{error}");
        }
    }
}
