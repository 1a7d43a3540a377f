//! One WebSocket of such a page: carries texts between it and its member, with limits on time, size and pace.

use std::sync::Weak;

use axum::extract::ws::{Message, WebSocket};
use tokio::time::{sleep, timeout};

use crate::bounds::admission::{Permit, Unsettled};
use crate::compat::plain::member::{Effect, Member};
use crate::secret::Secret;
use crate::signaling::heartbeat::Heartbeat;
use crate::signaling::hub::SocketHandle;
use crate::signaling::pace::Pace;
use crate::signaling::protocol::codes::Close;
use crate::signaling::protocol::{ClientMessage, Request};
use crate::signaling::send_queue::Next;
use crate::signaling::socket::{GOODBYE, blame, goodbye, send};

/// How a conversation ends: the server closes it for this reason; `None` if the client or the network does.
type End = Option<Close>;

/// A conversation.
struct Talk {
    socket: WebSocket,
    seat: SocketHandle,
    member: Member,
    heartbeat: Heartbeat,
    pace: Pace,
    /// Its permit among the connections. Once it has been in a room, it cannot be evicted.
    permit: Unsettled,
}

/// Serves a socket until it ends. `token` is a room token, and `permit` its permit among the connections.
pub async fn serve(
    socket: WebSocket,
    seat: SocketHandle,
    (member, token): (Member, Option<Secret>),
    permit: Weak<Permit>,
) {
    let heartbeat = Heartbeat::new(seat.now());
    for request in member.enter(token) {
        seat.hear(Ok(request));
    }
    let mut talk =
        Talk { socket, seat, member, heartbeat, pace: Pace::default(), permit: Unsettled::new(permit) };
    let end = talk.run().await;
    let Talk { socket, seat, .. } = talk;
    if let Some(close) = end {
        seat.closed(close);
    }
    // Nothing can be resumed, so the others hear at once that it is gone. The closing handshake may take longer.
    if seat.is_in_room() {
        seat.hear(Ok(Request { id: None, message: ClientMessage::Bye }));
    }
    let permit = seat.permit();
    drop(seat);
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
        let now = self.seat.now();
        if self.heartbeat.is_dead(now) {
            return Err(Some(Close::Dead));
        }
        if let Some(payload) = self.heartbeat.ping(now) {
            self.send(Message::Ping(payload.to_vec().into())).await?;
        }
        tokio::select! {
            next = self.seat.send_queue().next() => match next {
                Next::Send(frame) => {
                    frame.n.into_iter().for_each(|n| self.seat.acknowledge(n));
                    let effects = self.member.told(&frame);
                    self.permit.settle_if(|| self.seat.is_in_room());
                    self.carry_out(effects).await
                }
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
        let now = self.seat.now();
        self.heartbeat.heard(now);
        let size = match &message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
            Message::Close(_) => return Err(None),
        };
        // A pong that answers the server's ping does not count against the client's pace.
        if matches!(&message, Message::Pong(payload) if self.heartbeat.pong(payload).is_some()) {
            return Ok(());
        }
        if !self.pace.frame(size, now) {
            return Err(Some(Close::RateLimited));
        }
        match message {
            Message::Text(text) => {
                let effects = self.member.hear(&text);
                self.carry_out(effects).await
            }
            Message::Binary(_) => Err(Some(Close::Protocol)),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        }
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), End> {
        for effect in effects {
            match effect {
                Effect::Send(text) => self.send(Message::Text(text.into())).await?,
                Effect::Ask(request) => drop(self.seat.hear(Ok(request))),
                Effect::Mistake => {
                    if !self.pace.mistake(self.seat.now()) {
                        return Err(Some(Close::RateLimited));
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        send(&mut self.socket, self.seat.send_queue(), message).await
    }
}
