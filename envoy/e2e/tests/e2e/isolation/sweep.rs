//! Every API at every version, offered or not, with the victim's names, ids and numbers in every field.

use std::collections::BTreeMap;

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::generate_with;
use bifrost_testkit::json::{self, from_hex};
use memchr::memmem;

use crate::isolation::caller::{Outcome, errors};
use crate::isolation::needles::name_of;
use crate::isolation::setting::{list, setting};
use crate::isolation::words::Words;

/// Requests of each API and version. Half of them say the victim's physical names.
const REQUESTS: u64 = 24;

/// Keys up to here are tried; the tables end below.
const KEYS: i16 = 110;

/// What came of the requests of an API and version.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    answered: u64,
    closed: u64,
    silent: u64,
    /// Answered, but not with an error.
    served: u64,
}

#[test]
fn no_request_of_any_api_reaches_the_victim() {
    let setting = setting();
    let mut attackers = [setting.attacker(), setting.attacker_on_node()];
    let own_id = attackers[0].topic("own");
    let offered = attackers[0].offered();
    let words = [Words::shared(&setting.victim, &own_id), Words::physical(&setting.victim, &own_id)];
    let mut tallies: BTreeMap<(ApiKey, i16), Tally> = BTreeMap::new();
    let mut answers = Vec::new();
    let mut findings = Vec::new();

    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            for seed in 0..REQUESTS {
                let mut words = words[seed as usize % 2].clone();
                let attacker = &mut attackers[seed as usize / 2 % 2];
                let mut choices = Choices::from_seed(seed);
                let frame = generate_with(api, version, Direction::Request, 7, &mut choices, &mut words).bytes;
                let tally = tallies.entry((api.key, version)).or_default();
                match attacker.send(&frame) {
                    Outcome::Answered(answer) => {
                        tally.answered += 1;
                        let new = std::mem::take(&mut attacker.findings);
                        findings.extend(
                            new.into_iter().map(|what| format!("the answer to {} v{version} has {what}", api.name)),
                        );
                        findings.extend(unreadable(api, version, &answer));
                        tally.served += u64::from(!is_refusal(api, version, &answer));
                        answers.push(answer);
                    }
                    Outcome::Closed => tally.closed += 1,
                    Outcome::Silent => tally.silent += 1,
                }
            }
        }
    }

    // What is refused, what waits, what is answered: otherwise nothing was tried.
    for ((key, version), tally) in &tallies {
        let is_offered = offered.get(&key.0).is_some_and(|(min, max)| min <= version && version <= max);
        let expected = match *key {
            ApiKey::API_VERSIONS => tally.answered == REQUESTS,
            // Offered for old clients that look at the lowest version, and refused by brokers (KAFKA-18659).
            ApiKey::PRODUCE if *version < 3 => tally.closed == REQUESTS,
            // It waits for members that do not come.
            ApiKey::JOIN_GROUP => tally.answered * 2 >= REQUESTS,
            _ if is_offered => tally.answered * 2 >= REQUESTS && tally.silent == 0,
            _ => tally.served == 0 && tally.silent == 0,
        };
        if !expected {
            findings.push(format!("{} v{version}, offered: {is_offered}, was {tally:?}", name_of(*key)));
        }
    }
    let answered: u64 = tallies.values().map(|tally| tally.answered).sum();
    let closed: u64 = tallies.values().map(|tally| tally.closed).sum();
    eprintln!("{answered} requests were answered, {closed} closed the connection");
    assert!(answered >= 3_000 && closed >= 500, "{answered} were answered, {closed} closed");

    let frames = setting.take_frames();
    findings.extend(frames.requests.iter().flat_map(|request| setting.needles.in_forwarded(request)));
    findings.extend(masks(&frames.requests, &words_ids(&setting.victim.foreign_ids(), &own_id), &answers));
    eprintln!("{} requests reached the broker", frames.requests.len());
    assert!(findings.is_empty(), "{}", list(&findings));
    drop(attackers);
    setting.assert_isolated();
}

