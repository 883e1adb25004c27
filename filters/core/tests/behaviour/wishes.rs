//! What filters may ask for: answers in the broker's place, holds, requests of the gateway's own, a memory of the request.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Direction, FilterConfig};
use bifrost_core::host::Counter;
use bifrost_core::limits::Limits;
use bifrost_core::protocol::ApiKey;
use bifrost_core::session::{Flow, OWN_CORRELATION_ID, Session};
use bifrost_core::walker::Event;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::filters::{Does, OnEvent};
use bifrost_testkit::frames;
use kafka_protocol::messages::produce_request::ProduceRequest;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse};
use kafka_protocol::messages::{ListGroupsRequest, MetadataRequest, MetadataResponse};

use crate::{answer, connection};

fn doing(on_event: OnEvent) -> Driver<Session> {
    let filters: Vec<Box<dyn FilterConfig>> = vec![Box::new(Does(on_event))];
    connection(filters, Limits::default())
}

fn heartbeat(version: i16, id: i32) -> Vec<u8> {
    frames::request(version, id, &HeartbeatRequest::default())
}

fn list_groups(id: i32) -> Vec<u8> {
    frames::request(0, id, &ListGroupsRequest::default())
}

fn groups(id: i32) -> Vec<u8> {
    answer(id, &[0, 0, 0, 0, 0, 0])
}

/// ApiVersions version 0 without ClientId, as it is sent in the place of a request that is answered here.
fn carrier(id: i32) -> Vec<u8> {
    crate::head(ApiKey::API_VERSIONS.0, 0, id)
}

/// Answers every heartbeat with REBALANCE_IN_PROGRESS, in the encoding of its version.
fn answering() -> Driver<Session> {
    doing(|message, event, context| {
        if message.direction == Direction::Request && matches!(event, Event::End) {
            match (message.api.key, message.version) {
                (ApiKey::HEARTBEAT, 0) => context.answer(vec![0, 27]),
                (ApiKey::HEARTBEAT, 4) => context.answer(vec![0, 0, 0, 0, 0, 27, 0]),
                (ApiKey::PRODUCE, _) => context.answer(Vec::new()),
                _ => {}
            }
        }
        Ok(())
    })
}

#[test]
fn an_answer_of_a_filter_is_counted_as_held_until_its_turn() {
    let mut driver = answering();
    driver.client(&[list_groups(1), heartbeat(4, 2), heartbeat(0, 3)].concat()).unwrap();
    let answers = answer(2, &[0, 0, 0, 0, 0, 0, 27, 0]).len() + answer(3, &[0, 27]).len();
    assert_eq!(driver.driven.held_bytes(), answers);
    driver.broker(&groups(1)).unwrap();
    driver.broker(&answer(2, &[0; 6])).unwrap();
    driver.broker(&answer(3, &[0; 6])).unwrap();
    assert_eq!(driver.driven.held_bytes(), 0);
}

#[test]
fn an_answer_of_a_filter_comes_in_its_turn_and_the_request_never_reaches_the_broker() {
    for version in [0, 4] {
        let mut driver = answering();
        driver.client(&[list_groups(1), heartbeat(version, 2), list_groups(3)].concat()).unwrap();
        assert_eq!(driver.to_broker, [list_groups(1), carrier(2), list_groups(3)].concat());

        let carried = answer(2, &[0, 0, 0, 0, 0, 0]);
        driver.broker_in(&[1, 9, 20], &[groups(1), carried, groups(3)].concat()).unwrap();

        let sent = frames::split(&driver.to_client);
        assert_eq!((sent[0], sent[2]), (&*groups(1), &*groups(3)));
        let (id, heard) = frames::read_response::<HeartbeatRequest>(version, sent[1]);
        assert_eq!((id, heard), (2, HeartbeatResponse::default().with_error_code(27)), "v{version}");
        assert_eq!(driver.host.counted(Counter::LocalAnswers), 1);
    }
}

