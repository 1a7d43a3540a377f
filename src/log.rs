//! The log: limits what is logged, and never blocks a thread on the reader of the log.
//!
//! Each log statement in the code has a rate limit. A line within its limit goes into a bounded queue, or is dropped if
//! the queue is full. Only the writer, a separate thread, waits for standard error. So a client that causes log lines can
//! neither fill a disk nor stall a thread that relays.

mod bound;
mod priority;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write as _};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer as Buffer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::clock::Clock;
use crate::journal::shown;
use crate::log::bound::Bound;
use crate::log::queue::Queue;
use crate::log::writer::Writer;
use crate::sections::log::{Log as LogConfig, LogFormat};

/// The log of this process, until this is dropped. Dropping it waits at most `PATIENCE` for the queued lines.
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
}

/// The queue of the log of this process, once there is one.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// How long the end of the process waits until the log's reader has taken the last lines.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a command waits until its last message is read: its reader is probably there, but the machine may be busy.
const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// What a reload of the configuration changes in the log of this process.
struct Dials {
    levels: reload::Handle<Targets, Registry>,
    json: Arc<AtomicBool>,
}

static DIALS: OnceLock<Dials> = OnceLock::new();

/// Starts the log. From now on panics are logged too.
///
/// # Errors
/// If the operating system refuses to create the writer's thread.
pub fn start(config: &LogConfig) -> io::Result<Log> {
    shown::set(config.addresses);
    let clock = Clock::start();
    let queue = Arc::new(Queue::default());
    let bound = Arc::new(Mutex::new(Bound::default()));
    let writer = Writer::new(Arc::clone(&queue), Arc::clone(&bound), io::stderr(), clock);
    thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
    let (levels, handle) = reload::Layer::new(levels(config.level));
    let json = Arc::new(AtomicBool::new(config.format == LogFormat::Json));
    let gate = Gate { bound, queue: Arc::clone(&queue), clock };
    let lines = Lines { queue: Arc::clone(&queue), marked: priority::is_read() };
    let last = lines.clone();
    let layer = fmt::layer()
        .with_writer(lines)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .event_format(Bounded {
            gate,
            text: fmt::format().with_target(false),
            json: fmt::format().with_target(false).json(),
            is_json: Arc::clone(&json),
        });
    tracing_subscriber::registry().with(layer.with_filter(levels)).init();
    // There is one log in a process, and this is it.
    let _ = DIALS.set(Dials { levels: handle, json });
    let _ = QUEUE.set(Arc::clone(&queue));
    std::panic::set_hook(Box::new(move |panic| last.push(Level::ERROR, describe(panic).as_bytes())));
    Ok(Log { queue })
}

/// How many lines this process has lost, because nobody read the log or it could not be written.
#[must_use]
pub fn lost() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.lost.load(Ordering::Relaxed))
}

/// Logs at another level, in another format, and more or less of addresses from now on. Without a log this does nothing.
pub fn apply(config: &LogConfig) {
    let Some(Dials { levels: handle, json }) = DIALS.get() else { return };
    shown::set(config.addresses);
    json.store(config.format == LogFormat::Json, Ordering::Relaxed);
    // It fails only if the log is gone, which lives as long as the process.
    let _ = handle.reload(levels(config.level));
}

/// The level is for our own lines. Libraries only log errors: unauthenticated clients can make them warn at any rate, and
/// some of their traces contain secrets.
fn levels(level: Level) -> Targets {
    Targets::new().with_target("hairpin", level).with_default(Level::ERROR)
}

/// Writes an error to standard error when there is no log (any more). Waits at most `LAST_PATIENCE`.
pub fn last_words(text: String) {
    let text =
        if priority::is_read() { priority::marked(Level::ERROR, text.as_bytes()) } else { text.into_bytes() };
    let (said, heard) = mpsc::channel();
    // On a separate thread, because the write may block forever. Without a thread the message is lost.
    let speaker = thread::Builder::new().spawn(move || {
        // If standard error cannot be written, the failure cannot be reported either.
        let _ = io::stderr().write_all(&text);
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

/// The text of a panic. It goes straight into the queue: the formatting layer may be what panicked, and the panicking
/// thread must not wait for the log's reader, because other threads may wait for it.
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

/// Puts formatted lines into the queue.
#[derive(Debug, Clone)]
struct Lines {
    queue: Arc<Queue>,
    /// Whether the reader wants the priority of each line.
    marked: bool,
}

/// The lines of one event, as they are formatted.
#[derive(Debug)]
struct Entry<'a> {
    lines: &'a Lines,
    level: Level,
}

impl Lines {
    fn push(&self, level: Level, text: &[u8]) {
        if self.marked {
            self.queue.push(&priority::marked(level, text));
        } else {
            self.queue.push(text);
        }
    }
}

impl io::Write for Entry<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.lines.push(self.level, text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry { lines: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Entry<'a> {
        Entry { lines: self, level: *event.level() }
    }
}

/// Applies the rate limits.
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
            // The writer must log the sum when the flood is over, even if no more lines come.
            self.queue.nudge();
        }
        admitted
    }
}

/// Formats the events within their rate limits, and writes nothing for the others. It is not a filter, because a filter
/// that refuses an event in `tracing-subscriber` 0.3 leaves state behind that affects the thread's next event.
#[derive(Debug)]
struct Bounded {
    gate: Gate,
    text: Format<Full>,
    json: Format<Json>,
    is_json: Arc<AtomicBool>,
}

impl<S, N> FormatEvent<S, N> for Bounded
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        buffer: Buffer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        if !self.gate.admits(event) {
            return Ok(());
        }
        if self.is_json.load(Ordering::Relaxed) {
            self.json.format_event(context, buffer, event)
        } else {
            self.text.format_event(context, buffer, event)
        }
    }
}
