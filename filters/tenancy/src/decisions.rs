//! What becomes of every API: decided here, up to the version that somebody has looked at. What is not listed, or is newer,
//! is not offered to clients.

use bifrost_core::protocol::{ApiKey, VersionRange};

/// A decision about one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Names, ids and texts in it are changed on the way.
    Rewritten,
    /// It names nothing that belongs to a tenant.
    Passed,
    /// The gateway answers it with this error code; nothing reaches the broker.
    Answered(i16),
    /// Not offered: it is about the cluster and not about a tenant's part of it.
    Hidden,
}

/// SECURITY_DISABLED: what a cluster without an authorizer answers. ACLs written through the gateway would be judged by the
/// broker against the gateway's own principal, so they would promise what they do not keep.
pub(crate) const SECURITY_DISABLED: i16 = 54;

use Decision::{Answered, Hidden, Passed, Rewritten};

/// Key, newest version that was looked at, decision; by key.
const DECISIONS: &[(ApiKey, i16, Decision)] = &[
    (ApiKey::PRODUCE, 13, Rewritten),
    (ApiKey::FETCH, 18, Rewritten),
    (ApiKey::LIST_OFFSETS, 11, Rewritten),
    (ApiKey::METADATA, 13, Rewritten),
    (ApiKey::OFFSET_COMMIT, 10, Rewritten),
    (ApiKey::OFFSET_FETCH, 10, Rewritten),
    (ApiKey::FIND_COORDINATOR, 6, Rewritten),
    (ApiKey::JOIN_GROUP, 9, Rewritten),
    (ApiKey::HEARTBEAT, 4, Rewritten),
    (ApiKey::LEAVE_GROUP, 5, Rewritten),
    (ApiKey::SYNC_GROUP, 5, Rewritten),
    (ApiKey::DESCRIBE_GROUPS, 6, Rewritten),
    (ApiKey::LIST_GROUPS, 5, Rewritten),
    (ApiKey::SASL_HANDSHAKE, 1, Passed),
    (ApiKey::API_VERSIONS, 5, Rewritten),
    (ApiKey::CREATE_TOPICS, 7, Rewritten),
    (ApiKey::DELETE_TOPICS, 6, Rewritten),
    (ApiKey::DELETE_RECORDS, 2, Rewritten),
    (ApiKey::INIT_PRODUCER_ID, 6, Rewritten),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, 4, Rewritten),
    // From version 4 on brokers speak it among themselves, for many transactional ids at once.
    (ApiKey::ADD_PARTITIONS_TO_TXN, 3, Rewritten),
    (ApiKey::ADD_OFFSETS_TO_TXN, 4, Rewritten),
    (ApiKey::END_TXN, 5, Rewritten),
    (ApiKey::TXN_OFFSET_COMMIT, 6, Rewritten),
    (ApiKey::DESCRIBE_ACLS, 3, Answered(SECURITY_DISABLED)),
    (ApiKey::CREATE_ACLS, 3, Answered(SECURITY_DISABLED)),
    (ApiKey::DELETE_ACLS, 3, Answered(SECURITY_DISABLED)),
    (ApiKey::DESCRIBE_CONFIGS, 4, Rewritten),
    (ApiKey::ALTER_CONFIGS, 2, Rewritten),
    (ApiKey::ALTER_REPLICA_LOG_DIRS, 2, Hidden),
    (ApiKey::DESCRIBE_LOG_DIRS, 5, Hidden),
    (ApiKey::SASL_AUTHENTICATE, 2, Passed),
    (ApiKey::CREATE_PARTITIONS, 3, Rewritten),
    (ApiKey::CREATE_DELEGATION_TOKEN, 3, Hidden),
    (ApiKey::RENEW_DELEGATION_TOKEN, 2, Hidden),
    (ApiKey::EXPIRE_DELEGATION_TOKEN, 2, Hidden),
    (ApiKey::DESCRIBE_DELEGATION_TOKEN, 3, Hidden),
    (ApiKey::DELETE_GROUPS, 3, Rewritten),
    (ApiKey::ELECT_LEADERS, 2, Hidden),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, 1, Rewritten),
    (ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1, Hidden),
    (ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, Hidden),
    (ApiKey::OFFSET_DELETE, 0, Rewritten),
    (ApiKey::DESCRIBE_CLIENT_QUOTAS, 1, Hidden),
    (ApiKey::ALTER_CLIENT_QUOTAS, 1, Hidden),
    (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0, Hidden),
    (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, 0, Hidden),
    (ApiKey::DESCRIBE_QUORUM, 2, Hidden),
    (ApiKey::UPDATE_FEATURES, 2, Hidden),
    (ApiKey::DESCRIBE_CLUSTER, 2, Rewritten),
    (ApiKey::DESCRIBE_PRODUCERS, 0, Rewritten),
    (ApiKey::UNREGISTER_BROKER, 0, Hidden),
    (ApiKey::DESCRIBE_TRANSACTIONS, 0, Rewritten),
    (ApiKey::LIST_TRANSACTIONS, 2, Rewritten),
    (ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, Rewritten),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, 1, Rewritten),
    // Client metrics would mix tenants in the operator's plugin; without these clients send none.
    (ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, 0, Hidden),
    (ApiKey::PUSH_TELEMETRY, 0, Hidden),
    (ApiKey::LIST_CONFIG_RESOURCES, 1, Rewritten),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, Rewritten),
    (ApiKey::SHARE_GROUP_HEARTBEAT, 1, Rewritten),
    (ApiKey::SHARE_GROUP_DESCRIBE, 1, Rewritten),
    (ApiKey::SHARE_FETCH, 2, Rewritten),
    (ApiKey::SHARE_ACKNOWLEDGE, 2, Rewritten),
    (ApiKey::ADD_RAFT_VOTER, 1, Hidden),
    (ApiKey::REMOVE_RAFT_VOTER, 0, Hidden),
    (ApiKey::STREAMS_GROUP_HEARTBEAT, 1, Rewritten),
    (ApiKey::STREAMS_GROUP_DESCRIBE, 1, Rewritten),
    (ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 1, Rewritten),
    (ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0, Rewritten),
    (ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0, Rewritten),
    (ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE, 0, Rewritten),
    (ApiKey::UNREGISTER_CONTROLLER, 0, Hidden),
];

/// The decision about `key` in `version`; `None` when nobody has decided, and then it is not offered.
#[must_use]
pub fn decision(key: ApiKey, version: i16) -> Option<Decision> {
    let (newest, decision) = find(key)?;
    let by_brokers = key == ApiKey::ADD_PARTITIONS_TO_TXN && version > newest;
    if by_brokers { Some(Hidden) } else { (version <= newest).then_some(decision) }
}

/// The versions of `key` that clients may use.
pub(crate) fn offered(key: ApiKey) -> Option<VersionRange> {
    let (newest, decision) = find(key)?;
    (decision != Hidden).then_some(VersionRange::new(0, newest))
}

/// Whether the gateway answers all requests of this API.
pub(crate) fn is_answered(key: ApiKey) -> bool {
    matches!(find(key), Some((_, Answered(_))))
}

fn find(key: ApiKey) -> Option<(i16, Decision)> {
    let at = DECISIONS.binary_search_by_key(&key, |(known, ..)| *known).ok()?;
    DECISIONS.get(at).map(|(_, newest, decision)| (*newest, *decision))
}
