//! Messages that are sent together share TLS records, if the operator wants it.

use std::io::Read as _;

use crate::support::daemon::start_secure;
use crate::support::session::Turn;
use crate::support::stream::Client;
use crate::support::stun::BINDING;

/// The first byte of a record with data (RFC 8446 §5.1), and the length of a record's header.
const APPLICATION_DATA: u8 = 23;
const HEADER: usize = 5;

/// How many bytes of messages the next record has.
fn next_record(client: &mut Client) -> usize {
    let connection = &mut client.connection;
    let mut record = vec![0; HEADER];
    connection.socket.read_exact(&mut record).unwrap();
    assert_eq!(record[0], APPLICATION_DATA);
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(HEADER + length, 0);
    connection.socket.read_exact(&mut record[HEADER..]).unwrap();
    let tls = connection.tls.as_mut().unwrap();
    let mut record = &record[..];
    while !record.is_empty() {
        tls.read_tls(&mut record).unwrap();
    }
    let state = tls.process_new_packets().unwrap();
    let mut messages = vec![0; state.plaintext_bytes_to_read()];
    tls.reader().read_exact(&mut messages).unwrap();
    messages.len()
}

/// The sizes of the records in which the answers to so many requests come that are sent at once, as multiples of an answer.
fn answers(client: &mut Client, requests: usize) -> Vec<usize> {
    let one = client.request(BINDING).0;
    client.send(&one);
    let answer = client.receive().len();
    let all: Vec<u8> = (0..requests).flat_map(|_| client.request(BINDING).0).collect();
    client.send(&all);
    let mut answers = Vec::new();
    while answers.iter().sum::<usize>() < requests {
        let record = next_record(client);
        assert_eq!(record % answer, 0, "no message is split");
        answers.push(record / answer);
    }
    answers
}

#[test]
fn each_message_has_a_record_of_its_own_unless_the_operator_wants_otherwise() {
    for (ports, coalesce, records) in [("29050-29054", false, vec![1; 10]), ("29055-29059", true, vec![10])] {
        let daemon = start_secure(ports, |config| config.tls.coalesce = coalesce);
        let mut client = Client::tls(daemon.addresses().tls[0]);
        assert_eq!(answers(&mut client, 10), records);
        daemon.stop();
    }
}
