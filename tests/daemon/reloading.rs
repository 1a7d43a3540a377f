//! Another configuration takes effect as a whole or not at all, and no call notices.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hairpin::admin::Report;
use hairpin::api_key::{KeyHash, KeyId};
use hairpin::clock::Clock;
use hairpin::config::Config;
use hairpin::daemon::{Daemon, NotReloaded};
use hairpin::origin::{OriginPattern, PublicUrl};
use hairpin::room_token::Create;
use hairpin::secret::Secret;
use hairpin::sections::http::ApiKey;
use hairpin::sections::number::Count;
use hairpin::sections::value::Auto;
use rustls::version::TLS13;

use crate::support::certificate::Folder;
use crate::support::daemon::{CHANNEL, Call, Client, PATIENCE, config, config_text};
use crate::support::http::Http;
use crate::support::process::{Process, ended, file};
use crate::support::session::Turn;
use crate::support::stream::{Connection, connect, eventually, tls_config};
use crate::support::stun::{BINDING, CREATE_PERMISSION, LIFETIME, REFRESH, channel_data};

const SECRETS: [&str; 3] = [
    "6f0c1d3a8b5e4f7096a2c4d8e1b3f507",
    "0b1f6d29c4e87a3350d9f2816ce4ab97",
    "e47ab2905d13c86ff8026e91b7d5430c",
];

/// A daemon, its configuration, and a call that goes on whatever is changed.
struct Site {
    daemon: Daemon,
    config: Config,
    call: Call,
}

impl Site {
    fn new(ports: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(ports, &["127.0.0.1:0"]);
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        change(&mut config);
        let daemon = Daemon::start(&config, Clock::start()).unwrap();
        let call = Call::begin(Client::of(&daemon, "127.0.0.1"));
        Self { daemon, config, call }
    }

    /// Changes the configuration; returns the keys that changed.
    fn change(&mut self, change: impl FnOnce(&mut Config)) -> Vec<String> {
        change(&mut self.config);
        let Report { changed, needs_restart } = self.daemon.reload(&self.config).unwrap();
        self.call.goes_on();
        assert!(needs_restart.is_empty(), "{needs_restart:?}");
        changed
    }

    fn client(&self) -> Client {
        Client::of(&self.daemon, "127.0.0.1")
    }

    /// The error code that a new client gets.
    fn refused(&self, username: &str, password: &str) -> Option<u16> {
        self.client().with(username, password).try_allocate(|request| request).code()
    }

    fn refused_with(&self, secret: &str, tag: &str) -> Option<u16> {
        let username = format!("4000000000:{tag}");
        self.refused(&username, Secret::new(secret).password(&username).reveal())
    }

    fn stop(self) {
        self.call.goes_on();
        self.daemon.stop();
    }
}

#[test]
fn secrets_and_users_come_and_go() {
    let mut site = Site::new("23100-23109", |_| {});
    assert_eq!(site.refused_with(SECRETS[0], "a"), Some(401));

    let set = |texts: &'static [&'static str]| {
        move |config: &mut Config| {
            config.credentials.secrets = texts.iter().map(|text| Secret::new(*text)).collect();
        }
    };
    assert_eq!(site.change(set(&SECRETS[..1])), ["credentials.secrets"]);
    let mut of_first = Call::begin(
        site.client().with("4000000000:first", Secret::new(SECRETS[0]).password("4000000000:first").reveal()),
    );
    assert_eq!(site.daemon.snapshot().relay.secrets.live, [1]);
    site.change(|config| {
        config.credentials.secrets.insert(0, Secret::new(SECRETS[1]));
    });
    assert_eq!([site.refused_with(SECRETS[0], "a"), site.refused_with(SECRETS[1], "b")], [None, None]);
    assert_eq!(site.daemon.snapshot().relay.secrets.live, [1, 2], "the newest first");

    site.change(set(&SECRETS[1..2]));
    assert_eq!([site.refused_with(SECRETS[0], "c"), site.refused_with(SECRETS[1], "d")], [Some(401), None]);
    of_first.goes_on();
    let secrets = site.daemon.snapshot().relay.secrets;
    assert_eq!((secrets.live, secrets.removed), (vec![2], 2));

    assert_eq!(site.refused("bob", "another password of the tests"), Some(401));
    let users = site.change(|config| {
        config.credentials.users.insert("bob".to_owned(), Secret::new("another password of the tests"));
    });
    assert_eq!(
        (users, site.refused("bob", "another password of the tests")),
        (vec!["credentials.users".to_owned()], None)
    );
    let peer = of_first.peer.local_addr().unwrap();
    let request = of_first.client.request(CREATE_PERMISSION).peer(&peer.to_string());
    assert_eq!(of_first.client.ask(request).code(), Some(401), "its secret is gone");
    site.stop();
}

