//! One WebSocket of a PeerJS client: carries texts between it and the exchange, with limits on time, size and pace.

use std::sync::Weak;

use axum::extract::ws::{Message, WebSocket};
use tokio::time::{sleep, timeout};

use crate::bounds::admission::{Permit, Unsettled};
use crate::compat::peerjs::exchange::PeerHandle;
use crate::compat::peerjs::message::{self, Answer, Fields, Kind, Said};
use crate::signaling::heartbeat::Heartbeat;
use crate::signaling::pace::Pace;
use crate::signaling::protocol::codes::Close;
use crate::signaling::send_queue::Next;
use crate::signaling::socket::{GOODBYE, blame, goodbye, send};

/// How a conversation ends: the server closes it for this reason; `None` if the client or the network does.
type End = Option<Close>;

/// A conversation.
struct Talk {
    socket: WebSocket,
    peer: PeerHandle,
    heartbeat: Heartbeat,
    pace: Pace,
    /// Its permit among the connections. Once the peer is settled, it cannot be evicted.
    permit: Unsettled,
}

/// Serves a socket until it ends. `permit` is its permit among the connections.
pub async fn serve(socket: WebSocket, peer: PeerHandle, permit: Weak<Permit>) {
    let heartbeat = Heartbeat::new(peer.now());
    let mut talk = Talk { socket, peer, heartbeat, pace: Pace::default(), permit: Unsettled::new(permit) };
    let end = talk.run().await;
    let Talk { socket, peer, .. } = talk;
    if let Some(close) = end {
        peer.closed(close);
    }
    // The id is free at once; the closing handshake may take longer.
    let place = peer.place();
    drop(peer);
    // A client that takes longer misses the reason.
    let _ = timeout(GOODBYE, goodbye(socket, end)).await;
    drop(place);
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
        let now = self.peer.now();
        if self.heartbeat.is_dead(now) {
            return Err(Some(Close::Dead));
        }
        if let Some(payload) = self.heartbeat.ping(now) {
            self.send(Message::Ping(payload.to_vec().into())).await?;
        }
        tokio::select! {
            next = self.peer.send_queue().next() => match next {
                Next::Send(frame) => self.send(Message::Text(frame.text().into())).await,
                Next::Close(close) => Err(Some(close)),
            },
            heard = self.socket.recv() => match heard {
                Some(Ok(message)) => self.hear(message).await,
                Some(Err(error)) => Err(blame(error)),
                None => Err(None),
            },
            () = sleep(self.heartbeat.next().since(now)) => Ok(()),
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        let now = self.peer.now();
        self.heartbeat.heard(now);
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes,
            Message::Close(_) => return Err(None),
        };
        // A pong that answers the server's ping does not count against the client's pace.
        if matches!(&message, Message::Pong(payload) if self.heartbeat.pong(payload).is_some()) {
            return Ok(());
        }
        if !self.pace.frame(bytes.len(), now) {
            return self.too_fast().await;
        }
        if matches!(message, Message::Ping(_) | Message::Pong(_)) {
            return Ok(());
        }
        let fields = str::from_utf8(bytes).ok().and_then(Fields::read);
        let said = Said::of(fields.as_ref());
        if said.kind == Kind::Other && !self.pace.mistake(now) {
            return self.too_fast().await;
        }
        self.peer.hear(said);
        self.permit.settle_if(|| self.peer.is_settled());
        Ok(())
    }

    /// Sends the reason before the socket is closed.
    async fn too_fast(&mut self) -> Result<(), End> {
        self.peer.answered(Answer::Error);
        let text = message::error("too many messages, or too many bytes: send fewer");
        // If it cannot be sent, the code of the Close frame says the same.
        let _ = timeout(GOODBYE, self.socket.send(Message::Text(text.into()))).await;
        Err(Some(Close::RateLimited))
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        send(&mut self.socket, self.peer.send_queue(), message).await
    }
}
