//! No request of a client reaches another Kafka cluster than the operator has said.
//!
//! An address can come to belong to another cluster: a restored snapshot, a wrong DNS entry, a test cluster behind a name of
//! production. So every connection asks its broker for its cluster id (Metadata for no topics) before the client's first
//! request, logins apart, and every Metadata answer that passes later is looked at, too. Another id ends the connection.
//!
//! The answers are never remembered for other connections: a cluster that is replaced behind the same address is noticed.
#![forbid(unsafe_code)]

use std::rc::Rc;

use bifrost_core::fault::{Fault, shortened};
use bifrost_core::filter::{Context, Direction, Filter, FilterConfig, Message, Plan, Question};
use bifrost_core::protocol::{Api, ApiKey, Entity, Field, VersionRange, api};
use bifrost_core::walker::Event;
use serde::{Deserialize, Serialize};

/// The first Metadata version whose answer tells the cluster id (KIP-78); every broker since 0.10.1 knows it ...
const METADATA_WITH_CLUSTER_ID: i16 = 2;
/// ... for no topics (an empty array).
const NO_TOPICS: [u8; 4] = [0; 4];

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The id of the target cluster, as `kafka-cluster cluster-id` prints it.
    pub cluster_id: String,
}

/// The configured filter.
pub struct ClusterIdentity {
    cluster_id: Rc<str>,
}

impl ClusterIdentity {
    /// The filter for one virtual cluster.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        ClusterIdentity { cluster_id: config.cluster_id.as_str().into() }
    }
}

impl FilterConfig for ClusterIdentity {
    /// Everything in the tables: they say where the cluster id is.
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    /// The answer to the filter's own question, and those to the clients'.
    fn plan(&self, api: &'static Api, version: i16, direction: Direction) -> Plan {
        let tells = version >= METADATA_WITH_CLUSTER_ID && direction == Direction::Response;
        if api.key == ApiKey::METADATA && tells { Plan::Whole } else { Plan::Pass }
    }

    fn wants(&self, api: &'static Api, direction: Direction, _: &'static [Field], field: &'static Field) -> bool {
        api.key == ApiKey::METADATA && direction == Direction::Response && field.entity == Entity::ClusterId
    }

    fn asks_first(&self) -> Option<Question> {
        Some(Question { key: ApiKey::METADATA, version: METADATA_WITH_CLUSTER_ID, body: NO_TOPICS.to_vec() })
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Connection { cluster_id: Rc::clone(&self.cluster_id) })
    }
}

/// State of one connection.
struct Connection {
    cluster_id: Rc<str>,
}

impl Filter for Connection {
    fn on_event(&mut self, message: &Message, event: &Event<'_>, _: &mut Context<'_>) -> Result<(), Fault> {
        let Event::Value(value) = event else { return Ok(()) };
        if message.api.key != ApiKey::METADATA
            || message.direction != Direction::Response
            || value.field.entity != Entity::ClusterId
        {
            return Ok(());
        }
        match value.bytes {
            Some(id) if id == self.cluster_id.as_bytes() => Ok(()),
            // An error that is all of the answer, to a request of the client.
            None if !message.own => Ok(()),
            got => Err(Fault::WrongCluster { wanted: self.cluster_id.as_ref().into(), got: got.map(shortened) }),
        }
    }
}
