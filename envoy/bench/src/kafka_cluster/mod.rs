//! A real broker for real clients: one node of Kafka, its data in the page cache, fsync left to the system as is
//! Kafka's default.
//!
//! It has two listeners. One advertises itself: for direct clients, and for gateways, which put their own address over it.
//! The other advertises where bare Envoy listens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bifrost_e2e::kafka::{Extra, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tools::Tools;
use futures_executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::clients::{Corpus, write_corpus};
use crate::cpu::{self, Side};
use crate::endpoint::{Family, Topic as Synthetic};
use crate::kafka::TENANT_PREFIX;
use crate::target::{Cluster, Files, Relay, Running};

const RELAY_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const PATIENCE: Duration = Duration::from_secs(30);
const WARM_UP_RECORDS: u64 = 100_000;
/// Disks stay small: what a step has written goes soon after it.
const PROPERTIES: &str = "log.segment.delete.delay.ms=1000\n";

/// Where the jars are; the Makefile knows.
#[derive(Clone, clap::Args)]
pub(crate) struct Jars {
    /// Jars of the real broker.
    #[arg(long, env = "BIFROST_E2E_KAFKA_LIBS", default_value = ".tools/kafka-4.4.0/libs")]
    kafka_libs: PathBuf,
    /// Jars of Kafka's own perf tools.
    #[arg(long, env = "BIFROST_BENCH_KAFKA_TOOLS_LIBS", default_value = ".tools/kafka-tools-4.3.1/libs")]
    pub(crate) kafka_tools_libs: PathBuf,
}

/// The running broker; ends with this value.
pub(crate) struct KafkaCluster {
    kafka: Kafka,
    direct: SocketAddr,
    relayed: SocketAddr,
    admin: AdminClient<DefaultClientContext>,
    /// By number of records.
    corpora: RefCell<BTreeMap<u64, Rc<Corpus>>>,
    topics: Cell<u32>,
    jars: Jars,
}

/// A topic of the broker, known by its physical name, which has the tenant's prefix.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Topic {
    pub(crate) physical: String,
    pub(crate) partitions: usize,
}

impl KafkaCluster {
    /// Together with its clients a broker fills one core, and every latency would be the wait for that. So on two cores it
    /// may use the proxy's, too, most of which real clients leave idle.
    pub(crate) fn start(files: &Files) -> Result<Self> {
        let (kafka_libs, runs) = (files.jars.kafka_libs.clone(), files.work.join("kafka"));
        std::fs::create_dir_all(&runs)?;
        let tools = Tools { kafka_libs, runs, ..Tools::default() };
        let run = RunDir::create(&tools, "broker")?;
        let extra = Extra { relay: Some(RELAY_IP), properties: PROPERTIES, ..Extra::default() };
        cpu::bind(&files.cores, if files.cores.count() > 2 { Side::LoadAndEndpoint } else { Side::All })?;
        let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 1, extra);
        cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
        let kafka = kafka?;
        let only = |addresses: Vec<SocketAddrV4>| anyhow::Ok(SocketAddr::V4(*addresses.first().context("no node")?));
        let (direct, relayed) = (only(kafka.addresses())?, only(kafka.relayed_addresses())?);
        let cluster = Self {
            kafka,
            direct,
            relayed,
            admin: config(direct).create()?,
            corpora: RefCell::default(),
            topics: Cell::new(0),
            jars: files.jars.clone(),
        };
        // What a target is asked for to see that it serves.
        for prefix in ["", TENANT_PREFIX] {
            cluster
                .create(&Topic { physical: Synthetic::new(Family::Bench, 0).behind(prefix).name(), partitions: 1 })?;
        }
        // It compiles its code while it works.
        cluster.corpus(WARM_UP_RECORDS)?;
        Ok(cluster)
    }

    /// What the targets lead to.
    pub(crate) fn cluster(&self) -> Cluster {
        let relay = SocketAddr::new(IpAddr::V4(RELAY_IP), self.relayed.port());
        Cluster {
            first_id: 1,
            nodes: vec![self.direct],
            relay: Some(Relay { listeners: vec![relay], nodes: vec![self.relayed] }),
        }
    }

    pub(crate) fn bootstrap(&self) -> SocketAddr {
        self.direct
    }

    pub(crate) fn jars(&self) -> &Jars {
        &self.jars
    }

    /// The broker's process.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(u32::try_from(*self.kafka.pids().first().context("the broker does not run")?)?)
    }

    /// A new topic, without records.
    pub(crate) fn new_topic(&self, partitions: usize) -> Result<Topic> {
        let number = self.topics.get();
        self.topics.set(number + 1);
        let topic = Topic { physical: format!("{TENANT_PREFIX}records-{number}"), partitions };
        self.create(&topic)?;
        Ok(topic)
    }

    fn create(&self, topic: &Topic) -> Result<()> {
        let new = NewTopic::new(&topic.physical, i32::try_from(topic.partitions)?, TopicReplication::Fixed(1));
        let created = block_on(self.admin.create_topics([&new], &AdminOptions::new()))?;
        created.into_iter().try_for_each(|result| {
            result.map(drop).map_err(|(topic, error)| anyhow!("topic {topic} was not created: {error}"))
        })
    }

    /// Of a step that went well; the broker's log says what happened in others.
    pub(crate) fn delete(&self, topic: &Topic) -> Result<()> {
        let deleted = block_on(self.admin.delete_topics(&[topic.physical.as_str()], &AdminOptions::new()))?;
        deleted.into_iter().try_for_each(|result| {
            result.map(drop).map_err(|(topic, error)| anyhow!("topic {topic} was not deleted: {error}"))
        })
    }

    /// How many records the log holds, by the broker's own account.
    pub(crate) fn records_in(&self, topic: &Topic) -> Result<u64> {
        let consumer: BaseConsumer = config(self.direct).create()?;
        let records_in = |partition| {
            let (first, end) = consumer.fetch_watermarks(&topic.physical, i32::try_from(partition)?, PATIENCE)?;
            Ok(u64::try_from(end - first)?)
        };
        (0..topic.partitions).map(records_in).sum()
    }

    /// So many records for consumers to read, written when the first one wants them.
    pub(crate) fn corpus(&self, records: u64) -> Result<Rc<Corpus>> {
        if let Some(written) = self.corpora.borrow().get(&records) {
            return Ok(Rc::clone(written));
        }
        let written = Rc::new(write_corpus(self, records).context("writing what consumers will read")?);
        self.corpora.borrow_mut().insert(records, Rc::clone(&written));
        Ok(written)
    }
}

impl Topic {
    /// Its name for clients of a target.
    pub(crate) fn seen_through(&self, running: &Running) -> &str {
        self.physical.strip_prefix(running.prefix).unwrap_or(&self.physical)
    }
}

/// What all clients of librdkafka have in common.
pub(crate) fn config(bootstrap: SocketAddr) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap.to_string()).set("allow.auto.create.topics", "false");
    config
}
