//! Ends a connection whose client reads nothing of what waits for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Runs while something waits to be written.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Pin<Box<Sleep>>>);

/// How long a client may read nothing of what waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stall {
    /// The outcome of a write, or an error once writes have been waiting for too long.
    pub(super) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.0 = None;
            return written;
        }
        let stall = self.0.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        stall.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
