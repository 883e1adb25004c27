//! What is measured: requests and their answers as clients and brokers send them.

use bifrost_core::protocol::{APIS, ApiKey};
use bifrost_testkit::json;
use serde_json::{Value, json};

const KIB: usize = 1 << 10;

/// Bytes of records of each topic when there are many.
const MANY_TOPICS_BYTES: usize = KIB;

/// Records of batches behind each other: so many bytes of a size, as the bulk of a busy connection comes.
const BULK_BYTES: usize = 4 << 20;

/// One kind of request, with its answer.
#[derive(Clone, Copy, Debug)]
enum Message {
    /// Records in the request. From version 13 on topics have ids.
    Produce {
        version: i16,
        topics: usize,
        bytes: usize,
    },
    /// Records in the answer. From version 13 on topics have ids.
    Fetch {
        version: i16,
        topics: usize,
        bytes: usize,
    },
    Heartbeat,
    Metadata {
        topics: usize,
    },
    ApiVersions,
}

/// A request and its answer, so many of them behind each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    message: Message,
    /// How many requests (and answers) lie behind each other.
    pub(crate) frames: usize,
}

/// All workloads.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    let one = |message| Workload { message, frames: 1 };
    let bulk = |message, bytes| Workload { message, frames: BULK_BYTES / bytes };
    for version in [12, 13] {
        let produce = |topics, bytes| Message::Produce { version, topics, bytes };
        all.extend([KIB, 16 * KIB, 256 * KIB].map(|bytes| one(produce(1, bytes))));
        all.extend([10, 100].map(|topics| one(produce(topics, MANY_TOPICS_BYTES))));
        all.extend([16 * KIB, 256 * KIB].map(|bytes| bulk(produce(1, bytes), bytes)));
    }
    for version in [12, 17] {
        let fetch = |topics, bytes| Message::Fetch { version, topics, bytes };
        all.extend([KIB, 16 * KIB, 256 * KIB].map(|bytes| one(fetch(1, bytes))));
        all.extend([10, 100].map(|topics| one(fetch(topics, MANY_TOPICS_BYTES))));
        all.extend([16 * KIB, 256 * KIB].map(|bytes| bulk(fetch(1, bytes), bytes)));
    }
    all.extend([Message::Heartbeat, Message::Metadata { topics: 10 }, Message::Metadata { topics: 1_000 }].map(one));
    all.push(one(Message::ApiVersions));
    all
}

impl Workload {
    /// As it is called on the command line.
    pub(crate) fn name(&self) -> String {
        let name = match self.message {
            Message::Produce { version, topics, bytes } => records_name("produce", version, topics, bytes),
            Message::Fetch { version, topics, bytes } => records_name("fetch", version, topics, bytes),
            Message::Heartbeat => "heartbeat v4".to_owned(),
            Message::Metadata { topics } => format!("metadata v12 {topics} topics"),
            Message::ApiVersions => "api-versions v4".to_owned(),
        };
        if self.frames > 1 { name + " bulk" } else { name }
    }

    /// The request as the client sends it.
    pub(crate) fn request(&self) -> Vec<u8> {
        let (key, version, body) = match self.message {
            Message::Produce { version, topics, bytes } => (ApiKey::PRODUCE, version, produce(version, topics, bytes)),
            Message::Fetch { version, topics, .. } => {
                let topic = |n| named(version, "Topic", "", n, json!({"Partitions": [{"PartitionMaxBytes": 1 << 20}]}));
                let topics: Vec<Value> = (0..topics).map(topic).collect();
                (ApiKey::FETCH, version, json!({"SessionEpoch": -1, "MaxBytes": 50 << 20, "Topics": topics}))
            }
            Message::Heartbeat => {
                let body = json!({"GroupId": "orders-consumers", "MemberId": "client-1", "GenerationId": 7});
                (ApiKey::HEARTBEAT, 4, body)
            }
            Message::Metadata { .. } => (ApiKey::METADATA, 12, json!({"Topics": null})),
            Message::ApiVersions => {
                let body = json!({"ClientSoftwareName": "client", "ClientSoftwareVersion": "1.0.0"});
                (ApiKey::API_VERSIONS, 4, body)
            }
        };
        json::request(key, version, 1, "client", &body)
    }

