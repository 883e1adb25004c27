//! `bench full`: everything that BENCHMARKS.md reports, in at most half an hour.

use std::time::Duration;

use super::Plan;

/// Counted time of a case where there are many of them.
const STEP: Duration = Duration::from_millis(300);
/// Ten records in each round are behind the 99.9th percentile at 5,000 per second.
const LATENCY: Duration = Duration::from_secs(2);

/// Many claims of small differences: ten rounds show what six cannot.
const CLOSE: &[&str] = &["exchanges", "latency"];

pub(crate) fn full(rounds: usize) -> Plan {
    // The stages of the smoke run are part of it; each further concern is a file in this folder that gives its stages.
    let step = Duration::from_millis(500);
    let mut plan = Plan { close: Some(CLOSE), ..super::smoke(rounds, step) };
    plan.stages.push(super::sizes::sizes(STEP));
    plan.stages.push(super::sizes::topics(STEP));
    plan.stages.push(super::sizes::floor(STEP));
    plan.stages.extend(super::growth::growth(STEP));
    plan.stages.push(super::latency::latency(LATENCY));
    plan.stages.push(super::workers::workers(step));
    plan.stages.push(super::connections::connections(step));
    plan.stages.push(super::connections::frames());
    plan.stages.extend(super::clusters::clusters(step));
    #[cfg(feature = "real-kafka")]
    plan.stages.push(super::real::kafka());
    plan
}
