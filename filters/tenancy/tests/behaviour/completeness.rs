//! Every API and version has a decision, and a change of any is seen.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bifrost_core::filter::{Direction, FilterConfig, Plan};
use bifrost_core::protocol::{APIS, Api, ApiKey, Entity, Field};
use bifrost_core::walker::holds;
use bifrost_tenancy::{Decision, Tenancy, decision};
use bifrost_testkit::every_message;

use crate::{acme, same};

/// Fields that tell, or take, something of a tenant.
fn concerns(field: &Field) -> bool {
    matches!(
        field.entity,
        Entity::TopicName
            | Entity::TopicId
            | Entity::GroupId
            | Entity::TransactionalId
            | Entity::ResourceName
            | Entity::MemberMetadata
            | Entity::ClusterId
            | Entity::ErrorMessage
            | Entity::AuthorizedOps
    )
}

fn fields(api: &'static Api, direction: Direction) -> &'static [Field] {
    match direction {
        Direction::Request => api.request,
        Direction::Response => api.response,
    }
}

/// SaslAuthenticate's text is about the connection's credentials, which are the client's own.
fn may_pass(api: &Api) -> bool {
    [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&api.key)
}

#[test]
fn every_api_and_version_of_the_tables_has_a_decision() {
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            assert!(decision(api.key, version).is_some(), "{} v{version}: nobody has decided", api.name);
        }
        assert_eq!(decision(api.key, api.versions.max + 1).filter(|d| *d != Decision::Hidden), None, "{}", api.name);
    }
    assert_eq!(decision(ApiKey(999), 0), None);
}

#[test]
fn what_is_decided_is_what_is_offered() {
    let tenancy = Tenancy::new(acme());
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            let offered = tenancy.supported(api.key).is_some_and(|versions| versions.contains(version));
            assert_eq!(offered, decision(api.key, version) != Some(Decision::Hidden), "{} v{version}", api.name);
        }
    }
}

#[test]
fn only_messages_that_name_nothing_pass() {
    let tenancy = Tenancy::new(acme());
    for (api, version, direction) in every_message() {
        let names = fields(api, direction).iter().any(|field| holds(field, version, &concerns));
        let name = format!("{} v{version} {direction:?}", api.name);
        match decision(api.key, version) {
            Some(Decision::Passed) => assert!(!names || may_pass(api), "{name}"),
            Some(Decision::Rewritten) => {
                assert!(!names || tenancy.plan(api, version, direction) != Plan::Pass, "{name} is not looked at");
            }
            _ => {}
        }
    }
}

/// Nobody has to look at what a tenant cannot be told by.
#[test]
fn an_api_is_rewritten_only_where_there_is_something_to_rewrite() {
    for api in APIS {
        if decision(api.key, api.versions.min) != Some(Decision::Rewritten) || api.key == ApiKey::API_VERSIONS {
            continue;
        }
        let names = |direction| fields(api, direction).iter().any(|field| holds(field, api.versions.max, &concerns));
        assert!(names(Direction::Request) || names(Direction::Response), "{}", api.name);
    }
}

/// One line for each run of versions with the same decision and plans.
fn table() -> String {
    let tenancy = Tenancy::new(acme());
    let mut table = String::from("# API, versions, decision, how much of request and answer is seen\n");
    for api in APIS {
        let line = |version| {
            let decided = decision(api.key, version);
            let plans = match decided {
                Some(Decision::Hidden) | None => String::new(),
                _ => {
                    let plan = |direction| tenancy.plan(api, version, direction);
                    format!(" {:?} {:?}", plan(Direction::Request), plan(Direction::Response))
                }
            };
            format!("{decided:?}{plans}").replace("Some(", "").replacen(") ", " ", 1)
        };
        let mut first = api.versions.min;
        for version in api.versions.min..=api.versions.max {
            if version == api.versions.max || line(version + 1) != line(first) {
                writeln!(table, "{} {first}-{version} {}", api.name, line(first)).unwrap();
                first = version + 1;
            }
        }
    }
    table
}

#[test]
fn decisions_are_as_they_were_reviewed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/decisions.txt");
    let actual = table();
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        fs::write(&file, &actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let rewrites = format!("{} differs; UPDATE_EXPECT=1 rewrites it", file.display());
    same(&rewrites, &actual.lines().collect::<Vec<_>>(), &expected.lines().collect::<Vec<_>>());
}
