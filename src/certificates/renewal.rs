//! Reads the certificates again when their files change, and on request.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use crate::certificates::{Certificates, PERIOD, Reloaded, Watch};
use crate::clock::Clock;
use crate::life::{Denied, Threads};
use crate::metrics::Counter;
use crate::observed;

/// Renews the certificates of a running daemon.
#[derive(Debug)]
pub struct Renewal {
    certificates: Arc<Certificates>,
    orders: Sender<Order>,
    counted: Arc<Counted>,
    reader: Arc<Reader>,
    threads: Threads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Look,
    Reload,
    Replaced,
    Stop,
}

/// Why the files are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Change,
    Request,
}

/// The thread's counters.
#[derive(Debug, Default)]
struct Counted {
    taken: Counter,
    refused: Counter,
    expiry: Counter,
}

impl Renewal {
    /// Logs warnings about the certificates, and replaces each certificate when its files have a new one.
    ///
    /// # Errors
    /// If the operating system refuses to create its thread.
    pub fn start(certificates: Arc<Certificates>, clock: Clock) -> Result<Self, Denied> {
        let counted = Arc::<Counted>::default();
        counted.expiry.set(certificates.expiry().last().as_secs());
        let (orders, inbox) = channel();
        let reader = Arc::new(Reader {
            certificates: Arc::clone(&certificates),
            counted: Arc::clone(&counted),
            clock,
        });
        let threads = Threads::default();
        let thread = Arc::clone(&reader);
        threads.spawn("certificates".to_owned(), move || {
            thread.run(&inbox);
            Ok(())
        })?;
        Ok(Self { certificates, orders, counted, reader, threads })
    }

    /// Has the thread read the files again and log the outcome.
    pub fn reload(&self) {
        // If the thread has ended, `failed` says so.
        let _ = self.orders.send(Order::Reload);
    }

    /// Reads the files again and logs the outcome, on the thread that calls it.
    pub fn reloader(&self) -> impl Fn() + Send + use<> {
        let (orders, reader) = (self.orders.clone(), Arc::clone(&self.reader));
        move || {
            reader.reload(Cause::Request);
            // Without a certificate the thread did not look for changes. If it has ended, `failed` says so.
            let _ = orders.send(Order::Look);
        }
    }

    /// Uses other certificates, which were read from other files, from now on.
    pub fn replace(&self, others: &Certificates) {
        self.certificates.replace(others);
        let _ = self.orders.send(Order::Replaced);
    }

    /// The thread's counters; `None` without certificates.
    #[must_use]
    pub fn snapshot(&self) -> Option<observed::Certificates> {
        let Counted { taken, refused, expiry } = &*self.counted;
        let is_any = expiry.get() > 0;
        is_any.then(|| observed::Certificates {
            expiry: expiry.get(),
            taken: taken.get(),
            refused: refused.get(),
        })
    }

    /// Waits until the thread ends without having been stopped, which is always a bug. No check asks whether the thread is
    /// alive, because serving must go on when a file system hangs.
    pub async fn failed(&self) {
        self.threads.failed().await;
    }

    /// Tells the thread to end. Does not wait for it, because a file system may hang.
    pub fn stop(&self) {
        // If the thread has ended, it needs no order.
        let _ = self.orders.send(Order::Stop);
    }
}

/// The thread's state.
#[derive(Debug)]
struct Reader {
    certificates: Arc<Certificates>,
    counted: Arc<Counted>,
    clock: Clock,
}

impl Reader {
    fn run(&self, inbox: &Receiver<Order>) {
        self.warn();
        let mut watch = Watch::default();
        let mut look = self.clock.now().moment;
        loop {
            let order = if self.certificates.is_empty() {
                // There is nothing to look at until an order comes.
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(look.since(self.clock.now().moment))
            };
            match order {
                Err(RecvTimeoutError::Timeout) => {
                    if watch.look(self.certificates.stamps()) {
                        self.reload(Cause::Change);
                    }
                    look = self.clock.now().moment + PERIOD;
                }
                Ok(Order::Look) => {}
                Ok(Order::Reload) => {
                    watch.judged(self.certificates.stamps());
                    self.reload(Cause::Request);
                }
                Ok(Order::Replaced) => {
                    watch = Watch::default();
                    self.counted.expiry.set(self.certificates.expiry().last().as_secs());
                    self.warn();
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reload(&self, cause: Cause) {
        let now = self.clock.now().unix;
        let Reloaded { taken, refused } = self.certificates.reload(now);
        self.counted.taken.add(taken as u64);
        self.counted.refused.add(refused.len() as u64);
        for error in &refused {
            tracing::error!("{}: {error}; the old certificate stays in use", error.key());
        }
        if taken > 0 {
            let expiry = self.certificates.expiry();
            self.counted.expiry.set(expiry.last().as_secs());
            let days = expiry.left(now).as_secs() / DAY;
            tracing::info!(taken, days, "new connections get a new certificate");
            self.warn();
        } else if refused.is_empty() && cause == Cause::Request {
            self.warn();
        }
    }

    fn warn(&self) {
        for warning in self.certificates.warnings(self.clock.now().unix) {
            tracing::warn!("{warning}");
        }
    }
}

const DAY: u64 = 24 * 3600;
