//! Filters that change nothing forward the same bytes, however they come in.

use bifrost_core::filter::{Direction, FilterConfig, Plan};
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{Api, ApiKey};
use bifrost_testkit::addresses::Realistic;
use bifrost_testkit::choices::Choices;
use bifrost_testkit::every_message;
use bifrost_testkit::filters::Observer;
use bifrost_testkit::frames;
use bifrost_testkit::generate::generate_with;
use proptest::prelude::*;

use crate::connection;

/// ApiVersions answers are narrowed by the session itself.
fn is_changed(api: &Api) -> bool {
    api.key == ApiKey::API_VERSIONS
}

fn is_offered(api: &Api, version: i16) -> bool {
    (api.key, version) != (ApiKey::SASL_HANDSHAKE, 0)
}

/// Three requests and their answers, both byte for byte.
fn check(api: &'static Api, version: i16, seed: u64, plan: Option<Plan>, sizes: &[usize]) {
    let name = format!("{} v{version} seed {seed} {plan:?} in pieces of {sizes:?}", api.name);
    let filters: Vec<Box<dyn FilterConfig>> = plan.into_iter().map(|plan| Box::new(Observer(plan)) as _).collect();
    let mut driver = connection(filters, Limits::default());
    let mut choices = Choices::from_seed(seed);
    let mut content = Realistic::new(true);
    let mut frame = |direction, id| generate_with(api, version, direction, id, &mut choices, &mut content).bytes;
    let requests: Vec<Vec<u8>> = (1..=3).map(|id| frame(Direction::Request, id)).collect();
    let no_answer = |request: &[u8]| {
        use bifrost_testkit::notes::{Note, notes};
        let notes = notes(api, version, Direction::Request, request).expect("well-formed");
        notes.iter().any(|note| matches!(note, Note::Value("Acks", _, Some(acks)) if *acks == [0, 0]))
    };
    let ids = (1..=3).filter(|id| !no_answer(&requests[*id as usize - 1]));
    let answers: Vec<u8> = ids.flat_map(|id| frame(Direction::Response, id)).collect();
    let requests = requests.concat();

    driver.client_in(sizes, &requests).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert!(driver.to_broker == requests, "{name}: request changed");
    if !is_changed(api) {
        driver.broker_in(sizes, &answers).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(driver.to_client == answers, "{name}: answer changed");
    }
    assert_eq!((driver.driven.held_bytes(), driver.unread.bytes.len()), (0, 0), "{name}");
}

fn for_every_version(check: impl Fn(&'static Api, i16)) {
    for (api, version, direction) in every_message() {
        if direction == Direction::Request && is_offered(api, version) {
            check(api, version);
        }
    }
}

#[test]
fn no_filter_changes_nothing() {
    for_every_version(|api, version| {
        for sizes in [&[][..], &[1], &[5, 200, 13]] {
            check(api, version, version as u64, None, sizes);
        }
    });
}

#[test]
fn looking_at_everything_changes_nothing() {
    for_every_version(|api, version| {
        for sizes in [&[][..], &[1], &[90, 3]] {
            check(api, version, version as u64 + 50, Some(Plan::Whole), sizes);
        }
    });
}

#[test]
fn looking_at_everything_as_it_streams_changes_nothing() {
    for_every_version(|api, version| {
        for sizes in [&[][..], &[1], &[70, 3, 400]] {
            check(api, version, version as u64 + 90, Some(Plan::Head), sizes);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_pieces_give_the_same_bytes(
        at in any::<prop::sample::Index>(),
        seed in any::<u64>(),
        plan in prop::sample::select(vec![None, Some(Plan::Pass), Some(Plan::Head), Some(Plan::Whole)]),
        sizes in prop::collection::vec(1usize..300, 1..8),
    ) {
        let all: Vec<_> = every_message().filter(|(api, version, _)| is_offered(api, *version)).collect();
        let (api, version, _) = *at.get(&all);
        check(api, version, seed, plan, &sizes);
    }
}

#[test]
fn frames_of_many_apis_follow_each_other_in_one_piece() {
    let mut driver = connection(vec![Box::new(Observer(Plan::Head))], Limits::default());
    let mut choices = Choices::from_seed(4);
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for (id, (api, version, _)) in every_message().filter(|(api, ..)| !is_changed(api)).enumerate() {
        if id % 7 != 0 || !is_offered(api, version) || api.key == ApiKey::PRODUCE {
            continue;
        }
        let mut frame = |direction| {
            let frame = generate_with(api, version, direction, id as i32, &mut choices, &mut Realistic::new(true));
            frame.bytes
        };
        requests.extend(frame(Direction::Request));
        answers.extend(frame(Direction::Response));
    }
    driver.client(&requests).unwrap();
    driver.broker(&answers).unwrap();
    assert!(frames::split(&driver.to_broker).len() > 50);
    assert!(driver.to_broker == requests && driver.to_client == answers);
}

#[test]
fn a_request_with_bytes_behind_its_last_field_passes_as_it_is() {
    for plan in [Plan::Pass, Plan::Head, Plan::Whole] {
        for (key, version) in
            [(ApiKey::METADATA, 13), (ApiKey::METADATA, 1), (ApiKey::PRODUCE, 3), (ApiKey::PRODUCE, 9)]
        {
            let api = crate::known(key);
            let mut choices = Choices::from_seed(3);
            let mut request =
                generate_with(api, version, Direction::Request, 1, &mut choices, &mut Realistic::new(false)).bytes;
            request.extend([1, 0, 0]);
            let size = (request.len() - 4) as i32;
            request[..4].copy_from_slice(&size.to_be_bytes());
            let requests = [request.clone(), request].concat();
            for sizes in [&[][..], &[1], &[50, 3]] {
                let mut driver = connection(vec![Box::new(Observer(plan))], Limits::default());
                driver.client_in(sizes, &requests).unwrap();
                assert!(driver.to_broker == requests, "{key} v{version} {plan:?} {sizes:?}");
            }
        }
    }
}
