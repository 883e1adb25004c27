//! A client that pays no heed to `throttle_time_ms`, and its neighbours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bifrost_e2e::gateway::Gateway;
use bifrost_e2e::wire::{RawClient, api_versions, decode, frame};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{assert_nobody_was_closed, gateway, metric};
use crate::fixture::alone;

/// Bytes in a second.
const RATE: usize = 1_000_000;
const REQUEST_BYTES: usize = 50_000;
const REQUESTS: usize = 200;

/// To a topic that is not there: the broker refuses it after having read it all.
pub(super) fn produce(correlation_id: i32) -> Bytes {
    let partition = PartitionProduceData::default().with_records(Some(vec![0; REQUEST_BYTES].into()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("none")))
        .with_partition_data(vec![partition]);
    let body = ProduceRequest::default().with_acks(1).with_timeout_ms(1_000).with_topic_data(vec![topic]);
    frame(9, correlation_id, &body).unwrap()
}

/// Sends all requests as fast as the socket takes them; gives the longest time that it was told to wait, and how long it took.
fn flood(gateway: &Gateway, virtual_cluster: usize) -> (i32, Duration) {
    let mut client = RawClient::connect(gateway.bootstrap(virtual_cluster)).unwrap();
    let start = Instant::now();
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || (0..REQUESTS).try_for_each(|id| sender.send(&produce(id as i32))));
    let mut told = 0;
    for id in 0..REQUESTS {
        let (answered, response) = decode::<ProduceRequest>(9, client.receive().unwrap()).unwrap();
        assert_eq!(answered, id as i32);
        told = told.max(response.throttle_time_ms);
    }
    sending.join().unwrap().unwrap();
    (told, start.elapsed())
}

/// Sends requests as fast as the socket takes them, until told to stop or the other side closes.
pub(super) fn flooding(client: &RawClient) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, mut sender) = (Arc::clone(&stop), client.try_clone().unwrap());
    thread::spawn(move || {
        (0..).take_while(|_| !stopped.load(Ordering::Relaxed)).try_for_each(|id| sender.send(&produce(id)))
    });
    stop
}

/// Times of so many small requests, one after the other.
fn pings(gateway: &Gateway, virtual_cluster: usize, count: i32) -> Vec<Duration> {
    let mut client = RawClient::connect(gateway.bootstrap(virtual_cluster)).unwrap();
    let mut times: Vec<Duration> = (0..count)
        .map(|id| {
            let start = Instant::now();
            client.call(3, id, &api_versions()).unwrap();
            thread::sleep(Duration::from_millis(5));
            start.elapsed() - Duration::from_millis(5)
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
fn whoever_ignores_the_time_is_not_read_for_it_and_neighbours_do_not_notice() {
    let fixture = alone();
    let quota = format!("{{ limits: {{ produceBytesPerSecond: {RATE} }} }}");
    let gateway = gateway(&fixture, "stubborn", &[("greedy", &quota), ("neighbour", ""), ("frugal", &quota)]);
    let before = pings(&gateway, 1, 300);

    let done = AtomicBool::new(false);
    let (told, took, during) = thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                times.extend(pings(&gateway, 1, 50));
                times.extend(pings(&gateway, 2, 50));
            }
            times.sort_unstable();
            times
        });
        let (told, took) = flood(&gateway, 0);
        done.store(true, Ordering::Relaxed);
        (told, took, neighbour.join().unwrap())
    });

    let bytes = REQUESTS * produce(0).len();
    // A burst of one second is free, and the last request is not waited for.
    let expected = (bytes - RATE) as f64 / RATE as f64;
    let [p50_before, p50_during] = [&before, &during].map(|times| times[times.len() / 2]);
    let p99_during = during[during.len() * 99 / 100];
    eprintln!(
        "{took:?} for {expected} s, told up to {told} ms; others {p50_before:?}, then {p50_during:?}, p99 {p99_during:?}"
    );
    assert!((took.as_secs_f64() / expected - 1.0).abs() < 0.1, "{took:?} for {expected} s");
    assert!(told > 20, "told {told} ms");
    assert!(p50_during < p50_before * 3 + Duration::from_millis(2), "{p50_before:?}, then {p50_during:?}");
    assert!(during.len() > 500, "{} pings", during.len());
    assert_eq!(metric(&gateway, "frugal", "virtual_cluster.produce_bytes.throttled"), 0);
    assert_nobody_was_closed(&gateway);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_others_take_the_place_of_those_that_end() {
    let fixture = alone();
    let gateway = gateway(&fixture, "connections", &[("few", "{ limits: { connections: 3 } }")]);
    let connect = || RawClient::connect(gateway.bootstrap(0)).unwrap();
    let mut open: Vec<RawClient> = (0..3).map(|_| connect()).collect();
    open.iter_mut().for_each(|client| drop(client.call(3, 1, &api_versions()).unwrap()));

    for _ in 0..5 {
        assert_eq!(connect().read_until_closed(Duration::from_secs(5)).unwrap(), b"");
    }
    open.iter_mut().for_each(|client| drop(client.call(3, 2, &api_versions()).unwrap()));
    assert_eq!(metric(&gateway, "few", "virtual_cluster.connections.limit"), 3);
    assert_eq!(gateway.stats("few.closed.connections").unwrap()[0].1, 5);

    open.pop();
    thread::sleep(Duration::from_millis(1_500));
    connect().call(3, 3, &api_versions()).unwrap();
}
