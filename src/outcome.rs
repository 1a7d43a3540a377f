//! PURE  Names what became of a message or a connection: its method, and why it was refused, dropped or closed.
//!
//! Everything that arrives ends in exactly one of these, and each has a counter in [`crate::metrics`].

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// STUN Binding (RFC 8489 §3).
    Binding,
    /// RFC 8656 §7.
    Allocate,
    /// RFC 8656 §8.
    Refresh,
    /// RFC 8656 §10.
    CreatePermission,
    /// RFC 8656 §12.
    ChannelBind,
    /// RFC 6062 §5.2.
    Connect,
    /// RFC 6062 §5.4.
    ConnectionBind,
    /// The Send indication (RFC 8656 §11).
    Send,
    /// A method that this server does not know.
    Unknown,
}

impl Method {
    /// Every method, in the order of its index.
    pub const ALL: [Self; 9] = [
        Self::Binding,
        Self::Allocate,
        Self::Refresh,
        Self::CreatePermission,
        Self::ChannelBind,
        Self::Connect,
        Self::ConnectionBind,
        Self::Send,
        Self::Unknown,
    ];

    /// The method's label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Allocate => "allocate",
            Self::Refresh => "refresh",
            Self::CreatePermission => "create_permission",
            Self::ChannelBind => "channel_bind",
            Self::Connect => "connect",
            Self::ConnectionBind => "connection_bind",
            Self::Send => "send",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a request is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The first request of a client carries no credentials: the normal start of every session.
    Challenge,
    /// No such user.
    UnknownUser,
    /// The message integrity does not match the user's password.
    WrongPassword,
    /// The credential's time is over.
    Expired,
    /// The credential was revoked.
    Revoked,
    /// The client named another realm.
    WrongRealm,
    /// The nonce is old, forged, or was given to another address.
    StaleNonce,
    /// Credentials are incomplete, or the password algorithms were tampered with.
    BadCredentials,
    /// An attribute is missing or malformed, or two contradict each other.
    BadRequest,
    /// An attribute that must be understood is not.
    UnknownAttribute,
    /// The method is not known.
    UnknownMethod,
    /// The address is not one that may be reached through this server.
    PeerDenied,
    /// The client's own address is a tunnel's.
    ClientDenied,
    /// Allocate while an allocation exists, or anything else while none does.
    AllocationMismatch,
    /// The allocation belongs to another user.
    WrongUser,
    /// The address family is not served.
    FamilyUnsupported,
    /// The peer's address family is not the allocation's.
    FamilyMismatch,
    /// A transport was asked for that is not served.
    TransportUnsupported,
    /// The user has as many allocations as allowed.
    UserQuota,
    /// The client's address has as many allocations as allowed.
    AddressQuota,
    /// The client's network has as many allocations as allowed.
    NetworkQuota,
    /// The user, or the client's address, makes new allocations too fast.
    AllocationRate,
    /// The server has as many allocations as allowed.
    ServerQuota,
    /// No relay port is free.
    NoPorts,
    /// The reservation token is unknown, used or expired.
    UnknownToken,
    /// The allocation has as many permissions as allowed.
    Permissions,
    /// The allocation has as many channels, or TCP connections, as allowed.
    Channels,
    /// New peers are added too fast.
    PeerRate,
    /// The allocation is connected to this peer already.
    ConnectionExists,
    /// The peer could not be connected to.
    ConnectionFailed,
}

impl Refusal {
    /// Every refusal, in the order of its index.
    pub const ALL: [Self; 30] = [
        Self::Challenge,
        Self::UnknownUser,
        Self::WrongPassword,
        Self::Expired,
        Self::Revoked,
        Self::WrongRealm,
        Self::StaleNonce,
        Self::BadCredentials,
        Self::BadRequest,
        Self::UnknownAttribute,
        Self::UnknownMethod,
        Self::PeerDenied,
        Self::ClientDenied,
        Self::AllocationMismatch,
        Self::WrongUser,
        Self::FamilyUnsupported,
        Self::FamilyMismatch,
        Self::TransportUnsupported,
        Self::UserQuota,
        Self::AddressQuota,
        Self::NetworkQuota,
        Self::AllocationRate,
        Self::ServerQuota,
        Self::NoPorts,
        Self::UnknownToken,
        Self::Permissions,
        Self::Channels,
        Self::PeerRate,
        Self::ConnectionExists,
        Self::ConnectionFailed,
    ];

