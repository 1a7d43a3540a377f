//! Gets the certificate from an authority, and renews it (ACME, RFC 8555).
//!
//! ```text
//! schedule: when ──► authority: order, challenges, certificate ──► files ──► certificates, which read the files again
//! ```
//!
//! The service has its own thread, because the authority and the file system may hang. What the authority sends is kept in
//! files with mode 0600, so a restart orders nothing. Everything else is served meanwhile.

mod authority;
mod files;
mod schedule;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::acme::authority::{Authority, Failure};
use crate::acme::schedule::Schedule;
use crate::certificates::{Certificates, Issued};
use crate::clock::{Clock, Unix};
use crate::life::{Denied, Threads};
use crate::metrics::Counter;
use crate::observed;
use crate::origin::host::HostName;
use crate::sections::acme::{Acme as Section, Files};

/// Gets and renews the certificate of a running daemon.
#[derive(Debug)]
pub struct Acme {
    orders: mpsc::UnboundedSender<Order>,
    counted: Arc<Counted>,
    threads: Threads,
}

/// Which certificate is wanted, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `[tls.acme]`; without names, no certificate is wanted.
    pub section: Section,
    /// Where it is kept.
    pub files: Files,
    /// Whether a listener accepts TLS, so that the authority can verify names there.
    pub tls: bool,
    /// Whether a listener that others reach accepts HTTP without TLS.
    pub http: bool,
}

#[derive(Debug)]
enum Order {
    Apply(Box<Plan>),
    Drain,
    Stop,
}

/// The thread's counters.
#[derive(Debug, Default)]
struct Counted {
    issued: Counter,
    failed: Counter,
    /// The orders that have failed since the last one that succeeded.
    failures: AtomicU64,
    /// When the next order is due, as a Unix time; 0 if no certificate is wanted.
    next: AtomicU64,
    /// Why the last order failed.
    problem: Mutex<Option<String>>,
}

/// How often it is looked whether the time has come. The wall clock may be set.
const LOOK: Duration = Duration::from_secs(3600);
/// How long an order may take.
const ORDER_TIMEOUT: Duration = Duration::from_secs(180);
/// How often the authority is asked when to renew, if it does not say itself how often.
const ASKING: Duration = Duration::from_secs(6 * 3600);
/// How long that question may take.
const ASKING_TIMEOUT: Duration = Duration::from_secs(30);

