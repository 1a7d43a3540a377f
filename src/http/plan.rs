//! What the site is started from.

use ipnet::IpNet;

use crate::credentials::Credentials;
use crate::http::origins::Origins;
use crate::ice::IceServers;
use crate::room_token::Create;
use crate::sections::http::ApiKey;

/// Everything that the site must know before it starts.
pub struct Plan {
    /// Whose pages may do what.
    pub origins: Origins,
    /// Who may create rooms, and test the connection.
    pub create: Create,
    /// What credentials are made from, and which ones are revoked.
    pub credentials: Credentials,
    /// The servers that credentials are for.
    pub ice: IceServers,
    /// The API keys.
    pub keys: Vec<ApiKey>,
    /// The reverse proxies that are believed about who their clients are.
    pub proxies: Vec<IpNet>,
}
