//! A real Kafka cluster of any version under test: N nodes on a loopback address of their own.

mod version;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::certificates::Issued;
use crate::ports::PortBlock;
use crate::process::{self, Process};
use crate::run_dir::RunDir;
use crate::tools::Tools;
use crate::wait;

pub use version::Version;

/// Where the brokers listen, and what they advertise. Gateways and clients are elsewhere in 127.0.0.0/8, so
/// this address in a client's hands is proof of a leak.
pub const BROKER_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Largest record batch that the brokers take.
pub const MESSAGE_BYTES_MAX: u32 = 32 << 20;

/// Where in the block of ports they are: node n at n, its controller at `CONTROLLERS` + n.
const ZOOKEEPER: u16 = 50;
const CONTROLLERS: u16 = 50;
/// The TLS listeners of node n.
const SERVER_TLS: u16 = 20;
const MUTUAL_TLS: u16 = 30;
const MISNAMED_TLS: u16 = 40;
/// The second listener of node n at `RELAYED` + n.
const RELAYED: u16 = 80;

pub const CLUSTER_ID: &str = "bifrostE2eCluster00001";
const START_PATIENCE: Duration = Duration::from_secs(90);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it ends every node and removes their data; logs stay.
#[derive(Debug)]
pub struct Kafka {
    nodes: Vec<Node>,
    zookeeper: Option<ZooKeeper>,
    _ports: PortBlock,
}

#[derive(Debug)]
struct Node {
    id: i32,
    version: Version,
    address: SocketAddrV4,
    /// Of the second listener.
    relayed: SocketAddrV4,
    server_tls: u16,
    mutual_tls: u16,
    misnamed_tls: u16,
    folder: PathBuf,
    start: Mutex<Command>,
    process: Mutex<Option<Process>>,
}

/// What few tests want of their brokers.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// A second listener, which advertises its ports at this address. Whoever bootstraps there keeps coming through it, so
    /// a relay at this address sees everything.
    pub relay: Option<Ipv4Addr>,
    /// Lines of `server.properties`; they win over ours.
    pub properties: &'static str,
    /// TLS listeners, see [`Secure`].
    pub tls: Option<Tls>,
}

/// TLS of the brokers. They advertise host names that only somebody with overrides can resolve: see [`Tls::host`].
#[derive(Clone, Debug)]
pub struct Tls {
    /// Key and chain, and the CAs that the brokers trust.
    pub certificate: Issued,
}

impl Tls {
    /// What a certificate of the brokers has to be for.
    pub const NAMES: [&'static str; 2] = ["*.kafka.test", "127.0.0.2"];

    /// The host name of a node.
    pub fn host(id: i32) -> String {
        format!("broker-{id}.kafka.test")
    }

    /// A host name of a node that its certificate is not for.
    pub fn wrong_host(id: i32) -> String {
        format!("broker-{id}.elsewhere.test")
    }
}

/// Which of the TLS listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// For everybody.
    Server,
    /// For those who show a certificate.
    Mutual,
    /// Advertises host names that its certificate is not for.
    Misnamed,
}

impl Kafka {
    /// Starts nodes with the ids 1 to `nodes` and waits until they serve.
    pub fn start(tools: &Tools, run: &RunDir, version: Version, nodes: u16) -> Result<Kafka> {
        Kafka::start_with(tools, run, version, nodes, Extra::default())
    }

