//! Usage: what each user used on each day, in a file that outlives the daemon.
//!
//! ```text
//! shards ──► ledger ──► keeper, a thread of its own ──► store, a file
//! ```
//!
//! Shards add to the [`ledger`] what their allocations have used since the last time: each allocation at least once in 20
//! seconds, and at its end. The keeper writes the ledger to the store every 20 seconds, so the store is less than a minute
//! behind whatever happens to the daemon. If the store cannot be written, the ledger holds what it can, and the relay goes
//! on. Without `usage.path` there is no store, and nothing is written.

pub mod day;
mod keeper;
pub mod ledger;
mod plan;
mod store;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::life::{Denied, Threads};
use crate::observed;
use crate::usage::keeper::{Counted, Keeper, Order};
use crate::usage::ledger::Ledger;

pub use keeper::{Report, ReportError};
pub use plan::Plan;
pub use store::{Entry, Key, Query, columns};

/// Keeps the usage of a running daemon.
#[derive(Debug)]
pub struct Usage {
    orders: Sender<Order>,
    ledger: Arc<Ledger>,
    counted: Arc<Counted>,
    clock: Clock,
    threads: Threads,
}

/// How long [`Usage::start`] waits until the store is open. A file system may hang.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// How long [`Usage::stop`] waits for the last write.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

impl Usage {
    /// Opens the store of `plan`, if it has one, and reads what users have carried today. If the store cannot be used, the
    /// log says so, and it is tried again. If it does not answer, this returns without it: serving must not wait for a file
    /// system that hangs.
    ///
    /// # Errors
    /// If the operating system refuses to create its thread.
    pub fn start(plan: Plan, clock: Clock) -> Result<Self, Denied> {
        let ledger = Arc::new(Ledger::new(plan.purpose()));
        let counted = Arc::<Counted>::default();
        let (kept, counts) = (Arc::clone(&ledger), Arc::clone(&counted));
        let (orders, inbox) = channel();
        let (opened, opening) = channel();
        let threads = Threads::default();
        threads.spawn("usage".to_owned(), move || {
            let keeper = Keeper::new(plan, kept, counts, clock.now());
            // If the receiver is gone, nobody waits any more.
            let _ = opened.send(());
            keeper.run(&inbox, clock);
            Ok(())
        })?;
        if opening.recv_timeout(START_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the store of usage does not answer: the daemon serves without it until it does");
        }
        Ok(Self { orders, ledger, counted, clock, threads })
    }

    /// What the shards add to.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Keeps usage by another plan from now on.
    pub fn apply(&self, plan: Plan) {
        // If the thread has ended, `failed` says so.
        let _ = self.orders.send(Order::Apply(plan));
    }

    /// What users have used, up to this moment.
    ///
    /// # Errors
    /// If there is no store, or it cannot be read.
    pub async fn report(&self, query: Query) -> Result<Report, ReportError> {
        let (answer, report) = oneshot::channel();
        // If the thread has ended, the answer is dropped.
        let _ = self.orders.send(Order::Report(query, answer));
        report.await.unwrap_or(Err(ReportError::Off))
    }

    /// How far the store is behind, and what could not be written.
    #[must_use]
    pub fn snapshot(&self) -> observed::Usage {
        self.counted.snapshot(&self.ledger, self.clock.now().moment)
    }

    /// Waits until the thread ends without having been stopped, which is always a bug. No check asks whether the thread is
    /// alive, because serving must go on when a file system hangs.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Writes what the ledger holds, and ends the thread. To be called when the shards have ended.
    pub fn stop(&self) {
        let (done, ended) = channel();
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop(done));
        if ended.recv_timeout(STOP_PATIENCE).is_err() {
            tracing::warn!(
                "the store of usage does not answer: what was used in the last minute may be lost"
            );
            return;
        }
        self.threads.join();
    }
}
