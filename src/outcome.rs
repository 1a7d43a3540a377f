//! PURE  Names what became of a message or a connection: its method, and why it was refused, dropped or closed.
//!
//! Everything that arrives ends in exactly one of these, and each has a counter in [`crate::metrics`].

use crate::labels::labels;

labels! {
    /// What a client asked for.
    pub enum Method {
        /// STUN Binding (RFC 8489 §3).
        Binding = "binding",
        /// RFC 8656 §7.
        Allocate = "allocate",
        /// RFC 8656 §8.
        Refresh = "refresh",
        /// RFC 8656 §10.
        CreatePermission = "create_permission",
        /// RFC 8656 §12.
        ChannelBind = "channel_bind",
        /// RFC 6062 §5.2.
        Connect = "connect",
        /// RFC 6062 §5.4.
        ConnectionBind = "connection_bind",
        /// The Send indication (RFC 8656 §11).
        Send = "send",
        /// A method that this server does not know.
        Unknown = "unknown",
    }
}

labels! {
    /// Why a request is answered with an error.
    pub enum Refusal {
        /// The first request of a client carries no credentials: the normal start of every session.
        Challenge = "challenge",
        /// No such user.
        UnknownUser = "unknown_user",
        /// The message integrity does not match the user's password.
        WrongPassword = "wrong_password",
        /// The credential's time is over.
        Expired = "expired",
        /// The credential was revoked.
        Revoked = "revoked",
        /// The client named another realm.
        WrongRealm = "wrong_realm",
        /// The nonce is old, forged, or was given to another address.
        StaleNonce = "stale_nonce",
        /// Credentials are incomplete, or the password algorithms were tampered with.
        BadCredentials = "bad_credentials",
        /// An attribute is missing or malformed, or two contradict each other.
        BadRequest = "bad_request",
        /// An attribute that must be understood is not.
        UnknownAttribute = "unknown_attribute",
        /// The method is not known.
        UnknownMethod = "unknown_method",
        /// The address is not one that may be reached through this server.
        PeerDenied = "peer_denied",
        /// The client's own address is a tunnel's.
        ClientDenied = "client_denied",
        /// Allocate while an allocation exists, or anything else while none does.
        AllocationMismatch = "allocation_mismatch",
        /// The allocation belongs to another user.
        WrongUser = "wrong_user",
        /// The address family is not served.
        FamilyUnsupported = "family_unsupported",
        /// The peer's address family is not the allocation's.
        FamilyMismatch = "family_mismatch",
        /// A transport was asked for that is not served.
        TransportUnsupported = "transport_unsupported",
        /// The user has as many allocations as allowed.
        UserQuota = "user_quota",
        /// The client's address has as many allocations as allowed.
        AddressQuota = "address_quota",
        /// The client's network has as many allocations as allowed.
        NetworkQuota = "network_quota",
        /// The user, or the client's address, makes new allocations too fast.
        AllocationRate = "allocation_rate",
        /// The server has as many allocations as allowed.
        ServerQuota = "server_quota",
        /// No relay port is free.
        NoPorts = "no_ports",
        /// The reservation token is unknown, used or expired.
        UnknownToken = "unknown_token",
        /// The allocation has as many permissions as allowed.
        Permissions = "permissions",
        /// The allocation has as many channels, or TCP connections, as allowed.
        Channels = "channels",
        /// New peers are added too fast.
        PeerRate = "peer_rate",
        /// The allocation is connected to this peer already.
        ConnectionExists = "connection_exists",
        /// The peer could not be connected to.
        ConnectionFailed = "connection_failed",
    }
}

impl Refusal {
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
}

labels! {
    /// Why a datagram got no answer and went no further.
    pub enum Ignored {
        /// Neither STUN (RFC 8489 §5) nor ChannelData (RFC 8656 §12.4).
        NotStun = "not_stun",
        /// The length or an attribute's length does not fit, or bytes follow the message.
        Malformed = "malformed",
        /// FINGERPRINT is wrong or not last.
        BadFingerprint = "bad_fingerprint",
        /// A response, or an indication that needs no work.
        NothingToDo = "nothing_to_do",
        /// From an address that nobody can have, or a port that reflects.
        ImpossibleSource = "impossible_source",
        /// The budget of unauthenticated answers to this network is spent.
        AnswerBudget = "answer_budget",
        /// Too many wrong passwords for this user from this address.
        GuessBudget = "guess_budget",
        /// Data without an allocation.
        NoAllocation = "no_allocation",
        /// ChannelData on a channel that is not bound, or has expired.
        NoChannel = "no_channel",
        /// No permission for this peer.
        NoPermission = "no_permission",
        /// A Send indication that is not well-formed.
        BadSend = "bad_send",
        /// A Send indication to an address that may not be reached.
        PeerDenied = "peer_denied",
        /// The allocation's packet or byte rate is spent.
        OverRate = "over_rate",
        /// The kernel refused to send: no route, full buffer, or too large.
        SendFailed = "send_failed",
        /// A client does not read from its connection as fast as messages for it arrive.
        SlowReader = "slow_reader",
        /// A peer's connection, where the allocation has as many as allowed.
        Crowded = "crowded",
    }
}

impl Ignored {
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

labels! {
    /// Why a TCP or TLS connection ended.
    pub enum Ending {
        /// The other end closed it, or what it was for has ended, or the network failed.
        Closed = "closed",
        /// The daemon has as many connections as allowed, or the client's address or network has.
        Crowded = "crowded",
        /// A proxy did not begin with a PROXY protocol header.
        BadHeader = "bad_header",
        /// The TLS handshake failed.
        BadHandshake = "bad_handshake",
        /// What it carried is not STUN, or its sender guessed too many passwords.
        BadMessage = "bad_message",
        /// The first message, or the handshake, did not come in time.
        Silent = "silent",
        /// A message was begun and not finished in time.
        Unfinished = "unfinished",
        /// It had no allocation, and said nothing for long.
        Idle = "idle",
        /// The client read nothing of what waited for it.
        Stalled = "stalled",
        /// A peer refused it, or cannot be reached.
        Refused = "refused",
        /// Nobody bound the connection with a peer in time, or the peer did not answer.
        Unbound = "unbound",
        /// Its client showed no credential for two minutes.
        NoCredential = "no_credential",
        /// It was a stranger's, and made way for another.
        MadeWay = "made_way",
        /// Its address, or its network, began too many TLS handshakes.
        TooManyHandshakes = "too_many_handshakes",
    }
}
