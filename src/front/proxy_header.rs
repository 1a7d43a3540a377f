//! Reads the PROXY protocol header at the beginning of a proxy's connection, and not one byte more.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, versions 1 and 2.

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The two ends of the connection between the client and the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The client's address.
    pub(super) client: SocketAddr,
    /// The address that the client connected to.
    pub(super) server: SocketAddr,
}

/// The shortest header of version 1 is longer than the signature of version 2.
const SIGNATURE: usize = v2::PROTOCOL_PREFIX.len();
/// Bytes in front of the addresses in version 2.
const FIXED: usize = SIGNATURE + 4;
/// The longest header of version 1, including its line end.
const LINE_MAX: usize = 107;
/// The type and length of a TLV, which may follow the addresses.
const TLV_HEAD: usize = 3;
/// The longest header of version 2 that is accepted. Its length field allows 64 KiB.
const HEADER_MAX: usize = 4096;

/// Reads a header. `None` if the proxy connects on its own behalf, for example for a health check.
///
/// # Errors
/// If the connection fails, or begins with anything else.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Ends>> {
    let mut header = vec![0; SIGNATURE];
    from.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        header.resize(FIXED, 0);
        from.read_exact(&mut header[SIGNATURE..]).await?;
        let length = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        if FIXED + length > HEADER_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        header.resize(FIXED + length, 0);
        from.read_exact(&mut header[FIXED..]).await?;
    } else {
        while !header.ends_with(b"\n") && header.len() < LINE_MAX && header.starts_with(b"PROXY ") {
            header.push(from.read_u8().await?);
        }
    }
    parse(&header).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The ends in a complete header; the outer `None` if it is not a valid header of a TCP connection.
fn parse(header: &[u8]) -> Option<Option<Ends>> {
    let ends =
        |client: SocketAddr, server: SocketAddr| Some(Some(Ends { client: canonical(client), server }));
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Unknown => Some(None),
            v1::Addresses::Tcp4(tcp) => ends(
                (tcp.source_address, tcp.source_port).into(),
                (tcp.destination_address, tcp.destination_port).into(),
            ),
            v1::Addresses::Tcp6(tcp) => ends(
                (tcp.source_address, tcp.source_port).into(),
                (tcp.destination_address, tcp.destination_port).into(),
            ),
        },
        HeaderResult::V2(Ok(header)) => match (header.command, header.protocol, header.addresses) {
            (v2::Command::Local, _, _) => Some(None),
            _ if !are_whole(header.tlvs(), header.as_bytes()) => None,
            (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv4(tcp)) => ends(
                (tcp.source_address, tcp.source_port).into(),
                (tcp.destination_address, tcp.destination_port).into(),
            ),
            (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv6(tcp)) => ends(
                (tcp.source_address, tcp.source_port).into(),
                (tcp.destination_address, tcp.destination_port).into(),
            ),
            (v2::Command::Proxy, _, _) => None,
        },
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => None,
    }
}

/// Whether the TLVs after the addresses (§2.2) fill the header exactly, and a checksum among them is right. A receiver may
/// skip TLVs, but one that reads checksums must end the connection for a wrong one (§2.2.3). We read them: if the proxy
/// and we disagree about the header, the client's address in it cannot be trusted.
fn are_whole(tlvs: v2::TypeLengthValues<'_>, header: &[u8]) -> bool {
    let mut at = header.len() - tlvs.as_bytes().len();
    for tlv in tlvs {
        let Ok(tlv) = tlv else { return false };
        let value = at + TLV_HEAD;
        at = value + tlv.value.len();
        if tlv.kind == v2::Type::CRC32C as u8 {
            let Ok(sum) = <[u8; 4]>::try_from(tlv.value.as_ref()) else { return false };
            let blank = [&header[..value], &[0; 4], &header[at..]].concat();
            if crc32c(&blank) != u32::from_be_bytes(sum) {
                return false;
            }
        }
    }
    true
}

/// Castagnoli's CRC-32 (RFC 4960 appendix B), bit by bit: it is only needed when a proxy sends a checksum.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

