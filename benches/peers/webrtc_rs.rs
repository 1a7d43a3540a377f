//! The TURN server of the `turn` crate (webrtc-rs), set up as its own example does, for benches/run.
//!
//! Arguments: the address to listen on, the shared secret, the first and the last relay port, and the number of threads
//! (0: one for each processor).
#![allow(clippy::disallowed_methods, reason = "a program for measurements")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, Runtime};
use turn::auth::{AuthHandler, generate_auth_key};
use turn::relay::relay_range::RelayAddressGeneratorRanges;
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};
use webrtc_util::vnet::net::Net;

/// In case that whoever started it dies without stopping it.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Passwords as a web application issues them: the HMAC of the username.
struct Secret(String);

impl AuthHandler for Secret {
    fn auth_handle(&self, username: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        let password = STANDARD.encode(mac.finalize().into_bytes());
        Ok(generate_auth_key(username, realm, &password))
    }
}

fn main() -> Outcome<()> {
    // `cargo bench` starts every bench without arguments of ours; that must not look like a failure.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [address, secret, first, last, threads] = arguments.as_slice() else {
        eprintln!("usage: webrtc-rs ADDRESS SECRET FIRST_PORT LAST_PORT THREADS");
        return Ok(());
    };
    let ports = (first.parse()?, last.parse()?);
    runtime(threads.parse()?)?.block_on(serve(address.parse()?, secret.clone(), ports))
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    match threads {
        0 => Builder::new_multi_thread().enable_all().build(),
        1 => Builder::new_current_thread().enable_all().build(),
        more => Builder::new_multi_thread().worker_threads(more).enable_all().build(),
    }
}

async fn serve(address: SocketAddr, secret: String, (min_port, max_port): (u16, u16)) -> Outcome<()> {
    let ip = address.ip();
    let relay = RelayAddressGeneratorRanges {
        relay_address: ip,
        min_port,
        max_port,
        max_retries: 100,
        address: ip.to_string(),
        net: Arc::new(Net::new(None)),
    };
    let conn = Arc::new(UdpSocket::bind(address).await?);
    let server = Server::new(ServerConfig {
        conn_configs: vec![ConnConfig { conn, relay_addr_generator: Box::new(relay) }],
        realm: "bench".to_owned(),
        auth_handler: Arc::new(Secret(secret)),
        channel_bind_timeout: Duration::ZERO, // its default
        alloc_close_notify: None,
    })
    .await?;
    tokio::time::sleep(LIFETIME).await;
    server.close().await?;
    Ok(())
}
