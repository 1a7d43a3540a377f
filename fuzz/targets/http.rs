//! HTTP: whatever comes over a connection, HTTP/2 if it begins with that protocol's preface, and WebSockets with it.
//!
//! The whole site answers, its key, secret and allowed origin being those of tests/http, so the requests that these tests send are
//! served here, too. Only tokio's timers have a time of their own: it stands still while anything happens, and advances as soon
//! as nothing does. Rates and expiries follow the clock of the machine, and one site serves many inputs one after the other. So a
//! finding may pass when its input runs alone.
#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::sync::Arc;

use hairpin::api_key::{KeyHash, KeyId};
use hairpin::bounds::admission::{Admission, Bounds};
use hairpin::bounds::denied::DenyList;
use hairpin::clock::Clock;
use hairpin::compat;
use hairpin::credentials::{CheckExpiry, Credentials};
use hairpin::http::connection::{Client, Protocol};
use hairpin::http::origins::Origins;
use hairpin::http::{self, Site};
use hairpin::ice::{IceServers, Names, Served, Wishes};
use hairpin::origin::{Origin, OriginPattern, PublicUrl};
use hairpin::peers::PeerPolicy;
use hairpin::relay::engine::Settings;
use hairpin::relay::{self, Relay};
use hairpin::room_token::Create;
use hairpin::secret::Secret;
use hairpin::sections::compat::{Compat, SitePath};
use hairpin::sections::http::{ApiKey, KeyTtl};
use hairpin::sections::relay::Switch;
use hairpin::sections::value::{Off, Text as _};
use hairpin::signaling::Plan;
use hairpin::signaling::hub::Hub;
use hairpin_fuzz::signaling;
use hairpin_fuzz::support::world::generous;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;

const SECRET: &str = "6f0c1d3a8b5e4f7096a2c4d8e1b3f507";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// How many connections a site serves before it is made anew: what they leave behind must not decide what follows.
const CONNECTIONS: u32 = 500;

struct Place {
    site: Site,
    relay: Relay,
    admission: Arc<Admission>,
    served: u32,
}

impl Place {
    fn new() -> Self {
        let clock = Clock::start();
        let secrets = vec![Secret::new(SECRET)];
        let credentials = Credentials::new("hairpin.test", secrets, HashMap::new(), CheckExpiry::Allocate);
        let address = [(Ipv4Addr::new(203, 0, 113, 5), 3478).into()];
        let served = Served { udp: &address, tcp: &address, tls: &[], tls_on_tcp: false, relay: &[] };
        let ice = IceServers::new(&served, &Names::default(), &Wishes::default());
        let page = ApiKey {
            origins: vec![pattern("https://app.example")],
            max_ttl: KeyTtl::of::<600>(),
            allow_query: true,
            ..key("page", "hairpin_key-of-a-page")
        };
        let keys = vec![key("shop", "hairpin_key-of-the-shop"), page];
        let rooms = Plan { sessions: 10_000, ..signaling::plan() };
        let hub = Hub::start(rooms, Arc::default(), clock, [1; 32]).expect("a thread starts");
        let public = PublicUrl::parse("https://call.example.org/call").expect("it is a URL");
        let plain = ["127.0.0.1:8080".parse().expect("it is an address")];
        let origins = Origins::new(Some(&public), &[pattern("https://friend.example")], &keys, &plain, &[]);
        let bounds = Bounds { most: 100_000, per_network: 100_000, per_address: 100_000 };
        let admission = Arc::new(Admission::new(bounds));
        let relay = relay(&credentials, &admission, clock);
        let proxies = vec!["10.0.0.0/8".parse().expect("it is a network")];
        let plan = http::Plan {
            origins,
            frame_ancestors: vec![Origin::parse("https://friend.example").expect("it is an origin")],
            create: Create::Anyone,
            // A check of one takes longer than thousands of requests.
            password: None,
            credentials,
            ice,
            bits_per_second: NonZeroU64::MIN,
            keys,
            proxies,
            denied: DenyList::default(),
            compat: compat::Plan {
                compat: Compat { peerjs: Off(SitePath::parse("/peerjs").ok()), ..Compat::default() },
                ..compat::Plan::default()
            },
        };
        let site = Site::start(plan, (relay.clone(), hub, Arc::default()), Arc::default(), clock, [1; 32]);
        Self { site, relay, admission, served: 0 }
    }

    /// Serves one connection, and reads what it is answered.
    fn serve(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.served += 1;
        let mut hash = DefaultHasher::new();
        bytes.hash(&mut hash);
        // Each connection comes from another proxy, so that no limit on addresses is met by accident.
        let peer = IpAddr::from(Ipv4Addr::from(0x0A00_0000 | hash.finish() as u32 >> 8));
        let permit = self.admission.admit(Some(peer), Clock::start().now().moment).expect("there is a place");
        let protocol = if bytes.starts_with(PREFACE) { Protocol::Http2 } else { Protocol::Http1 };
        let secure = protocol == Protocol::Http2;
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let answer = runtime.block_on(async {
            let client = Client { peer, secure, protocol, permit };
            let serving = self.site.server().serve(theirs, client);
            let asking = async {
                // The server may end the connection before all is said.
                drop(ours.write_all(bytes).await);
                drop(ours.shutdown().await);
                let mut answer = Vec::new();
                drop(ours.read_to_end(&mut answer).await);
                answer
            };
            tokio::join!(serving, asking).1
        });
        drop(runtime);
        answer
    }
}

/// A relay without a shard: credentials are revoked at it, and nothing else.
fn relay(credentials: &Credentials, admission: &Arc<Admission>, clock: Clock) -> Relay {
    let credentials = credentials.clone();
    let settings = Settings {
        credentials,
        limits: generous(),
        rfc5766_channels: false,
        rfc3489: false,
        tcp: false,
        alternates: Vec::new(),
    };
    let plan = relay::Plan {
        settings,
        denied: DenyList::default(),
        peers: PeerPolicy::default(),
        fixed: Vec::new(),
        addresses: Vec::new(),
        ports: 1..=2,
        offload: Switch::default(),
        lookup: Switch::Off,
    };
    Relay::start(plan, Vec::new(), Arc::clone(admission), Default::default(), clock, [2; 32])
        .expect("a thread starts")
}

fn key(id: &str, text: &str) -> ApiKey {
    ApiKey::new(KeyId::parse(id).expect("it is an id"), KeyHash::of(text))
}

fn pattern(text: &str) -> OriginPattern {
    OriginPattern::parse(text).expect("it is an origin")
}

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

fuzz_target!(|bytes: &[u8]| {
    PLACE.with_borrow_mut(|place| {
        if place.served == CONNECTIONS {
            place.relay.stop();
            *place = Place::new();
        }
        let answer = place.serve(bytes);
        assert!(
            !answer.starts_with(b"HTTP/1.1 500 "),
            "the server is at fault: {}",
            String::from_utf8_lossy(&answer)
        );
    });
});
