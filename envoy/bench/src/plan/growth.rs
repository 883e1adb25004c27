//! How cost grows: with the topics of the cluster, the partitions of a request, the connections of a worker. Each curve is a
//! stage, its points are the cases.

use std::time::Duration;

use super::{Case, Deployment, Stage};
use crate::load::{Request, Workload};
use crate::target::Target;

const KIB: usize = 1024;

const TOPICS: &[usize] = &[10, 100, 1_000, 5_000, 10_000];
const PARTITIONS: &[usize] = &[1, 10, 100, 1_000];
const CONNECTIONS: &[usize] = &[1, 10, 100, 1_000];
/// So small that fields cost more than bytes.
const RECORD_BYTES: usize = 100;

pub(super) fn growth(step: Duration) -> impl Iterator<Item = Stage> {
    let curves = [
        curve(
            "growth-topics",
            "Metadata of all topics of a cluster, 3 partitions each; under tenancy the client has every fifth.",
            "topics in the cluster",
            points(TOPICS, step, |of| Workload::round_trips(Request::ListTopics { of })),
        ),
        curve(
            "growth-produce",
            "Produce v12 to partitions of one topic, 100 bytes each; four connections, five requests under way on each.",
            "partitions in a request",
            points(PARTITIONS, step, |count| Workload::pipelined(Request::produce(12, RECORD_BYTES).over(1, count))),
        ),
        curve(
            "growth-fetch",
            "Fetch v12 from partitions of one topic, 100 bytes each; four connections, five requests under way on each.",
            "partitions in a request",
            points(PARTITIONS, step, |count| Workload::pipelined(Request::fetch(12, RECORD_BYTES).over(1, count))),
        ),
        curve(
            "growth-connections",
            "Produce v12 of 1 KiB, one request under way on each connection.",
            "active connections",
            points(CONNECTIONS, step, |count| Workload::crowd(Request::produce(12, KIB), count)),
        ),
        curve(
            "growth-ping-pong",
            "Heartbeat, one request under way on each connection.",
            "active connections",
            points(CONNECTIONS, step, |count| Workload::crowd(Request::Heartbeat, count)),
        ),
    ];
    curves.into_iter()
}

fn curve(name: &'static str, about: &'static str, axis: &'static str, cases: Vec<Case>) -> Stage {
    let targets = vec![Target::Bare, Target::Addresses, Target::Tenancy];
    Stage { name, about, axis: Some(axis), deployment: Deployment::default(), targets, cases }
}

fn points(counts: &[usize], step: Duration, workload: impl Fn(usize) -> Workload) -> Vec<Case> {
    let point = |count: &usize| Case::exchanges(count.to_string(), workload(*count), step).at(*count as f64);
    counts.iter().map(point).collect()
}