    /// The STUN error code (RFC 8489 §14.8, RFC 8656 §19, RFC 6062 §6.3) that the client hears.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadCredentials | Self::BadRequest | Self::UnknownMethod => 400,
            Self::Challenge
            | Self::UnknownUser
            | Self::WrongPassword
            | Self::Expired
            | Self::Revoked
            | Self::WrongRealm => 401,
            Self::PeerDenied | Self::ClientDenied => 403,
            Self::UnknownAttribute => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::FamilyUnsupported => 440,
            Self::WrongUser => 441,
            Self::TransportUnsupported => 442,
            Self::FamilyMismatch => 443,
            Self::ConnectionExists => 446,
            Self::ConnectionFailed => 447,
            Self::UserQuota | Self::AddressQuota | Self::NetworkQuota | Self::AllocationRate => 486,
            Self::ServerQuota
            | Self::NoPorts
            | Self::UnknownToken
            | Self::Permissions
            | Self::Channels
            | Self::PeerRate => 508,
        }
    }

    /// The refusal's label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::WrongRealm => "wrong_realm",
            Self::StaleNonce => "stale_nonce",
            Self::BadCredentials => "bad_credentials",
            Self::BadRequest => "bad_request",
            Self::UnknownAttribute => "unknown_attribute",
            Self::UnknownMethod => "unknown_method",
            Self::PeerDenied => "peer_denied",
            Self::ClientDenied => "client_denied",
            Self::AllocationMismatch => "allocation_mismatch",
            Self::WrongUser => "wrong_user",
            Self::FamilyUnsupported => "family_unsupported",
            Self::FamilyMismatch => "family_mismatch",
            Self::TransportUnsupported => "transport_unsupported",
            Self::UserQuota => "user_quota",
            Self::AddressQuota => "address_quota",
            Self::NetworkQuota => "network_quota",
            Self::AllocationRate => "allocation_rate",
            Self::ServerQuota => "server_quota",
            Self::NoPorts => "no_ports",
            Self::UnknownToken => "unknown_token",
            Self::Permissions => "permissions",
            Self::Channels => "channels",
            Self::PeerRate => "peer_rate",
            Self::ConnectionExists => "connection_exists",
            Self::ConnectionFailed => "connection_failed",
        }
    }
}

/// Why a datagram got no answer and went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Neither STUN (RFC 8489 §5) nor ChannelData (RFC 8656 §12.4).
    NotStun,
    /// The length or an attribute's length does not fit, or bytes follow the message.
    Malformed,
    /// FINGERPRINT is wrong or not last.
    BadFingerprint,
    /// A response, or an indication that needs no work.
    NothingToDo,
    /// From an address that nobody can have, or a port that reflects.
    ImpossibleSource,
    /// The budget of unauthenticated answers to this network is spent.
    AnswerBudget,
    /// Too many wrong passwords for this user from this address.
    GuessBudget,
    /// Data without an allocation.
    NoAllocation,
    /// ChannelData on a channel that is not bound, or has expired.
    NoChannel,
    /// No permission for this peer.
    NoPermission,
    /// A Send indication that is not well-formed.
    BadSend,
    /// A Send indication to an address that may not be reached.
    PeerDenied,
    /// The allocation's packet or byte rate is spent.
    OverRate,
    /// The kernel refused to send: no route, full buffer, or too large.
    SendFailed,
    /// A client does not read from its connection as fast as messages for it arrive.
    SlowReader,
    /// A peer's connection, where the allocation has as many as allowed.
    Crowded,
}

