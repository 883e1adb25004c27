//! What clients see of broker addresses.
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

mod configs;
mod every_answer;
mod golden;
mod host_calls;
mod named;
mod streaming;

use std::cell::RefCell;
use std::rc::Rc;

use bifrost_broker_address::{BrokerAddress, Nodes};
use bifrost_core::filter::{Chain, Direction};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{Api, ApiKey, api};
use bifrost_core::session::Session;
use bifrost_testkit::addresses::{Realistic, config};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::generate::generate_with;

/// Shorter and longer than every real host name, and as long as one; for all nodes, for each by its id, and for each by its real
/// name.
const HOSTS: [&str; 7] = [
    "g",
    "gateway-1.corp",
    "the-kafka-gateway-of-the-whole-corporation.example.corp.net",
    "b-$(nodeId)",
    "broker-$(nodeId).the-kafka-gateway-of-the-whole-corporation.example.corp.net",
    "b$1.x",
    "broker-$1.the-kafka-gateway-of-the-whole-corporation.example.corp.net",
];

/// A connection through the address filter, and what it learns.
fn gateway(host: &str) -> (Driver<Session>, Rc<RefCell<Nodes>>) {
    let nodes = Rc::new(RefCell::new(Nodes::default()));
    let filter = BrokerAddress::new(Rc::new(config(host)), Rc::clone(&nodes));
    let chain = Chain::new(vec![Box::new(filter)], Limits::default());
    (Driver::new(Session::new(Rc::new(chain))), nodes)
}

fn known(key: ApiKey) -> &'static Api {
    api(key).expect("the tables hold it")
}

/// A request that waits for its answer, correlation id 1.
fn request(api: &'static Api, version: i16) -> Vec<u8> {
    struct Acknowledged(Realistic);
    impl bifrost_testkit::generate::Content for Acknowledged {
        fn content(
            &mut self,
            field: &'static bifrost_core::protocol::Field,
            choices: &mut Choices<'_>,
        ) -> Option<Vec<u8>> {
            if field.name == "Acks" { Some(vec![0, 1]) } else { self.0.content(field, choices) }
        }
    }
    let mut content = Acknowledged(Realistic::new(false));
    generate_with(api, version, Direction::Request, 1, &mut Choices::from_bytes(&[]), &mut content).bytes
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}
