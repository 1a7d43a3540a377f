//! A WebSocket client (RFC 6455), as small as the measurement needs.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Outcome;
use crate::authority::HOST;
use crate::daemon::{Door, PUBLIC};

pub struct Socket {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

impl Socket {
    pub async fn open(door: &Door) -> Outcome<Self> {
        let plain = TcpStream::connect(door.address).await?;
        plain.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = match &door.trust {
            None => Box::new(plain),
            Some(trust) => {
                Box::new(TlsConnector::from(trust.clone()).connect(HOST.try_into()?, plain).await?)
            }
        };
        let server = door.address;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {server}\r\nOrigin: {PUBLIC}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: signal.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut socket = Self { stream, unread: Vec::new() };
        loop {
            let head = socket.unread.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(end) = head else {
                socket.more().await?;
                continue;
            };
            let head: Vec<u8> = socket.unread.drain(..end + 4).collect();
            if head.starts_with(b"HTTP/1.1 101") {
                return Ok(socket);
            }
            return Err(String::from_utf8_lossy(&head).into_owned().into());
        }
    }

    pub async fn send(&mut self, text: &str) -> Outcome<()> {
        self.frame(TEXT, text.as_bytes()).await
    }

    /// The next text. Safe to give up and to ask for again; pings are answered on the way.
    pub async fn receive(&mut self) -> Outcome<Vec<u8>> {
        loop {
            let Some((kind, header, end)) = self.complete() else {
                self.more().await?;
                continue;
            };
            let frame: Vec<u8> = self.unread.drain(..end).skip(header).collect();
            match kind {
                TEXT => return Ok(frame),
                PING => self.frame(PONG, &frame).await?,
                _ => return Err(format!("the daemon closes: {}", String::from_utf8_lossy(&frame)).into()),
            }
        }
    }

    /// The kind of the first frame, its payload's beginning and its end, if all of it has come.
    fn complete(&self) -> Option<(u8, usize, usize)> {
        let (kind, length) = (*self.unread.first()?, *self.unread.get(1)?);
        let (header, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([*self.unread.get(2)?, *self.unread.get(3)?]))),
            127 => (10, usize::try_from(u64::from_be_bytes(self.unread.get(2..10)?.try_into().ok()?)).ok()?),
            length => (2, usize::from(length)),
        };
        (self.unread.len() >= header + length).then_some((kind, header, header + length))
    }

    /// Masked with zeros, which leaves the payload as it is.
    async fn frame(&mut self, kind: u8, payload: &[u8]) -> Outcome<()> {
        let mut frame = vec![kind];
        match u16::try_from(payload.len())? {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }

    async fn more(&mut self) -> Outcome<()> {
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            return Err("the daemon has closed".into());
        }
        Ok(())
    }
}
