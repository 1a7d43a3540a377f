//! PURE  Writes the headers around relayed data, and the indications of this server.

use std::net::IpAddr;

use stun::attributes::{ATTR_CONNECTION_ID, ATTR_DATA, ATTR_XOR_PEER_ADDRESS, AttrType};
use stun::message::MAGIC_COOKIE;

use crate::relay::address::{ChannelNumber, ConnectionId, Family, PeerAddr};
use crate::relay::wire::{
    ATTR_ICMP, ATTRIBUTE, CHANNEL_HEADER, COOKIE, DATA_HEADER_MAX, HEADER, Icmp, padded, xor,
};

const DATA_INDICATION: u16 = 0x0017;
const CONNECTION_ATTEMPT: u16 = 0x001C;

/// The ChannelData header for `length` bytes of data (RFC 8656 §12.4). The data needs padding on a stream, but not over
/// UDP (§12.5).
///
/// # Panics
/// If the data is longer than 65,535 bytes, which no datagram is.
#[must_use]
pub fn channel_data_header(number: ChannelNumber, length: usize) -> [u8; CHANNEL_HEADER] {
    let length = u16::try_from(length).expect("a datagram's data fits 16 bits").to_be_bytes();
    let number = number.get().to_be_bytes();
    [number[0], number[1], length[0], length[1]]
}

/// An indication up to the value of its last attribute.
#[derive(Debug, Clone, Copy)]
pub struct IndicationHeader {
    bytes: [u8; DATA_HEADER_MAX],
    length: usize,
}

impl IndicationHeader {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// An indication that names a peer; the value of its second and last attribute has `length` bytes. `None` if the
    /// message would be longer than STUN can express.
    fn new(
        kind: u16,
        peer: PeerAddr,
        (attribute, length): (AttrType, usize),
        transaction: [u8; 12],
    ) -> Option<Self> {
        let address = match peer.family() {
            Family::V4 => 8,
            Family::V6 => 20,
        };
        let last = HEADER + ATTRIBUTE + address;
        let end = last + ATTRIBUTE;
        let message_length = u16::try_from(end - HEADER + padded(length)).ok()?;
        let mut bytes = [0; DATA_HEADER_MAX];
        bytes[..2].copy_from_slice(&kind.to_be_bytes());
        bytes[2..4].copy_from_slice(&message_length.to_be_bytes());
        bytes[4..8].copy_from_slice(&COOKIE);
        bytes[8..HEADER].copy_from_slice(&transaction);
        write_peer(&mut bytes[..last], peer);
        write_attribute_header(&mut bytes[last..end], attribute, length as u16);
        Some(Self { bytes, length: end })
    }
}

/// A Data indication (RFC 8656 §11.3) up to its `length` bytes of data, which padding must follow. `None` if the
/// message would be longer than STUN can express.
#[must_use]
pub fn data_indication_header(
    peer: PeerAddr,
    length: usize,
    transaction: [u8; 12],
) -> Option<IndicationHeader> {
    IndicationHeader::new(DATA_INDICATION, peer, (ATTR_DATA, length), transaction)
}

/// A Data indication that carries an ICMP error instead of data (RFC 8656 §11.5, §18.13).
#[must_use]
pub fn icmp_indication(peer: PeerAddr, icmp: Icmp, transaction: [u8; 12]) -> Vec<u8> {
    // 16 reserved bits, 7 bits of type, 9 bits of code, 32 bits of data.
    let type_and_code = (u16::from(icmp.kind) << 9) | u16::from(icmp.code);
    let value = (u64::from(type_and_code) << 32) | u64::from(icmp.data);
    peer_indication(DATA_INDICATION, peer, ATTR_ICMP, &value.to_be_bytes(), transaction)
}

/// A ConnectionAttempt indication (RFC 6062 §5.3).
#[must_use]
pub fn connection_attempt(peer: PeerAddr, connection: ConnectionId, transaction: [u8; 12]) -> Vec<u8> {
    peer_indication(CONNECTION_ATTEMPT, peer, ATTR_CONNECTION_ID, &connection.0.to_be_bytes(), transaction)
}

/// An indication that names a peer and has one more attribute, whose value needs no padding.
fn peer_indication(
    kind: u16,
    peer: PeerAddr,
    attribute: AttrType,
    value: &[u8],
    transaction: [u8; 12],
) -> Vec<u8> {
    let header = IndicationHeader::new(kind, peer, (attribute, value.len()), transaction);
    [header.expect("two short attributes").as_bytes(), value].concat()
}

fn write_attribute_header(attribute: &mut [u8], kind: AttrType, length: u16) {
    attribute[..2].copy_from_slice(&kind.0.to_be_bytes());
    attribute[2..ATTRIBUTE].copy_from_slice(&length.to_be_bytes());
}

