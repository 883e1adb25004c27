//! Every version of every answer tells the time, and nothing else of it changes.

use std::rc::Rc;

use bifrost_core::filter::{Chain, Direction};
use bifrost_core::limits::Limits as Bounds;
use bifrost_core::protocol::{ApiKey, Entity, Field, Kind};
use bifrost_core::session::Session;
use bifrost_core::walker::holds;
use bifrost_quota::{InForce, Limits, Quota, TopicNames};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::driver::Driver;
use bifrost_testkit::every_message;
use bifrost_testkit::generate::{Content, generate_with};
use bifrost_testkit::notes::{Note, notes};

use crate::limits;

/// The broker tells a short time; a request is answered.
struct Short;

impl Content for Short {
    fn content(&mut self, field: &'static Field, _: &mut Choices<'_>) -> Option<Vec<u8>> {
        match field.entity {
            Entity::ThrottleTimeMs => Some(vec![0, 0, 0, 9]),
            _ => (field.name == "Acks").then(|| vec![0, 1]),
        }
    }
}

#[test]
fn every_version_of_every_answer_tells_the_time_and_is_the_same_otherwise() {
    let config = limits(Limits { requests_per_second: Some(1), ..Limits::default() });
    let (mut telling, mut silent) = (0, 0);
    for (api, version, _) in every_message().filter(|(_, _, direction)| *direction == Direction::Response) {
        // ApiVersions is narrowed by the core; SaslHandshake 0 is not offered.
        if api.key == ApiKey::API_VERSIONS || (api.key == ApiKey::SASL_HANDSHAKE && version == 0) {
            continue;
        }
        for (seed, sizes) in [(1, &[][..]), (2, &[1][..]), (3, &[50, 7][..])] {
            let in_force = Rc::new(InForce::default());
            in_force.set(&config);
            let quota = Quota::new(config.clone(), in_force, TopicNames::default(), true);
            let chain = Chain::new(vec![Box::new(quota)], Bounds::default());
            let mut driver = Driver::new(Session::new(Rc::new(chain)));
            driver.driven.handle_connection(&mut driver.host).unwrap();
            let choices = &mut Choices::from_seed(seed);
            let request = generate_with(api, version, Direction::Request, 1, choices, &mut Short).bytes;
            let name = format!("{} v{version} in pieces of {sizes:?}", api.name);
            // The second request is one too many.
            driver.client(&request).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            driver.client(&request).unwrap();
            assert_eq!(driver.driven.paused_until_ms(), Some(1_000), "{name}");
            driver.host.now_ms = 400;

            let answer = generate_with(api, version, Direction::Response, 1, choices, &mut Short);
            driver.broker_in(sizes, &answer.bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));

            assert_eq!(driver.to_client.len(), answer.bytes.len(), "{name}");
            let met = notes(api, version, Direction::Response, &driver.to_client).unwrap();
            let expected: Vec<Note> = answer.notes.iter().cloned().map(with_time).collect();
            assert_eq!(met, expected, "{name}");
            let is_told = |field: &Field| holds(field, version, &|field| field.entity == Entity::ThrottleTimeMs);
            if api.response.iter().any(is_told) {
                telling += 1;
            } else {
                silent += 1;
            }
        }
    }
    assert!(telling > 3 * 250 && silent > 3 * 20, "{telling} telling, {silent} silent");
    let records = every_message().filter(|(api, version, direction)| {
        let records = |field: &Field| holds(field, *version, &|field| field.kind == Kind::Records);
        *direction == Direction::Response && api.response.iter().any(records)
    });
    assert!(records.count() >= 20, "Fetch and ShareFetch stream");
}

fn with_time(note: Note) -> Note {
    match note {
        Note::Value(name, Entity::ThrottleTimeMs, Some(_)) => {
            Note::Value(name, Entity::ThrottleTimeMs, Some(600i32.to_be_bytes().to_vec()))
        }
        other => other,
    }
}
