//! How often and how many: what bounds one client, one network, and everybody together.

pub mod admission;
pub mod client_net;
pub mod headcount;
pub mod net_throttle;
pub mod notice;
pub mod rate;
pub mod strangers;
pub mod throttle;
