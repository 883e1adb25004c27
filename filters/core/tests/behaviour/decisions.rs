//! What becomes of a request, for every API key and version that a header can hold.

use bifrost_core::fault::Fault;
use bifrost_core::limits::Limits;
use bifrost_core::protocol::{APIS, ApiKey, VersionRange};
use bifrost_testkit::filters::Only;

use crate::{connection, head, plain};

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Forwarded,
    /// A harmless request goes in its place; the answer is error 35 in version 0.
    Refused,
    Closed,
}

fn decide(key: i16, version: i16) -> Decision {
    let mut driver = plain();
    let request = head(key, version, 5);
    match driver.client(&request) {
        // Produce is looked at as far as its acks, which this head does not reach.
        Ok(_) | Err(Fault::Malformed { .. }) if key == ApiKey::PRODUCE.0 => Decision::Forwarded,
        Ok(_) if driver.to_broker == request && version >= 0 => Decision::Forwarded,
        Ok(_) if driver.to_broker == head(ApiKey::API_VERSIONS.0, 0, 5) => Decision::Refused,
        Err(fault) => {
            assert_eq!(fault, Fault::Unsupported { api_key: ApiKey(key), version });
            assert!(driver.to_broker.is_empty(), "{key} v{version}");
            Decision::Closed
        }
        Ok(flow) => panic!("{key} v{version}: {flow:?} {:?}", driver.to_broker),
    }
}

/// Written down apart from the code: in the tables is forwarded, ApiVersions is refused, anything else is closed.
fn expected(key: i16, version: i16) -> Decision {
    let known = APIS.iter().find(|api| api.key.0 == key).is_some_and(|api| api.versions.contains(version));
    match (ApiKey(key), version) {
        (ApiKey::SASL_HANDSHAKE, 0) => Decision::Closed,
        _ if known => Decision::Forwarded,
        (ApiKey::API_VERSIONS, _) => Decision::Refused,
        _ => Decision::Closed,
    }
}

#[test]
fn every_key_and_version_is_decided() {
    let edges = [i16::MIN, -2, -1, i16::MAX - 1, i16::MAX];
    let keys = (-3..=130).chain(edges);
    for key in keys {
        for version in (-3..=40).chain(edges) {
            assert_eq!(decide(key, version), expected(key, version), "{key} v{version}");
        }
    }
}

#[test]
fn every_other_key_is_closed() {
    for key in i16::MIN..=i16::MAX {
        if APIS.iter().all(|api| api.key.0 != key) {
            let closed = plain().client(&head(key, 0, 1));
            assert_eq!(closed, Err(Fault::Unsupported { api_key: ApiKey(key), version: 0 }));
        }
    }
}

#[test]
fn what_one_filter_does_not_understand_is_closed() {
    let filter = || {
        Box::new(Only(vec![
            (ApiKey::METADATA, VersionRange::new(4, 9)),
            (ApiKey::API_VERSIONS, VersionRange::new(0, 3)),
        ]))
    };
    for (key, version, forwarded) in [(3, 4, true), (3, 9, true), (3, 3, false), (3, 10, false), (12, 0, false)] {
        let mut driver = connection(vec![filter()], Limits::default());
        assert_eq!(driver.client(&head(key, version, 1)).is_ok(), forwarded, "{key} v{version}");
    }
}

#[test]
fn sasl_handshake_before_kip_152_is_closed() {
    assert_eq!(decide(ApiKey::SASL_HANDSHAKE.0, 0), Decision::Closed, "bare tokens would follow");
    assert_eq!(decide(ApiKey::SASL_HANDSHAKE.0, 1), Decision::Forwarded);
}