#[test]
fn a_lower_limit_ends_nothing_and_a_higher_one_counts_at_once() {
    let mut site = Site::new("23110-23129", |_| {});
    let limit =
        |most: u32| move |config: &mut Config| config.limits.allocations_per_user = Count::new(most).unwrap();
    let second = Call::begin(site.client());
    assert_eq!(site.change(limit(1)), ["limits.allocations_per_user"]);
    assert_eq!(site.client().try_allocate(|request| request).code(), Some(486));
    second.goes_on();
    site.change(limit(3));
    assert_eq!(site.client().try_allocate(|request| request).code(), None);

    site.change(|config| {
        (config.limits.permissions, config.limits.channels) = (Count::of::<1>(), Count::of::<1>());
    });
    let request = site.call.client.request(CREATE_PERMISSION).peer("127.0.0.2:7000");
    assert_eq!(site.call.client.ask(request).code(), Some(508));
    site.change(|config| config.limits.permissions = Count::of::<32>());
    site.call.client.permit("127.0.0.2:7000".parse().unwrap());
    site.stop();
}

#[test]
fn a_peer_that_is_denied_is_cut_off_at_once_and_the_others_are_not() {
    let mut site = Site::new("23130-23139", |_| {});
    let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
    site.call.client.bind(CHANNEL + 1, elsewhere.local_addr().unwrap());
    let changed = site.change(|config| config.peers.deny = vec!["127.0.0.2/32".parse().unwrap()]);
    assert_eq!(changed, ["peers.deny"]);
    site.call.client.send(&channel_data(CHANNEL + 1, b"not any more"));
    elsewhere.send_to(b"nor back", site.call.relayed).unwrap();
    // What was sent first would have arrived first.
    site.call.goes_on();
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.recv(&mut [0; 100]).is_err());
    let request = site.call.client.request(CREATE_PERMISSION).peer("127.0.0.2:7000");
    assert_eq!(site.call.client.ask(request).code(), Some(403));

    site.change(|config| config.peers.deny.clear());
    site.call.client.permit("127.0.0.2:7000".parse().unwrap());
    site.stop();
}

#[test]
fn pages_keys_rooms_and_urls_change_for_the_next_request() {
    let mut site = Site::new("23140-23149", |config| {
        config.credentials.secrets = vec![Secret::new(SECRETS[0])];
    });
    let mut open = Http::of(&site.daemon);
    let bearer = [("Authorization", "Bearer hairpin_of-the-shop")];
    assert_eq!(open.ask("POST", "/api/v1/ice-servers", &bearer, "").status, 401);

    let changed = site.change(|config| {
        let key = ApiKey::new(KeyId::parse("shop").unwrap(), KeyHash::of("hairpin_of-the-shop"));
        config.http.keys = vec![key];
        config.http.ice_host = Some(hairpin::origin::host::HostName::parse("turn.example").unwrap());
        config.http.public_url = Some(PublicUrl::parse("https://call.example").unwrap());
        config.http.allowed_origins = vec![OriginPattern::parse("https://friend.example").unwrap()];
        config.rooms.create = Create::Token;
    });
    let all = ["http.public_url", "http.ice_host", "http.allowed_origins", "http.keys", "rooms.create"];
    assert_eq!(changed, all);
    // On the connection that was there, too.
    let given = open.ask("POST", "/api/v1/ice-servers", &bearer, "");
    assert!(given.status == 201 && given.body.contains("turn:turn.example:"), "{}", given.body);
    let door = open.ask("POST", "/api/v1/door", &[("Origin", "https://friend.example")], "").json();
    assert_eq!(
        (&door["expected"], &door["create"]),
        (&"https://call.example".into(), &"token".into()),
        "{door}"
    );
    let policy = open.get("/").header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("wss://call.example"), "{policy}");
    site.stop();
}

