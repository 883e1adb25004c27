//! What is measured: stages, each with its processes, and the cases that run against them.

mod clusters;
mod compare;
mod connections;
mod full;
mod growth;
mod latency;
mod part;
#[cfg(feature = "real-kafka")]
mod real;
mod settings;
mod sizes;
mod smoke;
mod workers;

use std::time::Duration;

#[cfg(feature = "real-kafka")]
use crate::clients::Work;
use crate::connections::Door;
use crate::load::{Pace, Workload};
use crate::target::Target;

pub(crate) use compare::compare;
pub(crate) use full::full;
pub(crate) use part::{Names, names};
pub(crate) use settings::settings;
pub(crate) use smoke::smoke;

/// Stages run one after the other, all of them in each round.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Stages that run in all rounds. The others, if this says so, have no more than `ROUNDS_OF_OTHERS`.
    pub(crate) close: Option<&'static [&'static str]>,
    pub(crate) stages: Vec<Stage>,
}

/// With six a verdict on a budget can be shown, and a budget is what they are judged by.
const ROUNDS_OF_OTHERS: usize = 6;

impl Plan {
    /// How many rounds a stage takes part in.
    pub(crate) fn rounds_of(&self, stage: &Stage) -> usize {
        match self.close {
            Some(close) if !close.contains(&stage.name) => self.rounds.min(ROUNDS_OF_OTHERS),
            _ => self.rounds,
        }
    }
}

/// Targets that run at the same time, and what is asked of each in turn.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// One sentence for the report.
    pub(crate) about: &'static str,
    /// What the cases' `x` counts.
    pub(crate) axis: Option<&'static str>,
    pub(crate) deployment: Deployment,
    pub(crate) targets: Vec<Target>,
    pub(crate) cases: Vec<Case>,
}

/// How each proxy of a stage is set up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployment {
    /// Envoy's worker threads. One worker has the last core for itself, more share all cores with the load.
    pub(crate) workers: usize,
    /// Virtual clusters of one gateway; load goes through the first.
    pub(crate) virtual_clusters: usize,
    /// Where its proxies lead.
    pub(crate) upstream: Upstream,
}

/// What is behind the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// The endpoint of this crate.
    Synthetic,
    /// A real broker.
    #[cfg(feature = "real-kafka")]
    Kafka,
}

impl Default for Deployment {
    fn default() -> Self {
        Self { workers: 1, virtual_clusters: 1, upstream: Upstream::Synthetic }
    }
}

/// One thing to measure.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) x: Option<f64>,
    pub(crate) what: What,
    /// Targets of the stage that it leaves out, by name.
    pub(crate) without: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// As many exchanges as possible for this long.
    Exchanges { workload: Workload, duration: Duration },
    /// Records at a fixed rate, and how long after they were due they are answered and arrive.
    Paced { pace: Pace, duration: Duration },
    /// One exchange about a topic id that the proxy has never seen: it must ask the broker once, and the request pass.
    LookUp { workload: Workload },
    /// How the process has started, and what memory it has with nothing to do. Comes before all other cases of a stage.
    Start,
    /// A few exchanges on each connection, and the most memory that the process has had meanwhile.
    Peak { workload: Workload },
    /// Connections that come and go.
    Churn { door: Door, duration: Duration },
    /// Connections that do nothing.
    Hold { count: usize },
    /// Real clients at work, against a real broker.
    #[cfg(feature = "real-kafka")]
    Clients(Work),
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, what: What) -> Self {
        Self { name: name.into(), x: None, what, without: Vec::new() }
    }

    pub(crate) fn exchanges(name: impl Into<String>, workload: Workload, duration: Duration) -> Self {
        Self::new(name, What::Exchanges { workload, duration })
    }

    pub(crate) fn at(self, x: f64) -> Self {
        Self { x: Some(x), ..self }
    }

    pub(crate) fn without(self, targets: &[&'static str]) -> Self {
        Self { without: targets.to_vec(), ..self }
    }
}
