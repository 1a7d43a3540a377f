//! Ends a connection whose client does not read its answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// A timer that runs while a write is pending.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<Pin<Box<Sleep>>>);

/// How long a client may read nothing while answers wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stall {
    /// Passes on the outcome of a write; an error once writes have been pending for too long.
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
