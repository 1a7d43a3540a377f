//! Over HTTP and with the commands, an administrator sees sessions and rooms, and ends them.

use std::process::Command;
use std::thread;

use hairpin::api_key::KeyHash;
use hairpin::clock::{Clock, Expiry};
use hairpin::credentials::tag::Pseudonym;
use hairpin::daemon::Daemon;
use hairpin::observed::session::LIMIT_MAX;
use hairpin::secret::Secret;
use hairpin::sections::admin::AdminAddress;
use hairpin::sections::value::Auto;
use serde_json::{Value, json};

use crate::support::daemon::{Client, config_text, peer, receive, start_with};
use crate::support::http::{Answer, Http};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stream::eventually;
use crate::support::stun::{REFRESH, channel_data};
use crate::support::websocket::WebSocket;

const TOKEN: &str = "hairpin_of_the_tests";
const SECRET: &str = "a shared secret of the tests, long enough";

fn start(ports: &str) -> Daemon {
    start_with(ports, |config| {
        config.admin.listen = Auto(Some(vec![AdminAddress::Tcp("127.0.0.1:0".parse().unwrap())]));
        config.admin.token_hash = Some(KeyHash::of(TOKEN));
        config.http.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.credentials.secrets = vec![Secret::new(SECRET)];
    })
}

fn ask(daemon: &Daemon, method: &str, path: &str) -> Answer {
    let server = daemon.addresses().admin[0].tcp().unwrap();
    let authorization = format!("Bearer {TOKEN}");
    Http::to(server).ask(method, path, &[("Authorization", &authorization)], "")
}

