//! Logs and ignores signals that would otherwise end the daemon and all calls, although they do not ask it to stop.
//!
//! The system keeps its handling of the others: the signals of faults, whose core dump helps to find the bug; SIGQUIT,
//! which asks for a core dump; SIGXCPU, a limit that an administrator has set; and SIGPIPE, which Rust ignores from the
//! start.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ignores these signals from now on. Must be called in a tokio runtime.
///
/// # Errors
/// If the operating system refuses to catch a signal.
pub(super) fn ignore() -> io::Result<()> {
    for (number, name, elsewhere) in IGNORED {
        let caught = signal(SignalKind::from_raw(*number))?;
        tokio::spawn(say(caught, (*name).to_owned(), elsewhere));
    }
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        let caught = signal(SignalKind::from_raw(number))?;
        tokio::spawn(say(caught, format!("SIGRTMIN+{}", number - libc::SIGRTMIN()), NOTHING));
    }
    // SIGXFSZ is not logged, because the log may be the file that has reached its size limit.
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

async fn say(mut caught: Signal, name: String, elsewhere: &str) {
    while caught.recv().await.is_some() {
        tracing::warn!("{name} is ignored: {elsewhere}");
    }
}

const NOTHING: &str = "it has no meaning here";

/// Number, name, and the text to log.
const IGNORED: &[(i32, &str, &str)] = &[
    (
        libc::SIGUSR1,
        "SIGUSR1",
        "in coturn it stops new calls and lets running ones end; here SIGTERM does, with relay.drain_timeout",
    ),
    (libc::SIGUSR2, "SIGUSR2", "in coturn it rereads certificates; here SIGHUP does"),
    (libc::SIGALRM, "SIGALRM", NOTHING),
    (libc::SIGVTALRM, "SIGVTALRM", NOTHING),
    (libc::SIGPROF, "SIGPROF", NOTHING),
    (libc::SIGIO, "SIGIO", NOTHING),
    (libc::SIGPWR, "SIGPWR", NOTHING),
    (libc::SIGSTKFLT, "SIGSTKFLT", NOTHING),
];
