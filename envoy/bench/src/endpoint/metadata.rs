//! Which nodes and topics there are.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Result;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use super::topics::{self, Topic};
use super::{Cluster, LISTED_PARTITIONS};

/// Whether a topic is asked for by its id.
pub(super) fn is_look_up(request: &MetadataRequest) -> bool {
    request.topics.iter().flatten().any(|topic| topic.name.is_none())
}

pub(super) fn metadata(request: &MetadataRequest, cluster: &Cluster) -> Result<MetadataResponse> {
    let broker = |(index, address): (usize, &SocketAddr)| {
        MetadataResponseBroker::default()
            .with_node_id(node(index))
            .with_host(StrBytes::from_string(address.ip().to_string()))
            .with_port(address.port().into())
    };
    let nodes = cluster.nodes.len();
    let topics = match &request.topics {
        None => {
            let listed = topics::listed(cluster.listed.load(Relaxed));
            listed.map(|topic| topic.with_partitions(partitions(LISTED_PARTITIONS, nodes))).collect()
        }
        Some(asked) => {
            let mut topics = Vec::new();
            for asked in asked {
                let topic = match &asked.name {
                    Some(name) => Topic::by_name(name)?,
                    None => Topic::by_id(asked.topic_id)?,
                };
                topics.push(topic.metadata().with_partitions(partitions(topic.family.partitions(), nodes)));
            }
            topics
        }
    };
    Ok(MetadataResponse::default()
        .with_brokers(cluster.nodes.iter().enumerate().map(broker).collect())
        .with_cluster_id(Some(StrBytes::from_static_str("bifrost-bench")))
        .with_controller_id(BrokerId(0))
        .with_topics(topics))
}

fn partitions(count: usize, nodes: usize) -> Vec<MetadataResponsePartition> {
    let partition = |index: usize| {
        let leader = node(index % nodes);
        MetadataResponsePartition::default()
            .with_partition_index(node(index).0)
            .with_leader_id(leader)
            .with_leader_epoch(1)
            .with_replica_nodes(vec![leader])
            .with_isr_nodes(vec![leader])
    };
    (0..count).map(partition).collect()
}

fn node(index: usize) -> BrokerId {
    BrokerId(i32::try_from(index).unwrap_or(i32::MAX))
}