impl Ignored {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 16] = [
        Self::NotStun,
        Self::Malformed,
        Self::BadFingerprint,
        Self::NothingToDo,
        Self::ImpossibleSource,
        Self::AnswerBudget,
        Self::GuessBudget,
        Self::NoAllocation,
        Self::NoChannel,
        Self::NoPermission,
        Self::BadSend,
        Self::PeerDenied,
        Self::OverRate,
        Self::SendFailed,
        Self::SlowReader,
        Self::Crowded,
    ];

    /// The reason's label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotStun => "not_stun",
            Self::Malformed => "malformed",
            Self::BadFingerprint => "bad_fingerprint",
            Self::NothingToDo => "nothing_to_do",
            Self::ImpossibleSource => "impossible_source",
            Self::AnswerBudget => "answer_budget",
            Self::GuessBudget => "guess_budget",
            Self::NoAllocation => "no_allocation",
            Self::NoChannel => "no_channel",
            Self::NoPermission => "no_permission",
            Self::BadSend => "bad_send",
            Self::PeerDenied => "peer_denied",
            Self::OverRate => "over_rate",
            Self::SendFailed => "send_failed",
            Self::SlowReader => "slow_reader",
            Self::Crowded => "crowded",
        }
    }

    /// Whether a connection on which this arrived is closed: what is not STUN means that the two ends do not agree
    /// where messages begin, and who guesses passwords shall at least have to connect again.
    #[must_use]
    pub const fn ends_stream(self) -> bool {
        match self {
            Self::NotStun | Self::Malformed | Self::BadFingerprint | Self::GuessBudget => true,
            Self::NothingToDo
            | Self::ImpossibleSource
            | Self::AnswerBudget
            | Self::NoAllocation
            | Self::NoChannel
            | Self::NoPermission
            | Self::BadSend
            | Self::PeerDenied
            | Self::OverRate
            | Self::SendFailed
            | Self::SlowReader
            | Self::Crowded => false,
        }
    }
}

/// Why a TCP or TLS connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other end closed it, or what it was for has ended, or the network failed.
    Closed,
    /// The daemon has as many connections as allowed, or the client's address or network has.
    Crowded,
    /// A proxy did not begin with a PROXY protocol header.
    BadHeader,
    /// The TLS handshake failed.
    BadHandshake,
    /// What it carried is not STUN, or its sender guessed too many passwords.
    BadMessage,
    /// The first message, or the handshake, did not come in time.
    Silent,
    /// A message was begun and not finished in time.
    Unfinished,
    /// It had no allocation, and said nothing for long.
    Idle,
    /// The client read nothing of what waited for it.
    Stalled,
    /// A peer refused it, or cannot be reached.
    Refused,
    /// Nobody bound the connection with a peer in time, or the peer did not answer.
    Unbound,
    /// Its client showed no credential for two minutes.
    NoCredential,
    /// It was a stranger's, and made way for another.
    MadeWay,
    /// Its address, or its network, began too many TLS handshakes.
    TooManyHandshakes,
}

impl Ending {
    /// Every ending, in the order of its index.
    pub const ALL: [Self; 14] = [
        Self::Closed,
        Self::Crowded,
        Self::BadHeader,
        Self::BadHandshake,
        Self::BadMessage,
        Self::Silent,
        Self::Unfinished,
        Self::Idle,
        Self::Stalled,
        Self::Refused,
        Self::Unbound,
        Self::NoCredential,
        Self::MadeWay,
        Self::TooManyHandshakes,
    ];

    /// The ending's label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Crowded => "crowded",
            Self::BadHeader => "bad_header",
            Self::BadHandshake => "bad_handshake",
            Self::BadMessage => "bad_message",
            Self::Silent => "silent",
            Self::Unfinished => "unfinished",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Refused => "refused",
            Self::Unbound => "unbound",
            Self::NoCredential => "no_credential",
            Self::MadeWay => "made_way",
            Self::TooManyHandshakes => "too_many_handshakes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_stands_at_its_index() {
        assert!(Method::ALL.iter().enumerate().all(|(i, m)| *m as usize == i));
        assert!(Refusal::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Ignored::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(Ending::ALL.iter().enumerate().all(|(i, e)| *e as usize == i));
    }
}
