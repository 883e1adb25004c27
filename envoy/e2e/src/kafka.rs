//! A real Kafka cluster: N nodes, each broker and controller, on a loopback address of their own.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::ports::PortBlock;
use crate::process::{self, Process};
use crate::run_dir::RunDir;
use crate::tools::Tools;
use crate::wait;

/// Where the brokers listen, and what they advertise. Gateways and clients are elsewhere in 127.0.0.0/8, so
/// this address in a client's hands is proof of a leak.
pub const BROKER_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Largest record batch that the brokers take.
pub const MESSAGE_BYTES_MAX: u32 = 32 << 20;

const CLUSTER_ID: &str = "bifrostE2eCluster00001";
const START_PATIENCE: Duration = Duration::from_secs(90);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it ends every node and removes their data; logs stay.
#[derive(Debug)]
pub struct Kafka {
    nodes: Vec<Node>,
    _ports: PortBlock,
}

#[derive(Debug)]
struct Node {
    id: i32,
    address: SocketAddrV4,
    folder: PathBuf,
    start: Mutex<Command>,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    /// Starts nodes with the ids 1 to `nodes` and waits until they serve.
    pub fn start(tools: &Tools, run: &RunDir, nodes: u16) -> Result<Kafka> {
        let ports = PortBlock::claim()?;
        let voters: Vec<String> = (1..=nodes).map(|id| format!("{id}@{BROKER_IP}:{}", ports.port(50 + id))).collect();
        let nodes = (1..=nodes)
            .map(|id| {
                let folder = run.folder(&format!("kafka-{id}"))?;
                let properties = properties(id, nodes, &ports, &voters.join(","), &folder);
                std::fs::write(folder.join("server.properties"), properties)?;
                let start = java(tools, "kafka.Kafka", &folder, &[]);
                let address = SocketAddrV4::new(BROKER_IP, ports.port(id));
                Ok(Node { id: i32::from(id), address, folder, start: Mutex::new(start), process: Mutex::new(None) })
            })
            .collect::<Result<Vec<_>>>()?;
        format(tools, &nodes)?;
        let kafka = Kafka { nodes, _ports: ports };
        // All at once: a controller alone has no majority to become ready with.
        for node in &kafka.nodes {
            node.spawn()?;
        }
        for node in &kafka.nodes {
            node.wait_until_started(0)?;
        }
        Ok(kafka)
    }

    /// `host:port,host:port`, for gateways only.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address.to_string()).collect();
        addresses.join(",")
    }

    /// Addresses of the brokers, which no client may connect to.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    pub fn ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// Process ids of the nodes that run.
    pub fn pids(&self) -> Vec<i32> {
        self.nodes.iter().filter_map(|node| node.process().as_ref().map(Process::pid)).collect()
    }

    /// Shuts a node down as an operator does: its leaders move first.
    pub fn stop_node(&self, id: i32) -> Result<()> {
        let process = self.node(id)?.process().take().with_context(|| format!("node {id} does not run"))?;
        process.stop(STOP_PATIENCE)
    }

    /// Ends a node as a crash does.
    pub fn kill_node(&self, id: i32) -> Result<()> {
        self.node(id)?.process().take().with_context(|| format!("node {id} does not run"))?.kill();
        Ok(())
    }

    /// Starts a stopped node again and waits until it serves.
    pub fn start_node(&self, id: i32) -> Result<()> {
        let node = self.node(id)?;
        ensure!(node.process().is_none(), "node {id} runs");
        let starts_before = node.starts();
        node.spawn()?;
        node.wait_until_started(starts_before)
    }

    fn node(&self, id: i32) -> Result<&Node> {
        self.nodes.iter().find(|node| node.id == id).with_context(|| format!("no node {id}"))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.process().take();
            let _ = std::fs::remove_dir_all(node.folder.join("data"));
        }
    }
}

impl Node {
    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn spawn(&self) -> Result<()> {
        let command = self.start.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let process = Process::spawn(&format!("Kafka node {}", self.id), &command, Signal::SIGKILL, &self.log())?;
        *self.process() = Some(process);
        Ok(())
    }

    fn wait_until_started(&self, starts_before: usize) -> Result<()> {
        wait::until(&format!("Kafka node {} serves", self.id), START_PATIENCE, || {
            match self.process().as_mut() {
                Some(process) => process.check_running()?,
                None => bail!("node {} was stopped while it started", self.id),
            }
            Ok((self.starts() > starts_before).then_some(()))
        })
    }

    /// How often its log says that it serves.
    fn starts(&self) -> usize {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.matches("Kafka Server started").count()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }
}

/// Prepares the data folders, all nodes at the same time.
fn format(tools: &Tools, nodes: &[Node]) -> Result<()> {
    let started = nodes
        .iter()
        .map(|node| {
            let mut command = java(tools, "kafka.tools.StorageTool", &node.folder, &["format", "-t", CLUSTER_ID, "-c"]);
            let output = std::fs::File::create(node.folder.join("format.log"))?;
            command.stdout(output.try_clone()?).stderr(output);
            command.spawn().context("java cannot be started")
        })
        .collect::<Result<Vec<_>>>()?;
    for (mut child, node) in started.into_iter().zip(nodes) {
        let status = child.wait()?;
        ensure!(
            status.success(),
            "formatting node {} failed: {}",
            node.id,
            process::tail(&node.folder.join("format.log"))
        );
    }
    Ok(())
}

/// A main class of Kafka, with the node's properties as its last argument.
fn java(tools: &Tools, class: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx512m", "-XX:+UseSerialGC"])
        .arg(format!(
            "-Dlog4j2.configurationFile={}",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka/log4j2.properties").display()
        ))
        .arg("-cp")
        .arg(tools.kafka_libs.join("*"))
        .arg(class)
        .args(arguments)
        .arg(folder.join("server.properties"));
    command
}

fn properties(id: u16, nodes: u16, ports: &PortBlock, voters: &str, folder: &Path) -> String {
    let (broker, controller) = (ports.port(id), ports.port(50 + id));
    let replicas = nodes.min(3);
    let in_sync = replicas.min(2);
    let mut text = format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=BROKER://{BROKER_IP}:{broker},CONTROLLER://{BROKER_IP}:{controller}
advertised.listeners=BROKER://{BROKER_IP}:{broker}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
message.max.bytes={MESSAGE_BYTES_MAX}
replica.fetch.max.bytes={MESSAGE_BYTES_MAX}
socket.request.max.bytes=104857600
transaction.max.timeout.ms=60000
",
        data = folder.join("data").display(),
    );
    for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        let _ = writeln!(text, "{topic}.replication.factor={replicas}\n{topic}.num.partitions=6");
    }
    for topic in ["transaction.state.log", "share.coordinator.state.topic"] {
        let _ = writeln!(text, "{topic}.min.isr={in_sync}");
    }
    text
}