#[test]
fn listeners_open_and_close_and_connections_stay() {
    let mut site = Site::new("23150-23159", |_| {});
    let old = site.daemon.addresses().http[0];
    let (mut before, free) = (Http::to(old), free_address());
    assert_eq!(before.get("/healthz").status, 200);

    let changed = site.change(|config| {
        config.http.listen = vec![free];
        config.listen.tcp.pop();
    });

    assert_eq!(changed, ["listen.tcp", "http.listen"]);
    assert_eq!(site.daemon.addresses().http, [free]);
    assert_eq!(Http::to(free).get("/healthz").status, 200);
    assert_eq!(before.get("/healthz").status, 200, "what was open stays open");
    assert!(TcpStream::connect(old).is_err(), "the old one is closed when the reload is over");
    assert_eq!(site.daemon.addresses().tcp.len(), 1);
    for listen in [vec![], vec![free], vec![], vec![free]] {
        assert_eq!(site.change(|config| config.http.listen = listen), ["http.listen"]);
    }
    site.stop();
}

#[test]
fn a_daemon_that_drains_opens_nothing_new() {
    let site = Site::new("23280-23289", |_| {});
    let (before, mut wanted) = (site.daemon.addresses(), site.config.clone());
    site.daemon.drain();
    wanted.http.listen = vec![free_address()];
    wanted.listen.udp = vec![UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()];
    wanted.limits.permissions = Count::of::<1>();

    let report = site.daemon.reload(&wanted).unwrap();

    assert_eq!(report.changed, ["limits.permissions"]);
    assert_eq!(report.needs_restart, ["listen.udp", "http.listen"]);
    let after = site.daemon.addresses();
    assert_eq!((&after.udp, &after.http), (&before.udp, &before.http));
    site.stop();
}

/// Clients of one address are distributed over the sockets of all shards there, so none of these may close early.
#[test]
fn a_udp_listener_that_is_given_up_serves_its_calls_until_they_end() {
    let mut site = Site::new("23250-23269", |_| {});
    let old = site.daemon.addresses().udp[0];
    let others: Vec<Call> = (0..6).map(|_| Call::begin(site.client())).collect();
    let new = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    assert_eq!(site.change(|config| config.listen.udp = vec![new]), ["listen.udp"]);

    assert_eq!(site.daemon.addresses().udp, [new]);
    Call::begin(site.client()).goes_on();
    let mut stranger = Client::to(old, [127, 0, 0, 1].into());
    let binding = stranger.request(BINDING);
    stranger.send(&binding.0);
    others.iter().for_each(Call::goes_on);
    stranger.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stranger.socket.recv(&mut [0; 100]).is_err(), "nobody is served who has no call");
    assert!(UdpSocket::bind(old).is_err());
    for mut call in others {
        let request = call.client.request(REFRESH).attr(LIFETIME, &[0; 4]);
        assert_eq!(call.client.ask(request).code(), None);
    }
    site.call.goes_on();
    assert!(UdpSocket::bind(old).is_err(), "it has a call");
    let back = site
        .daemon
        .reload(&Config { listen: config("23250-23269", &[&old.to_string()]).listen, ..site.config.clone() });
    assert!(back.unwrap().needs_restart.contains(&"listen.udp".to_owned()), "it is not free yet");
    let request = site.call.client.request(REFRESH).attr(LIFETIME, &[0; 4]);
    assert_eq!(site.call.client.ask(request).code(), None);
    eventually("the old one is closed", || UdpSocket::bind(old).is_ok());
    site.daemon.stop();
}

