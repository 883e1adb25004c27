//! Every request of every version that is offered.

use bifrost_core::filter::{Direction, FilterConfig};
use bifrost_core::protocol::{Api, ApiKey, Entity};
use bifrost_tenancy::Tenancy;
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::generate_with;
use bifrost_testkit::notes::{Note, notes};
use bifrost_testkit::{every_message, frames, json};
use proptest::prelude::*;
use serde_json::json;

use bifrost_core::session::OWN_CORRELATION_ID;

use crate::model::{Fate, HIDDEN, OWN_ID, Requests, asks_for_all, request};
use crate::{Talk, acme, id, same};

fn offered() -> Vec<(&'static Api, i16)> {
    let tenancy = Tenancy::new(acme());
    every_message()
        .filter(|(_, _, direction)| *direction == Direction::Request)
        .filter(|(api, version, _)| tenancy.supported(api.key).is_some_and(|versions| versions.contains(*version)))
        .filter(|(api, version, _)| (api.key, *version) != (ApiKey::SASL_HANDSHAKE, 0))
        .map(|(api, version, _)| (api, version))
        .collect()
}

/// Ids of `met` that no topic has, as the model writes them.
fn with_hidden(met: &[Note], wrote: &[Note]) -> Vec<Note> {
    let ids: Vec<&Vec<u8>> = wrote
        .iter()
        .filter_map(|note| match note {
            Note::Value(_, Entity::TopicId, Some(id)) => Some(id),
            _ => None,
        })
        .collect();
    let hidden = |note: &Note| match note {
        Note::Value(name, Entity::TopicId, Some(id)) if !ids.contains(&id) => {
            Note::Value(name, Entity::TopicId, Some(HIDDEN.to_vec()))
        }
        note => note.clone(),
    };
    met.iter().map(hidden).collect()
}

fn check(api: &'static Api, version: i16, choices: &mut Choices<'_>, sizes: &[usize]) {
    let name = format!("{} v{version} in pieces of {sizes:?}", api.name);
    let mut talk = Talk::new(acme());
    talk.learn("acme.orders", &id(OWN_ID));
    talk.driver.to_broker.clear();
    talk.driver.to_client.clear();
    let frame = generate_with(api, version, Direction::Request, 5, choices, &mut Requests);

    talk.driver.client_in(sizes, &frame.bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    if asks_for_all(api, version, &frame.notes) {
        assert_eq!(talk.got(ApiKey::METADATA, 12)["Topics"], json!(null), "{name}");
        talk.driver.to_broker.clear();
        talk.driver.broker(&json::response(ApiKey::METADATA, 12, OWN_CORRELATION_ID, &json!({}))).unwrap();
    }

    let sent = frames::split(&talk.driver.to_broker);
    assert_eq!(sent.len(), 1, "{name}");
    match request(api, version, &frame.notes) {
        Fate::Forwarded(expected) => {
            assert_eq!(talk.driver.driven.held_bytes(), 0, "{name}");
            let met =
                notes(api, version, Direction::Request, sent[0]).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            same(&name, &with_hidden(&met, &frame.notes), &expected);
            if let Some(key) = frames::supported(api.key, version) {
                crate::agreed(&name, frames::read_request_kind(key, version, sent[0]));
            }
        }
        Fate::Answered(code) => {
            assert_eq!(sent[0][4..8], [0, 18, 0, 0], "{name} is answered {code}");
            let carried = json::response(ApiKey::API_VERSIONS, 0, 5, &json!({}));
            talk.driver.broker(&carried).unwrap();
            let heard = notes(api, version, Direction::Response, &talk.driver.to_client).unwrap();
            let codes = heard.iter().filter_map(|note| match note {
                Note::Value(_, Entity::ErrorCode, Some(bytes)) => Some(i16::from_be_bytes([bytes[0], bytes[1]])),
                _ => None,
            });
            let codes: Vec<i16> = codes.collect();
            assert!(!codes.is_empty() || api.key != ApiKey::SYNC_GROUP, "{name}");
            assert_eq!(codes.iter().find(|heard| **heard != code), None, "{name} is answered {code}");
        }
    }
}

#[test]
fn brokers_get_physical_names_and_everything_else_unchanged() {
    let offered = offered();
    assert!(offered.len() > 200, "{}", offered.len());
    for (api, version) in offered {
        for seed in 0..16 {
            let sizes = [&[][..], &[1], &[100, 9], &[13]][seed as usize % 4];
            check(api, version, &mut Choices::from_seed(seed * 31 + version as u64), sizes);
        }
    }
}

/// Shows choices on one line.
#[derive(Clone)]
struct Hex(Vec<u8>);

impl core::fmt::Debug for Hex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&json::hex(&self.0))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn any_request_in_any_pieces_is_renamed(
        at in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 0..300).prop_map(Hex),
        sizes in prop::collection::vec(1usize..200, 0..6),
    ) {
        let offered = offered();
        let (api, version) = *at.get(&offered);
        check(api, version, &mut Choices::from_bytes(&choices.0), &sizes);
    }
}
