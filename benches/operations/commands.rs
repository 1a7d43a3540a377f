//! Runs `hairpin sessions` over and over in a process of its own, as an administrator's shell does.
//!
//! To start a program, the kernel copies the table of open files and then closes most of them. A process with ten
//! thousand sockets would spend most of the time on that.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

/// The argument that turns this program into that process.
pub const NAME: &str = "commands";

/// A process that runs the command, which must end with `code` each time, and waits for `pause` in between.
pub fn begin(admin: &Path, code: i32, pause: Duration) -> Outcome<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(NAME).arg(admin).args([code.to_string(), pause.as_millis().to_string()]);
    Ok(Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
}

/// The process. It ends when its input does.
pub struct Running(std::process::Child);

impl Running {
    /// Ends the process. Returns how long each command took, in milliseconds.
    pub fn end(mut self) -> Outcome<Vec<f64>> {
        drop(self.0.stdin.take());
        let done = self.0.wait_with_output()?;
        if !done.status.success() {
            return Err("hairpin sessions failed".into());
        }
        Ok(String::from_utf8(done.stdout)?.lines().map(str::parse).collect::<Result<_, _>>()?)
    }
}

/// What the process does: prints how long each command took, in milliseconds.
pub fn run(arguments: &[String]) -> Outcome<()> {
    let [admin, code, pause] = arguments else { return Err("usage: commands ADMIN CODE PAUSE".into()) };
    let (code, pause) = (code.parse::<i32>()?, Duration::from_millis(pause.parse()?));
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    thread::spawn(move || {
        // It is over, whether the input ends or fails.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.args(["sessions", "--admin", admin]).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status()?;
        if status.code() != Some(code) {
            return Err(format!("hairpin sessions: {status}").into());
        }
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
        thread::sleep(pause);
    }
    Ok(())
}
