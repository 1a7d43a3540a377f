//! The threads of a service: how they start, how they prove that they are alive, and how their end is noticed.
//!
//! All services have the same verbs: `start(plan, ..)`, `is_alive`, `snapshot` and `stop`. A service that has threads
//! keeps them in [`Threads`], and also has `failed`; only [`crate::http::Site`] has none. Services that admit clients also
//! have `drain`. Each thread answers a [`Ping`] while it lives, and ends when it is ordered to stop.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

/// The threads of one service.
#[derive(Debug, Default)]
pub struct Threads {
    running: Mutex<Vec<JoinHandle<io::Result<()>>>>,
    ended: Arc<Notify>,
}

/// What the operating system refused to create for a service.
#[derive(Debug)]
pub struct Denied(
    /// The refused thing, with its article: "a thread".
    pub &'static str,
    /// The reason.
    pub io::Error,
);

/// Asks a thread for a sign of life: the thread sends `()` as soon as it reads this.
pub type Ping = oneshot::Sender<()>;

/// An order to a thread that receives no other messages.
#[derive(Debug)]
pub enum Order {
    /// Answer, as a sign of life.
    Ping(Ping),
    /// End.
    Stop,
}

impl Threads {
    /// Starts a thread, which must run until its service stops it.
    ///
    /// # Errors
    /// If the operating system refuses to create a thread.
    pub fn spawn(
        &self,
        name: String,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), Denied> {
        let end = End(Arc::clone(&self.ended));
        let run = move || {
            // Dropped when the thread ends, by return or by panic.
            let _end = end;
            run()
        };
        let thread =
            thread::Builder::new().name(name).spawn(run).map_err(|error| Denied("a thread", error))?;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Waits until a thread ends. If it was not ordered to stop, that is a bug.
    pub async fn failed(&self) {
        self.ended.notified().await;
    }

    /// Waits until all threads have ended, and logs those that failed. Call it after ordering them to stop.
    pub fn join(&self) {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in running {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(name, %error, "a thread had ended with an error"),
                Err(_) => tracing::error!(name, "a thread had panicked; this is a bug, please report it"),
            }
        }
    }
}

/// Reports, when it is dropped, that a thread has ended.
struct End(Arc<Notify>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Sends each of `threads` a ping by `send`; returns whether all of them answer within `patience`. A thread that has
/// ended drops its pings, and so does not answer.
pub async fn all_answer<T>(
    threads: impl IntoIterator<Item = T>,
    send: impl Fn(T, Ping),
    patience: Duration,
) -> bool {
    let ask = |thread| {
        let (ping, answer) = oneshot::channel();
        send(thread, ping);
        answer
    };
    // Every thread is asked before the first answer is waited for.
    let answers: Vec<_> = threads.into_iter().map(ask).collect();
    let all = async {
        for answer in answers {
            if answer.await.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(patience, all).await.unwrap_or(false)
}
