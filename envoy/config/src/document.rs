//! The documents as an operator writes them.

mod listener;
mod target;

use std::collections::BTreeMap;

use bifrost_core::limits::Limits;
use bifrost_tenancy::{SharedTopic, TopicCreation};
use serde::{Deserialize, Deserializer};

pub use listener::{ClientAuthentication, Listener, ListenerTls, Sni};
pub use target::{BootstrapServers, TargetCluster, TargetTls};

/// One virtual cluster: where clients connect, which Kafka cluster stands behind it, what happens in between.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaVirtualCluster {
    /// Always `gateway.corp/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `KafkaVirtualCluster`.
    pub kind: Kind,
    /// Name and, as in Kubernetes, labels and annotations.
    pub metadata: Metadata,
    /// What the operator wants.
    pub spec: Spec,
}

/// The Kafka cluster behind any number of virtual clusters, which name it in `spec.targetCluster.ref`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaTargetCluster {
    /// Always `gateway.corp/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `KafkaTargetCluster`.
    pub kind: Kind,
    /// Name and, as in Kubernetes, labels and annotations.
    pub metadata: Metadata,
    /// Where it is and how to trust it; everything but `ref`.
    pub spec: TargetCluster,
}

/// Versions of the document format that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ApiVersion {
    /// `gateway.corp/v1alpha1`
    #[serde(rename = "gateway.corp/v1alpha1")]
    V1Alpha1,
}

/// Kinds of documents that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// `KafkaVirtualCluster`
    KafkaVirtualCluster,
    /// `KafkaTargetCluster`
    KafkaTargetCluster,
}

/// Identity of a document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS label, unique among the documents of a kind. That of a virtual cluster names the Envoy listener, its VM and its
    /// clusters.
    pub name: String,
    /// Not read; accepted so that the same file can be applied to Kubernetes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Not read; accepted so that the same file can be applied to Kubernetes.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The wanted state of one virtual cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Where clients connect.
    pub listener: Listener,
    /// The Kafka cluster behind the gateway.
    pub target_cluster: TargetCluster,
    /// Names that keep tenants of one target cluster apart. Left out: names pass as they are, and clients see the whole
    /// target cluster. Present without a value is an error, lest a forgotten block opens the cluster.
    #[serde(default, deserialize_with = "not_null")]
    pub virtualization: Option<Virtualization>,
    /// Policies, in the order in which a request meets them.
    #[serde(default)]
    pub filters: Vec<FilterSpec>,
    /// Bounds of the data path.
    #[serde(default)]
    pub limits: Limits,
}

/// The names of a tenant: the fields of [`bifrost_tenancy::Config`], and with whom the names are shared. An empty prefix
/// changes nothing and leaves every name of its kind visible.
///
/// The fields are repeated here because serde cannot flatten a struct into one that refuses unknown fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Virtualization {
    /// Prefix of topic names.
    pub topic_prefix: String,
    /// Prefix of the ids of groups of every type.
    pub group_prefix: String,
    /// Prefix of transactional ids.
    pub transaction_id_prefix: String,
    /// Prefix of client ids, which brokers use for quotas and logs.
    pub client_id_prefix: String,
    /// The cluster id that clients are shown in place of the real one.
    pub cluster_id: Option<String>,
    /// Topics outside the prefix that the tenant may use.
    pub shared_topics: Vec<SharedTopic>,
    /// What the tenant may ask for when it creates or changes topics.
    pub topic_creation: TopicCreation,
    /// `metadata.name` of other virtual clusters that may see and use names of this one. Where prefixes overlap each side
    /// uses names of the other, so both must say it; for a shared topic its owner must.
    pub shares_names_with: Vec<String>,
}

impl Virtualization {
    /// What the filter is told.
    pub(crate) fn tenancy(&self) -> bifrost_tenancy::Config {
        bifrost_tenancy::Config {
            topic_prefix: self.topic_prefix.clone(),
            group_prefix: self.group_prefix.clone(),
            transaction_id_prefix: self.transaction_id_prefix.clone(),
            client_id_prefix: self.client_id_prefix.clone(),
            cluster_id: self.cluster_id.clone(),
            shared_topics: self.shared_topics.clone(),
            topic_creation: self.topic_creation.clone(),
        }
    }
}

/// One policy of the chain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterSpec {
    /// Which filter.
    pub name: String,
    /// The filter's own configuration.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// An optional field that may be left out but not be empty.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
