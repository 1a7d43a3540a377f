//! Whether packets come through allocations: between two of them, and from this machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::Config;
use crate::doctor::attempt::{Fault, RETRY, Reached, Session, mapped};
use crate::doctor::report::Report;

const PACKET: &[u8] = b"hairpin doctor";
const TRIES: usize = 4;
/// How many relay ports are tried.
const SAMPLE: usize = 8;
const BETWEEN: &str = "relaying";
const PORTS: &str = "relay ports";

/// Has two allocations send each other a packet.
pub(super) async fn between_two(reached: Option<&Reached<'_>>, report: &mut Report) {
    let Some(reached) = reached else {
        report.skip(BETWEEN, "no allocation to relay with");
        return;
    };
    let pair = async { Ok::<_, Fault>((reached.again().await?, reached.again().await?)) };
    let (one, other) = match pair.await {
        Ok(pair) => pair,
        Err(fault) => {
            fault.report(BETWEEN, reached.target(), report);
            return;
        }
    };
    match exchange(&one, &other).await {
        Ok(()) => report.ok(BETWEEN, "a packet comes through two allocations, both ways"),
        Err(why) => report.fail(
            BETWEEN,
            format!("no packet comes from {} to {}: {why}", one.relayed, other.relayed),
            "check relay.addresses, and that the firewall lets UDP in to relay.ports",
        ),
    }
    one.end().await;
    other.end().await;
}

/// Sends packets both ways until one has arrived each way. Each side's first packet asks for its permission.
async fn exchange(one: &Session, other: &Session) -> Result<(), String> {
    let mut missing = "the packets are lost".to_owned();
    for _ in 0..TRIES {
        for (from, to) in [(one, other), (other, one)] {
            if let Err(error) = from.relay.send_to(PACKET, to.relayed).await {
                missing = error.to_string();
            }
        }
        if arrives(one).await && arrives(other).await {
            return Ok(());
        }
    }
    Err(missing)
}

async fn arrives(session: &Session) -> bool {
    let mut buffer = [0; 256];
    let heard = timeout(RETRY, session.relay.recv_from(&mut buffer)).await;
    matches!(heard, Ok(Ok((length, _))) if buffer.get(..length) == Some(PACKET))
}

/// Sends packets from this machine to the relayed addresses of some allocations.
pub(super) async fn from_here(reached: Option<&Reached<'_>>, config: &Config, report: &mut Report) {
    let Some(reached) = reached else {
        report.skip(PORTS, "no allocation to send to");
        return;
    };
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..SAMPLE {
        let session = match reached.again().await {
            Ok(session) => session,
            Err(fault) => {
                fault.report(PORTS, reached.target(), report);
                return;
            }
        };
        match probe(&session, reached.target().address).await {
            Ok(true) => open.insert(session.relayed.port()),
            Ok(false) => closed.insert(session.relayed.port()),
            Err(why) => {
                report.skip(PORTS, why);
                session.end().await;
                return;
            }
        };
        session.end().await;
    }
    let (range, all) = (&config.relay.ports, open.len() + closed.len());
    let remedy = format!(
        "let UDP in to all of relay.ports, in every firewall: ufw allow {}:{}/udp",
        range.start(),
        range.end()
    );
    if closed.is_empty() {
        report.ok(PORTS, format!("packets from here come in at {all} of {all}"));
    } else if open.is_empty() {
        report.fail(PORTS, format!("packets from here come in at none of {all}: {closed:?}"), remedy);
    } else {
        report.fail(
            PORTS,
            format!("packets from here do not come in at {closed:?}, only at {open:?}"),
            remedy,
        );
    }
}

/// Whether a packet from this machine comes in at the allocation's relay port.
async fn probe(session: &Session, server: SocketAddr) -> Result<bool, String> {
    let here = socket(server.ip()).await?;
    let seen =
        mapped(here, server).await.ok_or("the server does not say by which address it sees this machine")?;
    if seen.is_ipv4() != session.relayed.is_ipv4() {
        return Err(format!(
            "this machine reaches the server only over another family than {}",
            session.relayed
        ));
    }
    // The relay admits what comes from this address, whatever its port.
    if let Err(error) = session.relay.send_to(PACKET, seen).await {
        return Err(format!(
            "the server does not relay to {}, as which it sees this machine: {error}",
            seen.ip()
        ));
    }
    let socket = socket(session.relayed.ip()).await?;
    for _ in 0..TRIES {
        // A refused packet is as lost as any other.
        let _ = socket.send_to(PACKET, session.relayed).await;
        if arrives(session).await {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn socket(towards: IpAddr) -> Result<UdpSocket, String> {
    let any = if towards.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(any).await.map_err(|error| error.to_string())
}
