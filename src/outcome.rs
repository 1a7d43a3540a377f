//! PURE  Names the outcomes of messages and connections: methods, and reasons for a refusal, a drop or a close.
//!
//! Everything that arrives has exactly one outcome, and each outcome has a counter in [`crate::metrics`].

use crate::labels::labels;

labels! {
    /// The method of a message.
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
        /// An unknown method.
        Unknown = "unknown",
    }
}

labels! {
    /// Why a request is answered with an error.
    pub enum Refusal {
        /// The client's first request has no credentials: the normal start of every session.
        Challenge = "challenge",
        /// The user does not exist.
        UnknownUser = "unknown_user",
        /// The message integrity does not match the user's password.
        WrongPassword = "wrong_password",
        /// The credential has expired.
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
        /// A comprehension-required attribute is unknown.
        UnknownAttribute = "unknown_attribute",
        /// The method is unknown.
        UnknownMethod = "unknown_method",
        /// The policy does not allow this peer address.
        PeerDenied = "peer_denied",
        /// The client's own address is a tunnel's.
        ClientDenied = "client_denied",
        /// Allocate while an allocation exists, or anything else while none does.
        AllocationMismatch = "allocation_mismatch",
        /// The allocation belongs to another user.
        WrongUser = "wrong_user",
        /// The address family is not supported.
        FamilyUnsupported = "family_unsupported",
        /// The address families of the peer and the allocation differ.
        FamilyMismatch = "family_mismatch",
        /// The requested transport is not supported.
        TransportUnsupported = "transport_unsupported",
        /// The user has the maximum number of allocations.
        UserQuota = "user_quota",
        /// The client's address has the maximum number of allocations.
        AddressQuota = "address_quota",
        /// The client's network has the maximum number of allocations.
        NetworkQuota = "network_quota",
        /// The user, or the client's address, makes new allocations too fast.
        AllocationRate = "allocation_rate",
        /// The user has carried the maximum number of bytes of one day.
        DailyBytes = "daily_bytes",
        /// The server has the maximum number of allocations.
        ServerQuota = "server_quota",
        /// No relay port is free.
        NoPorts = "no_ports",
        /// The reservation token is unknown, used or expired.
        UnknownToken = "unknown_token",
        /// The allocation has the maximum number of permissions.
        Permissions = "permissions",
        /// The allocation has the maximum number of channels, or of TCP connections.
        Channels = "channels",
        /// New peers are added too fast.
        PeerRate = "peer_rate",
        /// The allocation already has a connection with this peer.
        ConnectionExists = "connection_exists",
        /// The connection with the peer failed.
        ConnectionFailed = "connection_failed",
        /// The server makes no new allocations, because it is about to stop.
        Draining = "draining",
        /// The same, and the answer names another server.
        Redirected = "draining_redirected",
    }
}

impl Refusal {
    /// The STUN error code for the client (RFC 8489 §14.8, RFC 8656 §19, RFC 6062 §6.3).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Redirected => 300,
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
            Self::UserQuota
            | Self::AddressQuota
            | Self::NetworkQuota
            | Self::AllocationRate
            | Self::DailyBytes => 486,
            Self::ServerQuota
            | Self::NoPorts
            | Self::UnknownToken
            | Self::Permissions
            | Self::Channels
            | Self::PeerRate
            | Self::Draining => 508,
        }
    }
}

labels! {
    /// Why a datagram or message is dropped without a response.
    pub enum Ignored {
        /// Neither STUN (RFC 8489 §5) nor ChannelData (RFC 8656 §12.4).
        NotStun = "not_stun",
        /// The length or an attribute's length does not fit, or bytes follow the message.
        Malformed = "malformed",
        /// FINGERPRINT is wrong or not last.
        BadFingerprint = "bad_fingerprint",
        /// A response, or an indication that needs no work.
        NothingToDo = "nothing_to_do",
        /// The client's network is denied by the configuration.
        Denied = "denied",
        /// The source address is impossible, or the source port is that of a service that reflects.
        ImpossibleSource = "impossible_source",
        /// The budget of unauthenticated answers to this network is spent.
        AnswerBudget = "answer_budget",
        /// Too many wrong passwords for this user from this address.
        GuessBudget = "guess_budget",
        /// Data for which there is no allocation.
        NoAllocation = "no_allocation",
        /// ChannelData on a channel that is not bound, or has expired.
        NoChannel = "no_channel",
        /// No permission for this peer.
        NoPermission = "no_permission",
        /// A Send indication that is not well-formed.
        BadSend = "bad_send",
        /// A Send indication to a peer that the policy does not allow.
        PeerDenied = "peer_denied",
        /// The allocation's packet or byte rate is spent.
        OverRate = "over_rate",
        /// The kernel refused to send: no route, full buffer, or too large.
        SendFailed = "send_failed",
        /// The client reads more slowly from its connection than messages arrive.
        SlowReader = "slow_reader",
        /// A peer's connection, when the allocation has the maximum number of them.
        Crowded = "crowded",
    }
}

impl Ignored {
    /// Whether the connection on which this arrived is closed. After data that is not STUN, the two ends disagree about
    /// where messages begin. A client that guesses passwords must at least reconnect.
    #[must_use]
    pub const fn ends_stream(self) -> bool {
        match self {
            Self::NotStun | Self::Malformed | Self::BadFingerprint | Self::GuessBudget | Self::Denied => true,
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
        /// The other end closed it, it was no longer needed, or the network failed.
        Closed = "closed",
        /// The daemon, the client's address or its network has the maximum number of connections.
        Crowded = "crowded",
        /// A proxy did not begin with a PROXY protocol header.
        BadHeader = "bad_header",
        /// The TLS handshake failed.
        BadHandshake = "bad_handshake",
        /// It carried data that is not STUN, or its client guessed too many passwords.
        BadMessage = "bad_message",
        /// The first message, or the handshake, did not come in time.
        Silent = "silent",
        /// A message was begun and not finished in time.
        Unfinished = "unfinished",
        /// It had no allocation and was silent for too long.
        Idle = "idle",
        /// The client did not read the data that waited for it.
        Stalled = "stalled",
        /// The peer refused it, or is unreachable.
        Refused = "refused",
        /// The client did not bind it in time, or the peer did not answer.
        Unbound = "unbound",
        /// Its client showed no credential for two minutes.
        NoCredential = "no_credential",
        /// It was unauthenticated and was evicted for a new one.
        MadeWay = "made_way",
        /// Its address or network began too many TLS handshakes.
        TooManyHandshakes = "too_many_handshakes",
        /// The client's network is denied by the configuration.
        Denied = "denied",
        /// An administrator ended its client's session.
        Kicked = "kicked",
    }
}

labels! {
    /// Why an allocation ended.
    pub enum AllocationEnding {
        /// Its client did not refresh it in time.
        Expired = "expired",
        /// Its client gave it back.
        Deleted = "deleted",
        /// Its client's TCP or TLS connection ended.
        Disconnected = "disconnected",
        /// Its credential was revoked.
        Revoked = "revoked",
        /// It was idle, and was evicted for a new one.
        Evicted = "evicted",
        /// An administrator ended it.
        Kicked = "kicked",
        /// Its client's network was denied.
        Denied = "denied",
    }
}
