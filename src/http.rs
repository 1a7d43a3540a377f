//! What browsers and backends ask for over HTTP: pages, credentials, and the way into a room.
//!
//! A connection comes from the front, plain or decrypted, and is served by hyper with bounds on time and size
//! ([`connection`]). When a request comes in, the server finds out once who sent it ([`requester`]); the request is then
//! screened ([`screen`]) and goes to one of the routes (`router.rs`). All handlers share one `AppState`. The API for
//! backends is `api`: it authenticates the request by its key, checks what is asked for, and writes the answer in the
//! format that the client knows. Errors are RFC 9457 problems ([`problem`]).
//!
//! [`Site`] is all of this as one service. Imports fall: `site`, then `router`, then `api` and the other handlers, then
//! `authentication` and `cors`, then `app_state`, then what that is made of. No file of this folder imports this one.

mod api;
mod app_state;
mod asset;
mod assets;
mod authentication;
mod body;
pub mod bounded_stream;
pub mod connection;
mod cors;
mod credential_request;
mod eviction;
mod formats;
mod forwarded;
mod frames;
pub mod keys;
mod linger;
mod meter;
pub mod origins;
mod plan;
pub mod problem;
pub mod refusals;
pub mod requester;
mod router;
pub mod screen;
mod site;
mod stall;
pub mod websocket;

pub use plan::Plan;
pub use site::Site;
