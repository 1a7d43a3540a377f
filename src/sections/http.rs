//! PURE  `[http]`: pages, credentials and rooms over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::api_key::{KeyHash, KeyId};
use crate::ice::{self, IceUrl, PublicPorts};
use crate::origin::host::HostName;
use crate::origin::{Origin, OriginPattern, PublicUrl};
use crate::sections::credentials::{DAY, Lifetime};
use crate::sections::number::Count;
use crate::sections::reading::Place;
use crate::sections::value::{FromToml, Text};

section! {
    /// `[http]`
    pub struct Http {
        /// HTTP without TLS.
        pub listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
        /// Where browsers reach it, if that is not where it listens.
        pub public_url: Option<PublicUrl> = None,
        /// The host in ICE URLs, if it is another than that of `public_url`.
        pub ice_host: Option<HostName> = None,
        /// The ICE URLs, if those of the listeners are not what clients need.
        pub ice_urls: Vec<IceUrl> = Vec::new(),
        /// The ports in ICE URLs, if they are others than those of the listeners.
        pub public_ports: PublicPorts = PublicPorts::default(),
        /// Whether one more ICE URL has the address in place of the name.
        pub literal_address: bool = false,
        /// Other sites whose pages may open rooms and fetch credentials.
        pub allowed_origins: Vec<OriginPattern> = Vec::new(),
        /// The sites whose pages may show ours in a frame.
        pub frame_ancestors: Vec<Origin> = Vec::new(),
        /// The reverse proxies whose X-Forwarded-For is believed.
        pub proxies: Vec<IpNet> = loopback(),
        /// The backends that may ask for credentials.
        pub keys: Vec<ApiKey> = Vec::new(),
    }
}

impl Text for IceUrl {
    const EXAMPLE: &'static str = ice::EXAMPLES;

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}

fn loopback() -> Vec<IpNet> {
    ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("it is a network")).into()
}

/// `[[http.keys]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name; part of the user names that are made with it.
    pub id: KeyId,
    /// The hash by which the key is recognized.
    pub hash: KeyHash,
    /// The sites whose pages may use it.
    pub origins: Vec<OriginPattern>,
    /// The longest lifetime of a credential or a token that is made with it.
    pub max_ttl: KeyTtl,
    /// Requests a minute.
    pub per_minute: Count,
    /// Whether it is accepted in a URL.
    pub allow_query: bool,
}

/// How long a credential may live that is made over HTTP.
pub type KeyTtl = Lifetime<DAY>;

impl ApiKey {
    /// A key with the defaults of its other settings.
    #[must_use]
    pub fn new(id: KeyId, hash: KeyHash) -> Self {
        Self {
            id,
            hash,
            origins: Vec::new(),
            max_ttl: KeyTtl::of::<DAY>(),
            per_minute: Count::of::<600>(),
            allow_query: false,
        }
    }

    /// Whether the key is public, because pages or URLs hold it, and URLs end up in logs. Such a key may only request ICE
    /// servers, as often as any one visitor may.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.allow_query || !self.origins.is_empty()
    }
}

impl FromToml for ApiKey {
    fn expected() -> String {
        "a table".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        let mut keys = place.keys(value)?;
        let id = keys.require("id", "the id is missing: write the two lines that `hairpin api-key` prints");
        let hash =
            keys.require("hash", "the hash is missing: write the two lines that `hairpin api-key` prints");
        let origins = keys.read("origins");
        let max_ttl = keys.read("max_ttl");
        let per_minute = keys.read("per_minute");
        let allow_query = keys.read("allow_query");
        keys.finish();
        let key = Self::new(id?, hash?);
        Some(Self {
            origins: origins.unwrap_or(key.origins),
            max_ttl: max_ttl.unwrap_or(key.max_ttl),
            per_minute: per_minute.unwrap_or(key.per_minute),
            allow_query: allow_query.unwrap_or(key.allow_query),
            ..key
        })
    }

    fn to_json(&self) -> Value {
        let Self { id, hash, origins, max_ttl, per_minute, allow_query } = self;
        json!({
            "id": id.to_json(),
            "hash": hash.to_json(),
            "origins": origins.to_json(),
            "max_ttl": max_ttl.to_json(),
            "per_minute": per_minute.to_json(),
            "allow_query": allow_query,
        })
    }

    fn expected_list() -> String {
        "a table for each key, which begins with a line [[http.keys]]".to_owned()
    }

    fn clash(list: &[Self]) -> Option<String> {
        let twins = list.iter().enumerate().find_map(|(i, one)| {
            list[..i]
                .iter()
                .find(|other| other.id == one.id || other.hash == one.hash)
                .map(|other| (other, one))
        });
        let (one, other) = twins?;
        let what = if one.id == other.id { "the same id" } else { "the same hash" };
        let (one, other) = (one.id.as_str(), other.id.as_str());
        Some(format!("{one:?} and {other:?} have {what}: give each key an id and a hash of its own"))
    }
}

impl Text for KeyId {
    const EXAMPLE: &'static str = "\"backend\"";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Text for KeyHash {
    const EXAMPLE: &'static str = "\"sha256:\" with 64 hexadecimal digits, as `hairpin api-key` prints it";

    /// An error does not show the string: it may be the key itself.
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("this is not the hash of a key: write {}", Self::EXAMPLE))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Text for Origin {
    const EXAMPLE: &'static str = "\"https://call.example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Text for PublicUrl {
    const EXAMPLE: &'static str = "\"https://call.example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Text for OriginPattern {
    const EXAMPLE: &'static str = "\"https://app.example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Text for HostName {
    const EXAMPLE: &'static str = "\"turn.example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}
