//! The API is as its `OpenAPI` document says, no more and no less.

use std::collections::BTreeSet;

use hairpin::daemon::Daemon;
use serde_json::Value;

use crate::backend::{KEY, PAGES_KEY, post, start};
use crate::support::http::{Answer, Http};

fn document() -> Value {
    serde_json::from_str(include_str!("../../src/http/openapi.json")).unwrap()
}

/// Every path with the methods that it has.
fn documented() -> Vec<(String, Vec<String>)> {
    let paths = document()["paths"].as_object().unwrap().clone();
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

#[test]
fn every_route_is_documented_and_every_documented_path_is_a_route() {
    let sources = [include_str!("../../src/http/api.rs"), include_str!("../../src/http/router.rs")];
    let routes = sources.iter().flat_map(|source| source.split(".route(").skip(1));
    let routes = routes.map(|rest| rest.split('"').nth(1).unwrap());
    // The WebSocket is in docs/signaling.md, and the challenge in RFC 8555.
    let elsewhere = ["/ws", "/.well-known/acme-challenge/{token}"];
    let routes: BTreeSet<&str> = routes.filter(|path| !elsewhere.contains(path)).collect();
    let paths = documented();
    assert_eq!(routes, paths.iter().map(|(path, _)| path.as_str()).collect());
}

#[test]
fn every_path_has_the_documented_methods_and_no_others() {
    let daemon = start("18400-18409");
    for (path, methods) in documented() {
        let path = path.replace("{username}", "1%3Ashop.a");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let status = Http::of(&daemon).ask(method, &path, &[], "").status;
            assert_ne!(status, 404, "{method} {path}");
            assert_eq!(status != 405, methods.iter().any(|other| other == method), "{method} {path}");
        }
    }
    daemon.stop();
}

