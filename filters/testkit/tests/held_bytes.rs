//! What a connection keeps in memory, whatever its client does.

use std::rc::Rc;

use bifrost_core::filter::{Chain, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Observer;

/// Where Envoy stops reading a client (`per_connection_buffer_limit_bytes`).
const BUFFER_BYTES: usize = 64 << 10;

/// ApiVersions version 0 without a client id.
fn request(id: i32) -> Vec<u8> {
    let head = [&10i32.to_be_bytes()[..], &ApiKey::API_VERSIONS.0.to_be_bytes(), &[0, 0]].concat();
    [&head[..], &id.to_be_bytes(), &[0xff, 0xff]].concat()
}

/// No error, no APIs.
fn answer(id: i32) -> Vec<u8> {
    [&10i32.to_be_bytes()[..], &id.to_be_bytes(), &[0; 6]].concat()
}

#[test]
fn a_client_that_does_not_wait_for_answers_is_stopped_by_the_buffer_and_not_by_memory() {
    let limits = Limits { in_flight_max: 1, held_bytes_max: 64 << 10, ..Limits::default() };
    let chain = Rc::new(Chain::new(vec![Box::new(Observer(Plan::Pass))], limits));
    let mut driver = Driver::new(Session::new(chain));
    let mut requests = (1..).flat_map(request);
    for id in 1..=200 {
        // Envoy reads until its buffer is full.
        let room = BUFFER_BYTES - driver.unread.bytes.len();
        let bytes: Vec<u8> = requests.by_ref().take(room).collect();
        driver.client(&bytes).unwrap();
        driver.broker(&answer(id)).unwrap();
        assert!(
            driver.held_bytes_max <= 4 * BUFFER_BYTES,
            "{} bytes held after {id} answers, {} requests went",
            driver.held_bytes_max,
            driver.to_broker.len() / 14
        );
    }
}
