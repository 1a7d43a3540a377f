//! PURE  Reports to the journal which limit was reached, and which client was refused.
//!
//! Not reported is what happens in every call: the first challenge, a stale nonce, and a peer that the policy does not
//! allow, such as a private candidate. The counters and the level debug show those.

use crate::bounds::reached::Limit;
use crate::clock::Moment;
use crate::journal::cause::Cause;
use crate::outcome::{Ignored, Refusal};
use crate::relay::address::ClientPath;
use crate::relay::engine::Engine;
use crate::relay::engine::authenticate::{Authenticated, Rejection, Wrong};

impl Engine {
    /// A request did not pass authentication.
    pub(super) fn report_rejected(&self, path: ClientPath, rejection: &Rejection, now: Moment) {
        let ip = path.client.ip();
        match rejection {
            Rejection::Wrong(Wrong { cause, user, proven: true, .. }) => {
                self.journal.refused(ip, *cause, Some(*user), now);
            }
            Rejection::Wrong(Wrong { proven: false, .. }) => self.journal.refused_unproven(now),
            // Only a client with a fresh nonce is ignored for this.
            Rejection::Ignored(Ignored::GuessBudget) => {
                self.journal.limit(Limit::Failures, now);
                self.journal.refused(ip, Cause::GuessLimit, None, now);
            }
            Rejection::Known(refusal) => {
                if let Some(cause) = cause(*refusal) {
                    self.journal.refused(ip, cause, None, now);
                }
            }
            Rejection::Stranger(_) | Rejection::Ignored(_) => {}
        }
    }

    /// The request of a client that has authenticated was refused.
    pub(super) fn report_refused(&self, request: &Authenticated<'_>, refusal: Refusal) {
        let now = request.now().moment;
        if let Some(limit) = limit(refusal) {
            self.journal.reached().hit_by(limit, Some(request.account().tag()), 1, now);
        }
        if let Some(cause) = cause(refusal) {
            self.journal.refused(request.path().client.ip(), cause, None, now);
        }
    }
}

/// The limit that was reached, if a key in `config.toml` raises it. A shortage of ports is logged where it is found.
const fn limit(refusal: Refusal) -> Option<Limit> {
    match refusal {
        Refusal::UserQuota => Some(Limit::UserAllocations),
        Refusal::DailyBytes => Some(Limit::UserDay),
        Refusal::AddressQuota => Some(Limit::AddressAllocations),
        Refusal::NetworkQuota => Some(Limit::NetworkAllocations),
        Refusal::AllocationRate => Some(Limit::NewAllocations),
        Refusal::ServerQuota => Some(Limit::AllAllocations),
        Refusal::Permissions => Some(Limit::Permissions),
        Refusal::Channels => Some(Limit::Channels),
        Refusal::PeerRate => Some(Limit::NewPeers),
        Refusal::Challenge
        | Refusal::UnknownUser
        | Refusal::WrongPassword
        | Refusal::Expired
        | Refusal::Revoked
        | Refusal::WrongRealm
        | Refusal::StaleNonce
        | Refusal::BadCredentials
        | Refusal::BadRequest
        | Refusal::UnknownAttribute
        | Refusal::UnknownMethod
        | Refusal::PeerDenied
        | Refusal::ClientDenied
        | Refusal::AllocationMismatch
        | Refusal::WrongUser
        | Refusal::FamilyUnsupported
        | Refusal::FamilyMismatch
        | Refusal::TransportUnsupported
        | Refusal::NoPorts
        | Refusal::UnknownToken
        | Refusal::ConnectionExists
        | Refusal::Draining
        | Refusal::Redirected
        | Refusal::ConnectionFailed => None,
    }
}

/// What the journal says of the client.
const fn cause(refusal: Refusal) -> Option<Cause> {
    match refusal {
        Refusal::Expired => Some(Cause::ExpiredCredential),
        Refusal::Revoked => Some(Cause::RevokedCredential),
        Refusal::UserQuota
        | Refusal::AddressQuota
        | Refusal::NetworkQuota
        | Refusal::AllocationRate
        | Refusal::DailyBytes => Some(Cause::Quota),
        Refusal::ServerQuota | Refusal::NoPorts => Some(Cause::ServerFull),
        Refusal::Permissions | Refusal::Channels | Refusal::PeerRate => Some(Cause::AllocationLimit),
        Refusal::Challenge
        | Refusal::UnknownUser
        | Refusal::WrongPassword
        | Refusal::WrongRealm
        | Refusal::StaleNonce
        | Refusal::BadCredentials
        | Refusal::BadRequest
        | Refusal::UnknownAttribute
        | Refusal::UnknownMethod
        | Refusal::PeerDenied
        | Refusal::ClientDenied
        | Refusal::AllocationMismatch
        | Refusal::WrongUser
        | Refusal::FamilyUnsupported
        | Refusal::FamilyMismatch
        | Refusal::TransportUnsupported
        | Refusal::UnknownToken
        | Refusal::ConnectionExists
        | Refusal::Draining
        | Refusal::Redirected
        | Refusal::ConnectionFailed => None,
    }
}
