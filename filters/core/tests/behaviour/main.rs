//! What the core does, told by its outside: bytes in, bytes out.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails, and that is all"
)]

mod agreement;
mod answers;
mod api_versions;
mod collected;
mod decisions;
mod first_questions;
mod golden;
mod host_calls;
mod in_flight;
mod limits;
mod memory;
mod renaming;
mod round_trip;
mod stream;
mod walking;
mod wishes;

use std::rc::Rc;

use bifrost_core::filter::{Chain, FilterConfig};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{Api, ApiKey, api};
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;

/// A connection through these filters.
fn connection(filters: Vec<Box<dyn FilterConfig>>, limits: Limits) -> Driver<Session> {
    Driver::new(Session::new(Rc::new(Chain::new(filters, limits))))
}

/// A connection through no filter.
fn plain() -> Driver<Session> {
    connection(Vec::new(), Limits::default())
}

fn known(key: ApiKey) -> &'static Api {
    api(key).expect("the tables hold it")
}

/// A request that every version of every API begins with; nothing follows the ClientId.
fn head(key: i16, version: i16, correlation_id: i32) -> Vec<u8> {
    let mut frame = 10i32.to_be_bytes().to_vec();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation_id.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame
}

/// An answer whose content nobody looks at.
fn answer(correlation_id: i32, body: &[u8]) -> Vec<u8> {
    bifrost_testkit::frames::sized(&[&correlation_id.to_be_bytes(), body].concat())
}
