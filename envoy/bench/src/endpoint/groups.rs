//! As much of group coordination as one consumer needs: a group whose only member is whoever asks.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    InitProducerIdResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, ProducerId, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::kafka::{GENERATION, GROUP, MEMBER, TENANT_PREFIX};

/// From these versions on a request may ask for several groups.
const COORDINATORS: i16 = 4;
const OFFSETS_OF_GROUPS: i16 = 8;
/// Nothing was committed.
const NO_OFFSET: i64 = -1;

/// Any key, because transactional ids may be asked for, too; the first node coordinates all.
pub(super) fn find_coordinator(
    version: i16,
    request: &FindCoordinatorRequest,
    nodes: &[SocketAddr],
) -> Result<FindCoordinatorResponse> {
    let node = nodes.first().context("no nodes")?;
    let (host, port) = (StrBytes::from_string(node.ip().to_string()), i32::from(node.port()));
    if version < COORDINATORS {
        return Ok(FindCoordinatorResponse::default().with_node_id(BrokerId(0)).with_host(host).with_port(port));
    }
    let coordinator = |key: &StrBytes| {
        Coordinator::default().with_key(key.clone()).with_node_id(BrokerId(0)).with_host(host.clone()).with_port(port)
    };
    Ok(FindCoordinatorResponse::default().with_coordinators(request.coordinator_keys.iter().map(coordinator).collect()))
}

pub(super) fn join(request: &JoinGroupRequest) -> Result<JoinGroupResponse> {
    check_group(&request.group_id)?;
    let protocol = request.protocols.first().context("no protocol")?;
    let itself = JoinGroupResponseMember::default()
        .with_member_id(member())
        .with_group_instance_id(request.group_instance_id.clone())
        .with_metadata(protocol.metadata.clone());
    Ok(JoinGroupResponse::default()
        .with_generation_id(GENERATION)
        .with_protocol_type(Some(request.protocol_type.clone()))
        .with_protocol_name(Some(protocol.name.clone()))
        .with_leader(member())
        .with_member_id(member())
        .with_members(vec![itself]))
}

/// The member gets what it has assigned to itself.
pub(super) fn sync(request: &SyncGroupRequest) -> Result<SyncGroupResponse> {
    check_group(&request.group_id)?;
    let own = request.assignments.iter().find(|assignment| assignment.member_id.as_str() == MEMBER);
    Ok(SyncGroupResponse::default()
        .with_protocol_type(request.protocol_type.clone())
        .with_protocol_name(request.protocol_name.clone())
        .with_assignment(own.context("no assignment for the only member")?.assignment.clone()))
}

pub(super) fn heartbeat(request: &HeartbeatRequest) -> Result<HeartbeatResponse> {
    check_group(&request.group_id)?;
    Ok(HeartbeatResponse::default())
}

pub(super) fn leave(request: &LeaveGroupRequest) -> Result<LeaveGroupResponse> {
    check_group(&request.group_id)?;
    let members = request.members.iter().map(|member| {
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
    });
    Ok(LeaveGroupResponse::default().with_members(members.collect()))
}

pub(super) fn offset_fetch(version: i16, request: &OffsetFetchRequest) -> Result<OffsetFetchResponse> {
    if version < OFFSETS_OF_GROUPS {
        check_group(&request.group_id)?;
        let topics = request.topics.iter().flatten().map(|topic| {
            let partition = |index: &i32| {
                OffsetFetchResponsePartition::default().with_partition_index(*index).with_committed_offset(NO_OFFSET)
            };
            OffsetFetchResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(topic.partition_indexes.iter().map(partition).collect())
        });
        return Ok(OffsetFetchResponse::default().with_topics(topics.collect()));
    }
    let mut groups = Vec::new();
    for group in &request.groups {
        check_group(&group.group_id)?;
        let topics = group.topics.iter().flatten().map(|topic| {
            let partition = |index: &i32| {
                OffsetFetchResponsePartitions::default().with_partition_index(*index).with_committed_offset(NO_OFFSET)
            };
            OffsetFetchResponseTopics::default()
                .with_name(topic.name.clone())
                .with_partitions(topic.partition_indexes.iter().map(partition).collect())
        });
        groups.push(
            OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone()).with_topics(topics.collect()),
        );
    }
    Ok(OffsetFetchResponse::default().with_groups(groups))
}

/// Accepted and forgotten.
pub(super) fn offset_commit(request: &OffsetCommitRequest) -> Result<OffsetCommitResponse> {
    check_group(&request.group_id)?;
    let topics = request.topics.iter().map(|topic| {
        let partition = topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition::default().with_partition_index(partition.partition_index));
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partition.collect())
    });
    Ok(OffsetCommitResponse::default().with_topics(topics.collect()))
}

/// Sequence numbers are not compared, so everyone may have the same.
pub(super) fn init_producer_id() -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_producer_id(ProducerId(1))
}

fn check_group(group: &str) -> Result<()> {
    ensure!(group.strip_prefix(TENANT_PREFIX).unwrap_or(group) == GROUP, "no group '{group}'");
    Ok(())
}

fn member() -> StrBytes {
    StrBytes::from_static_str(MEMBER)
}