    /// The same, with something extra.
    pub fn start_with(tools: &Tools, run: &RunDir, version: Version, nodes: u16, extra: Extra) -> Result<Kafka> {
        let libs = version.libs(tools);
        ensure!(libs.exists(), "{} is missing: `make e2e` installs it", libs.display());
        let ports = PortBlock::claim()?;
        let nodes = (1..=nodes)
            .map(|id| {
                let folder = run.folder(&format!("kafka-{id}"))?;
                let file = folder.join("server.properties");
                std::fs::write(&file, properties(version, id, nodes, &ports, &folder, &extra))?;
                let mut start = java(tools, version, "kafka.Kafka");
                start.arg(file);
                let address = SocketAddrV4::new(BROKER_IP, ports.port(id));
                Ok(Node {
                    id: i32::from(id),
                    version,
                    address,
                    relayed: SocketAddrV4::new(BROKER_IP, ports.port(RELAYED + id)),
                    server_tls: ports.port(SERVER_TLS + id),
                    mutual_tls: ports.port(MUTUAL_TLS + id),
                    misnamed_tls: ports.port(MISNAMED_TLS + id),
                    folder,
                    start: Mutex::new(start),
                    process: Mutex::new(None),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let zookeeper = if version.has_zookeeper() {
            Some(ZooKeeper::start(tools, run, version, &ports)?)
        } else {
            format(tools, version, &nodes)?;
            None
        };
        let kafka = Kafka { nodes, zookeeper, _ports: ports };
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

    /// `host:port,host:port` of a TLS listener, by host name or by IP address.
    pub fn secure_servers(&self, secure: Secure, by_name: bool) -> String {
        let address = |node: &Node| {
            let port = match secure {
                Secure::Server => node.server_tls,
                Secure::Mutual => node.mutual_tls,
                Secure::Misnamed => node.misnamed_tls,
            };
            if by_name { format!("{}:{port}", Tls::host(node.id)) } else { format!("{BROKER_IP}:{port}") }
        };
        self.nodes.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// Addresses of the brokers, which no client may connect to.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Where the second listeners are; see [`Extra::relay`].
    pub fn relayed_addresses(&self) -> Vec<SocketAddrV4> {
        self.nodes.iter().map(|node| node.relayed).collect()
    }

    /// Where the nodes keep their data.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.folder.clone()).collect()
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
        if let Some(ZooKeeper { folder, process }) = self.zookeeper.take() {
            drop(process);
            let _ = std::fs::remove_dir_all(folder.join("data"));
        }
    }
}

/// Where old brokers keep the cluster's metadata.
#[derive(Debug)]
struct ZooKeeper {
    folder: PathBuf,
    process: Process,
}

impl ZooKeeper {
    fn start(tools: &Tools, run: &RunDir, version: Version, ports: &PortBlock) -> Result<ZooKeeper> {
        let (folder, port) = (run.folder("zookeeper")?, ports.port(ZOOKEEPER));
        let file = folder.join("zookeeper.properties");
        let data = folder.join("data");
        let properties = format!(
            "dataDir={data}
clientPortAddress={BROKER_IP}
clientPort={port}
admin.enableServer=false
",
            data = data.display()
        );
        std::fs::write(&file, properties)?;
        let mut command = java(tools, version, "org.apache.zookeeper.server.quorum.QuorumPeerMain");
        command.arg(file);
        let mut process = Process::spawn("ZooKeeper", &command, Signal::SIGKILL, &folder.join("zookeeper.log"))?;
        wait::until("ZooKeeper listens", START_PATIENCE, || {
            process.check_running()?;
            Ok(TcpStream::connect((BROKER_IP, port)).ok())
        })?;
        Ok(ZooKeeper { folder, process })
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
        log.matches(self.version.started()).count()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }
}

/// Prepares the data folders, all nodes at the same time.
fn format(tools: &Tools, version: Version, nodes: &[Node]) -> Result<()> {
    let started = nodes
        .iter()
        .map(|node| {
            let mut command = java(tools, version, "kafka.tools.StorageTool");
            command.args(["format", "-t", CLUSTER_ID, "-c"]).arg(node.folder.join("server.properties"));
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

/// A main class of this version.
fn java(tools: &Tools, version: Version, class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-XX:+UseSerialGC"]).arg(version.logging());
    command.arg("-cp").arg(version.libs(tools).join("*")).arg(class);
    command
}

fn properties(version: Version, id: u16, nodes: u16, ports: &PortBlock, folder: &Path, extra: &Extra) -> String {
    let replicas = nodes.min(3);
    let in_sync = replicas.min(2);
    let relayed = match extra.relay {
        Some(relay) => format!(",RELAYED://{relay}:{}", ports.port(RELAYED + id)),
        None => String::new(),
    };
    let secure = match extra.tls {
        Some(_) => {
            let (host, wrong_host) = (Tls::host(id.into()), Tls::wrong_host(id.into()));
            let [server, mutual, misnamed] = [SERVER_TLS, MUTUAL_TLS, MISNAMED_TLS].map(|at| ports.port(at + id));
            format!(",SERVER://{host}:{server},MUTUAL://{host}:{mutual},MISNAMED://{wrong_host}:{misnamed}")
        }
        None => String::new(),
    };
    let mut text = format!(
        "{identity}advertised.listeners=BROKER://{BROKER_IP}:{port}{relayed}{secure}
inter.broker.listener.name=BROKER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
message.max.bytes={MESSAGE_BYTES_MAX}
replica.fetch.max.bytes={MESSAGE_BYTES_MAX}
socket.request.max.bytes=104857600
transaction.max.timeout.ms=60000
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=6
",
        identity = version.identity(id, nodes, ports, extra),
        port = ports.port(id),
        data = folder.join("data").display(),
    );
    for topic in version.state_topics() {
        let _ = writeln!(
            text,
            "{topic}.replication.factor={replicas}\n{topic}.num.partitions=6\n{topic}.min.isr={in_sync}"
        );
    }
    if let Some(Tls { certificate }) = &extra.tls {
        let (store, authority) = (certificate.store(), certificate.authority());
        let _ = writeln!(
            text,
            "ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             listener.name.mutual.ssl.client.auth=required",
            store.display(),
            authority.display()
        );
    }
    text.push_str(extra.properties);
    text
}
