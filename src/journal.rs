//! PURE  The journal: lines of the log about clients, at the level info, for an operator and for fail2ban.
//!
//! Every part of the daemon reports here which limits were reached and which clients were refused. A limit is logged
//! once a minute, with the key that raises it. Refusals are counted, and a thread ([`minutes`]) logs the counts of each
//! minute: one line for each group of clients and cause, in a form that does not change.

pub mod cause;
pub mod minutes;
mod refusals;
pub mod shown;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bounds::client_net::{address, network};
use crate::bounds::reached::{Limit, Reached};
use crate::clock::Moment;
use crate::journal::cause::{Cause, Tried};
use crate::journal::refusals::{Line, Refusals, Report};
use crate::sections::log::Addresses;

/// What the parts of the daemon report for the log.
#[derive(Debug, Default)]
pub struct Journal {
    reached: Reached,
    refusals: Mutex<Refusals>,
}

impl Journal {
    /// Which limits were reached.
    #[must_use]
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// A limit was reached.
    pub fn limit(&self, limit: Limit, now: Moment) {
        self.reached.hit(limit, now);
    }

    /// The client at `ip` was refused, perhaps for something that it had `tried`. The address must be proved: by a
    /// connection, or over UDP by a nonce that was sent to it.
    pub fn refused(&self, ip: IpAddr, cause: Cause, tried: Option<Tried>, now: Moment) {
        let ip = ip.to_canonical();
        let group = match shown::setting() {
            Addresses::None | Addresses::Network => network(ip),
            Addresses::Full => address(ip),
        };
        self.refusals().add(group, cause, tried, now);
    }

    /// Credentials were wrong, and the address of their sender may be spoofed.
    pub fn refused_unproven(&self, now: Moment) {
        self.refusals().add_unproven(now);
    }

    /// Logs the counts of a minute that is over.
    pub fn tick(&self, now: Moment) {
        let due = self.refusals().due(now);
        if let Some(minute) = due {
            write(minute.report());
        }
    }

    /// Logs what was counted so far.
    pub fn conclude(&self) {
        let minute = std::mem::take(&mut *self.refusals());
        write(minute.report());
    }

    /// The counts are consistent between any two statements, so a panic elsewhere does no harm.
    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the report of a minute. `docs/fail2ban/filter.d/hairpin.conf` matches these lines.
fn write(Report { lines, others, unproven }: Report) {
    for Line { client, cause, count } in lines {
        tracing::info!(client = shown::group(client), cause = %cause.name(), count, "refused:");
    }
    if others > 0 {
        tracing::info!(count = others, "refused, beyond the number of lines of a minute:");
    }
    if unproven > 0 {
        tracing::info!(count = unproven, "refused, wrong credentials from addresses that may be spoofed:");
    }
}
