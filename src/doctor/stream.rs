//! TCP and TLS connections for the `turn` crate's client, which knows datagrams: one STUN or TURN message each.

use std::any::Any;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex;
use webrtc_util::{Conn, Error};

use crate::relay::framing::{MESSAGE_MAX, message_length};

/// A connection to a server.
pub(super) struct Messages<S> {
    reader: Mutex<Reader<S>>,
    writer: Mutex<WriteHalf<S>>,
    local: SocketAddr,
    server: SocketAddr,
}

struct Reader<S> {
    half: ReadHalf<S>,
    /// What has arrived of messages that were not read yet.
    bytes: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Messages<S> {
    pub(super) fn new(stream: S, local: SocketAddr, server: SocketAddr) -> Self {
        let (half, writer) = split(stream);
        let reader = Reader { half, bytes: Vec::new() };
        Self { reader: Mutex::new(reader), writer: Mutex::new(writer), local, server }
    }
}

impl<S: AsyncRead> Reader<S> {
    async fn message(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            let length = message_length(&self.bytes, false);
            if let Some(length) = length.map_err(|_| Error::Other("this is not STUN".to_owned()))? {
                return Ok(self.bytes.drain(..length).collect());
            }
            if self.bytes.len() > MESSAGE_MAX || self.half.read_buf(&mut self.bytes).await? == 0 {
                return Err(Error::Other("the server has closed the connection".to_owned()));
            }
        }
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Conn for Messages<S> {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let message = self.reader.lock().await.message().await?;
        let room = buffer.get_mut(..message.len()).ok_or(Error::ErrBufferShort)?;
        room.copy_from_slice(&message);
        Ok(message.len())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        Ok((self.recv(buffer).await?, self.server))
    }

    async fn send(&self, message: &[u8]) -> Result<usize, Error> {
        // ChannelData is padded over streams (RFC 8656 §12.5).
        let mut padded = message.to_vec();
        padded.resize(message.len().next_multiple_of(4), 0);
        let mut writer = self.writer.lock().await;
        writer.write_all(&padded).await?;
        writer.flush().await?;
        Ok(message.len())
    }

    async fn send_to(&self, message: &[u8], _: SocketAddr) -> Result<usize, Error> {
        self.send(message).await
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.server)
    }

    async fn close(&self) -> Result<(), Error> {
        self.writer.lock().await.shutdown().await?;
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
