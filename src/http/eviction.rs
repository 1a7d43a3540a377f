//! Notices that a connection is evicted for another one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Notify;

use crate::bounds::admission::Permit;

/// A future that ends when the connection is evicted; `None` after that.
pub(super) struct Eviction(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Eviction {
    /// Watches for the eviction of `permit`.
    pub(super) fn of(permit: &Permit) -> Self {
        let told = Arc::new(Notify::new());
        let way = Arc::clone(&told);
        permit.watch(move || told.notify_one());
        Self(Some(Box::pin(async move { way.notified().await })))
    }

    /// An error from the moment that the connection is evicted.
    pub(super) fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.0.as_mut().map(|way| way.as_mut().poll(context)) {
            Some(Poll::Pending) => Ok(()),
            Some(Poll::Ready(())) | None => {
                self.0 = None;
                Err(io::Error::other("evicted for another connection"))
            }
        }
    }
}
