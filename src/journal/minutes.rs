//! The thread that logs the counts of each minute.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::clock::Clock;
use crate::journal::Journal;
use crate::life::{self, Denied, Order, Threads};

/// A running thread that does so.
#[derive(Debug)]
pub struct Minutes {
    journal: Arc<Journal>,
    orders: Sender<Order>,
    threads: Threads,
}

/// How often the thread checks whether a minute is over.
const TICK: Duration = Duration::from_secs(1);

impl Minutes {
    /// Logs the counts of `journal` from now on.
    ///
    /// # Errors
    /// If the operating system refuses to create the thread.
    pub fn start(journal: Arc<Journal>, clock: Clock) -> Result<Self, Denied> {
        let (orders, inbox) = channel();
        let threads = Threads::default();
        let kept = Arc::clone(&journal);
        threads.spawn("journal".to_owned(), move || {
            run(&kept, &inbox, clock);
            Ok(())
        })?;
        Ok(Self { journal, orders, threads })
    }

    /// Logs what was counted so far, before its minute is over.
    pub fn conclude(&self) {
        self.journal.conclude();
    }

    /// Whether the thread answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        // If the thread has ended, the order and its ping are dropped here.
        life::all_answer([&self.orders], |thread, ping| drop(thread.send(Order::Ping(ping))), patience).await
    }

    /// Waits until the thread ends. Unless it was stopped, that is a bug.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Logs what was counted so far, and ends.
    pub fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop);
        self.threads.join();
    }
}

fn run(journal: &Journal, inbox: &Receiver<Order>, clock: Clock) {
    loop {
        match inbox.recv_timeout(TICK) {
            // If the receiver is gone, nobody needs the answer.
            Ok(Order::Ping(ping)) => drop(ping.send(())),
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return journal.conclude(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        journal.tick(clock.now().moment);
    }
}
