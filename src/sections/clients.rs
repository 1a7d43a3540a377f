//! PURE  `[clients]`: which clients are refused.

use ipnet::IpNet;

section! {
    /// `[clients]`
    pub struct Clients {
        /// The networks whose clients are refused.
        pub deny: Vec<IpNet> = Vec::new(),
    }
}
