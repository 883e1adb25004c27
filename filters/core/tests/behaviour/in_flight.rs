//! Requests in flight are a queue: who waits for an answer, who does not, and what happens when it is full.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{FilterConfig, Plan};
use bifrost_core::host::Counter;
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::{Action, Flow, OWN_CORRELATION_ID};
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use kafka_protocol::messages::produce_request::ProduceRequest;
use kafka_protocol::messages::{ApiVersionsResponse, MetadataRequest, MetadataResponse};

use crate::{answer, connection, head, plain};

const HEARTBEAT: i16 = ApiKey::HEARTBEAT.0;

fn heartbeat(correlation_id: i32) -> Vec<u8> {
    head(HEARTBEAT, 0, correlation_id)
}

fn produce(version: i16, correlation_id: i32, acks: i16) -> Vec<u8> {
    frames::request(version, correlation_id, &ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000))
}

fn limited(in_flight_max: u32) -> bifrost_testkit::driver::Driver<bifrost_core::session::Session> {
    connection(Vec::new(), Limits { in_flight_max, ..Limits::default() })
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut driver = plain();
    let requests: Vec<u8> = (0..64).flat_map(heartbeat).collect();
    let answers: Vec<u8> = (0..64).flat_map(|id| answer(id, &[0, 0])).collect();

    driver.client(&requests).unwrap();
    driver.broker(&answers).unwrap();

    assert_eq!((&driver.to_broker, &driver.to_client), (&requests, &answers));
    assert_eq!((driver.host.counted(Counter::Requests), driver.host.counted(Counter::Responses)), (64, 64));
}

#[test]
fn produce_without_acks_waits_for_no_answer_whatever_the_filters_look_at() {
    for plan in [Plan::Pass, Plan::Head, Plan::Whole] {
        for version in [3, 8, 9, 12, 13] {
            for sizes in [&[][..], &[1], &[20]] {
                let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(Observer(plan))];
                let mut driver = connection(filters, Limits::default());
                let requests = [produce(version, 1, 0), produce(version, 2, 1), produce(version, 3, 0)].concat();
                driver.client_in(sizes, &requests).unwrap();
                assert_eq!(driver.to_broker, requests);

                let body = frames::response::<ProduceRequest>(version, 2, &Default::default());
                let answered = driver.broker(&body);

                assert_eq!(answered, Ok(()), "{plan:?} v{version} in pieces of {sizes:?}");
                assert_eq!(driver.broker(&answer(3, &[])), Err(Fault::Unsolicited));
            }
        }
    }
}

#[test]
fn produce_waits_for_its_answer_from_its_acks_on() {
    let mut driver = plain();
    let request = produce(9, 5, -1);
    driver.client(&request[..request.len() - 1]).unwrap();

    let answered = driver.broker(&frames::response::<ProduceRequest>(9, 5, &Default::default()));

    assert_eq!(answered, Ok(()), "a broker may refuse a request before it has read all of it");
}

#[test]
fn another_correlation_id_is_a_fault() {
    let mut driver = plain();
    driver.client(&[heartbeat(7), heartbeat(8)].concat()).unwrap();
    let answered = driver.broker(&answer(8, &[0, 0]));
    assert_eq!(answered, Err(Fault::Correlation { expected: 7, got: 8 }));
}

#[test]
fn an_answer_to_nothing_is_a_fault() {
    assert_eq!(plain().broker(&answer(1, &[0, 0])), Err(Fault::Unsolicited));
}

#[test]
fn a_full_queue_stops_reading_and_an_answer_resumes_it() {
    let mut driver = limited(2);
    driver.client(&[heartbeat(1), heartbeat(2), heartbeat(3)].concat()).unwrap();
    assert_eq!(frames::split(&driver.to_broker).len(), 3, "what came at once goes at once");

    let flow = driver.client(&heartbeat(4)).unwrap();
    assert_eq!((flow, driver.unread.bytes.len()), (Flow::Stop, 14), "the fourth is left with Envoy");

    driver.broker(&answer(1, &[0, 0])).unwrap();
    assert_eq!(frames::split(&driver.to_broker).len(), 3, "two are still in flight");
    driver.broker(&[answer(2, &[0, 0]), answer(3, &[0, 0])].concat()).unwrap();
    driver.broker(&answer(4, &[0, 0])).unwrap();
    assert_eq!(driver.to_broker, (1..=4).flat_map(heartbeat).collect::<Vec<u8>>());
    assert_eq!((driver.driven.held_bytes(), driver.unread.bytes.len()), (0, 0));
}

