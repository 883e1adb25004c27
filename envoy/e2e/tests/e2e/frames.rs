//! How frames are cut on the wire, how many wait, how long they take.

use std::time::{Duration, Instant};

use bifrost_e2e::wire::{self, RawClient};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};

use crate::fixture::{alone, shared};

const API_VERSIONS: i16 = 3;
const METADATA: i16 = 12;

#[test]
fn requests_that_arrive_byte_by_byte_are_answered() {
    let fixture = shared();
    let mut client = RawClient::connect(fixture.raw()).unwrap();

    for request in [
        wire::frame(API_VERSIONS, 1, &wire::api_versions()).unwrap(),
        wire::frame(METADATA, 2, &MetadataRequest::default().with_topics(None)).unwrap(),
    ] {
        for byte in request {
            client.send(&[byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let (first, versions) = wire::decode::<ApiVersionsRequest>(API_VERSIONS, client.receive().unwrap()).unwrap();
    let (second, metadata) = wire::decode::<MetadataRequest>(METADATA, client.receive().unwrap()).unwrap();

    assert_eq!((first, second), (1, 2));
    assert_eq!(versions.error_code, 0);
    let port = i32::from(fixture.raw().1);
    let mut nodes: Vec<(i32, String, i32)> =
        metadata.brokers.iter().map(|broker| (broker.node_id.0, broker.host.to_string(), broker.port)).collect();
    nodes.sort_unstable();
    let advertised = fixture.raw().0.to_string();
    let expected: Vec<_> = (1..=3).map(|id| (id, advertised.clone(), port + 1 + id)).collect();
    assert_eq!(nodes, expected);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let fixture = shared();
    let mut client = RawClient::connect(fixture.raw()).unwrap();
    let mut burst = Vec::new();
    for id in 0..64 {
        let frame = if id % 2 == 0 {
            wire::frame(API_VERSIONS, id, &wire::api_versions())
        } else {
            wire::frame(METADATA, id, &MetadataRequest::default().with_topics(None))
        };
        burst.extend_from_slice(&frame.unwrap());
    }

    client.send(&burst).unwrap();

    for expected in 0..64 {
        let frame = client.receive().unwrap();
        let answered = if expected % 2 == 0 {
            wire::decode::<ApiVersionsRequest>(API_VERSIONS, frame).unwrap().0
        } else {
            wire::decode::<MetadataRequest>(METADATA, frame).unwrap().0
        };
        assert_eq!(answered, expected);
    }
}

#[test]
fn a_small_request_is_not_delayed() {
    let fixture = alone();
    let mut client = RawClient::connect(fixture.raw()).unwrap();
    client.call(API_VERSIONS, 0, &wire::api_versions()).unwrap();

    let mut took: Vec<Duration> = (1..=200)
        .map(|id| {
            let started = Instant::now();
            client.call(METADATA, id, &MetadataRequest::default().with_topics(Some(Vec::new()))).unwrap();
            started.elapsed()
        })
        .collect();

    took.sort_unstable();
    let median = took[took.len() / 2];
    assert!(median < Duration::from_millis(5), "the median of 200 round trips is {median:?}");
}
