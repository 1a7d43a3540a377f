//! PURE  Logs which limit was reached, at most once a minute for each, with the key that raises it.

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::credentials::Owner;
use crate::outcome::Refusal;

/// When each was said last, shared by all shards.
#[derive(Debug, Default)]
pub struct Notices {
    answers: Notice,
    guesses: Notice,
    user: Notice,
    address: Notice,
    network: Notice,
    rate: Notice,
    server: Notice,
}

impl Notices {
    /// A stranger's request goes unanswered, because its address or its network has heard enough errors.
    pub fn answers(&self, now: Moment) {
        if let Some(times) = self.answers.due(now) {
            tracing::info!(
                times,
                "clients that have yet to authenticate go unanswered, too many from one address or network: if they are \
                 yours, raise limits.answers_per_ip_burst and limits.answers_per_network_burst"
            );
        }
    }

    /// Somebody tries passwords, and is not listened to any more.
    pub fn guesses(&self, now: Moment) {
        if let Some(times) = self.guesses.due(now) {
            tracing::info!(
                times,
                "requests go unanswered after too many wrong passwords from one client or address: if they are yours, \
                 mend the password, or raise limits.failures_per_minute"
            );
        }
    }

    /// An Allocate of `owner` was refused.
    pub fn refused(&self, refusal: Refusal, owner: &Owner, now: Moment) {
        let limits = [
            (
                Refusal::UserQuota,
                &self.user,
                "the user has as many as allowed: raise limits.allocations_per_user, or name this user in limits.users",
            ),
            (
                Refusal::AddressQuota,
                &self.address,
                "its address has as many as allowed: raise limits.allocations_per_ip",
            ),
            (
                Refusal::NetworkQuota,
                &self.network,
                "its network has half of all that there may be: raise limits.allocations",
            ),
            (
                Refusal::AllocationRate,
                &self.rate,
                "the user or the address makes new ones too fast: in a minute no more than it may hold at once",
            ),
            (
                Refusal::ServerQuota,
                &self.server,
                "there are as many as allowed: raise limits.allocations, or widen relay.ports",
            ),
        ];
        let limit = limits.into_iter().find(|(other, ..)| *other == refusal);
        let Some((_, notice, remedy)) = limit else { return };
        if let Some(times) = notice.due(now) {
            tracing::info!(times, user = ?owner.tag, reason = refusal.name(), "allocation refused: {remedy}");
        }
    }
}
