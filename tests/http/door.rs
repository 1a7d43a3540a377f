//! A page that is not let in can learn why, and so can the operator.

use hairpin::daemon::Daemon;
use hairpin::origin::PublicUrl;
use hairpin::origin::host::HostName;
use hairpin::room_token::Create;
use hairpin::sections::number::Count;
use serde_json::{Value, json};

use crate::backend::start_changed;
use crate::support::certificate::Folder;
use crate::support::daemon::config_text;
use crate::support::http::Http;
use crate::support::process::Process;
use crate::support::websocket::{WebSocket, headers as socket_headers, own_origin};

const DOOR: &str = "/api/v1/door";

fn door(daemon: &Daemon, headers: &[(&str, &str)]) -> Value {
    let answer = Http::of(daemon).ask("POST", DOOR, headers, "");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
    answer.json()
}

#[test]
fn a_page_is_told_whether_its_origin_is_the_one_that_is_expected() {
    let public = "https://call.example";
    let daemon = start_changed("18600-18609", |config| {
        config.http.public_url = Some(PublicUrl::parse(public).unwrap());
    });
    for (origin, allowed) in [
        (public, true),
        ("https://friend.example", true),
        ("http://192.168.1.5:8080", false),
        ("https://app.example", false),
        ("null", false),
    ] {
        // Whoever comes through a proxy is no less told.
        for headers in [&[("Origin", origin)][..], &[("Origin", origin), ("X-Forwarded-For", "198.51.100.7")]]
        {
            assert_eq!(
                door(&daemon, headers),
                json!({
                    "origin": origin,
                    "expected": public,
                    "allowed": allowed,
                    "needs_token": false,
                    "sockets": "ok",
                    "create": "anyone",
                    "tls": false,
                })
            );
            let opens = WebSocket::try_open(Http::of(&daemon), &socket_headers(origin)).is_ok();
            assert_eq!(opens, allowed, "{origin}: it is as the door says");
        }
    }
    let own = own_origin(&daemon);
    assert_eq!(door(&daemon, &[("Origin", &own)])["allowed"], true);
    assert_eq!(door(&daemon, &[("Origin", &own), ("X-Forwarded-For", "198.51.100.7")])["allowed"], false);
    let nobody = door(&daemon, &[]);
    assert_eq!(
        [&nobody["origin"], &nobody["allowed"], &nobody["needs_token"]],
        [&Value::Null, &json!(true), &json!(true)]
    );
    let two = door(&daemon, &[("Origin", public), ("Origin", "https://evil.example")]);
    assert_eq!([&two["origin"], &two["allowed"]], [&Value::Null, &json!(false)]);
    daemon.stop();
}

#[test]
fn a_page_is_told_who_may_start_a_call_and_whether_tls_is_there() {
    let folder = Folder::new("18610");
    folder.pair("turn", "turn.example");
    let daemon = start_changed("18610-18619", |config| {
        folder.configure(config, &["turn"]);
        config.rooms.create = Create::Token;
        config.http.ice_host = Some(HostName::parse("turn.example").unwrap());
    });
    let own = own_origin(&daemon);
    let told = door(&daemon, &[("Origin", &own)]);
    assert_eq!(
        [&told["create"], &told["tls"], &told["expected"]],
        [&json!("token"), &json!(true), &Value::Null]
    );
    daemon.stop();
}

