//! Nobody is waited for longer than ten seconds: for the first message, for the rest of one, or for a handshake.

use std::io::{ErrorKind, Read, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use hairpin::clock::Clock;
use hairpin::outcome::Ending;

use crate::support::daemon::start_secure;
use crate::support::stream::{Client, client_hello, connect, connect_from, eventually};
use crate::support::stun::{BINDING, Builder, Class, SOFTWARE};

/// How a connection is slow.
enum Slow {
    /// Nothing more comes.
    Silent,
    /// Then this comes, a byte a second.
    Dripping(Vec<u8>),
}

/// C7, and of C9 the `ClientHello` in records of one byte. All wait at the same time, so the test takes ten seconds.
#[test]
fn whoever_is_slow_is_closed_after_ten_seconds() {
    let daemon = start_secure("30700-30799", |config| {
        config.listen.proxies = vec!["127.0.0.9/32".parse().unwrap()];
    });
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    let request = Builder::new(Class::Request, BINDING, [7; 12]).attr(SOFTWARE, &[b'x'; 400]).0;
    let begun = |socket: TcpStream, beginning: &[u8]| {
        (&socket).write_all(beginning).unwrap();
        socket
    };
    let plain = |beginning: &[u8]| begun(connect(tcp), beginning);
    let inside_tls = |beginning: &[u8]| {
        let mut client = Client::tls(tls);
        client.send(beginning);
        client.connection.socket
    };
    let after_a_message = || {
        let mut client = Client::tcp(tcp);
        client.mapped();
        client.send(&request[..19]);
        client.connection.socket
    };
    let hello = client_hello();
    let half = &hello[..hello.len() / 2];
    let [silent, dripping] = [|| Slow::Silent, || Slow::Dripping(vec![0; 60])];
    let drip = || Slow::Dripping(request[1..].to_vec());
    let cases = vec![
        ("nothing", plain(&[]), silent(), Ending::Silent),
        ("19 of 20 bytes", plain(&request[..19]), silent(), Ending::Silent),
        ("a byte a second", plain(&request[..1]), drip(), Ending::Silent),
        ("19 bytes of a second message", after_a_message(), silent(), Ending::Unfinished),
        ("TLS port, nothing", connect(tls), silent(), Ending::Silent),
        ("half a ClientHello", begun(connect(tls), half), silent(), Ending::Silent),
        ("half a ClientHello on the TCP port", plain(half), silent(), Ending::Silent),
        ("a ClientHello dripping", begun(connect(tls), half), dripping(), Ending::Silent),
        ("8000 records of one byte", begun(connect(tls), &one_byte_records()), silent(), Ending::Silent),
        ("TLS, nothing in it", inside_tls(&[]), silent(), Ending::Silent),
        ("TLS, 19 of 20 bytes in it", inside_tls(&request[..19]), silent(), Ending::Silent),
        (
            "half a PROXY header",
            begun(connect_from([127, 0, 0, 9].into(), tcp), b"PROXY TCP4 "),
            silent(),
            Ending::Silent,
        ),
    ];
    let expected = |ending| cases.iter().filter(|(_, _, _, other)| *other == ending).count() as u64;
    let expected = [Ending::Silent, Ending::Unfinished].map(|ending| (ending, expected(ending)));

    let waits: Vec<_> = cases
        .into_iter()
        .map(|(name, socket, slow, _)| (name, thread::spawn(|| wait(socket, slow))))
        .collect();

    for (name, wait) in waits {
        let seconds = wait.join().unwrap().as_secs_f64();
        assert!((9.0..12.0).contains(&seconds), "{name}: {seconds} s");
    }
    for (ending, count) in expected {
        eventually("each is counted", || daemon.metrics().sum(|shard| shard.endings(ending)) == count);
    }
    eventually("nobody is left", || daemon.metrics().sum(|shard| shard.streams.get()) == 0);
    daemon.stop();
}

/// Half a `ClientHello` of 16 KiB, with each byte in a record of its own.
fn one_byte_records() -> Vec<u8> {
    let half = [&[1, 0, 0x40, 0, 3, 3][..], &[7; 7994]].concat();
    half.iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect()
}

/// How long it takes until the daemon closes a connection.
fn wait(mut socket: TcpStream, slow: Slow) -> Duration {
    let clock = Clock::start();
    let begun = clock.now().moment;
    let mut drops = match slow {
        Slow::Silent => Vec::new(),
        Slow::Dripping(bytes) => bytes,
    }
    .into_iter();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 4096];
    while clock.now().moment.since(begun) < Duration::from_secs(15) {
        match socket.read(&mut buffer) {
            Ok(0) => break,
            // TLS says why it closes.
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                // Whether it still arrives shows in the next read.
                let _ = drops.next().map(|byte| socket.write_all(&[byte]));
            }
            Err(_) => break,
        }
    }
    clock.now().moment.since(begun)
}
