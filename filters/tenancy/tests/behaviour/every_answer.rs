//! Every answer of every version that is offered.

use bifrost_core::fault::Fault;
use bifrost_core::filter::{Direction, FilterConfig};
use bifrost_core::protocol::{Api, ApiKey, Entity};
use bifrost_tenancy::{Decision, Tenancy, decision};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::generate_with;
use bifrost_testkit::notes::{Note, notes};
use bifrost_testkit::{every_message, frames, json};
use serde_json::json;

use crate::model::{Answers, OWN_ID, OWN_WORDS, REFUSALS, answer};
use crate::{OTHER, Talk, acme, holds, id, same};

/// ApiVersions is narrowed, SASL is between client and broker.
fn offered() -> Vec<(&'static Api, i16)> {
    let tenancy = Tenancy::new(acme());
    every_message()
        .filter(|(_, _, direction)| *direction == Direction::Response)
        .filter(|(api, version, _)| decision(api.key, *version) == Some(Decision::Rewritten))
        .filter(|(api, version, _)| tenancy.supported(api.key).is_some_and(|versions| versions.contains(*version)))
        .filter(|(api, ..)| api.key != ApiKey::API_VERSIONS)
        .map(|(api, version, _)| (api, version))
        .collect()
}

fn is_own(text: &[u8]) -> bool {
    text.starts_with(OWN_WORDS) || REFUSALS.iter().any(|words| text.starts_with(words))
}

/// The gateway's own words are not the model's.
fn with_own_words(met: Vec<Note>) -> Vec<Note> {
    met.into_iter()
        .map(|note| match note {
            Note::Value(name, Entity::ErrorMessage, Some(text)) if is_own(&text) => {
                Note::Value(name, Entity::ErrorMessage, Some(OWN_WORDS.to_vec()))
            }
            note => note,
        })
        .collect()
}

fn check(api: &'static Api, version: i16, choices: &mut Choices<'_>, foreign: bool, sizes: &[usize]) -> bool {
    let name = format!("{} v{version} in pieces of {sizes:?}", api.name);
    let mut talk = Talk::new(acme());
    talk.learn("acme.orders", &id(OWN_ID));
    let body = match api.key {
        ApiKey::JOIN_GROUP => json!({"GroupId": "g", "ProtocolType": "consumer"}),
        ApiKey::PRODUCE => json!({"Acks": 1}),
        ApiKey::FETCH if version >= 7 => json!({"SessionEpoch": -1}),
        ApiKey::DESCRIBE_CLUSTER => json!({"EndpointType": 1}),
        _ => json!({}),
    };
    let mut request = body;
    if api
        .request
        .iter()
        .any(|field| field.entity == Entity::GroupId && !field.array && field.versions.contains(version))
    {
        request["GroupId"] = json!("g");
    }
    if api.request.iter().any(|f| f.entity == Entity::TransactionalId && !f.array && f.versions.contains(version)) {
        let field = api.request.iter().find(|f| f.entity == Entity::TransactionalId && f.versions.contains(version));
        request[field.unwrap().name] = json!("t");
    }
    if api.key == ApiKey::SYNC_GROUP {
        talk.sent(ApiKey::JOIN_GROUP, 0, json!({"GroupId": "g", "ProtocolType": "consumer"}));
        talk.heard(ApiKey::JOIN_GROUP, 0, json!({}));
    }
    talk.send(api.key, version, request).unwrap();
    assert_eq!(talk.driver.to_broker[4..6], api.key.0.to_be_bytes(), "{name}: the request goes to the broker");
    talk.driver.to_client.clear();
    let id = talk.correlation_id;
    let frame = generate_with(api, version, Direction::Response, id, choices, &mut Answers::new(api.key, foreign));
    let consumer = matches!(api.key, ApiKey::JOIN_GROUP | ApiKey::SYNC_GROUP);

    let heard = talk.driver.broker_in(sizes, &frame.bytes);

    let seen = &talk.driver.to_client;
    assert!(!holds(seen, OTHER), "{name}: another tenant's name reaches the client");
    let Some(expected) = answer(api, &frame.notes, consumer) else {
        assert!(matches!(heard, Err(Fault::Foreign { .. })), "{name}: {heard:?}");
        return false;
    };
    heard.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let met = notes(api, version, Direction::Response, seen).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    same(&name, &with_own_words(met), &expected);
    assert_eq!(talk.driver.driven.held_bytes(), 0, "{name}");
    json::read(api.key, version, Direction::Response, &seen[4..]).unwrap_or_else(|error| panic!("{name}: {error}"));
    if let Some(key) = frames::supported(api.key, version) {
        crate::agreed(&name, frames::read_response_kind(key, version, seen));
    }
    true
}

#[test]
fn clients_see_virtual_names_and_everything_else_unchanged() {
    let offered = offered();
    assert!(offered.len() > 180, "{}", offered.len());
    for (api, version) in offered {
        for seed in 0..16 {
            let sizes = [&[][..], &[1], &[100, 9], &[13]][seed as usize % 4];
            let shown = check(api, version, &mut Choices::from_seed(seed * 17 + version as u64), false, sizes);
            assert!(shown, "{} v{version}", api.name);
        }
    }
}

#[test]
fn foreign_names_are_left_out_of_lists_and_close_elsewhere() {
    let mut closed = 0;
    for (api, version) in offered() {
        for seed in 0..12 {
            let sizes = [&[][..], &[64, 7], &[1]][seed as usize % 3];
            let shown = check(api, version, &mut Choices::from_seed(seed * 13 + version as u64), true, sizes);
            closed += usize::from(!shown);
        }
    }
    assert!(closed > 100, "{closed}");
}
