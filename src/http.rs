//! The HTTP server: pages, credentials for backends, and the WebSocket for rooms.
//!
//! The front hands over connections, plain or decrypted. hyper serves them with bounds on time and size ([`connection`]).
//! When a request arrives, the server identifies its sender ([`requester`]), screens it ([`screen`]) and routes it
//! (`router.rs`). All handlers share one `AppState`. The API for backends is `api`: it authenticates the request by its
//! API key, checks its parameters, and answers in the client's format. Errors are RFC 9457 problems ([`problem`]).
//!
//! [`Site`] is all of this as one service. Imports go one way: `site`, then `router`, then `api` and the other handlers,
//! then `authentication` and `cors`, then `app_state`, then its parts. No file of this folder imports this one.

mod api;
mod app_state;
mod asset;
pub mod assets;
pub mod authentication;
mod body;
pub mod bounded_stream;
mod comments;
mod compat;
pub mod connection;
mod cors;
mod counters;
mod credential_request;
mod eviction;
mod formats;
mod forwarded;
mod frames;
pub mod keys;
mod linger;
mod meter;
pub mod origins;
mod passwords;
mod plan;
pub mod problem;
mod references;
pub mod refusals;
pub mod requester;
mod router;
pub mod screen;
mod site;
mod stall;
pub mod websocket;

pub use plan::Plan;
pub use site::Site;
