//! The sans-IO core of Bifrost: everything about Kafka that does not depend on where the bytes come from.
//!
//! No sockets, no clock of its own, no randomness, no globals, no logging. A [`window::Window`] on the host's buffer and a
//! [`host::Host`] come in, changed bytes and [`session::Action`]s go out. Start reading at [`session`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, and that is all"))]

pub mod answer;
mod api_versions;
pub mod edits;
pub mod fault;
pub mod filter;
pub mod host;
pub mod limits;
pub mod principal;
pub mod protocol;
pub mod reader;
pub mod session;
mod stream;
pub mod walker;
pub mod window;