#[test]
fn an_address_that_is_taken_changes_nothing_at_all() {
    let site = Site::new("23160-23169", |_| {});
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = site.config.clone();
    wanted.http.listen = vec![free_address(), taken.local_addr().unwrap()];
    wanted.limits.allocations_per_user = Count::of::<1>();

    let refused = site.daemon.reload(&wanted).unwrap_err();

    assert!(matches!(&refused, NotReloaded::Start(..)), "{refused}");
    assert!(refused.to_string().contains("another program uses it"), "{refused}");
    assert_eq!(site.client().try_allocate(|request| request).code(), None, "the old limit is in effect");
    assert!(TcpStream::connect(wanted.http.listen[0]).is_err());
    let reloads = site.daemon.snapshot().reloads;
    assert_eq!((reloads.good, reloads.bad, reloads.last_good), (0, 1, false));
    site.stop();
}

#[test]
fn what_cannot_change_is_named_and_everything_else_is_in_effect() {
    let site = Site::new("23170-23179", |_| {});
    let mut wanted = site.config.clone();
    wanted.relay.ports = 30_000..=30_009;
    wanted.relay.threads = Auto(None);
    wanted.limits.allocations_per_user = Count::of::<1>();

    for changed in [&["limits.allocations_per_user"][..], &[]] {
        let report = site.daemon.reload(&wanted).unwrap();
        assert_eq!(report.changed, changed);
        assert_eq!(report.needs_restart, ["relay.ports", "relay.threads"]);
    }
    assert_eq!(site.client().try_allocate(|request| request).code(), Some(486));
    assert_eq!(*site.daemon.addresses().ports.start(), 23_170);
    site.stop();
}