#[test]
fn whoever_finds_no_place_is_told_which_kind_and_when_to_come_again() {
    let daemon = start_changed("18620-18629", |config| {
        config.rooms.sockets_per_ip = Count::of::<2>();
        config.rooms.members = Count::of::<3>();
    });
    let own = own_origin(&daemon);
    let ask = |ip: &str| {
        let headers = [("Origin", "https://friend.example"), ("X-Forwarded-For", ip)];
        door(&daemon, &headers)["sockets"].as_str().unwrap().to_owned()
    };
    let open = |ip: &str| {
        let mut headers = socket_headers("https://friend.example");
        headers.push(("X-Forwarded-For", ip));
        WebSocket::try_open(Http::of(&daemon), &headers)
    };
    let refused = |ip: &str| {
        let answer = open(ip).err().unwrap();
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        (answer.status, code, answer.header("retry-after").map(str::to_owned))
    };
    let later = Some("5".to_owned());
    let mut held: Vec<_> = (0..2).map(|_| open("198.51.100.1").ok().unwrap()).collect();
    assert_eq!([ask("198.51.100.1"), ask("198.51.100.2")], ["too_many", "ok"]);
    assert_eq!(refused("198.51.100.1"), (429, "too_many".to_owned(), later.clone()));
    held.push(open("198.51.100.2").ok().unwrap());
    assert_eq!([ask("198.51.100.1"), ask("198.51.100.2")], ["too_many", "full"]);
    assert_eq!(refused("198.51.100.3"), (503, "full".to_owned(), later.clone()));
    let stranger =
        WebSocket::try_open(Http::of(&daemon), &socket_headers("https://evil.example")).err().unwrap();
    assert_eq!((stranger.status, &stranger.json()["code"]), (403, &json!("origin_forbidden")));
    daemon.hub().drain();
    assert_eq!(ask("198.51.100.1"), "draining");
    assert_eq!(refused("198.51.100.1"), (503, "draining".to_owned(), later));
    assert_eq!(door(&daemon, &[("Origin", &own)])["sockets"], "draining");
    drop(held);
    daemon.stop();
}

/// A class behind one address opens its pages at once; whoever asks without end is told to wait, and nobody else is.
#[test]
fn one_address_may_ask_for_a_whole_class_and_not_without_end() {
    let daemon = start_changed("18630-18639", |_| {});
    let mut http = Http::of(&daemon);
    let mut ask = |ip: &str| http.ask("POST", DOOR, &[("X-Forwarded-For", ip)], "");
    assert!((0..100).all(|_| ask("198.51.100.1").status == 200));
    let refused = (0..10_000).map(|_| ask("198.51.100.1")).find(|answer| answer.status != 200).unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(ask("198.51.100.2").status, 200);
    daemon.stop();
}

/// At info, with both origins, and what to write; however often it happens, and whatever strangers call themselves.
#[test]
fn the_log_says_once_a_minute_whose_page_was_refused_and_what_to_write() {
    let folder = Folder::new("18640");
    folder.pair("turn", "turn.example");
    let config = folder.configure_text(&config_text("18640-18649", &["127.0.0.1:0"]), "turn");
    let config = config.replace("[http]\n", "[http]\npublic_url = \"https://call.example\"\n");
    let config = config + "[rooms]\nsockets_per_ip = 1\n";
    let process = Process::start("door.toml", &config);
    let asked = |origin: &str| {
        let refused = WebSocket::try_open(Http::secure(process.tls[0], &[]), &socket_headers(origin));
        let check =
            Http::secure(process.tls[0], &[]).ask("POST", "/api/v1/check-ice", &[("Origin", origin)], "");
        (refused.err().unwrap().status, check.status)
    };
    assert_eq!(asked("http://192.168.1.5:8080"), (403, 403));
    for attempt in 0..20 {
        assert_eq!(asked(&format!("http://192.168.1.5:{attempt}")), (403, 403));
    }
    let open =
        || WebSocket::try_open(Http::secure(process.tls[0], &[]), &socket_headers("https://call.example"));
    let held = open().ok().unwrap();
    assert_eq!([open(), open()].map(|refused| refused.err().unwrap().status), [429, 429]);
    process.hang_up();
    let lines: Vec<String> = std::iter::from_fn(|| Some(process.line("")))
        .take_while(|line| !line.contains("read again"))
        .filter(|line| line.contains("refused"))
        .collect();
    drop(held);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("INFO") && lines[1].contains("rooms.sockets_per_ip"), "{lines:?}");
    for part in
        ["WARN", "http://192.168.1.5:8080", "https://call.example", "http.public_url", "http.allowed_origins"]
    {
        assert!(lines[0].contains(part), "{lines:?}");
    }
}
