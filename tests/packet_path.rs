//! A relayed packet costs no heap allocation: counted, for each framing, in both directions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "a global allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use support::daemon::{Client, peer, start};
use support::session::Turn;
use support::stun::{Builder, Class, DATA, SEND, channel_data};

mod support;

/// The system's allocator, counting what all threads of this process ask of it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const PACKETS: u64 = 10_000;

#[test]
fn a_relayed_packet_costs_no_heap_allocation() {
    let daemon = start("23000-23099");
    let mut client = Client::of(&daemon, "127.0.0.1");
    let relayed = client.allocate();
    let [bound, permitted] = [peer([127, 0, 0, 1].into()), peer([127, 0, 0, 1].into())];
    client.bind(0x4000, bound.local_addr().unwrap());
    client.permit(permitted.local_addr().unwrap());
    let on_channel = channel_data(0x4000, &[7; 1000]);
    let in_indication = Builder::new(Class::Indication, SEND, [7; 12])
        .peer(&permitted.local_addr().unwrap().to_string())
        .attr(DATA, &[7; 1000])
        .0;
    let mut buffer = [0; 2000];

    let count = |name: &str, mut relay_one: Box<dyn FnMut() + '_>| {
        // The first packets may make room in buffers that are kept.
        (0..100).for_each(|_| relay_one());
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..PACKETS).for_each(|_| relay_one());
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!("{name}: {allocations} heap allocations for {PACKETS} packets");
        // One for a packet would be all of them. The thread that looks for the machine's addresses each second has some, too.
        assert!(allocations < PACKETS / 10, "{name}");
    };
    let client = &client.socket;
    let server = daemon.addresses().udp[0];
    let mut hop = |from: &std::net::UdpSocket, to, datagram: &[u8], receiver: &std::net::UdpSocket| {
        from.send_to(datagram, to).unwrap();
        assert!(receiver.recv(&mut buffer).unwrap() >= 1000);
    };
    count("ChannelData up", Box::new(|| hop(client, server, &on_channel, &bound)));
    count("ChannelData down", Box::new(|| hop(&bound, relayed, &[7; 1000], client)));
    count("Send indication up", Box::new(|| hop(client, server, &in_indication, &permitted)));
    count("Data indication down", Box::new(|| hop(&permitted, relayed, &[7; 1000], client)));
    daemon.stop();
}
