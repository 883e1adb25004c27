//! The gateway as an operator runs it: a document, `bifrost run`, Envoy.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::ports::PortBlock;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::tools::Tools;
use crate::wait;

/// Where the gateway listens.
pub const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

const DOCUMENT: &str = "gateway.yaml";
const START_PATIENCE: Duration = Duration::from_secs(60);
const CHANGE_PATIENCE: Duration = Duration::from_secs(40);
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
    /// In the order of the virtual clusters, with their names.
    ports: Vec<(String, PortBlock)>,
    document: PathBuf,
    /// Our command.
    bifrost: PathBuf,
}

impl Gateway {
    /// Writes the document, runs it and waits until the gateway says that it is ready.
    pub fn start(tools: &Tools, run: &RunDir, name: &str, virtual_clusters: &[VirtualCluster]) -> Result<Gateway> {
        let ports = virtual_clusters
            .iter()
            .map(|virtual_cluster| Ok((virtual_cluster.name.clone(), PortBlock::claim()?)))
            .collect::<Result<Vec<_>>>()?;
        let folder = run.folder(name)?;
        let document = folder.join(DOCUMENT);
        std::fs::write(&document, yaml(virtual_clusters, &ports))?;
        Gateway::launch(tools, &folder, &document, ports, &[])
    }

    /// Runs what is in `documents`, a file or a folder; ports are the caller's business.
    pub fn start_with(tools: &Tools, run: &RunDir, name: &str, documents: &Path) -> Result<Gateway> {
        Gateway::launch(tools, &run.folder(name)?, documents, Vec::new(), &[])
    }

    /// The same with variables of the environment.
    pub fn start_in(
        tools: &Tools,
        run: &RunDir,
        name: &str,
        documents: &Path,
        variables: &[(&str, String)],
    ) -> Result<Gateway> {
        Gateway::launch(tools, &run.folder(name)?, documents, Vec::new(), variables)
    }

    /// Writes the document anew, by rename. The virtual clusters that stay keep their ports. The gateway follows when it has
    /// noticed.
    pub fn change(&mut self, virtual_clusters: &[VirtualCluster]) -> Result<()> {
        let mut old = std::mem::take(&mut self.ports);
        for virtual_cluster in virtual_clusters {
            let name = &virtual_cluster.name;
            let block = match old.iter().position(|(old, _)| old == name) {
                Some(at) => old.swap_remove(at).1,
                None => PortBlock::claim()?,
            };
            self.ports.push((name.clone(), block));
        }
        self.write(&yaml(virtual_clusters, &self.ports))
    }

    /// Writes any text in place of the document, by rename.
    pub fn write(&self, text: &str) -> Result<()> {
        let new = self.document.with_extension("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, &self.document)?)
    }

    /// The file or the folder that was given to the gateway.
    pub fn document(&self) -> &Path {
        &self.document
    }

    /// What `bifrost status` says.
    pub fn status(&self) -> Result<Value> {
        let admin = self.admin.trim_start_matches("http://");
        let output = Command::new(&self.bifrost).args(["status", "-o", "json", "--admin", admin]).output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("bifrost status: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Waits until this many changes have been judged and gives the status then.
    pub fn after_changes(&self, count: u64) -> Result<Value> {
        wait::until(&format!("change {count} is judged"), CHANGE_PATIENCE, || {
            let status = self.status()?;
            let changes = &status["changes"];
            let judged = changes["accepted"].as_u64().unwrap_or(0) + changes["refused"].as_u64().unwrap_or(0);
            Ok((judged >= count).then_some(status))
        })
    }

    /// Asks it to read its documents now.
    pub fn reload(&self) -> Result<()> {
        Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.process.pid()), Signal::SIGHUP)?)
    }

    /// Stops the gateway and starts it again with the same document, on the same ports.
    pub fn restart(self, tools: &Tools) -> Result<Gateway> {
        let log = self.process.log().to_owned();
        let folder = log.parent().context("the log lies in a folder")?.to_owned();
        self.process.stop(STOP_PATIENCE)?;
        // A log of its own tells when the new one is ready.
        std::fs::rename(&log, folder.join("before-restart.log"))?;
        Gateway::launch(tools, &folder, &self.document, self.ports, &[])
    }

    fn launch(
        tools: &Tools,
        folder: &Path,
        document: &Path,
        ports: Vec<(String, PortBlock)>,
        variables: &[(&str, String)],
    ) -> Result<Gateway> {
        let mut command = Command::new(&tools.bifrost);
        command.envs(variables.iter().cloned());
        command.arg("run").arg("-f").arg(document);
        command.arg("--envoy").arg(&tools.envoy).arg("--module").arg(&tools.module);
        command.args(["--admin-port", "0", "--drain-time", "5"]);
        let log = folder.join("gateway.log");
        // SIGTERM lets it end Envoy, too.
        let mut process = Process::spawn("bifrost run", &command, Signal::SIGTERM, &log)?;
        let (envoy_pid, admin) = wait::until("the gateway is ready", START_PATIENCE, || {
            process.check_running()?;
            Ok(read_screen(&log))
        })?;
        let (document, bifrost) = (document.to_owned(), tools.bifrost.clone());
        Ok(Gateway { process, envoy_pid, admin, ports, document, bifrost })
    }

    /// `host:port` of a virtual cluster, without a tap.
    pub fn bootstrap(&self, virtual_cluster: usize) -> String {
        format!("{GATEWAY_IP}:{}", self.port(virtual_cluster))
    }

    /// Port of a virtual cluster. Node `n` is at this port + 1 + n.
    pub fn port(&self, virtual_cluster: usize) -> u16 {
        self.ports[virtual_cluster].1.port(0)
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

fn yaml(virtual_clusters: &[VirtualCluster], ports: &[(String, PortBlock)]) -> String {
    let mut text = String::new();
    for (cluster, (_, block)) in virtual_clusters.iter().zip(ports) {
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
fn shared_port(virtual_clusters: &[VirtualCluster], ports: &[(String, PortBlock)]) -> Option<u16> {
    let first = virtual_clusters.iter().position(|cluster| cluster.domain.is_some())?;
    Some(ports.get(first)?.1.port(0))
}

/// Envoy's process id and admin address, once `bifrost run` has printed its screen.
fn read_screen(log: &Path) -> Option<(i32, String)> {
    let text = std::fs::read_to_string(log).ok()?;
    let after_ready = text.split_once("The gateway is ready")?.1;
    let pid = after_ready.split_once("process ")?.1.split(',').next()?.parse().ok()?;
    let admin = after_ready.lines().find_map(|line| line.trim().strip_prefix("admin"))?;
    Some((pid, admin.trim().to_owned()))
}