#[test]
fn a_request_without_an_answer_that_a_filter_answers_is_dropped() {
    let mut driver = answering();
    let produce = frames::request(9, 1, &ProduceRequest::default().with_acks(0));
    driver.client(&[produce, list_groups(2)].concat()).unwrap();
    assert_eq!(driver.to_broker, list_groups(2));
    driver.broker(&groups(2)).unwrap();
    assert_eq!(driver.to_client, groups(2));
}

/// Holds the first FindCoordinator until the gateway has asked for metadata itself.
fn holding() -> Driver<Session> {
    doing(|message, event, context| {
        match (message.api.key, message.direction, event) {
            (ApiKey::FIND_COORDINATOR, Direction::Request, Event::End) if context.host.shared("asked").is_none() => {
                context.host.set_shared("asked", b"yes", 0);
                context.send(ApiKey::METADATA, 1, vec![0; 4]);
                context.hold();
            }
            (ApiKey::METADATA, Direction::Response, Event::End) if message.own => context.release(),
            _ => {}
        }
        Ok(())
    })
}

#[test]
fn a_held_request_and_all_behind_it_go_when_the_gateways_own_question_is_answered() {
    let mut driver = holding();
    let find = frames::request(3, 2, &FindCoordinatorRequest::default());
    driver.client(&[list_groups(1), find.clone(), list_groups(3)].concat()).unwrap();
    let id = OWN_CORRELATION_ID.to_be_bytes();
    let own = [&[0, 0, 0, 21, 0, 3, 0, 1], &id[..], &[0, 7], b"bifrost", &[0; 4]].concat();
    assert_eq!(driver.to_broker, [list_groups(1), own.clone()].concat());
    assert_eq!(driver.client(&list_groups(4)), Ok(Flow::Stop), "left with Envoy");

    let metadata = frames::response::<MetadataRequest>(1, OWN_CORRELATION_ID, &MetadataResponse::default());
    driver.broker(&[groups(1), metadata].concat()).unwrap();

    assert_eq!(driver.to_broker, [list_groups(1), own, find, list_groups(3), list_groups(4)].concat());
    assert_eq!(driver.to_client, groups(1), "the client hears nothing of it");
    assert_eq!(driver.host.counted(Counter::Requests), 4);
}

/// Remembers the key type of a FindCoordinator request, which its answer does not repeat, and counts matches.
fn remembering() -> Driver<Session> {
    doing(|message, event, context| {
        match (message.direction, event) {
            (Direction::Request, Event::Value(value)) if value.field.name == "KeyType" => {
                context.remember(1 + value.number().unwrap() as u64);
            }
            (Direction::Response, Event::End) => {
                let key = format!("{}", context.remembered());
                context.host.set_shared(&key, b"seen", 0);
            }
            _ => {}
        }
        Ok(())
    })
}

#[test]
fn each_answer_meets_what_was_remembered_of_its_own_request() {
    let mut driver = remembering();
    for (id, key_type) in [(1, 0), (2, 1)] {
        driver.client(&frames::request(3, id, &FindCoordinatorRequest::default().with_key_type(key_type))).unwrap();
    }
    let found = |id| frames::response::<FindCoordinatorRequest>(3, id, &FindCoordinatorResponse::default());

    driver.broker(&found(1)).unwrap();
    assert_eq!((driver.host.has("1"), driver.host.has("2")), (true, false));
    driver.broker(&found(2)).unwrap();
    assert!(driver.host.has("2"));
}

#[test]
fn an_answer_to_an_answer_is_our_bug_and_closes() {
    let mut driver = doing(|message, event, context| {
        if message.direction == Direction::Response && matches!(event, Event::End) {
            context.answer(Vec::new());
        }
        Ok(())
    });
    driver.client(&list_groups(1)).unwrap();
    assert!(matches!(driver.broker(&groups(1)), Err(Fault::Internal(_))));
}