    /// The answer as a broker sends it, where topics begin with `prefix`.
    pub(crate) fn answer(&self, prefix: &str) -> Vec<u8> {
        let (key, version, body) = match self.message {
            Message::Produce { version, topics, .. } => {
                let partition = json!({"PartitionResponses": [{"BaseOffset": 7, "LogAppendTimeMs": -1}]});
                let topic = |n| named(version, "Name", prefix, n, partition.clone());
                (ApiKey::PRODUCE, version, json!({"Responses": (0..topics).map(topic).collect::<Vec<_>>()}))
            }
            Message::Fetch { version, topics, bytes } => {
                let partition = json!({"Partitions": [{"HighWatermark": 7, "Records": records(bytes)}]});
                let topic = |n| named(version, "Topic", prefix, n, partition.clone());
                (ApiKey::FETCH, version, json!({"Responses": (0..topics).map(topic).collect::<Vec<_>>()}))
            }
            Message::Heartbeat => (ApiKey::HEARTBEAT, 4, json!({})),
            Message::Metadata { topics } => (ApiKey::METADATA, 12, metadata(topics, prefix)),
            Message::ApiVersions => {
                let known = |api: &bifrost_core::protocol::Api| json!({"ApiKey": api.key.0, "MinVersion": api.versions.min, "MaxVersion": api.versions.max});
                (ApiKey::API_VERSIONS, 4, json!({"ApiKeys": APIS.iter().map(known).collect::<Vec<_>>()}))
            }
        };
        json::response(key, version, 1, &body)
    }

    /// The exchange in which the ids of its topics become known.
    pub(crate) fn introduction(&self, prefix: &str) -> (Vec<u8>, Vec<u8>) {
        let topics = match self.message {
            Message::Produce { topics, .. } | Message::Fetch { topics, .. } => topics,
            Message::Heartbeat | Message::Metadata { .. } | Message::ApiVersions => 1,
        };
        let all = Workload { message: Message::Metadata { topics }, frames: 1 };
        (all.request(), all.answer(prefix))
    }
}

fn records_name(api: &str, version: i16, topics: usize, bytes: usize) -> String {
    match topics {
        1 => format!("{api} v{version} {} KiB", bytes / KIB),
        _ => format!("{api} v{version} {topics} topics"),
    }
}

fn produce(version: i16, topics: usize, bytes: usize) -> Value {
    let partition = json!({"PartitionData": [{"Records": records(bytes)}]});
    let topic = |n| named(version, "Name", "", n, partition.clone());
    json!({"Acks": -1, "TimeoutMs": 30_000, "TopicData": (0..topics).map(topic).collect::<Vec<_>>()})
}

/// A topic of a Produce or Fetch message: `rest` with its name or, from version 13 on, its id.
fn named(version: i16, name_field: &str, prefix: &str, n: usize, mut rest: Value) -> Value {
    match version {
        13.. => rest["TopicId"] = id(n).into(),
        _ => rest[name_field] = name(prefix, n).into(),
    }
    rest
}

fn metadata(topics: usize, prefix: &str) -> Value {
    let broker = |id: i32| {
        let (host, port) = bifrost_testkit::addresses::real(id);
        json!({"NodeId": id, "Host": host, "Port": port})
    };
    let partition = |index: usize| {
        let nodes = [0, 1, 2].map(|n| (index + n) % 3);
        json!({"PartitionIndex": index, "LeaderId": nodes[0], "ReplicaNodes": nodes, "IsrNodes": nodes})
    };
    let partitions: Vec<Value> = (0..3).map(partition).collect();
    let topic = |n| json!({"Name": name(prefix, n), "TopicId": id(n), "Partitions": partitions});
    json!({
        "Brokers": (0..3).map(broker).collect::<Vec<_>>(),
        "ClusterId": "kafka-cluster-1",
        "Topics": (0..topics).map(topic).collect::<Vec<_>>(),
    })
}

fn name(prefix: &str, n: usize) -> String {
    format!("{prefix}orders-{n:04}")
}

fn id(n: usize) -> String {
    json::hex(&(n as u128 + 1).to_be_bytes())
}

fn records(bytes: usize) -> String {
    "07".repeat(bytes)
}
