//! PURE  What an engine is started with, and what a reload of the configuration replaces.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::bounds::denied::DenyList;
use crate::credentials::Credentials;
use crate::journal::Journal;
use crate::peers::PeerPolicy;
use crate::relay::engine::answers::AnswerBudget;
use crate::relay::engine::bandwidth::Share;
use crate::relay::engine::limits::Limits;
use crate::relay::engine::nonce::Nonces;
use crate::relay::engine::quotas::Quotas;
use crate::usage::ledger::Ledger;

/// What the configuration decides.
#[derive(Debug)]
pub struct Settings {
    /// The users.
    pub credentials: Credentials,
    /// The limits of each user, address and network.
    pub limits: Limits,
    /// Whether clients may reach peers over TCP (RFC 6062).
    pub tcp: bool,
    /// Whether clients may bind the channels that RFC 5766 allowed and RFC 8656 reserves.
    pub rfc5766_channels: bool,
    /// Whether Binding is answered without a magic cookie (RFC 3489).
    pub rfc3489: bool,
    /// The servers that new clients are sent to while this one is about to stop.
    pub alternates: Vec<SocketAddr>,
}

/// What the engines of all shards share. A relayed packet uses none of it, except the bandwidth counters if the
/// operator limits the bandwidth of users or in total.
#[derive(Clone)]
pub struct Shared {
    /// What the configuration decides.
    pub settings: Arc<Settings>,
    /// The networks whose clients are refused.
    pub denied: Arc<DenyList>,
    /// Which peers clients may reach. Each engine has its own copy, in which [`super::Engine::set_own`] replaces this
    /// machine's addresses.
    pub peers: PeerPolicy,
    /// The nonces. A client may use a nonce on another shard.
    pub nonces: Nonces,
    /// The quotas of allocations.
    pub quotas: Arc<Quotas>,
    /// What all allocations have carried together.
    pub carried: Arc<Share>,
    /// The budget of unauthenticated answers.
    pub answers: Arc<AnswerBudget>,
    /// What is reported for the log.
    pub journal: Arc<Journal>,
    /// What users have used.
    pub usage: Arc<Ledger>,
}
