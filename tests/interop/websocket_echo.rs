//! An echo server made of the daemon's own HTTP and WebSocket parts, for Autobahn's fuzzing client: it wants every message
//! back, which rooms would not give it. Listens on the port that it is told, until it is killed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use hairpin::bounds::admission::{Admission, Bounds};
use hairpin::clock::Clock;
use hairpin::http::connection::{Client, Protocol, Server};
use hairpin::http::websocket::bounded;
use hairpin::signaling::socket::{blame, goodbye};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: websocket_echo PORT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

async fn serve(address: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let upgrade = async |upgrade: WebSocketUpgrade| bounded(upgrade).on_upgrade(echo);
    let clock = Clock::start();
    let server = Server::new(Router::new().route("/", any(upgrade)), Arc::default(), clock);
    let admission = Arc::new(Admission::new(Bounds { most: 1000, per_network: 1000, per_address: 1000 }));
    let listener = TcpListener::bind(address).await?;
    println!("listening");
    loop {
        let (socket, from) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let permit = admission
            .admit(None, clock.now().moment)
            .map_err(|full| format!("too many connections: {full:?}"))?;
        let client = Client { peer: from.ip(), secure: false, protocol: Protocol::Http1, permit };
        tokio::spawn(server.clone().serve(socket, client));
    }
}

/// Sends every message back; what is no message is answered as in a room.
async fn echo(mut socket: WebSocket) {
    while let Some(heard) = socket.recv().await {
        let sent = match heard {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await,
            Ok(Message::Close(_)) => return goodbye(socket, None).await,
            Ok(Message::Ping(_) | Message::Pong(_)) => Ok(()),
            Err(error) => return goodbye(socket, blame(error)).await,
        };
        if sent.is_err() {
            return;
        }
    }
}
