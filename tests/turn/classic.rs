//! Binding without a magic cookie (RFC 3489), which is off unless the operator wants it.

use hairpin::bounds::rate::Rate;
use hairpin::outcome::Ignored;
use hairpin::relay::engine::Action;

use crate::support::world::{World, path};

const CLIENT: &str = "203.0.113.1:5000";

/// A request as Debian's `stun-client` 0.97 sends it, with these attributes.
fn request(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, attributes.len() as u8];
    bytes.extend([0x5A; 16]);
    bytes.extend(attributes);
    bytes
}

const CHANGE_NOTHING: [u8; 8] = [0, 3, 0, 4, 0, 0, 0, 0];

#[test]
fn without_the_switch_it_is_no_stun() {
    let mut world = World::new();
    assert_eq!(world.drop_of(path(CLIENT), &request(&CHANGE_NOTHING)), Ignored::NotStun);
}

#[test]
fn an_old_telephone_hears_where_it_is_seen() {
    let mut world = World::with(|plan| plan.rfc3489 = true);
    for attributes in [&[][..], &CHANGE_NOTHING] {
        let action = world.deliver(path(CLIENT), &request(attributes));
        let mut expected = vec![1, 1, 0, 12];
        expected.extend([0x5A; 16]);
        expected.extend([0, 1, 0, 8, 0, 1, 0x13, 0x88, 203, 0, 113, 1]);
        assert_eq!(action, Action::Reply(expected));
    }
}

/// There is no other address to answer from, and silence is what such a client takes for that.
#[test]
fn what_cannot_be_done_or_read_is_not_answered() {
    let mut world = World::with(|plan| plan.rfc3489 = true);
    let long = {
        let mut bytes = request(&[]);
        bytes.push(0);
        bytes
    };
    for datagram in [
        request(&[0, 3, 0, 4, 0, 0, 0, 2]),
        request(&[0, 3, 0, 4, 0, 0, 0, 4]),
        request(&[0, 2, 0, 8, 0, 1, 0, 80, 192, 0, 2, 1]),
        request(&[0, 3, 0, 9, 0, 0, 0, 0]),
        request(&[0, 3]),
        request(&[])[..19].to_vec(),
        long,
    ] {
        assert_eq!(world.drop_of(path(CLIENT), &datagram), Ignored::NotStun, "{datagram:?}");
    }
}

#[test]
fn its_answers_have_the_budget_of_strangers() {
    let mut world = World::with(|plan| {
        plan.rfc3489 = true;
        plan.limits.answers_per_ip = Rate::per_second(10);
    });
    let answered =
        (0..100).filter(|_| matches!(world.deliver(path(CLIENT), &request(&[])), Action::Reply(_)));
    assert_eq!(answered.count(), 10);
    assert_eq!(world.drop_of(path("203.0.113.1:53"), &request(&[])), Ignored::ImpossibleSource);
}
