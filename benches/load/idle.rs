//! Measures the resident memory that one idle allocation costs the server.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::Outcome;
use crate::args::{Entry, IdleOrder};
use crate::link::Link;
use crate::net::{OwnPorts, raise_file_limit};
use crate::report::Line;
use crate::server;
use crate::turn::{Credential, Session};

/// Made before the first reading, so that code touched for the first time is not counted.
const WARM_UP: u16 = 16;
const SETTLE: Duration = Duration::from_millis(500);
const SMALL_RECEIVE_BUFFER: libc::c_int = 8192;

pub fn weigh(order: &IdleOrder) -> Outcome<Line> {
    let Entry::Secret(secret) = &order.target.entry else {
        return Err("the stub has no allocations".into());
    };
    raise_file_limit(u64::from(order.allocations) + u64::from(WARM_UP) + 64)?;
    let credential = Credential::issue(secret, SystemTime::now())?;
    let mut ports = OwnPorts::new(SystemTime::now());
    let mut allocate = |count: u16| -> Outcome<Vec<Session>> {
        let mut sessions = Vec::with_capacity(usize::from(count));
        // One after the other: the round trip is the pace, and a lost request is sent again.
        for _ in 0..count {
            let socket = ports.bind(SMALL_RECEIVE_BUFFER)?;
            socket.connect(order.target.address)?;
            let mut session = Session::new(Link::Datagrams(socket));
            session.allocate(&credential)?;
            sessions.push(session);
        }
        thread::sleep(SETTLE);
        Ok(sessions)
    };

    let warm_up = allocate(WARM_UP)?;
    let before = server::resident(order.pid)?;
    let start = Instant::now();
    let idle = allocate(order.allocations)?;
    let took = start.elapsed().saturating_sub(SETTLE);
    let after = server::resident(order.pid)?;
    for mut session in warm_up.into_iter().chain(idle) {
        session.release(&credential)?;
    }

    let mut line = Line::new();
    line.add("scenario", "idle");
    line.add("allocations", order.allocations);
    line.add("rss_before", before);
    line.add("rss_after", after);
    let per_allocation = after.saturating_sub(before) / u64::from(order.allocations);
    line.add("bytes_per_allocation", per_allocation);
    line.add("setup_ms", took.as_millis());
    line.add("valid", 1);
    Ok(line)
}
