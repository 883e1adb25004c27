//! Connection set-up of a Kafka client: ApiVersions and Metadata at the bootstrap address, then one connection
//! per leader, each opened with ApiVersions again.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use uuid::Uuid;

use crate::frames::Connection;
use crate::kafka::{TOPIC, decode_response, request_frame};

/// How a client gets from an advertised node to the address it dials.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// As advertised.
    Advertised,
    /// Bare Envoy advertises nothing of its own: node id to listener.
    Listeners(Vec<SocketAddr>),
}

/// What a client knows after the bootstrap connection.
pub(crate) struct Client {
    route: Route,
    prefix: &'static str,
    topic_id: Uuid,
    nodes: HashMap<i32, SocketAddr>,
    /// Index is the partition.
    leaders: Vec<i32>,
}

/// A connection ready for traffic, and what the other side speaks.
pub(crate) struct Ready {
    pub(crate) connection: Connection,
    offered: ApiVersionsResponse,
}

impl Client {
    /// `prefix` is what the target puts before all names; the client itself does not know it.
    pub(crate) fn bootstrap(address: SocketAddr, route: Route, prefix: &'static str) -> Result<Self> {
        let mut bootstrap = Ready::open(address)?;
        let version = bootstrap.version(ApiKey::Metadata, 12)?;
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        let metadata: MetadataResponse = call(&mut bootstrap.connection, ApiKey::Metadata, version, &request)?;

        let mut nodes = HashMap::new();
        for broker in &metadata.brokers {
            let address = (broker.host.as_str(), u16::try_from(broker.port)?);
            let address = address.to_socket_addrs()?.next().context("node without an address")?;
            nodes.insert(broker.node_id.0, address);
        }
        let topic = metadata.topics.first().context("topic missing in Metadata")?;
        ensure!(topic.error_code == 0, "topic error {}", topic.error_code);
        ensure!(topic.name.as_ref().is_some_and(|name| name.as_str() == TOPIC), "answer for {:?}", topic.name);
        let mut leaders = vec![-1; topic.partitions.len()];
        for partition in &topic.partitions {
            *leaders.get_mut(usize::try_from(partition.partition_index)?).context("partition index")? =
                partition.leader_id.0;
        }
        Ok(Self { route, prefix, topic_id: topic.topic_id, nodes, leaders })
    }

    pub(super) fn prefix(&self) -> &'static str {
        self.prefix
    }

    pub(super) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Connects to the leader of a partition.
    pub(crate) fn connect(&self, partition: usize) -> Result<Ready> {
        let leader = *self.leaders.get(partition).context("no such partition")?;
        let address = match &self.route {
            Route::Advertised => self.nodes.get(&leader),
            Route::Listeners(listeners) => usize::try_from(leader).ok().and_then(|leader| listeners.get(leader)),
        };
        let address = *address.with_context(|| format!("node {leader} has no address"))?;
        Ready::open(address).with_context(|| format!("node {leader} at {address}"))
    }
}

impl Ready {
    fn open(address: SocketAddr) -> Result<Self> {
        let mut connection = Connection::connect(address)?;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("bifrost-bench"))
            .with_client_software_version(StrBytes::from_static_str("1"));
        let offered: ApiVersionsResponse = call(&mut connection, ApiKey::ApiVersions, 3, &request)?;
        ensure!(offered.error_code == 0, "ApiVersions error {}", offered.error_code);
        Ok(Self { connection, offered })
    }

    /// The highest version that both sides speak.
    pub(crate) fn version(&self, key: ApiKey, version_max: i16) -> Result<i16> {
        let offered = self.offered.api_keys.iter().find(|offered| offered.api_key == key as i16);
        let offered = offered.with_context(|| format!("{key:?} is not offered"))?;
        ensure!(offered.min_version <= version_max, "{key:?} offered from v{} on", offered.min_version);
        Ok(offered.max_version.min(version_max))
    }
}

fn call<Answer: Decodable>(
    connection: &mut Connection,
    key: ApiKey,
    version: i16,
    body: &impl Encodable,
) -> Result<Answer> {
    connection.write_all(&request_frame(key, version, 0, body)?)?;
    let frame = connection.next()?.with_context(|| format!("closed instead of answering {key:?}"))?;
    ensure!(frame.size == frame.head.len(), "{key:?} answer of {} bytes", frame.size);
    decode_response(key, version, frame.head)
}