#[test]
fn certificates_and_proxies_change_for_new_connections() {
    let folder = Folder::new("23180");
    let first = folder.pair("first", "turn.example");
    let mut site =
        Site::new("23180-23189", |config| config.listen.tls = vec!["127.0.0.1:0".parse().unwrap()]);
    let server = site.daemon.addresses().tls[0];
    let shown = || {
        let config = Arc::new(tls_config(&TLS13, &[]));
        let connection = Connection::secure(connect(server), &config, "turn.example").ok()?;
        Some(connection.tls?.peer_certificates()?[0].to_vec())
    };
    assert_eq!(shown(), None, "there is no TLS");
    let tls = site.config.listen.tls.clone();
    let changed = site.change(|config| {
        folder.configure(config, &["first"]);
        config.listen.tls = tls;
    });
    assert_eq!(changed, ["tls.certificate", "tls.key"]);
    assert_eq!(shown().as_ref(), Some(&first));

    // No new address can be opened, because one includes the other; so the old ones stay, and with them TLS.
    let mut wanted = site.config.clone();
    let tcp = site.daemon.addresses().tcp[0];
    wanted.listen.tcp = vec![SocketAddr::new([0, 0, 0, 0].into(), tcp.port())];
    (wanted.listen.tls, wanted.tls) = Default::default();
    let needs_restart = site.daemon.reload(&wanted).unwrap().needs_restart;
    assert_eq!(needs_restart, ["listen.tcp", "listen.tls", "tls.certificate", "tls.key"]);
    assert_eq!(shown(), Some(first));

    site.change(|config| config.listen.proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let mut bare = connect(tcp);
    bare.write_all(b"no PROXY header, but a line of some other protocol\r\n").unwrap();
    eventually("it is refused", || site.daemon.snapshot().front.ended["bad_header"] == 1);
    site.stop();
}

/// The daemon as a process whose file is changed under it.
struct Service {
    process: Process,
    text: String,
    name: &'static str,
}

impl Service {
    fn start(name: &'static str, ports: &str) -> Self {
        let text = config_text(ports, &["127.0.0.1:0"]);
        Self { process: Process::start(name, &text), text, name }
    }

    fn write(&self, text: &str) {
        file(self.name, text);
        self.process.hang_up();
    }

    fn call(&self) -> Call {
        Call::begin(Client::to(self.process.udp[0], [127, 0, 0, 1].into()))
    }
}

#[test]
fn a_broken_file_changes_nothing_and_the_log_says_line_and_reason() {
    let service = Service::start("broken.toml", "23190-23199");
    let call = service.call();
    for (broken, expected) in [
        (service.text.clone() + "[log]\nlevel = \"loud\"\n", "log.level: \"loud\" is not a level"),
        (service.text.replace("[peers]", "[peers"), "not reloaded"),
        (
            service.text.replace("allocations_per_user = 20000", "allocations_per_user = 0"),
            "limits.allocations_per_user",
        ),
        (
            service.text.clone() + "[tls]\ncertificate = \"/none\"\nkey = \"/none\"\n",
            "tls.certificate: /none",
        ),
        (String::from("nonsense"), "broken.toml:1: "),
    ] {
        service.write(&broken);
        let line = service.process.line(expected);
        assert!(line.contains("ERROR") && line.contains("the old one stays in effect"), "{line}");
        assert!(line.contains("broken.toml:"), "{line}");
        call.goes_on();
    }
    service.write(&service.text);
    service.process.line("the configuration was read again: nothing has changed");
    call.goes_on();
}

#[test]
fn a_command_reloads_and_says_what_became_of_it() {
    let socket = format!("{}.sock", file("asked", ""));
    let text = config_text("23270-23279", &["127.0.0.1:0"]) + &format!("[admin]\nlisten = [{socket:?}]\n");
    let _process = Process::start("asked.toml", &text);
    let reload = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let output = command.args(["reload", "--admin", &socket]).args(arguments).output().unwrap();
        (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code())
    };
    assert_eq!(reload(&[]), ("changed: nothing\n".to_owned(), Some(0)));
    file("asked.toml", &text.replace("threads = 2", "threads = 3\ntcp = true"));
    let json = "{\"changed\":[\"relay.tcp\"],\"needs_restart\":[\"relay.threads\"]}\n";
    assert_eq!(reload(&["--json"]), (json.to_owned(), Some(0)));
    file("asked.toml", &text.replace("threads = 2", "threads = 0"));
    let (said, code) = reload(&[]);
    assert!(said.contains("asked.toml:") && said.contains("relay.threads") && code == Some(1), "{said}");
}

#[test]
fn level_and_format_of_the_log_change_with_the_next_line() {
    let service = Service::start("reloaded-log.toml", "23200-23209");
    service.write(&(service.text.clone() + "[log]\nlevel = \"debug\"\nformat = \"json\"\n"));
    let line = service.process.line("changed log.level, log.format");
    assert!(line.starts_with('{') && line.contains("\"level\":\"INFO\""), "{line}");
    let call = service.call();
    service.process.line("allocation opened");
    service.write(&service.text);
    let line = service.process.line("changed log.level, log.format");
    assert!(line.contains(" INFO ") && !line.starts_with('{'), "{line}");
    call.goes_on();
}

#[test]
fn a_hundred_reloads_leave_nothing_behind() {
    let service = Service::start("hundred.toml", "23210-23219");
    let call = service.call();
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", service.process.id())).unwrap().count();
    let (http, mut after_ten) = (free_address(), None);
    for round in 0..100 {
        let listen = if round % 2 == 0 { format!("listen = [\"{http}\"]") } else { "listen = []".to_owned() };
        let limit = format!("allocations_per_user = {}", 100 + round);
        let text = service.text.replace("listen = []", &listen);
        service.write(&text.replace("allocations_per_user = 20000", &limit));
        service.process.line("the configuration was read again: changed");
        call.goes_on();
        if round == 9 {
            after_ten = Some(count("task"));
        }
    }
    // tokio starts a second thread for files if the first one has not come to rest yet.
    assert!(count("task") <= after_ten.unwrap() + 1, "threads");
    service.write(&service.text);
    service.process.line("the configuration was read again: changed");
    assert!(TcpStream::connect(http).is_err(), "listeners are closed");
    let files = count("fd");
    service.write(&service.text.replace("listen = []", &format!("listen = [\"{http}\"]")));
    service.process.line("changed http.listen");
    service.write(&service.text);
    service.process.line("changed http.listen");
    eventually("as many files are open as before", || count("fd") == files);
    call.goes_on();
}