fn get(daemon: &Daemon, path: &str) -> Value {
    let answer = ask(daemon, "GET", path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// A command: what it printed, its errors, and its exit code.
fn hairpin(daemon: &Daemon, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    let address = daemon.addresses().admin[0].to_string();
    command.args(arguments).env("HAIRPIN_ADMIN", address).env("HAIRPIN_ADMIN_TOKEN", TOKEN);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// A time-limited credential of a user tag, as a backend makes it.
fn credential(tag: &str) -> (String, String) {
    let now = Clock::start().now().unix;
    let username = format!("{}:{tag}", Expiry::after(now, std::time::Duration::from_secs(600)));
    let password = Secret::new(SECRET).password(&username);
    (username, password.reveal().to_owned())
}

fn client(daemon: &Daemon, tag: &str) -> Client {
    let (username, password) = credential(tag);
    let mut client = Client::of(daemon, "127.0.0.1").with(&username, &password);
    client.allocate();
    client
}

/// What a client is told that refreshes its allocation.
fn refreshed(client: &mut Client) -> Option<u16> {
    let request = client.request(REFRESH);
    client.ask(request).code()
}

#[test]
fn sessions_are_listed_shown_and_ended() {
    let daemon = start("37200-37219");
    let (mut alice, mut bob) = (client(&daemon, "shop.alice"), client(&daemon, "shop.bob"));
    let peer = peer([127, 0, 0, 1].into()).local_addr().unwrap();
    alice.bind(0x4000, peer);
    let all = get(&daemon, "/sessions");
    assert_eq!((&all["total"], all["sessions"].as_array().unwrap().len()), (&json!(2), 2));
    let one = get(&daemon, "/sessions?user=shop.alice&sort=bytes&limit=1");
    assert_eq!((&one["total"], &one["next"]), (&json!(1), &Value::Null));
    let session = &one["sessions"][0];
    let id = session["id"].as_str().unwrap();
    let whole = get(&daemon, &format!("/sessions/{id}"));
    assert_eq!((&whole["user"], &whole["transport"]), (&json!("shop.alice"), &json!("udp")));
    assert_eq!(whole["channels"][0]["peer"], peer.to_string());
    assert_eq!(
        (&whole["peer_transport"], &whole["peers"][0]["address"]),
        (&json!("udp"), &json!("127.0.0.1"))
    );
    assert_eq!(whole["relayed"], session["relayed"]);

    assert_eq!(ask(&daemon, "DELETE", &format!("/sessions/{id}")).status, 204);
    assert_eq!((refreshed(&mut alice), refreshed(&mut bob)), (Some(437), None));
    assert_eq!(ask(&daemon, "DELETE", "/sessions?user=shop.bob").json(), json!({ "ended": 1 }));
    assert_eq!(ask(&daemon, "DELETE", "/sessions?user=shop.bob").json(), json!({ "ended": 0 }));
    assert_eq!(refreshed(&mut bob), Some(437));
    daemon.stop();
}

/// A session that relayed has its line with its traffic, too.
#[test]
fn the_log_says_which_session_an_administrator_ended() {
    let socket = std::env::temp_dir().join(format!("hairpin-{}-log.sock", std::process::id()));
    let admin = format!("[admin]\nlisten = [{socket:?}]\n");
    let process = Process::start("kicked.toml", &(config_text("37340-37349", &["127.0.0.1:0"]) + &admin));
    let mut client = Client::to(process.udp[0], [127, 0, 0, 1].into());
    client.allocate();
    let peer = peer([127, 0, 0, 1].into());
    client.bind(0x4000, peer.local_addr().unwrap());
    client.send(&channel_data(0x4000, b"hello"));
    receive(&peer);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        let output = command.args(arguments).env("HAIRPIN_ADMIN", &socket).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let list: Value = serde_json::from_slice(&command(&["sessions", "--json"])).unwrap();
    let id = list["sessions"][0]["id"].as_str().unwrap();
    command(&["kick", id]);
    let line = process.line("allocation ended user=\"alice\"");
    assert!(line.contains("bytes_up=5") && line.contains("reason=\"kicked\""), "{line}");
    process.line(&format!("an administrator ended a session session={id} user=\"alice\""));
}

#[test]
fn pages_are_read_with_the_cursor_of_the_page_before() {
    let daemon = start("37220-37239");
    let _clients: Vec<_> = (0..5).map(|number| client(&daemon, &format!("user-{number}"))).collect();
    let (mut users, mut path) = (Vec::new(), "/sessions?limit=2".to_owned());
    loop {
        let page = get(&daemon, &path);
        let sessions = page["sessions"].as_array().unwrap();
        users.extend(sessions.iter().map(|session| session["user"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/sessions?limit=2&cursor={next}");
    }
    assert_eq!(users, ["user-0", "user-1", "user-2", "user-3", "user-4"], "the oldest first");
    daemon.stop();
}

#[test]
fn a_wrong_request_is_answered_with_what_to_write_and_ends_nothing() {
    let daemon = start("37240-37259");
    let mut client = client(&daemon, "shop.alice");
    let too_many = format!("/sessions?limit={}", LIMIT_MAX + 1);
    for (method, path, status, said) in [
        ("GET", "/sessions?limit=0", 400, "limit must be a number from 1 to 1000"),
        ("GET", &too_many, 400, "limit must be a number from 1 to 1000"),
        ("GET", "/sessions?limit=99999999999999999999", 400, "limit"),
        ("GET", "/sessions?limit=-1", 400, "limit"),
        ("GET", "/sessions?sort=name", 400, "expected one of `age`, `rate`, `bytes`"),
        ("GET", "/sessions?cursor=here", 400, "cursor must be `next` of an earlier response"),
        ("GET", "/sessions?usr=alice", 400, "unknown field `usr`"),
        ("GET", "/sessions/1-2", 404, "there is no session with this id"),
        ("GET", "/sessions/0-0-00000000", 404, "there is no session with this id"),
        ("GET", "/sessions/99-4294967295-ffffffff", 404, "there is no session with this id"),
        ("DELETE", "/sessions/%FF", 400, ""),
        ("DELETE", "/sessions/0-0-00000000", 404, "there is no session with this id"),
        ("DELETE", "/sessions", 400, "missing field `user`"),
        ("DELETE", "/sessions?id=0-0-00000000", 400, "unknown field `id`"),
        ("DELETE", "/rooms/garden", 404, "there is no room with this pseudonym"),
        ("POST", "/credentials/alice/revoke", 400, "not the user name of a credential"),
        ("POST", "/sessions", 405, ""),
        ("PUT", "/rooms", 405, ""),
    ] {
        let answer = ask(&daemon, method, path);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert!(answer.body.contains(said), "{method} {path}: {}", answer.body);
    }
    assert_eq!(refreshed(&mut client), None);
    daemon.stop();
}

#[test]
fn of_ten_who_delete_a_session_at_once_nine_learn_that_it_is_not_there() {
    let daemon = start("37260-37279");
    let _client = client(&daemon, "shop.alice");
    let id = get(&daemon, "/sessions")["sessions"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/sessions/{id}");
    let delete = || ask(&daemon, "DELETE", &path).status;
    let mut answers: Vec<u16> = thread::scope(|scope| {
        let all: Vec<_> = (0..10).map(|_| scope.spawn(delete)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, [204, 404, 404, 404, 404, 404, 404, 404, 404, 404]);
    daemon.stop();
}

#[test]
fn a_revoked_credential_ends_its_sessions_and_makes_no_more() {
    let daemon = start("37280-37299");
    let mut alice = client(&daemon, "shop.alice");
    let id = get(&daemon, "/sessions")["sessions"][0]["id"].as_str().unwrap().to_owned();
    let username = get(&daemon, &format!("/sessions/{id}"))["username"].as_str().unwrap().to_owned();
    let path = format!("/credentials/{}/revoke", username.replace(':', "%3A"));
    assert_eq!(ask(&daemon, "POST", &path).status, 204);
    eventually("its session ends", || get(&daemon, "/sessions")["total"] == 0);
    assert_eq!(refreshed(&mut alice), Some(401));
    assert_eq!(alice.try_allocate(|request| request).code(), Some(401));
    assert_eq!(ask(&daemon, "POST", &path).status, 204, "once more is no mistake");
    daemon.stop();
}

#[test]
fn rooms_are_listed_under_their_pseudonyms_and_members_are_told_of_the_end() {
    let daemon = start("37300-37319");
    let (mut host, _) = WebSocket::member(&daemon, "garden");
    let (mut guest, _) = WebSocket::member(&daemon, "garden");
    let (mut neighbour, _) = WebSocket::member(&daemon, "attic");
    let [garden, attic] =
        ["garden", "attic"].map(|room| Pseudonym::of(room, &Secret::new(SECRET)).to_string());
    let rooms = get(&daemon, "/rooms");
    let named = |name: &str| rooms["rooms"].as_array().unwrap().iter().find(|room| room["room"] == name);
    assert_eq!(named(&garden).unwrap()["members"], 2);
    assert_eq!(named(&attic).unwrap()["members"], 1);
    assert!(!rooms.to_string().contains("attic\""));

    let path = format!("/rooms/{garden}");
    assert_eq!(ask(&daemon, "DELETE", &path).status, 204);
    for member in [&mut host, &mut guest] {
        assert_eq!(member.hear_of("kicked")["reason"], "ended");
        assert_eq!(member.end().0, Some(4403));
    }
    assert_eq!(ask(&daemon, "DELETE", &path).status, 404);
    assert_eq!(neighbour.ask(json!({"t": "state", "mic": true}))["t"], "ok");
    daemon.stop();
}

#[test]
fn the_commands_show_and_end_the_same() {
    let daemon = start("37320-37339");
    let (mut alice, mut bob) = (client(&daemon, "shop.alice"), client(&daemon, "shop.bob"));
    let (mut host, _) = WebSocket::member(&daemon, "garden");
    let room = Pseudonym::of("garden", &Secret::new(SECRET)).to_string();

    let (table, _, code) = hairpin(&daemon, &["sessions"]);
    assert!(table.starts_with("ID") && table.contains("shop.alice") && code == Some(0), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
    let (table, _, _) = hairpin(&daemon, &["sessions", "--sort", "age", "--limit", "1"]);
    assert!(
        table.contains("shop.alice") && table.ends_with("1 of 2 sessions; --limit shows more\n"),
        "{table}"
    );
    let (text, _, _) = hairpin(&daemon, &["sessions", "--user", "shop.bob", "--json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&list["total"], &list["sessions"][0]["user"]), (&json!(1), &json!("shop.bob")));
    let id = list["sessions"][0]["id"].as_str().unwrap();
    let (shown, _, _) = hairpin(&daemon, &["sessions", id]);
    assert!(shown.contains(&format!("session        {id}\n")), "{shown}");

    assert_eq!(hairpin(&daemon, &["kick", id]), ("1 session ended\n".to_owned(), String::new(), Some(0)));
    let (_, said, code) = hairpin(&daemon, &["kick", id]);
    assert!(said.contains("there is no session with this id") && code == Some(1), "{said}");
    assert_eq!((refreshed(&mut alice), refreshed(&mut bob)), (None, Some(437)));
    assert_eq!(hairpin(&daemon, &["kick", "--user", "shop.alice", "--json"]).0, "{\"ended\":1}\n");
    assert_eq!(hairpin(&daemon, &["kick", "--user", "shop.alice"]).0, "0 sessions ended\n");
    let (_, said, code) = hairpin(&daemon, &["kick"]);
    assert!(said.contains("required") && code == Some(2), "{said}");

    let (table, _, code) = hairpin(&daemon, &["rooms"]);
    assert!(table.contains(&format!("{room}  1 of 4")) && code == Some(0), "{table}");
    let (text, _, _) = hairpin(&daemon, &["rooms", "--json"]);
    assert!(text.contains(&format!("\"room\":\"{room}\"")), "{text}");
    assert_eq!(hairpin(&daemon, &["rooms", "--end", &room]).0, "1 room ended\n");
    assert_eq!(host.hear_of("kicked")["reason"], "ended");
    let (_, said, code) = hairpin(&daemon, &["rooms", "--end", &room]);
    assert!(said.contains("there is no room with this pseudonym") && code == Some(1), "{said}");
    let (_, _, code) = hairpin(&daemon, &["rooms", "--end", "garden"]);
    assert_eq!(code, Some(2), "a name is not a pseudonym");
    daemon.stop();
}
