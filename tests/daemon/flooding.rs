//! Whatever strangers send, and however much of it, the log has few lines for.

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};

use hairpin::clock::Clock;

use crate::support::certificate::Folder;
use crate::support::daemon::config_text;
use crate::support::http::Http;
use crate::support::http2::{ACK, GOAWAY, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame};
use crate::support::process::Process;
use crate::support::stream::connect;
use crate::support::stun::{ALLOCATE, Builder, Class, REQUESTED_TRANSPORT};

const LAST: &[u8; 8] = b"the end!";
/// Frames of one flood, and lines that one may be worth.
const FLOOD: usize = 20_000;
const LINES: usize = 3;

/// What a client of HTTP/2 sends: `opening`, and then `what` again and again, until it has sent a flood or is sent away.
fn flood_http2(server: SocketAddr, opening: &[u8], what: impl Fn(u32) -> Vec<u8>) {
    let mut http = Http::secure(server, &["h2"]);
    http.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..], opening].concat());
    let frames: Vec<u32> = (0..FLOOD as u32).collect();
    for some in frames.chunks(500) {
        let bytes: Vec<u8> = some.iter().flat_map(|number| what(*number)).collect();
        if http.connection.write_all(&bytes).and_then(|()| http.connection.flush()).is_err() {
            break;
        }
    }
    // The flood is over when the daemon has answered what came after it, or has closed.
    drop(http.connection.write_all(&frame(PING, 0, 0, LAST)).and_then(|()| http.connection.flush()));
    let mut heard = Vec::new();
    while !heard.ends_with(LAST) {
        let Some(byte) = http.bytes(1) else { break };
        heard.extend(byte);
    }
}

/// A GET of the static table's "/" (RFC 7541 appendix A).
fn get(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, &[0x82, 0x87, 0x84, 0x41, 1, b'a'])
}

/// What the daemon has said by now, but for the answer to this very question.
fn lines(process: &Process) -> Vec<String> {
    process.hang_up();
    let all = || process.log.recv_timeout(std::time::Duration::from_secs(20)).expect("it goes on saying");
    std::iter::from_fn(|| Some(all()).filter(|line| !line.contains("read again"))).collect()
}

fn start(name: &str, ports: &str, rest: &str) -> (Process, Folder) {
    let folder = Folder::new(ports);
    folder.pair("turn", "turn.example");
    let text = folder.configure_text(&config_text(ports, &["127.0.0.1:0"]), "turn");
    let process = Process::start(name, &(text + rest));
    lines(&process);
    (process, folder)
}

/// F0: a PING ACK that answers nothing was worth a line of a library's each.
#[test]
fn no_flood_over_http_2_writes_the_log() {
    let (process, _folder) = start("flood-h2.toml", "22500-22509", "");
    let server = process.tls[0];
    let no_setting = [0, 4, 0xFF, 0xFF, 0xFF, 0xFF];
    type Flood = (&'static str, Vec<u8>, fn(u32) -> Vec<u8>);
    let floods: [Flood; 12] = [
        ("PING ACK", vec![], |_| frame(PING, ACK, 0, &[7; 8])),
        ("PING", vec![], |_| frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", vec![], |_| frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS ACK", vec![], |_| frame(SETTINGS, ACK, 0, &[])),
        ("a setting that cannot be", frame(SETTINGS, 0, 0, &no_setting), |_| frame(SETTINGS, 0, 0, &[])),
        ("WINDOW_UPDATE", vec![], |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("PRIORITY", vec![], |_| frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("an unknown frame", vec![], |_| frame(0xBE, 0, 0, b"what?")),
        ("RST_STREAM of idle streams", vec![], |number| frame(RST_STREAM, 0, 2 * number + 1, &[0; 4])),
        ("rapid reset", vec![], |number| {
            [get(2 * number + 1), frame(RST_STREAM, 0, 2 * number + 1, &[0, 0, 0, 8])].concat()
        }),
        ("requests and late DATA", vec![], |number| {
            [get(2 * number + 1), frame(0, 0, 2 * number + 1, b"late")].concat()
        }),
        ("GOAWAY", vec![], |_| frame(GOAWAY, 0, 0, &[0; 8])),
    ];
    for (name, opening, what) in floods {
        flood_http2(server, &opening, what);
        let said = lines(&process);
        assert!(said.len() <= LINES, "{name}: {} lines, such as {:?}", said.len(), said[0]);
    }
}

#[test]
fn no_crowd_of_strangers_writes_the_log() {
    let (process, _folder) = start("flood-crowd.toml", "22510-22519", "");
    let (udp, tcp, tls) = (process.udp[0], process.tcp[0], process.tls[0]);
    for garbage in
        [&b"\x16\x03\x01\xFF\xFFxx"[..], b"GET / HTTP/9\r\n\r\n", b"PROXY TCP4 a b c d\r\n", &[0; 20]]
    {
        for server in [tcp, tls] {
            for _ in 0..100 {
                // It may be closed before everything is sent.
                drop(connect(server).write_all(garbage));
            }
            let said = lines(&process);
            assert!(said.len() <= LINES, "{garbage:?}: {} lines, such as {:?}", said.len(), said[0]);
        }
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..FLOOD as u32 {
        let transaction = [&number.to_be_bytes()[..], &[0; 8]].concat().try_into().unwrap();
        let request =
            Builder::new(Class::Request, ALLOCATE, transaction).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        socket.send_to(&request.0, udp).unwrap();
        socket.send_to(&number.to_be_bytes(), udp).unwrap();
    }
    let said = lines(&process);
    assert!(said.len() <= LINES, "{} lines, such as {:?}", said.len(), said[0]);
}

/// Who asks for every packet gets many lines, and no flood of them.
#[test]
fn a_flood_of_one_kind_of_line_is_held_back_and_counted_at_any_level() {
    let clock = Clock::start();
    let (process, _folder) = start("flood-trace.toml", "22520-22529", "[log]\nlevel = \"trace\"\n");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..200_000_u32 {
        socket.send_to(&number.to_be_bytes(), process.udp[0]).unwrap();
    }
    let sum = process.line("too many lines like this");
    let took = clock.now().moment.as_secs() + 1;

    let mut ignored = 0;
    process.hang_up();
    while !process.log.recv().unwrap().contains("read again") {
        ignored += 1;
    }
    assert!(sum.contains("left_out=") && sum.contains("hairpin::relay::engine"), "{sum}");
    assert!(ignored < 2_000 + 1_000 * took, "{ignored} lines in {took} s");
}
