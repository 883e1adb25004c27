//! ACLs: answered like a cluster without an authorizer.

use bifrost_core::protocol::ApiKey;
use serde_json::{Value, json};

use crate::{Talk, acme};

#[test]
fn acl_requests_are_answered_with_security_disabled() {
    for version in 0..=3 {
        let heard = Talk::new(acme()).refused(ApiKey::DESCRIBE_ACLS, version, json!({"ResourceTypeFilter": 1}));
        assert_eq!((&heard["ErrorCode"], &heard["Resources"]), (&json!(54), &json!([])), "v{version}");
        for count in [0, 1, 2, 200] {
            let creations: Vec<Value> = (0..count).map(|n| json!({"ResourceName": format!("x{n}")})).collect();
            let heard = Talk::new(acme()).refused(ApiKey::CREATE_ACLS, version, json!({"Creations": creations}));
            let codes: Vec<&Value> = heard["Results"].as_array().unwrap().iter().map(|r| &r["ErrorCode"]).collect();
            assert_eq!(codes, vec![&json!(54); count], "CreateAcls v{version}");

            let filters: Vec<Value> = (0..count).map(|_| json!({"ResourceNameFilter": null})).collect();
            let heard = Talk::new(acme()).refused(ApiKey::DELETE_ACLS, version, json!({"Filters": filters}));
            let results = heard["FilterResults"].as_array().unwrap();
            assert_eq!(results.len(), count);
            assert!(results.iter().all(|r| r["ErrorCode"] == 54 && r["MatchingAcls"] == json!([])), "v{version}");
        }
    }
}