/// Writes XOR-PEER-ADDRESS (RFC 8656 §18.3) as the first attribute of `message`, which ends with it.
fn write_peer(message: &mut [u8], peer: PeerAddr) {
    let (header, attribute) = message.split_at_mut(HEADER);
    let key = &header[4..];
    let value = u16::try_from(attribute.len() - ATTRIBUTE).expect("an address has 8 or 20 bytes");
    write_attribute_header(attribute, ATTR_XOR_PEER_ADDRESS, value);
    let port = peer.0.port() ^ (MAGIC_COOKIE >> 16) as u16;
    attribute[6..8].copy_from_slice(&port.to_be_bytes());
    match peer.ip() {
        IpAddr::V4(ip) => {
            attribute[4..6].copy_from_slice(&[0, 1]);
            attribute[8..].copy_from_slice(&xor(ip.octets(), key));
        }
        IpAddr::V6(ip) => {
            attribute[4..6].copy_from_slice(&[0, 2]);
            attribute[8..].copy_from_slice(&xor(ip.octets(), key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::relay::wire::{Class, DATA_PADDING_MAX, Datagram, padding, screen};

    const TRANSACTION: [u8; 12] = *b"transaction!";

    fn channel_data(number: ChannelNumber, data: &[u8]) -> Vec<u8> {
        [&channel_data_header(number, data.len())[..], data].concat()
    }

    fn data_indication(peer: PeerAddr, data: &[u8]) -> Option<Vec<u8>> {
        let header = data_indication_header(peer, data.len(), TRANSACTION)?;
        Some([header.as_bytes(), data, &vec![0; padding(data.len())]].concat())
    }

    /// A Data indication, decoded strictly: the peer and the data.
    fn read_data_indication(bytes: &[u8]) -> (PeerAddr, &[u8]) {
        let Ok(Datagram::Message(message)) = screen(bytes) else { panic!("no message: {bytes:x?}") };
        assert_eq!((message.class(), message.method()), (Class::Indication, 0x007));
        assert_eq!(message.transaction(), TRANSACTION);
        let attributes: Vec<_> = message.attributes().collect();
        let [peer, data] = attributes[..] else { panic!("two attributes: {attributes:?}") };
        assert_eq!((peer.kind, data.kind), (ATTR_XOR_PEER_ADDRESS, ATTR_DATA));
        assert!(bytes[data.at + data.value.len()..].iter().all(|byte| *byte == 0), "padding is zero");
        (message.peer(&peer).unwrap(), data.value)
    }

    fn peers() -> impl Strategy<Value = PeerAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| PeerAddr(SocketAddr::new(ip, port)))
    }

    proptest! {
        #[test]
        fn channel_data_is_read_as_it_was_written(
            number in 0x4000..=0x4FFF_u16,
            payload in vec(any::<u8>(), 0..300),
        ) {
            let number = ChannelNumber::new(number).unwrap();
            let written = channel_data(number, &payload);
            let Ok(Datagram::ChannelData(read, at)) = screen(&written) else { panic!() };
            prop_assert_eq!((read, &written[at]), (number, &payload[..]));
        }

        #[test]
        fn a_data_indication_is_read_as_it_was_written(
            peer in peers(),
            payload in vec(any::<u8>(), 0..300),
        ) {
            let written = data_indication(peer, &payload).unwrap();
            prop_assert_eq!(read_data_indication(&written), (peer, &payload[..]));
            prop_assert!(written.len() <= DATA_HEADER_MAX + payload.len() + DATA_PADDING_MAX);
        }
    }

    #[test]
    fn a_data_indication_has_room_for_every_length_that_its_header_can_tell() {
        let sizes = [0, 1, 2, 3, 4, 5, 1200, 65_503, 65_504, 65_505, 65_515, 65_516, 65_517, 65_535, 65_536];
        for (peer, most) in [("1.1.1.1:9000", 65_516), ("[2606:4700::1]:9000", 65_504)] {
            let peer = PeerAddr(peer.parse().unwrap());
            for size in sizes {
                let data = vec![7; size];
                let written = data_indication(peer, &data);
                assert_eq!(written.is_some(), size <= most, "{size} bytes from {peer:?}");
                if let Some(written) = written {
                    assert_eq!(read_data_indication(&written), (peer, &data[..]));
                }
            }
        }
    }

    #[test]
    fn an_empty_payload_is_relayed_as_one() {
        let written = channel_data(ChannelNumber::new(0x4000).unwrap(), &[]);
        assert_eq!(written, [0x40, 0, 0, 0]);
        assert!(matches!(screen(&written), Ok(Datagram::ChannelData(_, payload)) if payload.is_empty()));
    }

    /// RFC 8656 §18.13: 16 reserved bits, 7 bits of type, 9 bits of code, and the data of the type.
    #[test]
    fn an_icmp_indication_names_the_peer_and_the_error() {
        let icmp = Icmp { kind: 3, code: 4, data: 1400 };
        for (peer, bytes) in [("1.1.1.1:9000", 44), ("[2606:4700::1]:9000", 56)] {
            let peer = PeerAddr(peer.parse().unwrap());
            let written = icmp_indication(peer, icmp, TRANSACTION);
            let Ok(Datagram::Message(message)) = screen(&written) else { panic!("no message") };
            assert_eq!((message.kind(), message.transaction(), written.len()), (0x0017, TRANSACTION, bytes));
            let kinds: Vec<_> = message.attributes().map(|attribute| attribute.kind).collect();
            assert_eq!(kinds, [ATTR_XOR_PEER_ADDRESS, AttrType(0x8004)]);
            assert_eq!(message.peer(&message.first(ATTR_XOR_PEER_ADDRESS).unwrap()), Some(peer));
            assert_eq!(message.first(ATTR_ICMP).unwrap().value, [0, 0, 0x06, 0x04, 0, 0, 0x05, 0x78]);
        }
    }
}
