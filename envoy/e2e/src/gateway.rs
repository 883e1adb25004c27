//! The gateway as an operator runs it: a document, `bifrost run`, Envoy.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::ports::PortBlock;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::tools::Tools;
use crate::wait;

/// Where the gateway listens.
pub const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

const DOCUMENT: &str = "gateway.yaml";
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// One virtual cluster of the document.
#[derive(Clone, Debug)]
pub struct VirtualCluster {
    pub name: String,
    pub bootstrap_servers: String,
    /// What clients are told: the gateway's address, or that of a tap before it.
    pub advertised: Ipv4Addr,
    /// Its part of the domain, with a host name for each node on a port that all of these virtual clusters share.
    pub domain: Option<String>,
    /// What comes before the domain in the names of nodes.
    pub node: String,
    /// Entries of `spec.listener.sni`, each with a comma before it.
    pub sni: String,
    /// Entries of `spec.listener`, each with a comma before it.
    pub listener: String,
    /// Entries of `spec.targetCluster`, each with a comma before it.
    pub target: String,
    /// Lines of YAML under `spec`, indented by two.
    pub more: String,
}

impl VirtualCluster {
    pub fn new(name: &str, bootstrap_servers: &str) -> VirtualCluster {
        VirtualCluster {
            name: name.to_owned(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            advertised: GATEWAY_IP,
            domain: None,
            node: "broker-$(nodeId)".to_owned(),
            sni: String::new(),
            listener: String::new(),
            target: String::new(),
            more: String::new(),
        }
    }

    /// Sends clients to `ip`, where a tap relays to the gateway.
    pub fn advertised(mut self, ip: Ipv4Addr) -> VirtualCluster {
        self.advertised = ip;
        self
    }

    /// Gives it host names `bootstrap.<domain>` and `broker-<id>.<domain>`.
    pub fn domain(mut self, domain: &str) -> VirtualCluster {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Names nodes `<node>.<domain>`, where `$1` is what the expression's first group matches in a broker's name.
    pub fn named_after(mut self, upstream_host: &str, node: &str) -> VirtualCluster {
        self.node = node.to_owned();
        self.sni = format!(", upstreamHost: '{upstream_host}'");
        self
    }

    /// Adds `tls` to `spec.listener`.
    pub fn listener_tls(mut self, tls: &str) -> VirtualCluster {
        let _ = write!(self.listener, ", tls: {tls}");
        self
    }

    /// Adds entries to `spec.targetCluster`.
    pub fn target(mut self, entries: &str) -> VirtualCluster {
        let _ = write!(self.target, ", {entries}");
        self
    }

    /// Adds lines under `spec`.
    pub fn more(mut self, yaml: &str) -> VirtualCluster {
        self.more = yaml.to_owned();
        self
    }
}

/// A running gateway. Dropping it ends `bifrost` and Envoy.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    envoy_pid: i32,
    admin: String,
    /// In the order of the virtual clusters.
    ports: Vec<PortBlock>,
}

impl Gateway {
    /// Writes the document, runs it and waits until the gateway says that it is ready.
    pub fn start(tools: &Tools, run: &RunDir, name: &str, virtual_clusters: &[VirtualCluster]) -> Result<Gateway> {
        let ports = virtual_clusters.iter().map(|_| PortBlock::claim()).collect::<Result<Vec<_>>>()?;
        let folder = run.folder(name)?;
        std::fs::write(folder.join(DOCUMENT), yaml(virtual_clusters, &ports))?;
        Gateway::launch(tools, &folder, ports)
    }

    /// Stops the gateway and starts it again with the same document, on the same ports.
    pub fn restart(self, tools: &Tools) -> Result<Gateway> {
        let log = self.process.log().to_owned();
        let folder = log.parent().context("the log lies in a folder")?.to_owned();
        self.process.stop(STOP_PATIENCE)?;
        // A log of its own tells when the new one is ready.
        std::fs::rename(&log, folder.join("before-restart.log"))?;
        Gateway::launch(tools, &folder, self.ports)
    }

