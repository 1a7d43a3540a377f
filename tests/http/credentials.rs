//! Whoever has a key is given what a WebRTC client needs, in the form it wants, and it works.

use hairpin::clock::{Clock, Expiry, Unix};
use hairpin::ice::PublicPorts;
use hairpin::network::address::RelayAddress;
use hairpin::origin::PublicUrl;
use hairpin::origin::host::HostName;
use hairpin::room_token::Create;
use hairpin::room_token::RoomTokens;
use hairpin::secret::Secret;
use hairpin::sections::value::Auto;
use serde_json::{Value, json};

use crate::backend::{KEY, PAGES_KEY, SECRET, credential, post, start, start_changed};
use crate::support::certificate::Folder;
use crate::support::daemon::Client;
use crate::support::http::Http;

const CHECK: &str = "/api/v1/check-ice";

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_backend_gets_ice_servers_that_relay() {
    let daemon = start("18000-18009");
    let before = Clock::start().now().unix.as_secs();
    let answer = post(&daemon, "/api/v1/ice-servers", r#"{"user": "alice", "ttl": 600}"#);
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{answer:?}");
    let body = answer.json();
    assert_eq!(fields(&body), ["expires_at", "iceServers", "ttl"]);
    let expires = body["expires_at"].as_u64().unwrap();
    assert!((before + 600..before + 610).contains(&expires) && body["ttl"] == 600);
    let (username, password) = credential(&body);
    assert_eq!(username, format!("{expires}:shop.alice"));
    let (udp, tcp) = (daemon.addresses().udp[0], daemon.addresses().tcp[0]);
    assert_eq!(
        body["iceServers"],
        json!([
            { "urls": [format!("stun:{udp}")] },
            {
                "urls": [format!("turn:{udp}?transport=udp"), format!("turn:{tcp}?transport=tcp")],
                "username": username,
                "credential": password,
            },
        ])
    );
    Client::of(&daemon, "127.0.0.1").with(&username, &password).allocate();
    daemon.stop();
}

#[test]
fn users_without_a_name_get_one_each_and_rooms_show_in_it_only_as_a_hash() {
    let daemon = start("18010-18019");
    let tag = |body: &str| {
        let answer = post(&daemon, "/api/v1/ice-servers", body);
        assert_eq!(answer.status, 201, "{answer:?}");
        let (username, _) = credential(&answer.json());
        username.split_once(':').unwrap().1.to_owned()
    };
    let [one, two] = [tag(""), tag("{}")];
    assert!(one != two && one.starts_with("shop.") && one.len() == "shop.".len() + 12, "{one} {two}");
    let in_room = tag(r#"{"user": "alice", "room": "a secret room"}"#);
    assert!(in_room.ends_with(".alice") && !in_room.contains("secret"), "{in_room}");
    assert_eq!(in_room.split('.').count(), 3);
    daemon.stop();
}

#[test]
fn only_the_transports_that_are_asked_for_are_given() {
    let daemon = start("18020-18029");
    let urls = |answer: Value| answer["iceServers"].as_array().unwrap().last().unwrap()["urls"].clone();
    let answer = post(&daemon, "/api/v1/ice-servers", r#"{"transports": ["tcp"]}"#).json();
    assert_eq!(urls(answer), json!([format!("turn:{}?transport=tcp", daemon.addresses().tcp[0])]));
    let path = format!("/api/v1/ice-servers?transports=udp,tls&key={PAGES_KEY}");
    let answer = Http::of(&daemon).get(&path).json();
    assert_eq!(urls(answer), json!([format!("turn:{}?transport=udp", daemon.addresses().udp[0])]));
    let answer = post(&daemon, "/api/v1/ice-servers", r#"{"transports": ["tls"]}"#);
    assert_eq!(answer.status, 404, "there is no certificate");
    daemon.stop();
}

#[test]
fn a_page_may_get_them_with_a_key_in_the_url_and_in_other_forms() {
    let daemon = start("18030-18039");
    let get = |query: &str| {
        let path = format!("/api/v1/ice-servers?key={PAGES_KEY}{query}");
        let answer = Http::of(&daemon).get(&path);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
        answer.json()
    };
    assert_eq!(fields(&get("&user=bob&cache=1")), ["expires_at", "iceServers", "ttl"]);
    assert_eq!(get("&ttl=86400")["ttl"], 600, "as long as the key may have");
    assert_eq!(get("&format=array").as_array().unwrap().len(), 2);
    assert_eq!(fields(&get("&format=uris")), ["password", "ttl", "uris", "username"]);
    let token = get("&format=twilio");
    assert_eq!((&token["ttl"], token["ice_servers"].as_array().unwrap().len()), (&json!("600"), 3));
    daemon.stop();
}

/// draft-uberti-behave-turn-rest §2
#[test]
fn a_client_of_the_draft_gets_exactly_its_four_fields() {
    let daemon = start("18040-18049");
    for path in ["/turn", "/turn/credentials"] {
        for key in ["key", "api"] {
            let query = format!("{path}?service=turn&username=alice&{key}={PAGES_KEY}");
            let answer = Http::of(&daemon).get(&query);
            assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
            let body = answer.json();
            assert_eq!(fields(&body), ["password", "ttl", "uris", "username"]);
            assert!(body["username"].as_str().unwrap().ends_with(":page.alice"), "{body}");
            assert_eq!(body["uris"].as_array().unwrap().len(), 2);
            let text = |name: &str| body[name].as_str().unwrap();
            Client::of(&daemon, "127.0.0.1").with(text("username"), text("password")).allocate();
        }
    }
    for (query, status) in [
        ("", 400),
        ("service=stun&key=x", 400),
        ("service=turn", 400),
        ("service=turn&service=turn&key=x", 400),
        ("service=turn&key=wrong", 403),
        (&format!("service=turn&key={KEY}"), 403),
        (&format!("service=turn&key={PAGES_KEY}&username=a:b"), 400),
    ] {
        let answer = Http::of(&daemon).get(&format!("/turn?{query}"));
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query}");
    }
    let headers = [("Authorization", "bearer  hairpin_key-of-the-shop")];
    assert_eq!(Http::of(&daemon).ask("GET", "/turn?service=turn", &headers, "").status, 200);
    daemon.stop();
}

/// Janus with `turn_rest_api_method = "POST"` says the same in the URL and in a form.
#[test]
fn a_client_of_the_draft_may_post_and_say_it_in_the_url_or_in_a_form() {
    let daemon = start("18110-18119");
    let form = "application/x-www-form-urlencoded";
    let ask = |path: &str, query: &str, body: &str| {
        let length = body.len().to_string();
        let mut http = Http::of(&daemon);
        http.send(format!(
            "POST {path}{query} HTTP/1.1\r\nHost: a\r\nContent-Type: {form}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        http.answer()
    };
    let all = format!("service=turn&api={PAGES_KEY}&username=a%6Cice");
    let in_url = format!("?{all}");
    for path in ["/turn", "/turn/credentials"] {
        for (query, body) in
            [(in_url.as_str(), all.as_str()), (&in_url, ""), ("", &all), ("?service=turn", &all)]
        {
            let answer = ask(path, query, body);
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (200, Some("no-store")),
                "{answer:?}"
            );
            let body = answer.json();
            assert_eq!(fields(&body), ["password", "ttl", "uris", "username"]);
            assert!(body["username"].as_str().unwrap().ends_with(":page.alice"), "{body}");
            let text = |name: &str| body[name].as_str().unwrap();
            Client::of(&daemon, "127.0.0.1").with(text("username"), text("password")).allocate();
        }
    }
    // A form is in no log: a key that must not stand in a URL may stand there.
    let secret = format!("service=turn&key={KEY}");
    assert_eq!(ask("/turn", "", &secret).status, 200);
    for (query, body, status) in [
        ("", "", 400),
        ("", "service=turn", 400),
        ("", "service=stun&key=x", 400),
        ("", "service=turn&key=wrong", 403),
        ("", "service=turn&service=turn&key=x", 400),
        ("", "{\"service\": \"turn\"}", 400),
        ("?service=turn&service=turn", "", 400),
        (&format!("?{secret}"), secret.as_str(), 403),
        ("", &format!("{secret}&username=a:b"), 400),
        ("", &format!("{secret}&username=%FF"), 400),
        ("", &"a".repeat(17 << 10), 413),
    ] {
        let answer = ask("/turn", query, body);
        assert_eq!(answer.status, status, "{query} {body}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{query} {body}");
    }
    daemon.stop();
}

#[test]
fn without_a_server_that_browsers_can_use_there_is_nothing_to_give() {
    let daemon = start_changed("18050-18059", |config| {
        (config.listen.udp, config.listen.tcp) = (vec!["127.0.0.1:5061".parse().unwrap()], Vec::new());
    });
    let answer = post(&daemon, "/api/v1/ice-servers", "{}");
    assert_eq!((answer.status, &answer.json()["status"]), (404, &json!(404)));
    daemon.stop();
}

/// W3
#[test]
fn what_cannot_be_meant_is_refused_with_what_to_change() {
    let daemon = start("18060-18069");
    let long = format!(r#"{{"user": "{}"}}"#, "a".repeat(10 << 10));
    let deep = format!(r#"{{"user": {}}}"#, "[".repeat(8000));
    for (body, says) in [
        (r#"{"ttl": -1}"#, "-1"),
        (r#"{"ttl": 0}"#, "at least 1"),
        (r#"{"ttl": 1e18}"#, "ttl"),
        (r#"{"ttl": 1000000000000000000}"#, "ttl"),
        (r#"{"ttl": 1.5}"#, "1.5"),
        (r#"{"ttl": "60"}"#, "60"),
        (r#"{"ttl": 60, "ttl": 60}"#, "duplicate field `ttl`"),
        (r#"{"tttl": 60}"#, "unknown field `tttl`"),
        (r#"{"user": "a:b"}"#, "colon"),
        (r#"{"user": ""}"#, "user"),
        (r#"{"user": "\u0000"}"#, "user"),
        (r#"{"user": {"a": 1}}"#, "expected a string"),
        (r#"{"room": "a/b"}"#, "room"),
        (r#"{"transports": []}"#, "transports"),
        (r#"{"transports": ["quic"]}"#, "quic"),
        ("[]]", "body"),
        ("[]", "an object"),
        ("[60]", "an object"),
        (r#"[60, "alice", null, ["udp"]]"#, "an object"),
        ("  [ ]", "an object"),
        ("0", "body"),
        ("null", "body"),
        ("\"", "body"),
        ("{", "body"),
        ("\u{feff}{}", "body"),
        (&long, "user"),
        (&deep, "sequence"),
    ] {
        let answer = post(&daemon, "/api/v1/ice-servers", body);
        let shown = body.get(..80).unwrap_or(body);
        assert_eq!((answer.status, &answer.json()["status"]), (400, &json!(400)), "{shown}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let at = if says == "ttl" && detail.contains("u64") { "u64" } else { says };
        assert!(detail.contains(at), "{shown}: {detail}");
    }
    for query in [
        "ttl=-1",
        "ttl=1e18",
        "ttl=",
        "ttl=0",
        "user=a%3Ab",
        "user=",
        "format=xml",
        "user=%FF",
        "transports=",
    ] {
        let path = format!("/api/v1/ice-servers?key={PAGES_KEY}&{query}");
        let answer = Http::of(&daemon).get(&path);
        assert_eq!((answer.status, &answer.json()["status"]), (400, &json!(400)), "{query}: {answer:?}");
    }
    let huge = format!(r#"{{"user": "{}"}}"#, "a".repeat(16 << 10));
    assert_eq!(post(&daemon, "/api/v1/ice-servers", &huge).status, 413);
    daemon.stop();
}

#[test]
fn a_room_token_is_for_a_room_or_for_all_and_lives_as_long_as_the_key_allows() {
    use hairpin::room_token::{Grant, RoomTokens, TokenError};
    let daemon = start("18070-18079");
    let tokens = RoomTokens::new(&[hairpin::secret::Secret::new(crate::backend::SECRET)]);
    for (body, room) in [(r#"{"room": "lobby", "ttl": 60}"#, Some("lobby".to_owned())), ("", None)] {
        let answer = post(&daemon, "/api/v1/room-tokens", body);
        assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{answer:?}");
        assert_eq!(fields(&answer.json()), ["expires_at", "token"]);
        let (token, expires) =
            (answer.json()["token"].clone(), answer.json()["expires_at"].as_u64().unwrap());
        assert_eq!(tokens.check(token.as_str().unwrap(), Unix::from_secs(expires)), Ok(Grant { room }));
        assert_eq!(
            tokens.check(token.as_str().unwrap(), Unix::from_secs(expires + 1)),
            Err(TokenError::Expired)
        );
    }
    let decomposed = post(&daemon, "/api/v1/room-tokens", r#"{"room": "e\u0301"}"#);
    let grant = tokens.check(decomposed.json()["token"].as_str().unwrap(), Unix::default()).unwrap();
    assert_eq!(grant.room.as_deref(), Some("é"), "one room, however it is typed");
    for body in
        [r#"{"room": ""}"#, r#"{"room": "a/b"}"#, r#"{"room": 1}"#, r#"{"ttl": -1}"#, r#"{"user": "a"}"#]
    {
        assert_eq!(post(&daemon, "/api/v1/room-tokens", body).status, 400, "{body}");
    }
    assert_eq!(Http::of(&daemon).ask("POST", "/api/v1/room-tokens", &[], "{}").status, 401);
    daemon.stop();
}

#[test]
fn our_own_page_may_check_the_connection_for_two_minutes_and_nobody_else() {
    let daemon = start("18080-18089");
    let own = format!("http://{}", daemon.addresses().http[0]);
    let check = |headers: &[(&str, &str)]| Http::of(&daemon).ask("POST", CHECK, headers, "");
    let answer = check(&[("Origin", &own)]);
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{answer:?}");
    assert_eq!(answer.json()["ttl"], 120);
    assert_eq!(answer.json()["bits_per_second"], 100_000_000_000_u64, "as the tests are configured");
    let (username, password) = credential(&answer.json());
    assert!(username.split_once(':').unwrap().1.starts_with("diag."), "{username}");
    Client::of(&daemon, "127.0.0.1").with(&username, &password).allocate();
    let key = format!("Bearer {KEY}");
    for headers in [
        &[][..],
        &[("Authorization", key.as_str())],
        &[("Origin", "https://friend.example")],
        &[("Origin", "https://app.example")],
        &[("Origin", "null")],
        &[("Origin", &own), ("Origin", "https://evil.example")],
    ] {
        assert_eq!(check(headers).status, 403, "{headers:?}");
    }
    // A class behind one address; it earns one more each second.
    let more = (0..200).take_while(|_| check(&[("Origin", &own)]).status == 201).count();
    assert!((119..130).contains(&more), "{more}");
    let refused = check(&[("Origin", &own)]);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{refused:?}");
    daemon.stop();
}

/// A program can say any origin; without a public URL only what comes straight to the plain port is believed.
#[test]
fn behind_a_proxy_or_over_tls_only_pages_of_the_public_url_may_check() {
    let folder = Folder::new("18090");
    folder.pair("turn", "turn.example");
    let daemon = start_changed("18090-18099", |config| folder.configure(config, &["turn"]));
    let plain = format!("http://{}", daemon.addresses().http[0]);
    let tls = daemon.addresses().tls[0];
    let proxied = [("Origin", plain.as_str()), ("X-Forwarded-For", "198.51.100.7")];
    assert_eq!(Http::of(&daemon).ask("POST", CHECK, &proxied, "").status, 403);
    for origin in [&plain, &format!("https://{tls}"), "https://turn.example", "https://localhost"] {
        let answer = Http::secure(tls, &[]).ask("POST", CHECK, &[("Origin", origin)], "");
        assert_eq!(answer.status, 403, "{origin}");
    }
    daemon.stop();

    let daemon = start_changed("18090-18099", |config| {
        folder.configure(config, &["turn"]);
        config.http.public_url = Some(PublicUrl::parse("https://call.example").unwrap());
    });
    let own = [("Origin", "https://call.example"), ("X-Forwarded-For", "198.51.100.7")];
    assert_eq!(Http::of(&daemon).ask("POST", CHECK, &own, "").status, 201);
    assert_eq!(Http::secure(daemon.addresses().tls[0], &[]).ask("POST", CHECK, &own[..1], "").status, 201);
    daemon.stop();
}

#[test]
fn where_rooms_need_a_token_so_does_the_check() {
    let daemon = start_changed("18100-18109", |config| config.rooms.create = Create::Token);
    let own = format!("http://{}", daemon.addresses().http[0]);
    let check = |token: &str| {
        let bearer = format!("Bearer {token}");
        Http::of(&daemon).ask("POST", CHECK, &[("Origin", &own), ("Authorization", &bearer)], "").status
    };
    let token = RoomTokens::new(&[Secret::new(SECRET)])
        .issue(None, Expiry::at(Unix::from_secs(u64::MAX / 2)))
        .unwrap();
    assert_eq!([check(""), check("r1.1.a.b"), check(&token)], [401, 401, 201]);
    daemon.stop();
}

#[test]
fn ports_of_a_port_map_and_a_literal_address_are_given_out_if_the_operator_says_so() {
    let daemon = start_changed("18990-18999", |config| {
        config.http.ice_host = Some(HostName::parse("turn.example.org").unwrap());
        config.http.public_ports = PublicPorts { udp: vec![3478], tcp: vec![443, 80], tls: Vec::new() };
        config.http.literal_address = true;
        config.listen.udp = vec!["0.0.0.0:0".parse().unwrap()];
        let (bind, public) = ([127, 0, 0, 1].into(), [198, 51, 100, 10].into());
        config.relay.addresses = Auto(Some(vec![RelayAddress { bind, public }.into()]));
    });
    let answer = post(&daemon, "/api/v1/ice-servers", "").json();
    assert_eq!(answer["iceServers"][0]["urls"], json!(["stun:turn.example.org:3478"]));
    let expected = json!([
        "turn:turn.example.org:3478?transport=udp",
        "turn:turn.example.org:443?transport=tcp",
        "turn:turn.example.org:80?transport=tcp",
        "turn:198.51.100.10:3478?transport=udp",
    ]);
    assert_eq!(answer["iceServers"][1]["urls"], expected);
    let by_address = json!(["turn:198.51.100.10:3478?transport=udp", "turn:198.51.100.10:443?transport=tcp"]);
    assert_eq!(answer["by_address"], by_address);
    daemon.stop();
}
