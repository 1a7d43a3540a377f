//! A relayed packet costs no heap allocation: counted, for each transport and framing, in both directions. Over TLS, rustls
//! makes one for each record.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use hairpin::daemon::Daemon;
use hairpin::sections::number::Bounded;
use hairpin::sections::value::Auto;
use support::daemon::{CHANNEL, Client as UdpClient, peer, receive, start_secure};
use support::session::Turn;
use support::stream::{Client as StreamClient, padded_channel_data};
use support::stun::channel_data;

mod support;

/// The system's allocator, counting what the relay threads ask of it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread relays, once it is known.
    static RELAYS: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether the kernel knows this thread by a relay thread's name. Asking the standard library could allocate.
fn relays() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"relay-")
}

/// The other threads' allocations depend on the time that a test takes, not on its packets.
fn count_one() {
    let known = RELAYS.get().unwrap_or_else(|| {
        let relays = relays();
        RELAYS.set(Some(relays));
        relays
    });
    if known {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const PACKETS: u64 = 10_000;
const DATA: [u8; 1000] = [7; 1000];

/// Relays packets one by one, and compares the relay threads' allocations with those that each packet may cost.
fn count(way: &str, for_each: u64, mut relay_one: impl FnMut()) {
    // The first packets may make room in buffers that are kept.
    (0..100).for_each(|_| relay_one());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..PACKETS).for_each(|_| relay_one());
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!("{way}: {allocations} heap allocations for {PACKETS} packets");
    assert!(allocations <= for_each * PACKETS, "{way}");
}

fn over_udp(daemon: &Daemon) {
    let mut client = UdpClient::of(daemon, "127.0.0.1");
    let relayed = client.allocate();
    let [bound, permitted] = [peer([127, 0, 0, 1].into()), peer([127, 0, 0, 1].into())];
    let to = permitted.local_addr().unwrap();
    client.bind(CHANNEL, bound.local_addr().unwrap());
    client.permit(to);
    count("ChannelData up over UDP", 0, || {
        client.send(&channel_data(CHANNEL, &DATA));
        assert_eq!(receive(&bound).0, DATA);
    });
    count("Send indication up over UDP", 0, || {
        client.indicate(to, &DATA);
        assert_eq!(receive(&permitted).0, DATA);
    });
    for (way, from) in [("ChannelData", &bound), ("Data indication", &permitted)] {
        count(&format!("{way} down over UDP"), 0, || {
            from.send_to(&DATA, relayed).unwrap();
            assert!(client.receive().len() > DATA.len());
        });
    }
}

/// The same for a client with a connection, whose layers allocate so often for each packet.
fn over_a_stream(transport: &str, mut client: StreamClient, for_each: u64) {
    let relayed = client.allocate();
    let [bound, permitted] = [peer([127, 0, 0, 1].into()), peer([127, 0, 0, 1].into())];
    let to = permitted.local_addr().unwrap();
    client.bind(CHANNEL, bound.local_addr().unwrap());
    client.permit(to);
    count(&format!("ChannelData up over {transport}"), for_each, || {
        client.send(&padded_channel_data(CHANNEL, &DATA));
        assert_eq!(receive(&bound).0, DATA);
    });
    count(&format!("Send indication up over {transport}"), for_each, || {
        client.indicate(to, &DATA);
        assert_eq!(receive(&permitted).0, DATA);
    });
    for (way, from) in [("ChannelData", &bound), ("Data indication", &permitted)] {
        count(&format!("{way} down over {transport}"), for_each, || {
            from.send_to(&DATA, relayed).unwrap();
            assert!(client.receive().len() > DATA.len());
        });
    }
}

#[test]
fn a_relayed_packet_costs_no_heap_allocation() {
    let daemon = start_secure("23000-23099", |config| {
        // Several relay threads compare their loads from time to time, however many packets there are.
        config.relay.threads = Auto(Bounded::new(1));
    });
    let [tcp, tls] = [daemon.addresses().tcp[0], daemon.addresses().tls[0]];
    over_udp(&daemon);
    over_a_stream("TCP", StreamClient::tcp(tcp), 0);
    over_a_stream("TLS", StreamClient::tls(tls), 1);
    daemon.stop();
}
