//! The STUN screen: any datagram is screened or refused, and what it accepts lies within the datagram.
#![no_main]

use hairpin::relay::wire::{self, Datagram};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    match wire::screen(datagram) {
        Ok(Datagram::ChannelData(number, payload)) => {
            assert!((0x4000..0x8000).contains(&number.get()));
            assert!(payload.start <= payload.end && payload.end <= datagram.len());
        }
        Ok(Datagram::Message(message)) => {
            assert_eq!(message.length(), datagram.len());
            for attribute in message.attributes() {
                assert_eq!(datagram[attribute.at..][..attribute.value.len()], *attribute.value);
                let _ = (message.peer(&attribute), message.value::<4>(attribute.kind));
            }
            let _ = message.first_peer();
            if let Some(send) = message.send_indication() {
                assert!(send.payload.end <= datagram.len());
            }
        }
        Err(_) => {}
    }
});