/// A proxy that listens on IPv6 for both families writes IPv4 clients as IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of reading a connection that begins with `bytes`, and the bytes that are left.
    fn read_from(bytes: &[u8]) -> (io::Result<Option<Ends>>, &[u8]) {
        let mut rest = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(read(&mut rest));
        (result, rest)
    }

    fn ends(client: &str, server: &str) -> Option<Ends> {
        Some(Ends { client: client.parse().unwrap(), server: server.parse().unwrap() })
    }

    /// Version 2 for TCP, with addresses and TLVs.
    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [198, 51, 100, 7, 192, 0, 2, 1, 0x9C, 0x40, 0x0D, 0x96];

    #[test]
    fn both_versions_name_the_client_and_leave_what_follows() {
        let v6 = [[0x20, 1, 0x0D, 0xB8].as_slice(), &[0; 11], &[7], &[0x20, 1, 0x0D, 0xB8], &[0; 11], &[1]]
            .concat();
        let v6 = [v6.as_slice(), &V4[8..]].concat();
        let tlv = [&V4[..], &[0x02, 0, 3], b"abc"].concat();
        let (four, six) =
            (ends("198.51.100.7:40000", "192.0.2.1:3478"), ends("[2001:db8::7]:40000", "[2001:db8::1]:3478"));
        for (header, expected) in [
            (b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 3478\r\n".to_vec(), four),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 3478\r\n".to_vec(), six),
            (version_2(0x21, 0x11, &V4), four),
            (version_2(0x21, 0x11, &tlv), four),
            (version_2(0x21, 0x21, &v6), six),
        ] {
            let stream = [&header, &b"\0\x01\0\0rest"[..]].concat();
            let (result, rest) = read_from(&stream);
            assert_eq!(result.unwrap(), expected, "{header:?}");
            assert_eq!(rest, b"\0\x01\0\0rest");
        }
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        for header in [b"PROXY UNKNOWN\r\n".to_vec(), version_2(0x20, 0x00, &[]), version_2(0x20, 0x11, &V4)]
        {
            assert_eq!(read_from(&header).0.unwrap(), None);
        }
    }

    #[test]
    fn an_ipv4_client_in_ipv6_clothes_is_an_ipv4_client() {
        let header = b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.1 40000 3478\r\n";
        let found = read_from(header).0.unwrap().unwrap();
        assert_eq!(found.client, "198.51.100.7:40000".parse().unwrap());
    }

    /// A header with a right checksum between the given TLVs.
    fn summed(before: &[u8], after: &[u8]) -> Vec<u8> {
        let mut header = version_2(0x21, 0x11, &[&V4[..], before, &[0x03, 0, 4], &[0; 4], after].concat());
        let at = FIXED + V4.len() + before.len() + TLV_HEAD;
        let sum = crc32c(&header);
        header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        header
    }

    /// F25
    #[test]
    fn what_follows_the_addresses_is_whole_or_the_header_is_refused() {
        let with = |tlvs: &[u8]| version_2(0x21, 0x11, &[&V4[..], tlvs].concat());
        // RFC 3720 appendix B.4 has the checksum of 32 zeros; RFC 4960's of this text is in every list of CRCs.
        assert_eq!((crc32c(&[0; 32]), crc32c(b"123456789")), (0x8A91_36AA, 0xE306_9283));
        let good = summed(&[0x02, 0, 1, b'a'], &[0x04, 0, 0]);
        let mut wrong = good.clone();
        wrong[FIXED] ^= 1;
        for header in [with(&[0x04, 0, 0]), with(&[0xEE, 0, 2, 1, 2, 0x20, 0, 0]), good] {
            assert_eq!(
                read_from(&header).0.unwrap(),
                ends("198.51.100.7:40000", "192.0.2.1:3478"),
                "{header:?}"
            );
        }
        for header in [
            with(&[0x04]),
            with(&[0x04, 0]),
            with(&[0x04, 0, 1]),
            with(&[0x02, 0, 9, b'a']),
            with(&[0x02, 0xFF, 0xFF, b'a']),
            with(&[0x02, 0, 1, b'a', 0]),
            with(&[0x03, 0, 3, 1, 2, 3]),
            with(&[0x03, 0, 4, 1, 2, 3, 4]),
            wrong,
        ] {
            assert!(read_from(&header).0.is_err(), "{header:?}");
        }
        let local = version_2(0x20, 0x11, &[&V4[..], &[0x04, 0, 9]].concat());
        assert_eq!(
            read_from(&local).0.unwrap(),
            None,
            "who speaks for itself says nothing that counts (§2.2)"
        );
    }

    #[test]
    fn anything_else_is_an_error_and_reads_no_more_than_a_header() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 1000]].concat();
        let long = version_2(0x21, 0x11, &[0; 5000]);
        for (bytes, most) in [
            (b"\0\x01\0\0\x21\x12\xA4\x42abcdefghijkl".to_vec(), SIGNATURE),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), SIGNATURE),
            (b"PROXY TCP4 nobody 192.0.2.1 1 2\r\n".to_vec(), LINE_MAX),
            (b"PROXY TCP4 198.51.100.7 192.0.2.1 40000\r\n".to_vec(), LINE_MAX),
            (endless, LINE_MAX),
            (version_2(0x21, 0x12, &V4), HEADER_MAX),
            (version_2(0x21, 0x11, &V4[..8]), HEADER_MAX),
            (version_2(0x31, 0x11, &V4), HEADER_MAX),
            (long, FIXED),
            (b"PRO".to_vec(), SIGNATURE),
        ] {
            let (result, rest) = read_from(&bytes);
            assert!(result.is_err(), "{bytes:?}");
            assert!(bytes.len() - rest.len() <= most, "{bytes:?}");
        }
    }
}
