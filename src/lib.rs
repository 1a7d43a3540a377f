//! Hairpin: everything WebRTC needs besides the browser, in one daemon.
//!
//! | part | module |
//! |---|---|
//! | start and stop of all parts | [`daemon`] |
//! | the command line | [`cli`] |
//! | `config.toml` | [`config`]; its keys and their types: [`sections`] |
//! | coturn's configuration becomes ours | [`coturn`] |
//! | credentials for the relay | [`credentials`] |
//! | certificates for TLS clients | [`certificates`]; from an authority: [`acme`] |
//! | TCP and TLS connections | [`front`] |
//! | STUN and TURN | [`relay`], and there [`relay::engine`] |
//! | the addresses to relay from | [`discovery`] |
//! | pages, the API, the WebSocket for rooms | [`http`] |
//! | web origins | [`origin`] |
//! | API keys for backends | [`api_key`] |
//! | tokens for rooms | [`room_token`]; the password that gives one: [`password`] |
//! | ICE URLs for browsers | [`ice`] |
//! | rooms in which clients find each other | [`signaling`] |
//! | clients of other signaling servers | [`compat`] |
//! | outcomes of messages | [`outcome`], counted in [`metrics`] |
//! | snapshots of a daemon's counts | [`observed`] |
//! | rate limits and limits on numbers | [`bounds`] |
//! | start, liveness and stop of threads | [`life`] |
//! | the log and its limits | [`log`]; what it says of clients: [`journal`] |
//! | secrets, which are never logged | [`secret`] |
//! | reading of regular files | [`files`] |
//! | invisible characters | [`unseen`] |
//! | what each user used on each day | [`usage`] |
//! | enums whose variants have labels | `labels` |
//! | the time | [`clock`] |
//!
//! To read the code, begin with [`relay`], follow a datagram through `relay/shard.rs` into [`relay::engine`], and come
//! back to [`daemon`] to see how the parts are put together. ARCHITECTURE.md gives the reasons for the design.

pub mod acme;
pub mod admin;
pub mod api_key;
pub mod bounds;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod compat;
pub mod config;
pub mod coturn;
pub mod credentials;
pub mod current;
pub mod daemon;
pub mod discovery;
pub mod doctor;
pub mod files;
pub mod front;
pub mod http;
pub mod ice;
pub mod journal;
mod labels;
pub mod life;
pub mod log;
pub mod metrics;
pub mod network;
pub mod observed;
pub mod origin;
pub mod outcome;
pub mod password;
pub mod peers;
pub mod relay;
pub mod room_token;
pub mod secret;
pub mod sections;
pub mod signaling;
pub mod system;
pub mod unseen;
pub mod usage;
