//! Whether the daemon's clock agrees with this machine's, by the `Date` field of an HTTP response (RFC 9110 §6.6.1).

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::doctor::PATIENCE;
use crate::doctor::report::Report;
use crate::doctor::target::Target;
use crate::doctor::tls;
use crate::ice::Transport;

const SUBJECT: &str = "daemon's clock";
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Bytes of a response that are read.
const RESPONSE_MAX: u64 = 16 << 10;
/// Seconds by which clocks may differ: credentials live for minutes at least.
const TOLERANCE: u64 = 60;

/// Asks the plain HTTP listener, or a TLS target.
pub(super) async fn compare(plain: Option<SocketAddr>, targets: &[Target], report: &mut Report) {
    let tls = targets.iter().find(|target| target.transport == Transport::Tls);
    let asked = async {
        match (plain, tls) {
            (Some(address), _) => ask(TcpStream::connect(address).await?).await,
            (None, Some(target)) => {
                let stream = TcpStream::connect(target.address).await?;
                let (stream, _) = tls::connect(stream, &ServerName::from(target.address.ip())).await?;
                ask(stream).await
            }
            (None, None) => Ok(None),
        }
    };
    let Ok(Ok(Some(theirs))) = timeout(PATIENCE, asked).await else {
        report.skip(SUBJECT, "no HTTP listener says the time");
        return;
    };
    let ours = Clock::start().now().unix.as_secs();
    let apart = ours.abs_diff(theirs);
    if apart <= TOLERANCE {
        report.ok(SUBJECT, "agrees with this machine's");
        return;
    }
    let side = if theirs > ours { "ahead of" } else { "behind" };
    let apart = humantime::format_duration(std::time::Duration::from_secs(apart));
    report.fail(
        SUBJECT,
        format!("it is {apart} {side} this machine's, so credentials end at the wrong time"),
        "have both machines set their clocks by NTP: timedatectl set-ntp true",
    );
}

/// The second on the server's clock, if it says it.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<Option<u64>> {
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut response = Vec::new();
    // Some servers end TLS connections without saying so; what has arrived counts.
    let _ = stream.take(RESPONSE_MAX).read_to_end(&mut response).await;
    Ok(date(&String::from_utf8_lossy(&response)))
}

fn date(response: &str) -> Option<u64> {
    let fields = response.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let (_, date) = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let date = httpdate::parse_http_date(date.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_response_is_read() {
        let response = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nDate: no";
        assert_eq!(date(response), Some(784_111_777));
        assert_eq!(date("HTTP/1.1 200 OK\r\n\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"), None);
    }
}
