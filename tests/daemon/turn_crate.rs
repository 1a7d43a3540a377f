//! The `turn` crate's own client works with us, over IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::support::daemon::{PATIENCE, start};

#[tokio::test]
async fn the_turn_crates_client_allocates_binds_a_channel_and_exchanges_data() {
    let daemon = start("22000-22099");
    for server in daemon.addresses().udp.clone() {
        let ip: IpAddr = server.ip();
        let socket = Arc::new(UdpSocket::bind(SocketAddr::new(ip, 0)).await.unwrap());
        let client = Client::new(ClientConfig {
            stun_serv_addr: server.to_string(),
            turn_serv_addr: server.to_string(),
            username: "alice".to_owned(),
            password: "a password of the tests".to_owned(),
            realm: String::new(),
            software: String::new(),
            rto_in_ms: 0,
            conn: socket,
            vnet: None,
        });
        let client = client.await.unwrap();
        client.listen().await.unwrap();
        let mapped = tokio::time::timeout(PATIENCE, client.send_binding_request()).await.unwrap().unwrap();
        assert_eq!(mapped.ip(), ip);

        // The client asks for no family, so it is given IPv4 (RFC 8656 §7.2); its peer is one, then.
        let relay = tokio::time::timeout(PATIENCE, client.allocate()).await.unwrap().unwrap();
        let relayed = relay.local_addr().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer_address = peer.local_addr().unwrap();
        let mut buffer = [0; 1500];
        // The first packet goes out as a Send indication, while the client binds a channel for the next ones.
        for round in 0..20_u8 {
            relay.send_to(&[round; 100], peer_address).await.unwrap();
            let (length, from) =
                tokio::time::timeout(PATIENCE, peer.recv_from(&mut buffer)).await.unwrap().unwrap();
            assert_eq!((&buffer[..length], from), (&[round; 100][..], relayed));
            peer.send_to(&[round; 50], relayed).await.unwrap();
            let (length, from) =
                tokio::time::timeout(PATIENCE, relay.recv_from(&mut buffer)).await.unwrap().unwrap();
            assert_eq!((&buffer[..length], from), (&[round; 50][..], peer_address));
        }
        relay.close().await.unwrap();
        client.close().await.unwrap();
    }
    daemon.stop();
}
