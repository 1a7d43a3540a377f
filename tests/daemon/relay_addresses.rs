//! The addresses to relay from may change: new allocations use the new ones, and existing ones keep theirs.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use hairpin::clock::Clock;
use hairpin::config::Config;
use hairpin::daemon::Daemon;

use crate::support::daemon::{Call, Client, config_text};
use crate::support::logged::logged;
use crate::support::session::Turn as _;
use crate::support::stun::{
    BINDING, Builder, Class, Message, XOR_MAPPED_ADDRESS, XOR_RELAYED_ADDRESS, channel_data, xor_address,
};

/// The configuration of a daemon that relays from `addresses`.
fn config(ports: &str, addresses: &str) -> Config {
    let text = config_text(ports, &["127.0.0.1:0"]);
    let line = "addresses = [\"127.0.0.1\", \"::1\"]";
    assert!(text.contains(line));
    Config::parse(&text.replace(line, &format!("addresses = {addresses}")), Path::new("test")).unwrap()
}

fn start(config: &Config) -> Daemon {
    Daemon::start(config, Clock::start()).unwrap()
}

fn client(daemon: &Daemon) -> Client {
    Client::of(daemon, "127.0.0.1")
}

/// The address that a new allocation has, or the code of its refusal.
fn allocated(daemon: &Daemon) -> Result<IpAddr, u16> {
    let answer = client(daemon).try_allocate(|request| request);
    let relayed = || answer.address(XOR_RELAYED_ADDRESS).ip();
    answer.code().map_or_else(|| Ok(relayed()), Err)
}

/// A STUN server that tells every client what the test wants; nothing at first.
struct Stun {
    address: SocketAddr,
    tells: Arc<Mutex<Option<IpAddr>>>,
}

impl Stun {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let tells = Arc::<Mutex<Option<IpAddr>>>::default();
        let told = Arc::clone(&tells);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = Message::read(&buffer[..length]);
                assert_eq!(request.method, BINDING);
                let Some(ip) = *told.lock().unwrap() else { continue };
                let value = xor_address(SocketAddr::new(ip, from.port()), &request.transaction);
                let answer = Builder::new(Class::Success, BINDING, request.transaction);
                socket.send_to(&answer.attr(XOR_MAPPED_ADDRESS, &value).0, from).unwrap();
            }
        });
        Self { address, tells }
    }

    fn tell(&self, ip: Option<[u8; 4]>) {
        *self.tells.lock().unwrap() = ip.map(IpAddr::from);
    }

    fn config(&self, ports: &str) -> Config {
        let item = format!("{{ bind = \"127.0.0.1\", public = {{ stun = \"{}\" }} }}", self.address);
        config(ports, &format!("[{item}]"))
    }
}

#[test]
fn a_reload_changes_them_for_new_allocations_and_no_call_notices() {
    let daemon = start(&config("23500-23509", "[\"127.0.0.1\"]"));
    let call = Call::begin(client(&daemon));

    let report = daemon.reload(&config("23500-23509", "[\"127.0.0.2\"]")).unwrap();

    assert_eq!((report.changed, report.needs_restart.len()), (vec!["relay.addresses".to_owned()], 0));
    assert_eq!(allocated(&daemon), Ok([127, 0, 0, 2].into()));
    assert_eq!(daemon.addresses().relay[0].bind, IpAddr::from([127, 0, 0, 2]));
    call.goes_on();
    // And clients of the old address and of the new one meet.
    let newcomer = Call::begin(client(&daemon));
    let (mut old, mut new) = (call.client, newcomer.client);
    old.bind(0x4001, newcomer.relayed);
    new.bind(0x4001, call.relayed);
    old.send(&channel_data(0x4001, b"hello"));
    assert_eq!(new.receive(), channel_data(0x4001, b"hello"));
    daemon.stop();
}

#[test]
fn an_address_that_the_machine_does_not_have_is_refused_and_the_old_ones_stay() {
    let daemon = start(&config("23510-23519", "[\"127.0.0.1\"]"));
    let refused = daemon.reload(&config("23510-23519", "[\"192.0.2.99\"]")).unwrap_err().to_string();
    assert!(refused.contains("relay.addresses") && refused.contains("192.0.2.99"), "{refused}");
    assert_eq!(allocated(&daemon), Ok([127, 0, 0, 1].into()));
    daemon.stop();
}

#[test]
fn a_stun_server_tells_the_public_address_each_look_follows_it_and_silence_changes_nothing() {
    let stun = Stun::start();
    stun.tell(Some([198, 51, 100, 7]));
    let config = stun.config("23520-23529");
    let daemon = start(&config);
    assert_eq!(allocated(&daemon), Ok([198, 51, 100, 7].into()));

    stun.tell(Some([198, 51, 100, 8]));
    let log = logged(|| drop(daemon.reload(&config).unwrap()));
    assert_eq!(allocated(&daemon), Ok([198, 51, 100, 8].into()));
    let line = "the public address 198.51.100.7 has changed: new allocations use 127.0.0.1 (public address 198.51.100.8)";
    assert!(log.iter().any(|said| said.contains(line)), "{log:?}");

    stun.tell(None);
    let log = logged(|| drop(daemon.reload(&config).unwrap()));
    assert_eq!(allocated(&daemon), Ok([198, 51, 100, 8].into()));
    let line = "(no answer): the last one stays in effect, 198.51.100.8";
    assert!(log.iter().any(|said| said.starts_with("WARN") && said.contains(line)), "{log:?}");
    daemon.stop();
}

#[test]
fn a_daemon_without_an_address_starts_and_takes_the_first_that_comes() {
    let stun = Stun::start();
    let config = stun.config("23530-23539");
    let mut started = None;
    let log = logged(|| started = Some(start(&config)));
    let daemon = started.unwrap();
    for line in
        ["nothing is relayed from there until it is known", "this machine has no address to relay from"]
    {
        assert!(log.iter().any(|said| said.starts_with("WARN") && said.contains(line)), "{log:?}");
    }
    assert_eq!(client(&daemon).exchange(&Builder::new(Class::Request, BINDING, [7; 12]).0).code(), None);
    assert_eq!(allocated(&daemon), Err(508));
    assert_eq!(daemon.snapshot().relay.addresses["ipv4"], 0);

    stun.tell(Some([198, 51, 100, 7]));
    daemon.reload(&config).unwrap();

    assert_eq!(allocated(&daemon), Ok([198, 51, 100, 7].into()));
    assert_eq!(daemon.snapshot().relay.addresses["ipv4"], 1);
    daemon.stop();
}

#[test]
fn a_name_tells_the_public_address() {
    let daemon = start(&config("23540-23549", "[{ bind = \"127.0.0.2\", public = \"localhost\" }]"));
    assert_eq!(allocated(&daemon), Ok([127, 0, 0, 1].into()));
    daemon.stop();
}