#[test]
fn a_full_queue_lets_the_frame_pass_that_has_begun() {
    let mut driver = limited(1);
    let request = [&[0, 0, 1, 0][..], &heartbeat(1)[4..], &[9; 246]].concat();
    for piece in request.chunks(100) {
        driver.client(piece).unwrap();
    }
    assert_eq!(driver.to_broker, request);
}

#[test]
fn every_limit_and_any_pieces_keep_the_order() {
    let requests: Vec<u8> = (0..40).flat_map(heartbeat).collect();
    for in_flight_max in 1..=5 {
        for size in [1, 3, 14, 15, 50, 1000] {
            let mut driver = limited(in_flight_max);
            driver.client_in(&[size], &requests).unwrap();
            for id in 0..40 {
                driver.broker(&answer(id, &[0, 0])).unwrap();
            }
            assert_eq!(driver.to_broker, requests, "{in_flight_max} in flight, pieces of {size}");
            assert_eq!(driver.driven.held_bytes(), 0);
        }
    }
}

#[test]
fn a_request_of_an_unknown_version_of_api_versions_is_answered_in_its_turn() {
    let mut driver = plain();
    let probe = [head(ApiKey::API_VERSIONS.0, 99, 2), vec![1, 2, 3]].concat();
    let mut probe = probe;
    probe[..4].copy_from_slice(&13i32.to_be_bytes());
    for size in [1, 5, 1000] {
        driver.client_in(&[size], &[heartbeat(1), probe.clone(), heartbeat(3)].concat()).unwrap();
        let sent = frames::split(&driver.to_broker);
        assert_eq!(
            sent[1],
            head(ApiKey::API_VERSIONS.0, 0, 2),
            "a request that every broker answers goes in its place"
        );

        let carried =
            frames::response::<kafka_protocol::messages::ApiVersionsRequest>(0, 2, &ApiVersionsResponse::default());
        driver.broker_in(&[size], &[answer(1, &[0, 0]), carried, answer(3, &[0, 0])].concat()).unwrap();

        let got = frames::split(&driver.to_client);
        assert_eq!((got[0], got[2]), (&answer(1, &[0, 0])[..], &answer(3, &[0, 0])[..]));
        let (id, refusal) = frames::read_response::<kafka_protocol::messages::ApiVersionsRequest>(0, got[1]);
        assert_eq!((id, refusal.error_code, refusal.api_keys.len()), (2, 35, 1), "KIP-511");
        driver.to_broker.clear();
        driver.to_client.clear();
    }
    assert_eq!(driver.host.counted(Counter::LocalAnswers), 3);
}

/// Metadata version 1 for no topics, as the session writes it for itself.
fn metadata() -> Vec<u8> {
    let id = OWN_CORRELATION_ID.to_be_bytes();
    [&[0, 0, 0, 21, 0, 3, 0, 1], &id[..], &[0, 7], b"bifrost", &[0; 4]].concat()
}

#[test]
fn an_own_request_waits_until_the_clients_frame_is_complete_and_its_answer_is_swallowed() {
    let mut driver = plain();
    let request = heartbeat(1);
    driver.client(&request[..13]).unwrap();
    driver.driven.send(ApiKey::METADATA, 1, &[0; 4]).unwrap();
    driver.poll().unwrap();
    assert_eq!(driver.to_broker, request[..13]);

    driver.client(&request[13..]).unwrap();
    assert_eq!(driver.to_broker, [request, metadata()].concat());

    let own = frames::response::<MetadataRequest>(1, OWN_CORRELATION_ID, &MetadataResponse::default());
    driver.broker(&[answer(1, &[0, 0]), own].concat()).unwrap();
    assert_eq!((driver.to_client.clone(), driver.told.as_slice()), (answer(1, &[0, 0]), &[Action::OwnAnswered][..]));
}

#[test]
fn own_requests_go_even_when_the_clients_are_held() {
    let mut driver = plain();
    driver.driven.hold(true);
    driver.client(&heartbeat(1)).unwrap();
    driver.driven.send(ApiKey::METADATA, 1, &[0; 4]).unwrap();
    driver.poll().unwrap();
    assert_eq!(driver.to_broker, metadata(), "nothing of the client");

    driver.driven.hold(false);
    driver.poll().unwrap();
    assert_eq!(driver.to_broker, [metadata(), heartbeat(1)].concat());
}

#[test]
fn the_end_of_the_client_inside_a_frame_is_a_fault() {
    let mut driver = plain();
    assert_eq!(driver.driven.handle_downstream_end(), Ok(()));
    driver.client(&heartbeat(1)[..7]).unwrap();
    assert_eq!(driver.driven.handle_downstream_end(), Err(Fault::Truncated));
    driver.client(&heartbeat(1)[7..]).unwrap();
    assert_eq!(driver.driven.handle_downstream_end(), Ok(()));
}
