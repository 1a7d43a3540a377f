//! Signals that mean no end do not end it, and no supervisor does by what it says or does not hear.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::support::daemon::{Client, config_text};
use crate::support::process::Process;
use crate::support::session::Turn;
use crate::support::stun::BINDING;

fn is_served(process: &Process) {
    let mut client = Client::to(process.udp[0], [127, 0, 0, 1].into());
    let request = client.request(BINDING);
    assert_eq!(client.exchange(&request.0).code(), None);
}

/// F20
#[test]
fn signals_that_mean_something_elsewhere_are_ignored_and_said() {
    let process = Process::start("signals.toml", &config_text("22600-22609", &["127.0.0.1:0"]));
    for (signal, told) in [
        ("USR1", "SIGUSR1 is ignored: in coturn it stops new calls and lets running ones end"),
        ("USR2", "SIGUSR2 is ignored: in coturn it rereads certificates; here SIGHUP does"),
        ("ALRM", "SIGALRM is ignored"),
        ("VTALRM", "SIGVTALRM is ignored"),
        ("PROF", "SIGPROF is ignored"),
        ("IO", "SIGIO is ignored"),
        ("PWR", "SIGPWR is ignored"),
        ("STKFLT", "SIGSTKFLT is ignored"),
        ("RTMIN", "SIGRTMIN+0 is ignored"),
        ("RTMIN+30", "SIGRTMIN+30 is ignored"),
        ("HUP", "the configuration was read again: nothing has changed"),
    ] {
        process.signal(signal);
        process.line(told);
    }
    for silent in ["PIPE", "XFSZ", "CHLD", "URG", "WINCH", "CONT"] {
        process.signal(silent);
    }
    is_served(&process);
}

/// F20
#[test]
fn the_signals_that_end_it_still_do() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start("ending.toml", &config_text("22610-22619", &["127.0.0.1:0"]));
        process.signal(signal);
        assert!(process.end(Duration::from_secs(5)).is_some_and(|status| status.success()), "{signal}");
    }
}

/// F19
#[test]
fn no_period_of_a_watchdog_stops_or_floods_it() {
    for period in ["0", "1", "18446744073709551615", "-1", "soon", ""] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.env("WATCHDOG_USEC", period);
        let config = config_text("22620-22629", &["127.0.0.1:0"]);
        let mut process = Process::run("watchdog.toml", &config, command);
        is_served(&process);
        process.signal("TERM");
        let status = process.end(Duration::from_secs(5));
        let said: Vec<String> = process.log.iter().collect();
        assert!(status.is_some_and(|status| status.success()), "{period}: {status:?}, {said:?}");
        assert!(said.len() < 10 && !said.iter().any(|line| line.contains("panicked")), "{period}: {said:?}");
    }
}

/// Of the same kind as a log that nobody reads.
#[test]
fn a_supervisor_that_hears_nothing_stops_neither_the_start_nor_the_end() {
    let path = std::env::temp_dir().join(format!("hairpin-notify-{}", std::process::id()));
    let _deaf = UnixDatagram::bind(&path).unwrap();
    let full = UnixDatagram::unbound().unwrap();
    full.connect(&path).unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send(b"x").is_ok() {}
    assert_eq!(full.send(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");

    let mut process = Process::run("deaf.toml", &config_text("22630-22639", &["127.0.0.1:0"]), command);

    is_served(&process);
    process.signal("TERM");
    assert!(process.end(Duration::from_secs(5)).is_some_and(|status| status.success()));
    std::fs::remove_file(path).unwrap();
}
