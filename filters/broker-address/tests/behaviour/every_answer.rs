//! Every API and version whose answer holds addresses, and all others.

use bifrost_broker_address::Node;
use bifrost_core::filter::Direction;
use bifrost_core::host::{Counter, Report};
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, Kind};
use bifrost_core::walker::holds as field_holds;
use bifrost_testkit::addresses::{REAL, Realistic, UNMAPPED, config, expected, without_endpoints};
use bifrost_testkit::choices::Choices;
use bifrost_testkit::generate::generate_with;
use bifrost_testkit::notes::notes;
use bifrost_testkit::{every_message, frames};
use proptest::prelude::*;

use crate::{HOSTS, gateway, holds, request};

/// APIs and versions whose answers the filter has to look at.
fn carriers() -> Vec<(&'static Api, i16)> {
    let carries = |api: &Api, version| {
        let host = |field: &Field| field.entity == Entity::BrokerHost;
        api.response.iter().any(|field| field_holds(field, version, &host))
    };
    every_message()
        .filter(|(api, version, direction)| *direction == Direction::Response && carries(api, *version))
        .map(|(api, version, _)| (api, version))
        .collect()
}

fn streams(api: &Api) -> bool {
    api.response.iter().any(|field| field_holds(field, api.versions.max, &|f| f.kind == Kind::Records))
}

fn check(api: &'static Api, version: i16, choices: &mut Choices<'_>, host: &str, sizes: &[usize]) {
    let name = format!("{} v{version} {host} in pieces of {sizes:?}", api.name);
    let config = config(host);
    let (mut driver, nodes) = gateway(host);
    driver.client(&request(api, version)).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let real = generate_with(api, version, Direction::Response, 1, choices, &mut Realistic::new(true));
    let expected = expected(api, &config, &real.notes);

    driver.broker_in(sizes, &real.bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));

    let seen = &driver.to_client;
    assert!(!holds(seen, REAL), "{name}: a real address reaches the client");
    let met = notes(api, version, Direction::Response, seen).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    if streams(api) {
        assert_eq!(seen.len(), real.bytes.len(), "{name}: the size has been passed on before");
        let allowed = met == expected.notes || met == without_endpoints(&expected.notes);
        assert!(allowed, "{name}: {met:?} instead of {:?}", expected.notes);
    } else {
        assert_eq!(met, expected.notes, "{name}");
    }
    if let Some(key) = frames::supported(api.key, version) {
        frames::read_response_kind(key, version, seen).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for (id, (host, port)) in &expected.learned {
        let found = nodes.borrow_mut().find(&Node::Id(*id), &config, &mut driver.host);
        assert_eq!(found.map(|(_, address)| (address.host, address.port)), Some((host.clone(), *port)), "{name}");
    }
    assert_eq!(driver.host.counted(Counter::NodesUnmapped), expected.unmapped, "{name}");
    let reported = driver.host.reports.contains(&Report::NodeUnmapped(UNMAPPED));
    assert_eq!(reported, expected.unmapped > 0, "{name}: {:?}", driver.host.reports);
    assert_eq!(driver.driven.held_bytes(), 0, "{name}");
}

#[test]
fn no_real_address_is_seen_and_everything_else_is() {
    let carriers = carriers();
    assert!(carriers.len() > 35, "{} versions", carriers.len());
    for (api, version) in carriers {
        for host in HOSTS {
            for sizes in [&[][..], &[1], &[100, 9]] {
                for seed in 0..4 {
                    check(api, version, &mut Choices::from_seed(seed * 31 + version as u64), host, sizes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_answer_in_any_pieces_shows_no_real_address(
        at in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 0..300),
        host in prop::sample::select(&HOSTS[..]),
        sizes in prop::collection::vec(1usize..200, 0..6),
    ) {
        let carriers = carriers();
        let (api, version) = *at.get(&carriers);
        check(api, version, &mut Choices::from_bytes(&choices), host, &sizes);
    }
}

#[test]
fn messages_without_addresses_pass_unchanged() {
    for (api, version, direction) in every_message() {
        // ApiVersions is narrowed, SaslHandshake v0 is refused.
        if direction == Direction::Request || [ApiKey::API_VERSIONS, ApiKey::SASL_HANDSHAKE].contains(&api.key) {
            continue;
        }
        for sizes in [&[][..], &[1], &[64, 7]] {
            let mut choices = Choices::from_seed(version as u64 + 5);
            let answer =
                generate_with(api, version, Direction::Response, 1, &mut choices, &mut Realistic::new(false)).bytes;
            let (request, (mut driver, _)) = (request(api, version), gateway(HOSTS[2]));

            driver.client_in(sizes, &request).unwrap();
            driver.broker_in(sizes, &answer).unwrap_or_else(|fault| panic!("{} v{version}: {fault}", api.name));

            assert!(driver.to_broker == request && driver.to_client == answer, "{} v{version} {sizes:?}", api.name);
            assert_eq!(driver.driven.held_bytes(), 0);
        }
    }
}
