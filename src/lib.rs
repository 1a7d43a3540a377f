//! Hairpin: everything WebRTC needs besides the browser, in one daemon.
//!
//! | what | where |
//! |---|---|
//! | starts and stops everything | [`daemon`] |
//! | the command line | [`cli`] |
//! | `config.toml` | [`config`]; what it may say: [`sections`] |
//! | who may use the relay | [`credentials`] |
//! | what TLS clients are shown | [`certificates`] |
//! | who connects over TCP, and TLS | [`front`] |
//! | STUN and TURN | [`relay`], and there [`relay::engine`] |
//! | pages, the API, the way into rooms | [`http`] |
//! | whose pages are whose | [`origin`] |
//! | which backends may ask for credentials | [`api_key`] |
//! | who may enter rooms | [`room_token`] |
//! | by which URLs browsers reach it | [`ice`] |
//! | rooms in which clients find each other | [`signaling`] |
//! | what became of a message | [`outcome`], counted in [`metrics`] |
//! | what a daemon says of itself | [`observed`] |
//! | how often one of many may do something, and how many there may be | [`bounds`] |
//! | how services start, prove that they live, and stop | [`life`] |
//! | what is said of all this, and how much of it | [`log`] |
//! | texts that no log shows | [`secret`] |
//! | which files are read | [`files`] |
//! | which characters cannot be seen | [`unseen`] |
//! | enums whose variants have labels | `labels` |
//! | what time it is | [`clock`] |
//!
//! To read it all, begin with [`relay`], follow a datagram through `relay/shard.rs` into [`relay::engine`], and
//! come back to [`daemon`] to see how the parts are put together. ARCHITECTURE.md says why they are as they are.

pub mod api_key;
pub mod bounds;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod daemon;
pub mod files;
pub mod front;
pub mod http;
pub mod ice;
mod labels;
pub mod life;
pub mod log;
pub mod metrics;
pub mod network;
pub mod observed;
pub mod origin;
pub mod outcome;
pub mod peers;
pub mod relay;
pub mod room_token;
pub mod secret;
pub mod sections;
pub mod signaling;
pub mod unseen;