#[test]
fn no_unknown_api_or_version_is_forwarded() {
    let setting = setting();
    let mut attacker = setting.attacker();
    let mut unknown: Vec<(i16, i16)> = Vec::new();
    for key in (-1..=KEYS).chain([500, 501, 502, 1_000, i16::MAX, i16::MIN]) {
        match bifrost_core::protocol::api(ApiKey(key)) {
            Some(api) if api.key == ApiKey::API_VERSIONS => {}
            Some(api) => unknown.extend([(key, api.versions.max + 1), (key, i16::MAX), (key, -1)]),
            None => unknown.extend((0..4).map(|version| (key, version))),
        }
    }

    for (key, version) in unknown {
        let mut frame = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0, 8], b"attacker"].concat();
        frame.extend(b"\0\x0etenantA-orders\0\x0ftenantA-billing\0\0\0\0\0\0\0\0");
        let sized = [&(frame.len() as u32).to_be_bytes()[..], &frame].concat();

        let outcome = attacker.send(&sized);

        assert_eq!(outcome, Outcome::Closed, "key {key}, version {version}");
    }

    let forwarded =
        setting.take_frames().requests.iter().filter(|request| memmem::find(request, b"attacker").is_some()).count();
    assert_eq!(forwarded, 0, "unknown requests that reached the broker");
    setting.assert_isolated();
}

/// An answer that does not fit the tables is a rewriting gone wrong.
fn unreadable(api: &Api, version: i16, answer: &[u8]) -> Option<String> {
    let message = json::read(api.key, version, Direction::Response, answer);
    let refused = api.key == ApiKey::API_VERSIONS && json::read(api.key, 0, Direction::Response, answer).is_ok();
    let error = message.err().filter(|_| !refused)?;
    Some(format!("the answer to {} v{version} cannot be read: {error}: {}", api.name, answer.escape_ascii()))
}

/// Whether an answer says nothing but that.
fn is_refusal(api: &Api, version: i16, answer: &[u8]) -> bool {
    let codes = json::read(api.key, version, Direction::Response, answer).map(|message| errors(&message.body));
    codes.is_ok_and(|codes| codes.iter().all(|code| *code != 0))
}

fn words_ids(foreign: &[[u8; 16]], own: &str) -> Vec<Vec<u8>> {
    foreign.iter().map(|id| id.to_vec()).chain([from_hex(own), vec![0; 16], vec![0xff; 16]]).collect()
}

/// Ids that the gateway made up for the broker and that went back to the attacker: whoever sees one can make any other.
fn masks(requests: &[bytes::Bytes], said: &[Vec<u8>], answers: &[Vec<u8>]) -> Vec<String> {
    let mut made_up: Vec<Vec<u8>> = Vec::new();
    for request in requests {
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let Ok(message) = json::read(ApiKey(number(0)), number(2), Direction::Request, request) else { continue };
        for (entity, _, value) in message.entities {
            let id = if entity == Entity::TopicId { from_hex(value.as_str().unwrap_or_default()) } else { continue };
            if !said.contains(&id) && !made_up.contains(&id) {
                made_up.push(id);
            }
        }
    }
    eprintln!("{} ids were made up by the gateway", made_up.len());
    let seen = |id: &Vec<u8>| {
        let text = base64(id);
        answers
            .iter()
            .any(|answer| memmem::find(answer, id).is_some() || memmem::find(answer, text.as_bytes()).is_some())
    };
    made_up
        .iter()
        .filter(|id| seen(id))
        .map(|id| format!("the attacker has seen the made-up id {}", json::hex(id)))
        .collect()
}

/// As Kafka prints ids.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |value: u32, shift: u32| char::from(DIGITS[(value >> shift) as usize & 63]);
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let value = chunk.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..=chunk.len() as u32).map(move |at| digit(value, 18 - 6 * at))
        })
        .collect()
}

#[test]
fn ids_are_printed_as_kafka_prints_them() {
    assert_eq!(base64(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(base64(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "AAAAAAAAAAAAAAAAAAAAAQ");
}
