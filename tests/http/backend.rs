//! A backend with an API key, and the daemon that it asks.

use hairpin::api_key::{KeyHash, KeyId};
use hairpin::config::Config;
use hairpin::daemon::Daemon;
use hairpin::origin::OriginPattern;
use hairpin::secret::Secret;
use hairpin::sections::http::{ApiKey, KeyTtl};
use serde_json::Value;

use crate::support::daemon::{Client, start_with};
use crate::support::http::{Answer, Http};

pub(crate) const SECRET: &str = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";
/// The key of `shop`, which must not stand in a URL.
pub(crate) const KEY: &str = "hairpin_key-of-the-shop";
/// The key of `page`, for pages of `https://app.example`, and in URLs.
pub(crate) const PAGES_KEY: &str = "hairpin_key-of-a-page";

/// A daemon that knows both keys.
pub(crate) fn start(ports: &str) -> Daemon {
    start_changed(ports, |_| {})
}

pub(crate) fn start_changed(ports: &str, change: impl FnOnce(&mut Config)) -> Daemon {
    start_with(ports, |config| {
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.http.allowed_origins = vec![OriginPattern::parse("https://friend.example").unwrap()];
        config.credentials.secrets = vec![Secret::new(SECRET)];
        let page = ApiKey {
            origins: vec![OriginPattern::parse("https://app.example").unwrap()],
            max_ttl: KeyTtl::of::<600>(),
            allow_query: true,
            ..key("page", PAGES_KEY)
        };
        config.http.keys = vec![key("shop", KEY), page];
        change(config);
    })
}

pub(crate) fn key(id: &str, text: &str) -> ApiKey {
    ApiKey::new(KeyId::parse(id).unwrap(), KeyHash::of(text))
}

/// What the shop's backend is answered.
pub(crate) fn post(daemon: &Daemon, path: &str, body: &str) -> Answer {
    Http::of(daemon).ask("POST", path, &[("Authorization", &format!("Bearer {KEY}"))], body)
}

/// The user name and password in an answer for browsers.
pub(crate) fn credential(answer: &Value) -> (String, String) {
    let turn = answer["iceServers"].as_array().unwrap().last().unwrap();
    let text = |name: &str| turn[name].as_str().unwrap().to_owned();
    (text("username"), text("credential"))
}

/// A client with a fresh credential of the shop's.
pub(crate) fn client(daemon: &Daemon, user: &str) -> (Client, String) {
    let answer = post(daemon, "/api/v1/ice-servers", &format!("{{\"user\": {user:?}}}"));
    let (username, password) = credential(&answer.json());
    (Client::of(daemon, "127.0.0.1").with(&username, &password), username)
}
