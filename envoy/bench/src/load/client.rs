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

use super::workload::Request;
use crate::endpoint::{Family, Topic};
use crate::frames::Connection;
use crate::kafka::{SET_UP, decode_response, request_frame_of};

/// What every client asks for, because it has a partition for each connection.
const FIRST: Topic = Topic::new(Family::Bench, 0);

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
    bootstrap: SocketAddr,
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
        let metadata = metadata(address, &[FIRST])?;
        let mut nodes = HashMap::new();
        for broker in &metadata.brokers {
            let address = (broker.host.as_str(), u16::try_from(broker.port)?);
            let address = address.to_socket_addrs()?.next().context("node without an address")?;
            nodes.insert(broker.node_id.0, address);
        }
        let topic = metadata.topics.first().context("topic missing in Metadata")?;
        let mut leaders = vec![-1; topic.partitions.len()];
        for partition in &topic.partitions {
            *leaders.get_mut(usize::try_from(partition.partition_index)?).context("partition index")? =
                partition.leader_id.0;
        }
        Ok(Self { route, prefix, bootstrap: address, nodes, leaders })
    }

    pub(super) fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The ids of the topics that a request names, in its order. A client that works with names has no need of them.
    pub(crate) fn topic_ids(&self, request: Request) -> Result<Vec<Uuid>> {
        if matches!(request, Request::Metadata { .. }) {
            return Ok(Vec::new());
        }
        self.ids_of(&request.topics())
    }

    pub(super) fn ids_of(&self, topics: &[Topic]) -> Result<Vec<Uuid>> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        Ok(metadata(self.bootstrap, topics)?.topics.iter().map(|topic| topic.topic_id).collect())
    }

    /// Connects to the leader of a partition; with more connections than partitions these begin anew.
    pub(crate) fn connect(&self, partition: usize) -> Result<Ready> {
        let leader = partition.checked_rem(self.leaders.len()).and_then(|partition| self.leaders.get(partition));
        let leader = *leader.context("topic without partitions")?;
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

/// Metadata of these topics, each of them there and as it is called.
fn metadata(address: SocketAddr, topics: &[Topic]) -> Result<MetadataResponse> {
    let mut bootstrap = Ready::open(address)?;
    let version = bootstrap.version(ApiKey::Metadata, 12)?;
    let names: Vec<_> = topics.iter().map(|topic| TopicName(StrBytes::from_string(topic.name()))).collect();
    let asked = names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(name.clone())));
    let request = MetadataRequest::default().with_topics(Some(asked.collect()));
    let metadata: MetadataResponse = call(&mut bootstrap.connection, ApiKey::Metadata, version, &request)?;
    ensure!(metadata.topics.len() == names.len(), "Metadata of {} topics", metadata.topics.len());
    for (topic, name) in metadata.topics.iter().zip(&names) {
        ensure!(topic.name.as_ref() == Some(name), "answer for {:?} instead of {name:?}", topic.name);
        ensure!(topic.error_code == 0, "topic error {}", topic.error_code);
    }
    Ok(metadata)
}

fn call<Answer: Decodable>(
    connection: &mut Connection,
    key: ApiKey,
    version: i16,
    body: &impl Encodable,
) -> Result<Answer> {
    connection.write_all(&request_frame_of(SET_UP, key, version, body)?)?;
    let size = connection.peek()?.with_context(|| format!("closed instead of answering {key:?}"))?.size;
    decode_response(key, version, &connection.whole(size)?)
}
