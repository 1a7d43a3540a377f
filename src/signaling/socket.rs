//! One WebSocket: carries frames between a client and the hub, with limits on time, size and pace.

use std::sync::Weak;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::{sleep, timeout};
use tungstenite::Error;

use crate::bounds::admission::{Permit, Unsettled};
use crate::bounds::rate::Rate;
use crate::clock::Moment;
use crate::signaling::frame::Frame;
use crate::signaling::heartbeat::{DEAD, Heartbeat};
use crate::signaling::hub::SocketHandle;
use crate::signaling::pace::{BYTES_PER_TEN_SECONDS, Pace};
use crate::signaling::protocol::RequestError;
use crate::signaling::protocol::codes::{Close, ErrorCode};
use crate::signaling::protocol::parse::parse;
use crate::signaling::send_queue::{Next, SendQueue};

/// How long a client may take to send hello.
pub const HELLO: Duration = Duration::from_secs(5);
/// How long a client may take to receive the reason for a close, and to close its side.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// Bytes that a client may send over the connection of its socket: twice the limit of its messages, for headers and for
/// fragments that never become a message.
#[must_use]
pub fn byte_rate() -> Rate {
    let bytes = 2 * BYTES_PER_TEN_SECONDS;
    Rate::new(bytes, Duration::from_secs(10), bytes)
}

/// How a conversation ends: the server closes it for this reason; `None` if the client or the network does.
type End = Option<Close>;

/// A conversation.
struct Talk {
    socket: WebSocket,
    connection: SocketHandle,
    heartbeat: Heartbeat,
    pace: Pace,
    /// When hello must have arrived; `None` once it has.
    hello_by: Option<Moment>,
    /// Its permit among the connections. Once the client has been in a room, it cannot be evicted.
    permit: Unsettled,
}

/// Serves a socket until it ends. `permit` is its permit among the connections.
pub async fn serve(socket: WebSocket, connection: SocketHandle, permit: Weak<Permit>) {
    let now = connection.now();
    let (heartbeat, hello_by) = (Heartbeat::new(now), Some(now + HELLO));
    let permit = Unsettled::new(permit);
    let mut talk = Talk { socket, connection, heartbeat, pace: Pace::default(), hello_by, permit };
    let end = talk.run().await;
    let Talk { socket, connection, .. } = talk;
    if let Some(close) = end {
        connection.closed(close);
    }
    // The hub learns at once that the socket is gone; the closing handshake may take longer.
    let permit = connection.permit();
    drop(connection);
    // A client that takes longer misses the reason.
    let _ = timeout(GOODBYE, goodbye(socket, end)).await;
    drop(permit);
}

impl Talk {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Waits for one event, and handles it.
    async fn step(&mut self) -> Result<(), End> {
        let now = self.connection.now();
        if self.heartbeat.is_dead(now) {
            return Err(Some(Close::Dead));
        }
        if self.hello_by.is_some_and(|by| by <= now) {
            self.refuse(ErrorCode::HelloTimeout).await;
            return Err(Some(Close::HelloTimeout));
        }
        if let Some(payload) = self.heartbeat.ping(now) {
            self.send(Message::Ping(payload.to_vec().into())).await?;
        }
        let until = self.hello_by.map_or(self.heartbeat.next(), |by| by.min(self.heartbeat.next()));
        tokio::select! {
            next = self.connection.send_queue().next() => match next {
                Next::Send(frame) => {
                    let text = frame.text();
                    self.heartbeat.sent(frame.n, text.len());
                    self.send(Message::Text(text.into())).await
                }
                Next::Close(close) => Err(Some(close)),
            },
            heard = self.socket.recv() => match heard {
                Some(Ok(message)) => self.hear(message).await,
                Some(Err(error)) => Err(blame(error)),
                None => Err(None),
            },
            () = sleep(until.since(now)) => Ok(()),
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        let now = self.connection.now();
        self.heartbeat.heard(now);
        let size = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
            Message::Close(_) => return Err(None),
        };
        // A pong that answers the server's ping does not count against the client's pace.
        if let Message::Pong(payload) = &message
            && let Some(n) = self.heartbeat.pong(payload)
        {
            self.connection.acknowledge(n);
            return Ok(());
        }
        if !self.pace.frame(size, now) {
            return self.too_fast().await;
        }
        match message {
            Message::Text(text) => {
                let heard = parse(&text);
                if heard.is_err() && !self.pace.mistake(now) {
                    return self.too_fast().await;
                }
                if self.connection.hear(heard) {
                    self.hello_by = None;
                }
                self.permit.settle_if(|| self.connection.is_in_room());
            }
            Message::Binary(_) => {
                self.refuse(ErrorCode::BadJson).await;
                return Err(Some(Close::Protocol));
            }
            // The library has answered a ping already.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
        Ok(())
    }

    async fn too_fast(&mut self) -> Result<(), End> {
        self.refuse(ErrorCode::RateLimited).await;
        Err(Some(Close::RateLimited))
    }

    /// Sends the reason before the socket is closed.
    async fn refuse(&mut self, code: ErrorCode) {
        let refusal = RequestError::from(code).into();
        self.connection.sent(&refusal);
        let text = Frame::aside(None, &refusal).text();
        // If it cannot be sent, the code of the Close frame says the same.
        let _ = timeout(GOODBYE, self.socket.send(Message::Text(text.into()))).await;
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        send(&mut self.socket, self.connection.send_queue(), message).await
    }
}

/// Sends a message on a socket whose other messages wait in `queue`. A client that does not read cannot delay the end of
/// its own socket for long.
///
/// # Errors
/// Why the socket ends: the server closes it for this reason; `None` if the network does.
pub async fn send(socket: &mut WebSocket, queue: &SendQueue, message: Message) -> Result<(), Option<Close>> {
    let ending = async {
        let close = queue.closing().await;
        if close != Close::SlowConsumer {
            sleep(GOODBYE).await;
        }
        close
    };
    tokio::select! {
        sent = socket.send(message) => sent.map_err(|_| None),
        close = ending => Err(Some(close)),
        () = sleep(DEAD) => Err(Some(Close::Dead)),
    }
}

/// Closes a socket, and waits for the client to close its side, so that it receives the reason. Or answers the client's
/// own Close, which the library does while it reads.
pub async fn goodbye(mut socket: WebSocket, end: Option<Close>) {
    if let Some(close) = end {
        let frame = CloseFrame { code: close.code(), reason: close.name().into() };
        if socket.send(Message::Close(Some(frame))).await.is_err() {
            return;
        }
    }
    while let Some(Ok(_)) = socket.recv().await {}
}

/// The close reason for a client that sent something invalid; `None` if the client is gone.
#[must_use]
pub fn blame(error: axum::Error) -> Option<Close> {
    match error.into_inner().downcast::<Error>().map(|error| *error) {
        Ok(Error::Capacity(_)) => Some(Close::TooBig),
        Ok(Error::Utf8(_)) => Some(Close::BadText),
        Ok(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => None,
        Ok(Error::Protocol(_)) => Some(Close::BadFrame),
        // The network failed, or the client is gone.
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    /// [`super::blame`] looks for this crate's own error in axum's. With two versions of tungstenite it would find
    /// none, and every client that sends something invalid would get no close code.
    #[test]
    fn tungstenite_is_the_version_that_axum_uses() {
        let lock = include_str!("../../Cargo.lock");
        assert_eq!(lock.matches("name = \"tungstenite\"\n").count(), 1);
    }
}
