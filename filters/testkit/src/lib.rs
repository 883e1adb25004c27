//! What the tests of the data path share. Never part of a release; it may panic.
//!
//! - [`buffer::Buffer`] and [`host::FakeHost`] stand in for Envoy, [`driver::Driver`] plays its part.
//! - [`generate`] writes frames of any API and version from the protocol tables; [`frames`] builds them with
//!   `kafka-protocol`, which knows nothing of our tables; [`golden`] reads those that a real broker and real clients sent.
//! - [`json`] writes and reads messages as JSON, for tests that speak to real brokers.
//! - [`notes`] tells what the walker met, in a form that can be compared.
//! - [`fuzz`] holds the functions that `filters/fuzz` calls, so that a unit test can call them too.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod buffer;
pub mod choices;
pub mod driver;
pub mod filters;
pub mod frames;
pub mod fuzz;
pub mod generate;
pub mod golden;
pub mod host;
pub mod json;
pub mod notes;

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{APIS, Api};

/// Every API, version and direction of the tables.
pub fn every_message() -> impl Iterator<Item = (&'static Api, i16, Direction)> {
    APIS.iter().flat_map(|api| {
        (api.versions.min..=api.versions.max)
            .flat_map(move |version| [(api, version, Direction::Request), (api, version, Direction::Response)])
    })
}
