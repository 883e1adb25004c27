//! A run as it is written to disk: everything that the report is made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, Serializer};

use crate::figure::Figure;
use crate::machine::Machine;

/// All that one command has measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) stages: Vec<StageHead>,
    pub(crate) records: Vec<Record>,
}

/// What is said of a stage beside its figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageHead {
    pub(crate) name: String,
    /// One sentence for the report: load, endpoint, number of workers.
    pub(crate) about: String,
    /// What the cases' `x` counts, where they are points of a curve.
    pub(crate) axis: Option<String>,
}

/// One case against one target in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) stage: String,
    pub(crate) case: String,
    /// Position on the stage's axis.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) x: Option<f64>,
    pub(crate) target: String,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

/// The figures of one step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    #[serde(serialize_with = "rounded")]
    pub(crate) figures: BTreeMap<Figure, f64>,
    /// Which side set the pace; absent where none is meant to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) bottleneck: Option<Bottleneck>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bottleneck {
    Proxy,
    Load,
    Endpoint,
    LoadAndEndpoint,
    /// No side was busy all the time: round trips.
    Waiting,
}

impl Bottleneck {
    /// Which side set the pace, as far as CPU time tells. Shares of one core: the proxy; all threads of the load and its
    /// busiest; the same of the endpoint.
    pub(crate) fn of(proxy: f64, load: [f64; 2], endpoint: [f64; 2]) -> Self {
        const FULL: f64 = 0.9;
        // All but the proxy's core.
        let cores = thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        if proxy >= FULL {
            Self::Proxy
        } else if load[1] >= FULL {
            Self::Load
        } else if endpoint[1] >= FULL {
            Self::Endpoint
        } else if load[0] + endpoint[0] >= FULL * cores {
            Self::LoadAndEndpoint
        } else {
            Self::Waiting
        }
    }
}

impl Measured {
    pub(crate) fn with(mut self, figure: Figure, value: f64) -> Self {
        self.figures.insert(figure, value);
        self
    }

    /// Leaves the figure out when there is no value.
    pub(crate) fn with_some(self, figure: Figure, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(figure, value),
            None => self,
        }
    }
}

impl Run {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("{} is not a run of this bench", path.display()))
    }

    /// As JSON with a line for each record.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }

    fn json(&self) -> Result<String> {
        let machine = serde_json::to_string(&self.machine)?;
        let stages = serde_json::to_string(&self.stages)?;
        let records: Result<Vec<_>, _> = self.records.iter().map(serde_json::to_string).collect();
        let records = records.context("a figure that is no number")?.join(",\n");
        Ok(format!("{{\"machine\":{machine},\n\"stages\":{stages},\n\"records\":[\n{records}\n]}}\n"))
    }
}

/// Five digits: more than any figure here means, and runs are kept.
fn rounded<S: Serializer>(figures: &BTreeMap<Figure, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let round = |(figure, value): (&Figure, &f64)| {
        let rounded = format!("{value:.4e}").parse::<f64>().ok().filter(|rounded| rounded.is_finite());
        Some((*figure, rounded?))
    };
    let rounded: Option<BTreeMap<_, _>> = figures.iter().map(round).collect();
    rounded.ok_or_else(|| serde::ser::Error::custom(format!("{figures:?}")))?.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Cell, stage_of};

    #[test]
    fn figures_are_written_with_five_digits_and_read_back() {
        let json = stage_of(&[Cell::new("bare", [0.123_456_789, 98_765.432_1])]).json().unwrap();
        let read: Run = serde_json::from_str(&json).unwrap();
        let values: Vec<_> = read.records.iter().map(|record| record.measured.figures[&Cell::FIGURE]).collect();
        assert_eq!(values, [0.12346, 98_765.0]);
        assert_eq!(json.lines().count(), 2 + 1 + read.records.len() + 1, "{json}");
    }

    #[test]
    fn a_figure_that_is_no_number_is_not_written() {
        let error = stage_of(&[Cell::new("bare", [f64::NAN])]).json().unwrap_err();
        assert!(format!("{error:#}").contains("CpuSecondsPerGigabyte"), "{error:#}");
    }
}