    fn launch(tools: &Tools, folder: &Path, ports: Vec<PortBlock>) -> Result<Gateway> {
        let document = folder.join(DOCUMENT);
        let mut command = Command::new(&tools.bifrost);
        command.arg("run").arg("-f").arg(&document);
        command.arg("--envoy").arg(&tools.envoy).arg("--module").arg(&tools.module);
        command.args(["--admin-port", "0"]);
        let log = folder.join("gateway.log");
        // SIGTERM lets it end Envoy, too.
        let mut process = Process::spawn("bifrost run", &command, Signal::SIGTERM, &log)?;
        let (envoy_pid, admin) = wait::until("the gateway is ready", START_PATIENCE, || {
            process.check_running()?;
            Ok(read_screen(&log))
        })?;
        Ok(Gateway { process, envoy_pid, admin, ports })
    }

    /// `host:port` of a virtual cluster, without a tap.
    pub fn bootstrap(&self, virtual_cluster: usize) -> String {
        format!("{GATEWAY_IP}:{}", self.port(virtual_cluster))
    }

    /// Port of a virtual cluster. Node `n` is at this port + 1 + n.
    pub fn port(&self, virtual_cluster: usize) -> u16 {
        self.ports[virtual_cluster].port(0)
    }

    /// Bootstrap and node ports of a virtual cluster.
    pub fn all_ports(&self, virtual_cluster: usize) -> impl Iterator<Item = u16> + use<> {
        let first = self.port(virtual_cluster);
        first..=first + 100
    }

    /// The process that holds the connections to brokers.
    pub fn envoy_pid(&self) -> i32 {
        self.envoy_pid
    }

    /// URL of Envoy's admin interface.
    pub fn admin_url(&self) -> &str {
        &self.admin
    }

    /// Asks Envoy's admin interface.
    pub fn admin(&self, path: &str) -> Result<String> {
        Ok(ureq::get(format!("{}{path}", self.admin)).call()?.body_mut().read_to_string()?)
    }

    /// All counters and gauges whose name holds `part`.
    pub fn stats(&self, part: &str) -> Result<Vec<(String, u64)>> {
        let text = self.admin("/stats")?;
        Ok(text
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
            .collect())
    }

    /// Everything that the gateway has logged.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.process.log())?).into_owned())
    }

    pub fn stop(self) -> Result<()> {
        self.process.stop(STOP_PATIENCE)
    }
}

fn yaml(virtual_clusters: &[VirtualCluster], ports: &[PortBlock]) -> String {
    let mut text = String::new();
    for (cluster, block) in virtual_clusters.iter().zip(ports) {
        let VirtualCluster { name, bootstrap_servers, advertised, domain, node, sni, listener, target, more } = cluster;
        let hosts = match domain {
            None => format!("port: {}, advertisedHost: {advertised}", block.port(0)),
            Some(domain) => {
                let port = shared_port(virtual_clusters, ports).unwrap_or_default();
                let sni = format!("{{ bootstrapHost: bootstrap.{domain}, nodeHost: {node}.{domain}{sni} }}");
                format!("port: {port}, sni: {sni}")
            }
        };
        let _ = write!(
            text,
            "---
apiVersion: gateway.corp/v1alpha1
kind: KafkaVirtualCluster
metadata: {{ name: {name} }}
spec:
  listener: {{ bind: {GATEWAY_IP}, {hosts}{listener} }}
  targetCluster: {{ bootstrapServers: \"{bootstrap_servers}\"{target} }}
{more}"
        );
    }
    text
}

/// The port of all virtual clusters that have host names.
fn shared_port(virtual_clusters: &[VirtualCluster], ports: &[PortBlock]) -> Option<u16> {
    let first = virtual_clusters.iter().position(|cluster| cluster.domain.is_some())?;
    Some(ports.get(first)?.port(0))
}

/// Envoy's process id and admin address, once `bifrost run` has printed its screen.
fn read_screen(log: &Path) -> Option<(i32, String)> {
    let text = std::fs::read_to_string(log).ok()?;
    let after_ready = text.split_once("The gateway is ready")?.1;
    let pid = after_ready.split_once("process ")?.1.split(',').next()?.parse().ok()?;
    let admin = after_ready.lines().find_map(|line| line.trim().strip_prefix("admin"))?;
    Some((pid, admin.trim().to_owned()))
}
