//! What `bifrost run` writes down about itself: for `bifrost status`, and for Prometheus.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::description::Description;

/// Name of the file that holds a [`State`].
pub(crate) const STATE_FILE: &str = "status.json";

/// Name of the file in the text format of Prometheus, as the textfile collector of its node exporter reads it.
pub(crate) const METRICS_FILE: &str = "metrics.prom";

/// A gateway that runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// Process id of `bifrost run`.
    pub(crate) process: u32,
    pub(crate) envoy: EnvoyProcess,
    /// `host:port` of Envoy's admin interface.
    pub(crate) admin: String,
    /// The files and directories it was told to read.
    pub(crate) documents: Vec<PathBuf>,
    /// What Envoy works with.
    pub(crate) generation: Generation,
    pub(crate) changes: Changes,
    /// The last change, when it was refused: what the documents say is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Refused>,
    pub(crate) virtual_clusters: Vec<Description>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct EnvoyProcess {
    pub(crate) version: String,
    pub(crate) process: i32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Generation {
    /// From 1, one more with each change that is accepted.
    pub(crate) number: u64,
    /// Of all resources: the same documents and the same module have the same hash.
    pub(crate) hash: String,
    /// RFC 3339.
    pub(crate) since: String,
}

/// Changes of documents since the start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Changes {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Refused {
    /// RFC 3339.
    pub(crate) at: String,
    /// One sentence each, with file and field where there is one.
    pub(crate) reasons: Vec<String>,
}

impl State {
    /// The metrics that Envoy does not have.
    pub(crate) fn metrics(&self) -> String {
        let refused = u8::from(self.refused.is_some());
        let Changes { accepted, refused: refused_changes } = self.changes;
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        metric(
            "bifrost_generation",
            "gauge",
            "Number of the configuration in force, from 1.",
            &[("", self.generation.number)],
        );
        metric(
            "bifrost_change_refused",
            "gauge",
            "1 when the documents say something that was refused and is not in force.",
            &[("", u64::from(refused))],
        );
        metric(
            "bifrost_changes_total",
            "counter",
            "Changes of documents since the start.",
            &[("{result=\"accepted\"}", accepted), ("{result=\"refused\"}", refused_changes)],
        );
        metric(
            "bifrost_virtual_clusters",
            "gauge",
            "Virtual clusters in force.",
            &[("", u64::try_from(self.virtual_clusters.len()).unwrap_or(u64::MAX))],
        );
        text
    }
}

/// The time, RFC 3339, to the second.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&Rfc3339).unwrap_or_else(|_| now.to_string())
}
