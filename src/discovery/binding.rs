//! PURE  The one STUN exchange that a STUN client needs: a Binding request, and the address in its response (RFC 8489 §3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A transaction id (RFC 8489 §5). It is random, so that nobody off the path can forge a response.
pub(super) type Transaction = [u8; 12];

const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A Binding request without attributes.
pub(super) fn request(transaction: Transaction) -> [u8; HEADER] {
    let mut request = [0; HEADER];
    request[..2].copy_from_slice(&REQUEST.to_be_bytes());
    request[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    request[8..].copy_from_slice(&transaction);
    request
}

/// The address in a response to this transaction; `None` if `datagram` is something else.
pub(super) fn mapped_address(datagram: &[u8], transaction: Transaction) -> Option<IpAddr> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    let length = u16::from_be_bytes([header[2], header[3]]);
    let is_ours = header[..2] == SUCCESS.to_be_bytes()
        && header[4..8] == COOKIE.to_be_bytes()
        && header[8..] == transaction
        && usize::from(length) == rest.len();
    if !is_ours {
        return None;
    }
    loop {
        let (kind, after) = rest.split_first_chunk()?;
        let (length, after) = after.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let value = after.get(..length)?;
        if u16::from_be_bytes(*kind) == XOR_MAPPED_ADDRESS {
            return decode(value, transaction);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
}

/// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
fn decode(value: &[u8], transaction: Transaction) -> Option<IpAddr> {
    let (head, address) = value.split_at_checked(4)?;
    match head[1] {
        1 => Some(Ipv4Addr::from(u32::from_be_bytes(address.try_into().ok()?) ^ COOKIE).into()),
        2 => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            let address = u128::from_be_bytes(address.try_into().ok()?) ^ u128::from_be_bytes(mask);
            Some(Ipv6Addr::from(address).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The responses of RFC 5769 §2.2 and §2.3 without SOFTWARE's neighbours: MESSAGE-INTEGRITY and FINGERPRINT.
    const TRANSACTION: Transaction = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
    const V4: &[u8] = b"\x01\x01\x00\x1c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
                        \x80\x22\x00\x0btest vector \
                        \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    const V6: &[u8] = b"\x01\x01\x00\x28\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
                        \x80\x22\x00\x0btest vector \
                        \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";

    #[test]
    fn a_request_is_a_header_alone() {
        assert_eq!(request(TRANSACTION)[..8], *b"\x00\x01\x00\x00\x21\x12\xa4\x42");
        assert_eq!(request(TRANSACTION)[8..], TRANSACTION);
    }

    #[test]
    fn the_responses_of_rfc_5769_are_understood() {
        assert_eq!(mapped_address(V4, TRANSACTION), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(
            mapped_address(V6, TRANSACTION),
            Some("2001:db8:1234:5678:11:2233:4455:6677".parse().unwrap())
        );
    }

    #[test]
    fn what_answers_another_request_is_not_believed() {
        assert_eq!(mapped_address(V4, [0; 12]), None);
        let mut error = V4.to_vec();
        error[1] = 0x11;
        assert_eq!(mapped_address(&error, TRANSACTION), None);
        assert_eq!(mapped_address(&V4[..V4.len() - 4], TRANSACTION), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(attributes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut datagram = V4[..HEADER].to_vec();
            datagram[2..4].copy_from_slice(&(attributes.len() as u16).to_be_bytes());
            datagram.extend(attributes);
            let _ = mapped_address(&datagram, TRANSACTION);
        }
    }
}
