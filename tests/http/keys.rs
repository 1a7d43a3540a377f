//! Keys open what they are for, to whom they are for, as often as they are for.

use hairpin::daemon::Daemon;
use hairpin::origin::OriginPattern;
use hairpin::sections::http::ApiKey;
use hairpin::sections::number::Count;
use serde_json::json;

use crate::backend::{KEY, PAGES_KEY, key, start, start_changed};
use crate::support::http::{Answer, Http};

const PATH: &str = "/api/v1/ice-servers";

fn ask(daemon: &Daemon, key: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    Http::of(daemon).ask("POST", PATH, &headers, "")
}

#[test]
fn who_shows_no_good_key_is_told_what_to_do() {
    let daemon = start("18300-18309");
    for (headers, path) in [
        (&[][..], PATH),
        (&[("Authorization", "Bearer wrong")], PATH),
        (&[("Authorization", "Bearer ")], PATH),
        (&[("Authorization", KEY)], PATH),
        (&[("Authorization", "Basic aGFpcnBpbg==")], PATH),
        (&[("Cookie", "key=hairpin_key-of-the-shop")], PATH),
        (&[], "/api/v1/ice-servers?key=hairpin_key-of-a-page"),
    ] {
        let answer = Http::of(&daemon).ask("POST", path, headers, "");
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let problem = answer.json();
        assert_eq!(problem["title"], "Unauthorized");
        assert!(problem["detail"].as_str().unwrap().contains("hairpin api-key"), "{problem}");
    }
    let in_url = Http::of(&daemon).get(&format!("{PATH}?key={KEY}"));
    assert_eq!(in_url.status, 403);
    assert!(in_url.json()["detail"].as_str().unwrap().contains("allow_query"));
    daemon.stop();
}

/// What else there is would let visitors of a page into every room.
#[test]
fn a_key_that_is_public_asks_for_ice_servers_and_nothing_else() {
    let origin = || vec![OriginPattern::parse("https://app.example").unwrap()];
    let daemon = start_changed("18360-18369", |config| {
        config.http.keys = vec![
            ApiKey { origins: origin(), ..key("page", "of a page") },
            ApiKey { allow_query: true, ..key("url", "in a URL") },
        ];
    });
    for key in ["of a page", "in a URL"] {
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str())];
        let ask = |method, path: &str| Http::of(&daemon).ask(method, path, &headers, "");
        assert_eq!([ask("POST", PATH).status, ask("GET", PATH).status], [201, 200], "{key}");
        assert_eq!(ask("GET", "/turn?service=turn").status, 200, "{key}");
        let token = ask("POST", "/api/v1/room-tokens");
        assert_eq!((token.status, token.header("cache-control")), (403, Some("no-store")), "{key}");
        let detail = token.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("without origins and allow_query"), "{detail}");
    }
    daemon.stop();
}

#[test]
fn a_key_is_used_so_often_and_then_the_answer_says_when_again() {
    let daemon = start_changed("18310-18319", |config| {
        config.http.keys.iter_mut().for_each(|key| key.per_minute = Count::of::<100>());
    });
    let from = |ip: &str| ask(&daemon, PAGES_KEY, &[("X-Forwarded-For", ip)]);
    let served = |ip: &str| (0..70).filter(|_| from(ip).status == 201).count();
    // And a few more, if the machine is busy and that takes seconds.
    let [one, other] = ["198.51.100.1", "198.51.100.2"].map(served);
    assert!((60..=69).contains(&one) && (100..=115).contains(&(one + other)), "{one} and {other}");
    let refused = (0..10).map(|_| from("198.51.100.3")).find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.header("retry-after"), Some("1"));
    let served = (0..120).filter(|_| ask(&daemon, KEY, &[]).status == 201).count();
    assert!((100..=115).contains(&served), "a backend asks for all its users: {served}");
    daemon.stop();
}

#[test]
fn who_tries_wrong_keys_is_told_to_wait_after_ten_and_whoever_has_a_good_one_is_not() {
    let daemon = start("18320-18329");
    let from = |key: &str, ip: &str| ask(&daemon, key, &[("X-Forwarded-For", ip)]);
    let statuses: Vec<u16> = (0..12).map(|n| from(&format!("guess {n}"), "198.51.100.1").status).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    let wait = from("guess 12", "198.51.100.1").header("retry-after").unwrap().parse::<u32>().unwrap();
    assert!((170..=180).contains(&wait), "{wait}");
    assert_eq!(from("guess 13", "198.51.100.2").status, 401);
    assert_eq!(from(KEY, "198.51.100.1").status, 201);
    daemon.stop();
}

/// W2
#[test]
fn only_pages_of_the_origins_that_a_key_names_may_use_it() {
    let daemon = start("18330-18339");
    let own = format!("http://{}", daemon.addresses().http[0]);
    for (key, origin, status, readable) in [
        (PAGES_KEY, "https://app.example", 201, true),
        (KEY, "https://app.example", 403, true),
        (KEY, "https://friend.example", 201, true),
        (KEY, own.as_str(), 201, true),
        (PAGES_KEY, "https://evil.example", 403, false),
        (PAGES_KEY, "https://app.example.evil.example", 403, false),
        (PAGES_KEY, "http://app.example", 403, false),
        (PAGES_KEY, "null", 403, false),
    ] {
        let answer = ask(&daemon, key, &[("Origin", origin)]);
        assert_eq!(answer.status, status, "{origin}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, readable.then_some(origin), "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let two =
        ask(&daemon, PAGES_KEY, &[("Origin", "https://app.example"), ("Origin", "https://evil.example")]);
    assert_eq!((two.status, two.header("access-control-allow-origin")), (403, None));
    daemon.stop();
}

/// W2
#[test]
fn a_browser_may_ask_first_for_pages_of_named_origins_alone() {
    let daemon = start("18340-18349");
    let paths = ["/turn", PATH, "/api/v1/room-tokens", "/api/v1/credentials/1%3Ashop.a/revoke"];
    for path in paths {
        for (origin, status) in [
            ("https://app.example", 204),
            ("https://friend.example", 204),
            ("https://evil.example", 403),
            ("null", 403),
        ] {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "authorization,content-type"),
            ];
            let answer = Http::of(&daemon).ask("OPTIONS", path, &headers, "");
            assert_eq!(answer.status, status, "{path} {origin}");
            let allowed = [
                ("access-control-allow-origin", origin),
                ("access-control-allow-methods", "GET, POST"),
                ("access-control-allow-headers", "Authorization, Content-Type"),
                ("access-control-max-age", "600"),
            ];
            for (name, value) in allowed {
                assert_eq!(answer.header(name), (status == 204).then_some(value), "{path} {origin} {name}");
            }
        }
    }
    assert_eq!(Http::of(&daemon).ask("OPTIONS", PATH, &[], "").status, 403, "nobody's page");
    daemon.stop();
}

#[test]
fn a_method_that_is_not_there_is_a_problem_too() {
    let daemon = start("18350-18359");
    for (method, path) in [("GET", "/api/v1/room-tokens"), ("DELETE", PATH), ("PUT", "/turn")] {
        let answer = Http::of(&daemon).ask(method, path, &[], "");
        assert_eq!((answer.status, &answer.json()["status"]), (405, &json!(405)), "{method} {path}");
        assert!(answer.header("allow").is_some());
    }
    daemon.stop();
}
