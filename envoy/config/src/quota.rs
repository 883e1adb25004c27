//! `config` of the filter `Quota`: what can be judged of it.

use bifrost_quota::{Config, Limits, Resource};

use crate::virtualization::{is_invisible, is_topic_char};
use crate::yaml::Finding;

/// Highest limit; a petabyte a second would be 2^50.
const LIMIT_MAX: u64 = 1 << 40;

/// Longest burst: an hour.
const BURST_SECONDS_MAX: u32 = 3_600;

/// Entries of a list. Every request is compared with them.
const ENTRIES_MAX: usize = 100;

/// Longest pattern. Bytes.
const PATTERN_BYTES_MAX: usize = 249;

/// What is wrong, with paths below the filter's `config`.
/// `identifies`: the listener tells who clients are.
pub(crate) fn findings(config: &Config, identifies: bool) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if *config == Config::default() {
        findings.add("", "limits nothing; set a limit or remove the filter");
    }
    findings.limits("limits", &config.limits);
    let principals: Vec<&str> = config.principals.iter().map(|entry| entry.principal.as_str()).collect();
    findings.patterns("principals", "principal", &principals, |c| !is_invisible(c));
    if !principals.is_empty() && !identifies {
        findings.add("principals", "nobody is identified here; ask for client certificates in spec.listener.tls");
    }
    let clients: Vec<&str> = config.clients.iter().map(|entry| entry.client_id.as_str()).collect();
    findings.patterns("clients", "clientId", &clients, |c| !is_invisible(c));
    let topics: Vec<&str> = config.topics.iter().map(|entry| entry.topic.as_str()).collect();
    findings.patterns("topics", "topic", &topics, |c| c == '*' || is_topic_char(c));
    for (index, entry) in config.principals.iter().enumerate() {
        findings.entry(&format!("principals[{index}].limits"), &entry.limits);
    }
    for (index, entry) in config.clients.iter().enumerate() {
        findings.entry(&format!("clients[{index}].limits"), &entry.limits);
    }
    for (index, entry) in config.topics.iter().enumerate() {
        let path = format!("topics[{index}].limits");
        findings.entry(&path, &entry.limits);
        for (field, is_set) in [
            ("requestsPerSecond", entry.limits.requests_per_second.is_some()),
            ("connections", entry.limits.connections.is_some()),
        ] {
            if is_set {
                findings.add(&format!("{path}.{field}"), "is of no topic; limit it for clients or the virtual cluster");
            }
        }
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push((path.to_owned(), message.into()));
    }

    fn entry(&mut self, path: &str, limits: &Limits) {
        if Resource::ALL.iter().all(|resource| limits.of(*resource).is_none()) && limits.connections.is_none() {
            self.add(path, "limits nothing; set a limit or remove the entry");
        }
        self.limits(path, limits);
    }

    fn limits(&mut self, path: &str, limits: &Limits) {
        for (field, limit) in [
            ("produceBytesPerSecond", limits.produce_bytes_per_second),
            ("fetchBytesPerSecond", limits.fetch_bytes_per_second),
            ("requestsPerSecond", limits.requests_per_second),
            ("topicCreationsPerMinute", limits.topic_creations_per_minute),
            ("partitionCreationsPerMinute", limits.partition_creations_per_minute),
        ] {
            self.range(&format!("{path}.{field}"), limit, LIMIT_MAX);
        }
        let connections = limits.connections.map(u64::from);
        self.range(&format!("{path}.connections"), connections, u64::from(u32::MAX));
        let burst = limits.burst_seconds.map(u64::from);
        self.range(&format!("{path}.burstSeconds"), burst, u64::from(BURST_SECONDS_MAX));
    }

    fn range(&mut self, path: &str, value: Option<u64>, max: u64) {
        if let Some(value) = value.filter(|value| !(1..=max).contains(value)) {
            self.add(path, format!("{value} is out of range; allowed: 1 to {max}"));
        }
    }

    fn patterns(&mut self, list: &str, field: &str, patterns: &[&str], is_allowed: impl Fn(char) -> bool) {
        if patterns.len() > ENTRIES_MAX {
            self.add(list, format!("has {} entries; at most {ENTRIES_MAX} are allowed", patterns.len()));
        }
        for (index, pattern) in patterns.iter().enumerate() {
            let path = format!("{list}[{index}].{field}");
            let shown = pattern.escape_debug();
            if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX || !pattern.chars().all(&is_allowed) {
                let message =
                    format!("'{shown}' fits no {field}; use one to {PATTERN_BYTES_MAX} bytes, '*' for any text");
                self.add(&path, message);
            } else if let Some(other) = patterns.iter().take(index).position(|other| other == pattern) {
                self.add(&path, format!("'{shown}' is {list}[{other}] already; remove one of them"));
            }
        }
    }
}
