//! Without isolation every detector finds something: when these fail, the suite is blind.

use bifrost_core::protocol::ApiKey;
use serde_json::json;

use crate::isolation::caller::Outcome;
use crate::isolation::setting::setting;
use crate::isolation::victim::{fetch, physical};

#[test]
fn an_open_gateway_is_caught() {
    let setting = setting();
    let mut attacker = setting.attacker_in_the_open();
    let victim = &setting.victim;
    let attacks = [
        (ApiKey::METADATA, 12, json!({"Topics": null})),
        (ApiKey::FETCH, 12, fetch(&physical("orders"), &victim.orders_id, 0, -1)),
        (ApiKey::FETCH, 16, fetch("", &victim.secret_id, 0, -1)),
        (ApiKey::FETCH, 11, json!({"ReplicaId": 1, "SessionId": victim.named_session, "SessionEpoch": 77})),
        (
            ApiKey::DESCRIBE_CONFIGS,
            4,
            json!({"Resources": [{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": null}]}),
        ),
        (ApiKey::DESCRIBE_LOG_DIRS, 4, json!({"Topics": null})),
        (ApiKey::LIST_GROUPS, 4, json!({})),
        (ApiKey::FIND_COORDINATOR, 3, json!({"Key": "x", "KeyType": 2})),
    ];

    for (key, version, body) in attacks {
        let frame = bifrost_testkit::json::request(key, version, 1, "attacker", &body);
        assert!(matches!(attacker.send(&frame), Outcome::Answered(_)), "{key} v{version}");
    }

    let received = attacker.findings.join("\n");
    for what in ["the secret", "the victim's prefix", "a topic that only the victim knows", "the broker's folder"] {
        assert!(received.contains(what), "{what} was not found in\n{received}");
    }
    let frames = setting.take_frames();
    // Every virtual cluster hides addresses, so they are looked for before the gateway.
    let sent = frames.answers.iter().flat_map(|answer| setting.needles.in_answer(b"", answer));
    let sent = sent.collect::<Vec<_>>().join("\n");
    for what in ["the broker's address", "the address that the broker advertises"] {
        assert!(sent.contains(what), "{what} was not found in\n{sent}");
    }
    let forwarded = frames.requests.iter().flat_map(|request| setting.needles.in_forwarded(request));
    let forwarded = forwarded.collect::<Vec<_>>().join("\n");
    for what in
        ["the victim's prefix", "Topic \"tenantA-orders\"", "TopicId \"", "a follower's", "session", "key type 2"]
    {
        assert!(forwarded.contains(what), "{what} was not found in\n{forwarded}");
    }
}
