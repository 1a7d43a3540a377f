//! PURE  Logs which limit was reached, at most once a minute for each, with the key that raises it.

use crate::bounds::notice::Notice;
use crate::clock::Moment;
use crate::credentials::Owner;
use crate::outcome::Refusal;

/// When each line was last written; shared by all shards.
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
    /// An unauthenticated request gets no answer, because its address or network has received too many errors.
    pub fn answers(&self, now: Moment) {
        if let Some(times) = self.answers.due(now) {
            tracing::info!(
                times,
                "too many unauthenticated requests from one address or network, so some get no answer: if they are \
                 from your users, raise limits.answers_per_ip_burst and limits.answers_per_network_burst"
            );
        }
    }

    /// A client has sent too many wrong passwords and gets no answer.
    pub fn guesses(&self, now: Moment) {
        if let Some(times) = self.guesses.due(now) {
            tracing::info!(
                times,
                "too many wrong passwords from one client or address, so its requests get no answer: if they are from \
                 your users, correct the password, or raise limits.failures_per_minute"
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
                "its network has half of all allocations: raise limits.allocations",
            ),
            (
                Refusal::AllocationRate,
                &self.rate,
                "the user or the address makes allocations too fast: the limit in one minute is the number that it may \
                 hold",
            ),
            (
                Refusal::ServerQuota,
                &self.server,
                "all allocations are taken: raise limits.allocations, or widen relay.ports",
            ),
        ];
        let limit = limits.into_iter().find(|(other, ..)| *other == refusal);
        let Some((_, notice, remedy)) = limit else { return };
        if let Some(times) = notice.due(now) {
            tracing::info!(times, user = ?owner.tag, reason = refusal.name(), "allocation refused: {remedy}");
        }
    }
}