#[test]
fn the_document_is_served() {
    let daemon = start("18410-18419");
    let answer = Http::of(&daemon).get("/api/v1/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), document());
    daemon.stop();
}

#[test]
fn every_answer_is_as_its_schema_says() {
    let daemon = start("18420-18429");
    let own = format!("http://{}", daemon.addresses().http[0]);
    let get = |path: &str| Http::of(&daemon).get(path);
    let ice = "/api/v1/ice-servers";
    let in_url = |rest: &str| get(&format!("{ice}?key={PAGES_KEY}{rest}"));
    let revoke = "/api/v1/credentials/{username}/revoke";
    let bearer = format!("Bearer {PAGES_KEY}");
    let as_page = |path: &str| Http::of(&daemon).ask("POST", path, &[("Authorization", &bearer)], "");
    let answers = [
        (ice, "post", post(&daemon, ice, "{}")),
        (ice, "post", post(&daemon, ice, "{")),
        (ice, "post", post(&daemon, ice, &" ".repeat(17 << 10))),
        (ice, "post", post(&daemon, ice, r#"{"transports": ["tls"]}"#)),
        (ice, "get", in_url("")),
        (ice, "get", in_url("&format=array")),
        (ice, "get", in_url("&format=uris")),
        (ice, "get", in_url("&format=twilio")),
        (ice, "get", in_url("&ttl=no")),
        (ice, "get", get(ice)),
        (ice, "get", get(&format!("{ice}?key={KEY}"))),
        ("/turn", "get", get(&format!("/turn?service=turn&key={PAGES_KEY}"))),
        ("/turn", "get", get("/turn")),
        ("/turn", "get", get("/turn?service=turn&key=wrong")),
        ("/turn/credentials", "get", get(&format!("/turn/credentials?service=turn&api={PAGES_KEY}"))),
        (
            "/turn",
            "post",
            Http::of(&daemon).ask("POST", &format!("/turn?service=turn&key={PAGES_KEY}"), &[], ""),
        ),
        ("/turn", "post", Http::of(&daemon).ask("POST", "/turn", &[], "service=turn")),
        (
            "/turn/credentials",
            "post",
            Http::of(&daemon).ask("POST", "/turn/credentials", &[], &"x".repeat(17 << 10)),
        ),
        ("/api/v1/door", "post", Http::of(&daemon).ask("POST", "/api/v1/door", &[("Origin", &own)], "")),
        ("/api/v1/door", "post", Http::of(&daemon).ask("POST", "/api/v1/door", &[], "")),
        ("/api/v1/room-tokens", "post", post(&daemon, "/api/v1/room-tokens", r#"{"room": "a"}"#)),
        ("/api/v1/room-tokens", "post", post(&daemon, "/api/v1/room-tokens", r#"{"room": ""}"#)),
        ("/api/v1/room-tokens", "post", as_page("/api/v1/room-tokens")),
        (revoke, "post", as_page("/api/v1/credentials/9%3Apage.a/revoke")),
        (revoke, "post", post(&daemon, "/api/v1/credentials/9%3Ashop.a/revoke", "")),
        (revoke, "post", post(&daemon, "/api/v1/credentials/9%3Apage.a/revoke", "")),
        (revoke, "post", post(&daemon, "/api/v1/credentials/alice/revoke", "")),
        (
            "/api/v1/check-ice",
            "post",
            Http::of(&daemon).ask("POST", "/api/v1/check-ice", &[("Origin", &own)], ""),
        ),
        ("/api/v1/check-ice", "post", post(&daemon, "/api/v1/check-ice", "")),
        ("/api/v1/openapi.json", "get", get("/api/v1/openapi.json")),
        ("/healthz", "get", get("/healthz")),
        ("/readyz", "get", get("/readyz")),
    ];
    let answers = answers.into_iter().chain(to_passwords(&daemon, &own)).chain([to_page(&daemon)]);
    let answers = answers.chain(while_draining(&daemon, &own)).collect::<Vec<_>>();
    daemon.stop();
    for (path, method, answer) in answers {
        check(path, method, &answer);
    }
}

/// The answer to a page that asks for ICE servers where none may have them without a key.
fn to_page(daemon: &Daemon) -> (&'static str, &'static str, Answer) {
    const PATH: &str = "/api/v1/page-ice";
    (PATH, "post", post(daemon, PATH, ""))
}

/// The answers to a password where none opens rooms.
fn to_passwords(daemon: &Daemon, own: &str) -> [(&'static str, &'static str, Answer); 2] {
    const PATH: &str = "/api/v1/room-password";
    let body = r#"{"password": "a"}"#;
    let from_page = Http::of(daemon).ask("POST", PATH, &[("Origin", own)], body);
    [(PATH, "post", post(daemon, PATH, body)), (PATH, "post", from_page)]
}

/// The answers that only a draining daemon gives.
fn while_draining(daemon: &Daemon, own: &str) -> [(&'static str, &'static str, Answer); 7] {
    daemon.drain();
    let turn = |method, path: &str, form: &str| {
        Http::of(daemon).ask(method, &format!("{path}?service=turn&key={PAGES_KEY}"), &[], form)
    };
    let in_url = format!("/api/v1/ice-servers?key={PAGES_KEY}");
    let answers = [
        ("/api/v1/ice-servers", "post", post(daemon, "/api/v1/ice-servers", "{}")),
        ("/api/v1/ice-servers", "get", Http::of(daemon).get(&in_url)),
        ("/turn", "get", turn("GET", "/turn", "")),
        ("/turn", "post", turn("POST", "/turn", "")),
        ("/turn/credentials", "get", turn("GET", "/turn/credentials", "")),
        (
            "/api/v1/check-ice",
            "post",
            Http::of(daemon).ask("POST", "/api/v1/check-ice", &[("Origin", own)], ""),
        ),
        ("/readyz", "get", Http::of(daemon).get("/readyz")),
    ];
    for (path, _, answer) in &answers {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path}");
        assert_eq!(answer.json()["code"], "draining", "{path}");
    }
    answers
}

#[test]
fn the_check_finds_what_is_wrong() {
    let document = document();
    let schema = &document["components"]["schemas"]["IceConfiguration"];
    let good = serde_json::json!({ "iceServers": [{ "urls": ["stun:a"] }], "ttl": 1, "expires_at": 2 });
    assert_eq!(mistake(&document, schema, &good), None);
    for (at, wrong) in
        [("/ttl", "1".into()), ("/iceServers", Value::Null), ("/iceServers/0/urls", serde_json::json!([]))]
    {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = wrong;
        assert!(mistake(&document, schema, &bad).is_some(), "{at}");
    }
    let mut more = good.clone();
    more["more"] = 1.into();
    let mut less = good;
    less.as_object_mut().unwrap().remove("ttl");
    assert!(mistake(&document, schema, &more).is_some() && mistake(&document, schema, &less).is_some());
}

/// Whether an answer is one that the document names for this operation.
fn check(path: &str, method: &str, answer: &Answer) {
    let document = document();
    let responses = &document["paths"][path][method]["responses"];
    let response = resolve(&document, &responses[answer.status.to_string()]);
    assert!(response.is_object(), "{method} {path}: {} is not documented", answer.status);
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.body, "", "{method} {path}");
        return;
    };
    let (kind, media) = content.iter().next().unwrap();
    assert_eq!(answer.header("content-type"), Some(kind.as_str()), "{method} {path}");
    let value = if kind.starts_with("text/") { answer.body.clone().into() } else { answer.json() };
    let mistake = mistake(&document, &media["schema"], &value);
    assert_eq!(mistake, None, "{method} {path}: {}", answer.body);
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

/// What contradicts the schema: as much of JSON Schema as the document uses of it.
fn mistake(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = resolve(document, schema);
    let wrong = |what: &str| Some(format!("{what}: {value}"));
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| mistake(document, choice, value).is_none()).count();
        return if fitting == 1 { None } else { wrong(&format!("{fitting} of oneOf")) };
    }
    if let Some(choices) = schema["enum"].as_array() {
        return if choices.contains(value) { None } else { wrong("no such choice") };
    }
    if let Some(types) = schema["type"].as_array() {
        let fits = types.iter().any(|name| (name == "null") == value.is_null());
        return if fits { None } else { wrong("another type") };
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{other:?} is unknown to this check"),
    };
    if !fits {
        return wrong("another type");
    }
    let members = value.as_object().into_iter().flatten();
    let items = value.as_array().into_iter().flatten();
    let missing = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|name| value.get(name.as_str().unwrap()).is_none());
    if let Some(name) = missing {
        return wrong(&format!("{name} is missing"));
    }
    let bounds = [("minItems", usize::MIN), ("maxItems", usize::MAX)];
    let [least, most] =
        bounds.map(|(name, other)| schema[name].as_u64().map_or(other, |bound| bound as usize));
    if value.as_array().is_some_and(|list| !(least..=most).contains(&list.len())) {
        return wrong("too few or too many");
    }
    for (name, member) in members {
        let found = match schema["properties"].get(name) {
            Some(schema) => mistake(document, schema, member),
            None if schema["additionalProperties"] == false => wrong(&format!("{name} is not documented")),
            None => None,
        };
        if found.is_some() {
            return found;
        }
    }
    items.into_iter().find_map(|item| mistake(document, &schema["items"], item))
}
