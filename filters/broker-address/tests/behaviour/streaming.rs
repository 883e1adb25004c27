//! Fetch and ShareFetch: endpoints behind record bytes, in a frame whose size has been passed on.

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{ApiKey, Field};
use bifrost_testkit::addresses::{REAL, Realistic, config, expected, real, without_endpoints};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::frames;
use bifrost_testkit::generate::{Content, generate_with};
use bifrost_testkit::notes::{Note, notes};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, NodeEndpoint, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest};
use kafka_protocol::protocol::StrBytes;

use crate::{HOSTS, gateway, holds, known, request};

/// Realistic answers whose records take turns in size; `None` is null.
struct Sizes {
    real: Realistic,
    sizes: Vec<usize>,
    next: usize,
}

impl Content for Sizes {
    fn content(&mut self, field: &'static Field, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
        if field.name != "Records" {
            return self.real.content(field, choices);
        }
        self.next += 1;
        Some(vec![self.next as u8; self.sizes[self.next % self.sizes.len()]])
    }
}

#[test]
fn records_of_any_size_pass_and_endpoints_are_virtual_or_gone() {
    for (key, versions) in [(ApiKey::FETCH, 16..=18), (ApiKey::SHARE_FETCH, 0..=2)] {
        for version in versions {
            let api = known(key);
            for host in HOSTS {
                for sizes in [&[][..], &[1_000], &[65_536], &[3, 70_000]] {
                    for seed in 0..3 {
                        let name = format!("{key} v{version} {host} in pieces of {sizes:?}");
                        let mut choices = Choices::from_seed(seed);
                        let mut content =
                            Sizes { real: Realistic::new(true), sizes: vec![0, 1, 300, 70_000], next: seed as usize };
                        let real = generate_with(api, version, Direction::Response, 1, &mut choices, &mut content);
                        let (mut driver, _) = gateway(host);
                        driver.client(&request(api, version)).unwrap();

                        driver.broker_in(sizes, &real.bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));

                        let seen = &driver.to_client;
                        assert_eq!(seen.len(), real.bytes.len(), "{name}");
                        assert!(!holds(seen, REAL), "{name}");
                        let met = notes(api, version, Direction::Response, seen).unwrap();
                        let expected = expected(api, &config(host), &real.notes).notes;
                        assert!(met == expected || met == without_endpoints(&expected), "{name}");
                        if let Some(key) = frames::supported(key, version) {
                            frames::read_response_kind(key, version, seen).unwrap();
                        }
                    }
                }
            }
        }
    }
}

/// A Fetch answer with null records in one partition, and two endpoints.
fn fetched(ids: &[i32]) -> FetchResponse {
    let partition = |records: Option<Vec<u8>>| PartitionData::default().with_records(records.map(Into::into));
    let topic = FetchableTopicResponse::default().with_partitions(vec![
        partition(Some(vec![1; 300])),
        partition(None),
        partition(Some(Vec::new())),
    ]);
    let node = |id: &i32| {
        let (host, port) = real(*id);
        let host = StrBytes::from_string(host);
        NodeEndpoint::default().with_node_id(BrokerId(*id)).with_host(host).with_port(i32::from(port))
    };
    FetchResponse::default().with_responses(vec![topic]).with_node_endpoints(ids.iter().map(node).collect())
}

fn seen(host: &str, version: i16, response: &FetchResponse) -> FetchResponse {
    let (mut driver, _) = gateway(host);
    driver.client(&request(known(ApiKey::FETCH), version)).unwrap();
    let frame = frames::response::<FetchRequest>(version, 1, response);
    driver.broker_in(&[7], &frame).unwrap();
    assert_eq!(driver.to_client.len(), frame.len());
    frames::read_response::<FetchRequest>(version, &driver.to_client).1
}

fn endpoints(response: &FetchResponse) -> Vec<(i32, &str, i32)> {
    response.node_endpoints.iter().map(|node| (node.node_id.0, node.host.as_str(), node.port)).collect()
}

#[test]
fn endpoints_that_fit_are_shown_and_the_rest_is_filled_with_an_unknown_tag() {
    let response = fetched(&[1, 2]);
    for version in 16..=18 {
        let seen = seen("gw", version, &response);
        assert_eq!(endpoints(&seen), [(1, "gw", 19_095), (2, "gw", 19_096)]);
        assert_eq!(seen.responses, response.responses);
        assert_eq!(seen.unknown_tagged_fields.keys().collect::<Vec<_>>(), [&127]);
    }
}

#[test]
fn endpoints_that_do_not_fit_are_left_out() {
    let response = fetched(&[1, 2]);
    let seen = seen(HOSTS[2], 17, &response);
    assert_eq!(endpoints(&seen), []);
    assert_eq!(seen.responses, response.responses);
}

#[test]
fn an_endpoint_without_a_port_makes_room_for_a_longer_one() {
    let response = fetched(&[77, 1]);
    let seen = seen("a-gateway-somewhat.longer", 17, &response);
    assert_eq!(endpoints(&seen), [(1, "a-gateway-somewhat.longer", 19_095)]);
}

#[test]
fn endpoints_of_the_same_length_need_no_filler() {
    // "real-1.internal" has 15 bytes.
    let seen = seen("gateway.corp.ne", 17, &fetched(&[1]));
    assert_eq!(endpoints(&seen), [(1, "gateway.corp.ne", 19_095)]);
    assert!(seen.unknown_tagged_fields.is_empty());
}

#[test]
fn a_missing_byte_is_filled_too() {
    let seen = seen("gateway.corp.n", 17, &fetched(&[1]));
    assert_eq!(endpoints(&seen), [(1, "gateway.corp.n", 19_095)]);
    assert!(seen.unknown_tagged_fields.is_empty(), "one byte is no tag");
}

#[test]
fn the_filler_comes_behind_every_tag_that_is_there() {
    for tag in [40, 126, 127, 128, 5_000, 1_000_000] {
        for host in ["g", "gateway.corp.", "gateway.corp.n", "gateway.corp.ne"] {
            let mut response = fetched(&[1]);
            response.unknown_tagged_fields.insert(tag, vec![3; 4].into());
            let (mut driver, _) = gateway(host);
            driver.client(&request(known(ApiKey::FETCH), 17)).unwrap();

            driver.broker(&frames::response::<FetchRequest>(17, 1, &response)).unwrap();

            let met = notes(known(ApiKey::FETCH), 17, Direction::Response, &driver.to_client);
            assert_eq!(met.unwrap_or_else(|fault| panic!("tag {tag}, {host}: {fault}")).last(), Some(&Note::End));
            let (_, seen) = frames::read_response::<FetchRequest>(17, &driver.to_client);
            assert_eq!(seen.unknown_tagged_fields[&tag], vec![3; 4], "tag {tag}, {host}");
            assert_eq!(endpoints(&seen), [(1, host, 19_095)]);
        }
    }
}