#[test]
fn a_rotated_secret_is_in_front_and_the_old_one_stays_valid() {
    let secrets = file("rotated.secret", &format!("{}\n{}\n", SECRETS[0], SECRETS[1]));
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    let text = config_text("23240-23249", &["127.0.0.1:0"])
        .replace("[credentials]\n", &format!("[credentials]\nsecrets_file = {secrets:?}\n"));
    let socket = format!("{}.sock", file("rotated", ""));
    let text = format!("{text}[admin]\nlisten = [{socket:?}]\n");
    let process = Process::start("rotated.toml", &text);
    let lines = || fs::read_to_string(&secrets).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let rotate = |keep: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command
            .args(["secret", "rotate", "--config", &file("rotated.toml", &text), "--admin", &socket])
            .args(keep);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let may_allocate = |secret: &str, tag: &str| {
        let username = format!("4000000000:{tag}");
        let client = Client::to(process.udp[0], [127, 0, 0, 1].into());
        let mut client = client.with(&username, Secret::new(secret).password(&username).reveal());
        client.try_allocate(|request| request).code().is_none()
    };

    let said = rotate(&[]);
    assert!(said.contains("changed: credentials.secrets\n"), "{said}");

    let new = lines();
    assert_eq!(new[1..], SECRETS[..2]);
    assert!(new[0].len() == 43 && !said.contains(&new[0]), "{said}");
    assert!(new.iter().zip(["a", "b", "c"]).all(|(secret, tag)| may_allocate(secret, tag)));
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    let said = rotate(&["--keep", "2", "--no-reload"]);
    assert_eq!((lines().len(), &lines()[1], said.contains("changed: ")), (2, &new[0], false));
}

#[test]
fn a_supervisor_hears_when_a_reload_begins_and_when_it_is_over() {
    let path = std::env::temp_dir().join(format!("hairpin-reloading-{}", std::process::id()));
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    command.env("NOTIFY_SOCKET", &path);
    let process = Process::run("supervised.toml", &config_text("23220-23229", &["127.0.0.1:0"]), command);
    let heard = || {
        let mut buffer = [0; 200];
        let length = supervisor.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(heard(), "READY=1\n");
    process.hang_up();
    let begins = heard();
    let micros = begins.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").map(|rest| rest.trim().parse::<u64>());
    assert!(micros.is_some_and(|micros| micros.is_ok()), "{begins}");
    assert_eq!(heard(), "READY=1\n");
    fs::remove_file(path).unwrap();
}

#[test]
fn sighup_during_the_start_and_during_the_end_ends_nothing_early() {
    let path = file("hurried.toml", &config_text("23230-23239", &["127.0.0.1:0"]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let mut child = command.args(["--config", &path]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let id = child.id();
    let kill =
        |signal: &str| assert!(Command::new("kill").args(["-s", signal, &id.to_string()]).status().is_ok());
    eventually("it catches SIGHUP", || catches_hangup(id));
    (0..20).for_each(|_| kill("HUP"));
    assert!(child.try_wait().unwrap().is_none(), "it lives");
    kill("TERM");
    kill("HUP");
    assert!(ended(&mut child, PATIENCE).is_some_and(|status| status.success()));
}

/// Whether a process has a handler for SIGHUP, which is signal 1.
fn catches_hangup(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1
}

/// An address that nobody listens at.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
