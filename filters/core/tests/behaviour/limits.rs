//! What is too large or no Kafka at all ends the connection before anything is reserved.

use std::rc::Rc;

use bifrost_core::fault::{Fault, Protocol};
use bifrost_core::filter::{Chain, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::session::Session;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::Observer;

use crate::{answer, connection, head, plain};

/// A Heartbeat request that announces `size` bytes.
fn announcing(size: i32) -> Vec<u8> {
    let mut frame = head(12, 0, 1);
    frame[..4].copy_from_slice(&size.to_be_bytes());
    frame
}

fn limits() -> Limits {
    Limits { frame_bytes_max: 1_000, held_bytes_max: 500, ..Limits::default() }
}

#[test]
fn a_frame_above_the_limit_is_refused_from_its_first_four_bytes() {
    let refused = Fault::Limit { limit: "frameBytesMax", max: 1_000, got: 1_001 };
    let mut driver = connection(Vec::new(), limits());
    assert!(driver.client(&announcing(1_000)).is_ok());
    assert_eq!(connection(Vec::new(), limits()).client(&announcing(1_001)[..4]), Err(refused.clone()));

    let mut driver = connection(Vec::new(), limits());
    driver.client(&head(12, 0, 1)).unwrap();
    assert_eq!(driver.broker(&1_001i32.to_be_bytes()), Ok(()), "an answer is judged with its correlation id");
    assert_eq!(driver.broker(&1i32.to_be_bytes()), Err(refused));
}

#[test]
fn a_negative_size_is_malformed() {
    for size in [-1, i32::MIN] {
        let refused = plain().client(&announcing(size));
        assert_eq!(refused, Err(Fault::Malformed { field: "size", at: 0 }));
        let mut driver = plain();
        driver.client(&head(12, 0, 1)).unwrap();
        let mut response = answer(1, &[]);
        response[..4].copy_from_slice(&size.to_be_bytes());
        assert_eq!(driver.broker(&response), Err(Fault::Malformed { field: "size", at: 0 }));
    }
}

#[test]
fn a_size_smaller_than_the_header_is_malformed() {
    for size in 0..8 {
        assert_eq!(plain().client(&announcing(size)), Err(Fault::Malformed { field: "size", at: 0 }));
    }
    for size in 0..4 {
        let mut driver = plain();
        driver.client(&head(12, 0, 1)).unwrap();
        let response = [&[0, 0, 0, size], &[0, 0, 0, 1][..]].concat();
        assert_eq!(driver.broker(&response), Err(Fault::Malformed { field: "size", at: 0 }));
    }
}

#[test]
fn a_frame_that_must_be_held_has_its_own_limit() {
    let refused = Fault::Limit { limit: "heldBytesMax", max: 500, got: 501 };
    let mut driver = connection(vec![Box::new(Observer(Plan::Whole))], limits());
    assert!(driver.client(&announcing(496)).is_ok());
    let mut driver = connection(vec![Box::new(Observer(Plan::Whole))], limits());
    assert_eq!(driver.client(&announcing(497)), Err(refused));
}

#[test]
fn a_field_that_must_be_seen_whole_has_the_same_limit() {
    // A Heartbeat whose group id alone is larger than what may be held.
    let mut frame = announcing(900);
    frame.extend(800i16.to_be_bytes());
    frame.extend([b'g'; 600]);
    let mut driver = connection(vec![Box::new(Observer(Plan::Head))], limits());
    let refused = driver.client_in(&[50], &frame);
    assert!(matches!(refused, Err(Fault::Limit { limit: "heldBytesMax", .. })), "{refused:?}");
}

#[test]
fn other_protocols_are_told_apart_by_their_first_bytes() {
    let cases: [(&[u8], Protocol); 5] = [
        (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], Protocol::Tls),
        (b"GET / HTTP/1.1\r\n", Protocol::Http),
        (b"POST /topics HTTP/1.1\r\n", Protocol::Http),
        (b"PRI * HTTP/2.0\r\n", Protocol::Http),
        (b"HEAD", Protocol::Http),
    ];
    for (bytes, protocol) in cases {
        for size in [1, 4, 100] {
            let mut driver = plain();
            assert_eq!(driver.client_in(&[size], bytes), Err(Fault::NotKafka(protocol)));
            assert!(driver.to_broker.is_empty(), "nothing reaches the broker");
        }
    }
}

#[test]
fn other_protocols_are_not_looked_for_behind_the_first_frame() {
    let mut driver = plain();
    driver.client(&head(12, 0, 1)).unwrap();
    let refused = driver.client(b"GET / HTTP/1.1\r\n");
    assert!(matches!(refused, Err(Fault::Limit { limit: "frameBytesMax", .. })), "{refused:?}");
}

#[test]
fn counts_that_cannot_fit_are_refused_before_anything_is_reserved() {
    // Metadata v1 that claims 2^31-1 topics in a frame of 18 bytes.
    let mut frame = head(3, 1, 1);
    frame[..4].copy_from_slice(&14i32.to_be_bytes());
    frame.extend(i32::MAX.to_be_bytes());
    let mut driver = connection(vec![Box::new(Observer(Plan::Whole))], Limits::default());
    let refused = driver.client(&frame);
    assert!(matches!(refused, Err(Fault::Malformed { field: "Topics", .. })), "{refused:?}");
}

#[test]
fn what_all_connections_of_a_worker_hold_counts_together_until_they_end() {
    let limits = Limits { worker_held_bytes_max: 100, ..Limits::default() };
    let chain = Rc::new(Chain::new(vec![Box::new(Observer(Plan::Whole))], limits));
    let connect = || Driver::new(Session::new(Rc::clone(&chain)));
    let begun = [announcing(200), vec![0; 46]].concat();

    let mut first = connect();
    assert!(first.client(&begun).is_ok());
    let refused = connect().client(&begun);
    assert_eq!(refused, Err(Fault::Limit { limit: "workerHeldBytesMax", max: 100, got: 120 }));
    drop(first);
    assert!(connect().client(&begun).is_ok());
}
