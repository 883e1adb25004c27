//! `bifrost status`: what a gateway serves, and whether it does what its documents say.
//!
//! Put together from what `bifrost run` has written down, what Envoy's admin interface tells, and the certificate files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use bifrost_config::certificates;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin;
use crate::arguments::{Format, Status};
use crate::description::{CertificateFile, Purpose};
use crate::documents::counted;
use crate::output::print;
use crate::state::{STATE_FILE, State};

/// A certificate that ends sooner is pointed out.
const SOON_DAYS: i64 = 14;

/// Everything that is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(flatten)]
    state: State,
    /// `LIVE`, or what else Envoy calls itself.
    envoy_state: String,
    /// In the order of the virtual clusters.
    runtime: Vec<Runtime>,
}

/// What only a running Envoy and the files can tell of a virtual cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Runtime {
    name: String,
    brokers: Vec<Broker>,
    certificates: Vec<Expiry>,
}

/// A broker that the gateway has led clients to of late.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Broker {
    role: Role,
    /// As configured or as the broker calls itself.
    name: String,
    address: String,
    connections: u64,
    healthy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Role {
    Bootstrap,
    Node,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Expiry {
    purpose: Purpose,
    file: PathBuf,
    /// RFC 3339; nothing when the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(crate) fn status(arguments: &Status) -> Result<ExitCode> {
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => directory_of(&arguments.admin)?,
    };
    let state = read_state(&directory)?;
    let ready = admin::get(&format!("http://{}/ready", state.admin));
    let Some(ready) = ready else {
        bail!("Envoy does not answer at {}, though {} says that it runs", state.admin, directory.display())
    };
    let clusters = admin::get(&format!("http://{}/clusters?format=json", state.admin)).unwrap_or_default();
    let brokers = brokers(&clusters).context("Envoy's list of clusters cannot be read")?;
    let now = OffsetDateTime::now_utc();
    let runtime = state.virtual_clusters.iter().map(|virtual_cluster| Runtime {
        name: virtual_cluster.name.clone(),
        brokers: brokers
            .get(&virtual_cluster.name)
            .map(|hosts| hosts.iter().map(Broker::of).collect())
            .unwrap_or_default(),
        certificates: virtual_cluster.certificates.iter().map(|file| Expiry::of(file, now)).collect(),
    });
    let report = Report { runtime: runtime.collect(), envoy_state: ready.trim().to_owned(), state };
    match arguments.format {
        Format::Text => print(&report.text())?,
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
    }
    Ok(if report.state.refused.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Envoy was started with a bootstrap in the folder of the run.
fn directory_of(admin: &str) -> Result<PathBuf> {
    let info = admin::get(&format!("http://{admin}/server_info"))
        .with_context(|| format!("no Envoy answers at {admin}; name its admin interface with --admin"))?;
    let info: Value = serde_json::from_str(&info).with_context(|| format!("what answers at {admin} is no Envoy"))?;
    let bootstrap = info.pointer("/command_line_options/config_path").and_then(Value::as_str).unwrap_or_default();
    match Path::new(bootstrap).parent() {
        Some(directory) if directory.join(STATE_FILE).exists() => Ok(directory.to_owned()),
        _ => bail!("the Envoy at {admin} was not started by `bifrost run` on this machine"),
    }
}

fn read_state(directory: &Path) -> Result<State> {
    let file = directory.join(STATE_FILE);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("no gateway runs with the folder {}: no {STATE_FILE}", directory.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} was not written by this version", file.display()))
}

#[derive(Debug, Deserialize)]
struct ClusterStatus {
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

/// A host of Envoy's `/clusters?format=json`.
#[derive(Debug, Deserialize)]
struct HostStatus {
    address: HostAddress,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    stats: Vec<HostStat>,
    #[serde(default)]
    health_status: HealthStatus,
    #[serde(skip)]
    is_node: bool,
}

#[derive(Debug, Deserialize)]
struct HostAddress {
    socket_address: SocketAddress,
}

#[derive(Debug, Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

/// Zero is left out.
#[derive(Debug, Deserialize)]
struct HostStat {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Default, Deserialize)]
struct HealthStatus {
    #[serde(default)]
    failed_outlier_check: bool,
}

/// Hosts by virtual cluster.
fn brokers(clusters: &str) -> Result<HashMap<String, Vec<HostStatus>>, serde_json::Error> {
    let clusters: Value = serde_json::from_str(clusters)?;
    let mut brokers: HashMap<String, Vec<HostStatus>> = HashMap::new();
    for status in clusters.get("cluster_statuses").and_then(Value::as_array).into_iter().flatten() {
        let name = status.get("name").and_then(Value::as_str).and_then(|name| name.rsplit_once('/'));
        // The others lead into this process.
        let Some((virtual_cluster, what @ ("bootstrap" | "nodes"))) = name else { continue };
        let ClusterStatus { host_statuses } = serde_json::from_value(status.clone())?;
        let hosts = host_statuses.into_iter().map(|host| HostStatus { is_node: what == "nodes", ..host });
        brokers.entry(virtual_cluster.to_owned()).or_default().extend(hosts);
    }
    Ok(brokers)
}

impl Broker {
    fn of(host: &HostStatus) -> Broker {
        let SocketAddress { address, port_value } = &host.address.socket_address;
        let address = match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port_value}"),
            _ => format!("{address}:{port_value}"),
        };
        let active = host.stats.iter().find(|stat| stat.name == "cx_active");
        Broker {
            role: if host.is_node { Role::Node } else { Role::Bootstrap },
            name: if host.hostname.is_empty() { address.clone() } else { host.hostname.clone() },
            address,
            connections: active.and_then(|stat| stat.value.parse().ok()).unwrap_or_default(),
            healthy: !host.health_status.failed_outlier_check,
        }
    }
}

