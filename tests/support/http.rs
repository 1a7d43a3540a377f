//! An HTTP/1.1 client that sends what a test wants to send, be it HTTP or not.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use hairpin::daemon::Daemon;
use rustls::version::TLS13;
use serde_json::Value;

use super::seeds::Input;
use super::stream::{Connection, connect, tls_config};

/// A connection to a daemon, and what came and was not read.
pub struct Http {
    pub connection: Connection,
    unread: Vec<u8>,
    seed: Input,
}

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The status line and the header as they came.
    pub head: String,
    pub body: String,
}

impl Http {
    /// Over plain HTTP.
    pub fn of(daemon: &Daemon) -> Self {
        Self::to(daemon.addresses().http[0])
    }

    pub fn to(server: SocketAddr) -> Self {
        Self::over(Connection { socket: connect(server), tls: None })
    }

    /// Over TLS, with what the client says that it speaks.
    pub fn secure(server: SocketAddr, alpn: &[&str]) -> Self {
        let config = Arc::new(tls_config(&TLS13, alpn));
        Self::over(Connection::secure(connect(server), &config, "turn.example").unwrap())
    }

    pub fn over(connection: Connection) -> Self {
        Self { connection, unread: Vec::new(), seed: Input::of("http") }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.seed.add_http(bytes.as_ref());
        self.connection.write_all(bytes.as_ref()).unwrap();
        self.connection.flush().unwrap();
    }

    /// As [`Self::send`], to a server that may have closed the connection.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.connection.write_all(bytes.as_ref())?;
        self.connection.flush()
    }

    /// A GET of a path.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Any request with a body, which may be empty.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(request(method, path, headers, body));
        let head = self.head().expect("an answer comes before the end");
        if method == "HEAD" { head } else { self.with_body(head) }
    }

    /// The next answer.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer comes before the end")
    }

    /// The next answer; `None` if the connection ends before it.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let head = self.head()?;
        Some(self.with_body(head))
    }

    /// The next answer without its body, which is still to be read.
    pub fn head(&mut self) -> Option<Answer> {
        let end = loop {
            match find(&self.unread, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if self.more() => {}
                None => return None,
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body: String::new() })
    }

    fn with_body(&mut self, mut answer: Answer) -> Answer {
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length && self.more() {}
        answer.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        answer
    }

    /// The next bytes, whatever they are.
    pub fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Reads more; whether there was any before the end.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.connection.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.unread.extend(&buffer[..count]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing comes")
                }
                Err(_) => return false,
            }
        }
    }
}

impl Answer {
    /// The first line of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The text of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: turn.example\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