impl Acme {
    /// Gets the certificate of `plan`, if one is wanted, and keeps it valid. `reload` has the certificates read again.
    ///
    /// # Errors
    /// If the operating system refuses to create the thread.
    pub fn start(
        plan: Plan,
        certificates: Arc<Certificates>,
        reload: impl Fn() + Send + 'static,
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Self, Denied> {
        let counted = Arc::<Counted>::default();
        let (orders, inbox) = mpsc::unbounded_channel();
        let client = Client {
            plan,
            certificates,
            reload: Box::new(reload),
            clock,
            counted: Arc::clone(&counted),
            schedule: Schedule::default(),
            ask_at: Unix::default(),
            rng: StdRng::from_seed(seed),
        };
        let threads = Threads::default();
        threads.spawn("acme".to_owned(), move || client.run(inbox))?;
        Ok(Self { orders, counted, threads })
    }

    /// Wants the certificate of another plan from now on. If it is the same plan and the last order failed, the next one
    /// does not wait any longer.
    pub fn apply(&self, plan: Plan) {
        // If the thread has ended, `failed` says so.
        let _ = self.orders.send(Order::Apply(Box::new(plan)));
    }

    /// Orders nothing any more: another daemon may have taken over the listeners, where the authority verifies names.
    pub fn drain(&self) {
        let _ = self.orders.send(Order::Drain);
    }

    /// What became of the orders; `None` if no certificate is wanted.
    #[must_use]
    pub fn snapshot(&self) -> Option<observed::Acme> {
        let Counted { issued, failed, failures, next, problem } = &*self.counted;
        let next = next.load(Ordering::Relaxed);
        let problem = problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (next > 0).then(|| observed::Acme {
            issued: issued.get(),
            failed: failed.get(),
            failures: failures.load(Ordering::Relaxed),
            next,
            problem,
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
struct Client {
    plan: Plan,
    certificates: Arc<Certificates>,
    reload: Box<dyn Fn() + Send>,
    clock: Clock,
    counted: Arc<Counted>,
    schedule: Schedule,
    /// When to ask the authority again when to renew.
    ask_at: Unix,
    rng: StdRng,
}

impl Client {
    fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            loop {
                let order = tokio::select! {
                    order = inbox.recv() => order,
                    never = self.work() => match never {},
                };
                // What was under way has been dropped: the authority forgets an order that is not finished.
                self.certificates.challenges().withdraw();
                match order {
                    Some(Order::Apply(plan)) if *plan == self.plan => self.schedule.retry(),
                    Some(Order::Apply(plan)) => {
                        self.plan = *plan;
                        self.schedule = Schedule::default();
                        self.ask_at = Unix::default();
                    }
                    Some(Order::Drain) => self.plan.section.names.clear(),
                    Some(Order::Stop) | None => return Ok(()),
                }
            }
        })
    }

    /// Does what is due, again and again.
    async fn work(&mut self) -> std::convert::Infallible {
        loop {
            if !self.plan.section.is_on() {
                self.counted.next.store(0, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            let now = self.clock.now().unix;
            let current = self.current();
            if let Some(issued) = &current
                && self.ask_at <= now
            {
                self.ask(issued, now).await;
            }
            let due = self.schedule.due(current.as_ref().map(|issued| issued.validity));
            // A certificate without a date is due since the epoch, and 0 says that none is wanted.
            self.counted.next.store(due.as_secs().max(now.as_secs()), Ordering::Relaxed);
            if due <= now {
                self.order(current.as_ref()).await;
            } else {
                let pause = Duration::from_secs(due.as_secs() - now.as_secs());
                sleep(pause.min(LOOK)).await;
            }
        }
    }

    /// The current certificate, if it is for all names that are wanted.
    fn current(&self) -> Option<Issued> {
        let names = &self.plan.section.names;
        self.certificates.issued().filter(|issued| names.iter().all(|name| issued.covers(name.as_str())))
    }

    /// Asks the authority when to renew the certificate. If it cannot say, two thirds of the lifetime count.
    async fn ask(&mut self, issued: &Issued, now: Unix) {
        self.ask_at = now + ASKING;
        let asked = async { Authority::open(&self.plan).await?.renewal(&issued.certificate).await };
        match timeout(ASKING_TIMEOUT, asked).await {
            Ok(Ok(Some((window, again)))) => {
                self.schedule.suggest(issued.validity, window, &mut self.rng);
                self.ask_at = now + again.clamp(Duration::from_secs(60), ASKING);
            }
            // It has no such service.
            Ok(Ok(None)) => {}
            Ok(Err(Failure { problem, .. })) => {
                tracing::debug!(problem, "the authority does not say when to renew");
            }
            Err(_) => tracing::debug!("the authority does not say when to renew: no response"),
        }
    }

    /// Orders a certificate, and keeps it.
    async fn order(&mut self, current: Option<&Issued>) {
        let names: Vec<&str> = self.plan.section.names.iter().map(HostName::as_str).collect();
        let names = names.join(", ");
        tracing::info!(names, authority = self.plan.section.directory.url(), "ordering a certificate");
        let ordered = timeout(ORDER_TIMEOUT, self.try_order(current)).await.unwrap_or_else(|_| {
            Err(Failure::of("the authority did not finish the order within three minutes"))
        });
        self.certificates.challenges().withdraw();
        match ordered {
            Ok(()) => {
                self.schedule.succeeded();
                self.ask_at = Unix::default();
                self.counted.issued.add(1);
                self.say(None);
                tracing::info!(names, "the certificate has been issued");
            }
            Err(Failure { problem, too_many }) => {
                let now = self.clock.now().unix;
                let again = self.schedule.failed(too_many, now, &mut self.rng);
                let minutes = (again.as_secs() - now.as_secs()).div_ceil(60);
                tracing::error!(
                    names,
                    "tls.acme: no certificate: {problem}; the next order is in {minutes} min"
                );
                self.counted.failed.add(1);
                self.say(Some(problem));
            }
        }
    }

    async fn try_order(&self, current: Option<&Issued>) -> Result<(), Failure> {
        let challenge = authority::challenge(&self.plan, self.schedule.failures())?;
        // Before the order, because an authority counts certificates that nobody could keep.
        files::check(&self.plan.files.certificate)?;
        let authority = Authority::open(&self.plan).await?;
        let pem = authority.order(challenge, current, self.certificates.challenges()).await?;
        files::write(&self.plan.files.certificate, pem.as_bytes())?;
        (self.reload)();
        let due = self.current().map(|issued| Schedule::default().due(Some(issued.validity)));
        match due {
            Some(due) if due > self.clock.now().unix => Ok(()),
            // Otherwise the next order would follow at once.
            Some(_) => Err(Failure::of("the new certificate expires soon: check this machine's clock")),
            None => Err(Failure::of("the new certificate cannot be used; another line of the log says why")),
        }
    }

    fn say(&self, problem: Option<String>) {
        self.counted.failures.store(self.schedule.failures().into(), Ordering::Relaxed);
        *self.counted.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}