impl Expiry {
    /// Of a chain the first to end counts; of CAs the last, because any one will do.
    fn of(file: &CertificateFile, now: OffsetDateTime) -> Expiry {
        let mut expiry =
            Expiry { purpose: file.purpose, file: file.file.clone(), not_after: None, days_left: None, problem: None };
        match certificates::certificates(&file.file) {
            Ok(members) => {
                let ends = members.iter().map(|member| member.not_after);
                let end = if file.purpose.is_ca() { ends.max() } else { ends.min() };
                expiry.not_after = end.and_then(|end| end.format(&Rfc3339).ok());
                expiry.days_left =
                    end.map(|end| end.unix_timestamp().saturating_sub(now.unix_timestamp()).div_euclid(86_400));
            }
            Err(problem) => expiry.problem = Some(problem.to_string()),
        }
        expiry
    }

    fn text(&self) -> String {
        let (purpose, file) = (self.purpose, self.file.display());
        match (&self.problem, &self.not_after, self.days_left) {
            (Some(problem), _, _) => format!("{purpose}: {problem}"),
            (None, Some(end), Some(days)) if days < 0 => format!("{purpose}: EXPIRED at {end} ({file})"),
            (None, Some(end), Some(days)) => {
                let soon = if days < SOON_DAYS { ", SOON" } else { "" };
                let days = counted(usize::try_from(days).unwrap_or_default(), "day");
                format!("{purpose}: expires at {end}, in {days}{soon} ({file})")
            }
            _ => format!("{purpose}: no certificate in {file}"),
        }
    }
}

impl Report {
    fn text(&self) -> String {
        let State { generation, changes, refused, envoy, admin, process, .. } = &self.state;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Generation {} ({}) is in force since {}; {} accepted, {} refused since the start.",
            generation.number,
            generation.hash,
            generation.since,
            counted(usize::try_from(changes.accepted).unwrap_or(usize::MAX), "change"),
            changes.refused
        );
        if let Some(refused) = refused {
            let _ = writeln!(text, "REFUSED at {}, what the documents say is not in force:", refused.at);
            for reason in &refused.reasons {
                let _ = writeln!(text, "  {reason}");
            }
        }
        let _ = writeln!(
            text,
            "Envoy {} is {} (process {}, of bifrost {process}), admin http://{admin}",
            envoy.version, self.envoy_state, envoy.process
        );
        for (virtual_cluster, runtime) in self.state.virtual_clusters.iter().zip(&self.runtime) {
            let _ = write!(text, "\n{virtual_cluster}");
            for broker in &runtime.brokers {
                let role = if broker.role == Role::Node { "node" } else { "bootstrap" };
                let name = if broker.name == broker.address {
                    broker.address.clone()
                } else {
                    format!("{} ({})", broker.name, broker.address)
                };
                let state = if broker.healthy { "" } else { ", left out for now: it could not be connected to" };
                let connections = counted(usize::try_from(broker.connections).unwrap_or(usize::MAX), "connection");
                let _ = writeln!(text, "    broker   {name}, {role}, {connections}{state}");
            }
            for certificate in &runtime.certificates {
                let _ = writeln!(text, "    tls      {}", certificate.text());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_from_envoys_list_of_clusters() {
        let text = r#"{ "cluster_statuses": [
            { "name": "discovery", "host_statuses": [{ "address": { "pipe": { "path": "/run/x.sock" } } }] },
            { "name": "orders/ask", "host_statuses": [{ "address": { "envoy_internal_address": {} } }] },
            { "name": "orders/bootstrap", "host_statuses": [{
                "address": { "socket_address": { "address": "10.0.0.1", "port_value": 9092 } },
                "stats": [{ "name": "cx_connect_fail", "value": "2" }, { "name": "cx_active", "type": "GAUGE" }],
                "health_status": { "failed_outlier_check": true } }] },
            { "name": "orders/nodes", "host_statuses": [{
                "address": { "socket_address": { "address": "fd00::1", "port_value": 9094 } },
                "stats": [{ "name": "cx_active", "type": "GAUGE", "value": "3" }],
                "hostname": "b-1.internal:9094" }] },
            { "name": "idle/nodes" }
        ] }"#;
        let brokers = brokers(text).unwrap();
        let of = |name: &str| brokers[name].iter().map(Broker::of).collect::<Vec<_>>();
        let [bootstrap, node] = &of("orders")[..] else { panic!("two are listed") };
        assert_eq!((bootstrap.role, bootstrap.address.as_str()), (Role::Bootstrap, "10.0.0.1:9092"));
        assert_eq!((bootstrap.connections, bootstrap.healthy), (0, false));
        assert_eq!(
            (node.role, node.address.as_str(), node.name.as_str()),
            (Role::Node, "[fd00::1]:9094", "b-1.internal:9094")
        );
        assert_eq!((node.connections, node.healthy), (3, true));
        assert!(of("idle").is_empty());
    }

    #[test]
    fn the_end_of_a_certificate_that_cannot_be_read_is_a_problem_and_no_panic() {
        let file = CertificateFile { purpose: Purpose::Listener, file: "nowhere/tls.crt".into() };
        let expiry = Expiry::of(&file, OffsetDateTime::now_utc());
        assert_eq!(expiry.days_left, None);
        assert!(expiry.text().starts_with("shown to clients: nowhere/tls.crt: "), "{}", expiry.text());
    }
}
