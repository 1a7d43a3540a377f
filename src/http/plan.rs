//! The site's configuration, at the start and after a reload.

use std::num::NonZeroU64;

use ipnet::IpNet;

use crate::bounds::denied::DenyList;
use crate::compat;
use crate::credentials::Credentials;
use crate::http::origins::Origins;
use crate::ice::IceServers;
use crate::origin::Origin;
use crate::password::PasswordHash;
use crate::room_token::Create;
use crate::sections::http::ApiKey;

/// The configuration of the site.
pub struct Plan {
    /// Which pages may do what.
    pub origins: Origins,
    /// The sites whose pages may show ours in a frame.
    pub frame_ancestors: Vec<Origin>,
    /// Who may create rooms and test the connection.
    pub create: Create,
    /// The hash of the password for which people may create rooms.
    pub password: Option<PasswordHash>,
    /// Issues credentials, and knows the revoked ones.
    pub credentials: Credentials,
    /// The servers that credentials are for.
    pub ice: IceServers,
    /// Bits of payload that one connection may relay per second in each direction, whichever limit that follows from.
    pub bits_per_second: NonZeroU64,
    /// The API keys.
    pub keys: Vec<ApiKey>,
    /// The reverse proxies that are trusted to name their clients.
    pub proxies: Vec<IpNet>,
    /// The networks whose clients are refused.
    pub denied: DenyList,
    /// The clients of other signaling servers.
    pub compat: compat::Plan,
}
