//! Signals that would end the daemon, and every call with it, though they mean no end: each is said, and ignored.
//!
//! What is left to the system: the signals of faults (a core dump helps whoever looks for one), SIGQUIT, which asks for
//! such a dump, SIGXCPU, which is a limit that somebody has set, and SIGPIPE, which Rust ignores from the start.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ignores them from now on; needs a runtime of tokio.
///
/// # Errors
/// If the system does not let a signal be caught.
pub(super) fn ignore() -> io::Result<()> {
    for (number, name, elsewhere) in IGNORED {
        let caught = signal(SignalKind::from_raw(*number))?;
        tokio::spawn(say(caught, (*name).to_owned(), elsewhere));
    }
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        let caught = signal(SignalKind::from_raw(number))?;
        tokio::spawn(say(caught, format!("SIGRTMIN+{}", number - libc::SIGRTMIN()), NOTHING));
    }
    // The log itself may be the file that may grow no more, so this one is not said.
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

async fn say(mut caught: Signal, name: String, elsewhere: &str) {
    while caught.recv().await.is_some() {
        tracing::warn!("{name} is ignored: {elsewhere}");
    }
}

const NOTHING: &str = "it has no meaning here";

/// Number, name, and what it would do elsewhere.
const IGNORED: &[(i32, &str, &str)] = &[
    (
        libc::SIGUSR1,
        "SIGUSR1",
        "in coturn it stops new calls and lets running ones end; here SIGTERM ends all calls",
    ),
    (libc::SIGUSR2, "SIGUSR2", "in coturn it rereads certificates; here SIGHUP does"),
    (libc::SIGALRM, "SIGALRM", NOTHING),
    (libc::SIGVTALRM, "SIGVTALRM", NOTHING),
    (libc::SIGPROF, "SIGPROF", NOTHING),
    (libc::SIGIO, "SIGIO", NOTHING),
    (libc::SIGPWR, "SIGPWR", NOTHING),
    (libc::SIGSTKFLT, "SIGSTKFLT", NOTHING),
];
