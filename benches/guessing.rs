//! Prints how long the server takes to refuse an unknown user and a wrong password: the two must not differ.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and reads clocks"
)]

use std::time::{Duration, Instant};

use hairpin::relay::engine::Action;
use support::client::Client;
use support::stun::{ALLOCATE, REQUESTED_TRANSPORT};
use support::world::{World, path};

#[path = "../tests/support/mod.rs"]
mod support;

const ROUNDS: usize = 100_000;

fn main() {
    let mut world = World::new();
    let mut victim = Client::new(path("203.0.113.1:5000"), "alice", "wonderland");
    victim.challenge(&mut world);
    let request = |world: &mut World, name: &str| {
        let mut client = Client::new(path("203.0.113.1:5000"), name, "a guess");
        client.challenge(world);
        let request = client.request(ALLOCATE).attr(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        client.sign(request)
    };
    // "mallo" is as long as "alice" and belongs to nobody.
    let requests = [request(&mut world, "alice"), request(&mut world, "mallo")];
    let mut times = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    for _ in 0..ROUNDS {
        for (request, times) in requests.iter().zip(&mut times) {
            let start = Instant::now();
            let answer = world.deliver(victim.path, request);
            times.push(start.elapsed());
            assert!(matches!(answer, Action::Reply(_)));
        }
    }
    let [known, unknown] = times.map(median);
    println!(
        "{ROUNDS} refusals each, interleaved, medians: wrong password {known:?}, unknown user {unknown:?}"
    );
    println!("difference {:?}", known.abs_diff(unknown));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
