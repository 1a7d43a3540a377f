//! One HTTP request on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(5);

pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// `lines` are those of the header, each with its end.
pub fn ask(server: SocketAddrV4, request: &str, lines: &str) -> Outcome<Answer> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask_over(stream, request, lines)
}

/// Asks the admin listener.
pub fn ask_admin(socket: &Path, request: &str) -> Outcome<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask_over(stream, request, "")
}

fn ask_over(mut stream: impl Read + Write, request: &str, lines: &str) -> Outcome<Answer> {
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (_, body) = text.split_once("\r\n\r\n").ok_or("an answer without an end of its header")?;
    Ok(Answer { status: status.ok_or("an answer without a status")?, body: body.to_owned() })
}
