//! The log: what is said to whom, how much of it, and that nobody waits for its reader.
//!
//! A line passes the bound on what one place of the program may say, and goes into a queue that takes it at once or
//! never; the writer, a thread of its own, is the only one that waits for standard error. So whoever can make the daemon
//! say something can neither fill a disk with it nor stop a thread that relays.

mod bound;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer as Buffer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::Clock;
use crate::log::bound::Bound;
use crate::log::queue::Queue;
use crate::log::writer::Writer;
use crate::sections::log::{Log as LogConfig, LogFormat};

/// The log of this process, from its start until this is dropped; what was said before is then written, if that does not
/// take long.
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
}

/// How long the end waits for who reads the log.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the last words of a command wait, which somebody is there to read, on a machine that may be very busy.
const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// Starts the log. From now on a panic is a line of it, too.
///
/// # Errors
/// If there can be no thread for it.
pub fn start(config: &LogConfig) -> io::Result<Log> {
    let clock = Clock::start();
    let queue = Arc::new(Queue::default());
    let bound = Arc::new(Mutex::new(Bound::default()));
    let writer = Writer::new(Arc::clone(&queue), Arc::clone(&bound), io::stderr(), clock);
    thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
    // The level is for what we say. Libraries say what is broken alone: strangers can make them warn as often as they
    // like, and what some of them trace holds the secrets of others.
    let levels = Targets::new().with_target("hairpin", config.level).with_default(Level::ERROR);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Lines(Arc::clone(&queue)))
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_target(false);
    let gate = Gate { bound, queue: Arc::clone(&queue), clock };
    let registry = tracing_subscriber::registry();
    match config.format {
        LogFormat::Text => {
            let layer = layer.map_event_format(|format| Bounded { gate, format });
            registry.with(layer.with_filter(levels)).init();
        }
        LogFormat::Json => {
            let layer = layer.json().map_event_format(|format| Bounded { gate, format });
            registry.with(layer.with_filter(levels)).init();
        }
    }
    let last = Arc::clone(&queue);
    std::panic::set_hook(Box::new(move |panic| last.push(describe(panic).as_bytes())));
    Ok(Log { queue })
}

/// Says something on standard error where there is no log, or none any more, and does not wait for long.
pub fn last_words(text: String) {
    let (said, heard) = mpsc::channel();
    // Its own thread, because nobody may ever read what it writes. If there is none, nothing can be said.
    let speaker = thread::Builder::new().spawn(move || {
        // Where standard error cannot be written, there is nowhere to say so.
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = said.send(());
    });
    if speaker.is_ok() {
        let _ = heard.recv_timeout(LAST_PATIENCE);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.close(PATIENCE);
    }
}

/// A panic in words. They go into the queue as they are: nothing that may have panicked itself is asked to format them, and
/// nobody waits for who reads them, because the thread may be one that others wait for.
fn describe(panic: &PanicHookInfo<'_>) -> String {
    let current = thread::current();
    let name = current.name().unwrap_or("<unnamed>");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let payload = panic.payload();
    let why =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let why = why.unwrap_or("for an unknown reason");
    let backtrace = Backtrace::capture();
    let backtrace =
        if backtrace.status() == BacktraceStatus::Captured { format!("{backtrace}") } else { String::new() };
    format!("thread {name:?} panicked{place}: {why}\n{backtrace}")
}

/// Where finished lines go.
#[derive(Debug, Clone)]
struct Lines(Arc<Queue>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Where what is said meets the bound.
#[derive(Debug)]
struct Gate {
    bound: Arc<Mutex<Bound>>,
    queue: Arc<Queue>,
    clock: Clock,
}

impl Gate {
    fn admits(&self, event: &Event<'_>) -> bool {
        let now = self.clock.now().moment;
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let (held_any, admitted) = (bound.holds_any(), bound.admit(event.metadata(), now));
        drop(bound);
        if !admitted && !held_any {
            // So that the writer says the sum when it is over, though nobody may say anything more.
            self.queue.nudge();
        }
        admitted
    }
}

/// Makes a line of what the bound lets pass, and nothing at all of the rest. It is no filter: one that refuses a single event
/// leaves that behind in `tracing-subscriber` 0.3, where the next event of the thread meets it.
#[derive(Debug)]
struct Bounded<F> {
    gate: Gate,
    format: F,
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        buffer: Buffer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.gate.admits(event) {
            return Ok(());
        }
        self.format.format_event(context, buffer, event)
    }
}
