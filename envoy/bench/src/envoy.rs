//! The Envoy processes under measurement and their configurations.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bifrost_config::RenderOptions;
use serde_json::{Value, json};

use crate::cpu::{self, Side};
use crate::target::{Files, Target};

const BUFFER_LIMIT: &str = "per_connection_buffer_limit_bytes";
/// What bare Envoy takes over from the gateway's listener and cluster.
const LISTENER_SETTINGS: &[&str] = &[BUFFER_LIMIT, "tcp_keepalive"];
const CLUSTER_SETTINGS: &[&str] = &["connect_timeout", BUFFER_LIMIT, "circuit_breakers", "upstream_connection_options"];
const START_MAX: Duration = Duration::from_secs(30);

/// A running Envoy; ends with this value.
pub(crate) struct Envoy {
    child: Child,
}

impl Envoy {
    /// Starts Envoy with one worker and waits until `ready` says so.
    pub(crate) fn start(files: &Files, target: Target, bootstrap: &Value, ready: impl Fn() -> bool) -> Result<Self> {
        let directory = files.work.join(target.name());
        fs::create_dir_all(&directory)?;
        let configuration = directory.join("envoy.json");
        fs::write(&configuration, serde_json::to_vec_pretty(bootstrap)?)?;
        let log = directory.join("envoy.log");
        cpu::bind(&files.cores, Side::Proxy)?;
        let child = Command::new(&files.envoy)
            .arg("--config-path")
            .arg(&configuration)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .stdout(File::create(directory.join("access.log"))?)
            .stderr(File::create(&log)?)
            .spawn();
        cpu::bind(&files.cores, Side::LoadAndEndpoint)?;
        let mut envoy = Self { child: child.with_context(|| format!("cannot start {}", files.envoy.display()))? };
        let started = Instant::now();
        while !ready() {
            if envoy.child.try_wait()?.is_some() || started.elapsed() > START_MAX {
                bail!("Envoy does not serve, see {}:\n{}", log.display(), last_lines(&log));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(envoy)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Nothing to do about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway's configuration, rendered by the same code as in production; only the buffer limit may be another.
pub(crate) fn gateway_bootstrap(files: &Files, target: Target, ports: &[u16], nodes: &[SocketAddr]) -> Result<Value> {
    let [admin, bootstrap, first_node, ..] = ports else { bail!("too few ports") };
    let servers = nodes.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
    let mut document = json!({
        "apiVersion": "gateway.corp/v1alpha1",
        "kind": "KafkaVirtualCluster",
        "metadata": { "name": "bench" },
        "spec": {
            "listener": {
                "bind": Ipv4Addr::LOCALHOST,
                "port": bootstrap,
                "advertisedHost": Ipv4Addr::LOCALHOST,
                "nodePorts": [{ "firstId": 0, "lastId": nodes.len() - 1, "firstPort": first_node }],
            },
            "targetCluster": { "bootstrapServers": servers },
        },
    });
    let prefix = target.prefix();
    if !prefix.is_empty() {
        document["spec"]["virtualization"] =
            json!({ "topicPrefix": prefix, "groupPrefix": prefix, "transactionIdPrefix": prefix });
    }
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, *admin));
    let loaded = bifrost_config::parse(Path::new("bench"), &document.to_string(), &|_| None);
    let gateway = bifrost_config::validate(loaded, admin).map_err(|problems| anyhow!("{problems:?}"))?;
    let module = files.module.to_str().context("path of the module")?.to_owned();
    let rendered = bifrost_config::render(&gateway, &RenderOptions { module, admin, ..RenderOptions::default() })?;
    let mut bootstrap = serde_json::from_str(&rendered.bootstrap)?;
    if let Some(bytes) = files.buffer_bytes {
        limit_buffers(&mut bootstrap, bytes)?;
    }
    Ok(bootstrap)
}

/// Another limit for every listener and cluster.
fn limit_buffers(bootstrap: &mut Value, bytes: u32) -> Result<()> {
    for kind in ["listeners", "clusters"] {
        let all = bootstrap["static_resources"][kind].as_array_mut().context("no listeners or clusters")?;
        for one in all {
            // Were it to be named otherwise one day, four equal figures would be the result.
            *one.get_mut(BUFFER_LIMIT).with_context(|| format!("{kind} without {BUFFER_LIMIT}"))? = json!(bytes);
        }
    }
    Ok(())
}

/// `tcp_proxy` and nothing else, with the gateway's settings of sockets and buffers: listener `i` leads to node `i`.
pub(crate) fn bare_bootstrap(gateway: &Value, listeners: &[SocketAddr], nodes: &[SocketAddr]) -> Value {
    let listener = |(index, address): (usize, &SocketAddr)| {
        let name = format!("node-{index}");
        let mut listener = json!({
            "name": name,
            "address": socket_address(address),
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.tcp_proxy",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": name,
                    "cluster": name,
                },
            }] }],
        });
        copy_fields(&gateway["static_resources"]["listeners"][0], LISTENER_SETTINGS, &mut listener);
        listener
    };
    let cluster = |(index, address): (usize, &SocketAddr)| {
        let name = format!("node-{index}");
        let endpoint = json!({ "endpoint": { "address": socket_address(address) } });
        let mut cluster = json!({
            "name": name,
            "type": "STATIC",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        });
        copy_fields(&gateway["static_resources"]["clusters"][0], CLUSTER_SETTINGS, &mut cluster);
        cluster
    };
    json!({ "static_resources": {
        "listeners": listeners.iter().enumerate().map(listener).collect::<Vec<_>>(),
        "clusters": nodes.iter().enumerate().map(cluster).collect::<Vec<_>>(),
    } })
}

fn copy_fields(from: &Value, fields: &[&str], to: &mut Value) {
    for field in fields {
        if let Some(value) = from.get(field) {
            to[field] = value.clone();
        }
    }
}

fn socket_address(address: &SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

/// Adjacent ports that are free now, below those the kernel hands out by itself.
pub(crate) fn free_ports(count: u16) -> Result<Vec<u16>> {
    let spread = u16::try_from(std::process::id() % 8_000)?;
    (0..40)
        .map(|attempt| 20_000 + (spread + attempt * 211) % 12_000)
        .map(|first| (first..first + count).collect::<Vec<_>>())
        .find(|ports| ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()))
        .with_context(|| format!("no {count} adjacent free ports"))
}

fn last_lines(log: &Path) -> String {
    let mut text = String::new();
    // The log is a courtesy; without it the first line of the error has to do.
    let _ = File::open(log).and_then(|mut file| file.read_to_string(&mut text));
    let lines: Vec<_> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}
