//! Many virtual clusters in one gateway: 1, 20 and 200.

use std::time::Duration;

use super::{Case, Deployment, Stage, What};
use crate::load::{Request, Workload};
use crate::target::Target;

const KIB: usize = 1024;
const COUNTS: [usize; 3] = [1, 20, 200];

/// One stage for each number, all of one name: together they are the points of one curve.
pub(super) fn clusters(step: Duration) -> impl Iterator<Item = Stage> {
    COUNTS.into_iter().map(move |count| Stage {
        name: "virtual clusters",
        about: "Each with a VM, a listener, three ports and two Envoy clusters of its own; load goes through the first. \
                One worker. Bare Envoy always is the same.",
        axis: Some("virtual clusters"),
        deployment: Deployment { virtual_clusters: count, ..Deployment::default() },
        targets: vec![Target::Bare, Target::Tenancy],
        cases: cases(count, step),
    })
}

fn cases(count: usize, step: Duration) -> Vec<Case> {
    let produce = Workload::pipelined(Request::produce(12, 16 * KIB));
    let cases = [
        Case::new(format!("start, {count}"), What::Start),
        Case::exchanges(format!("ping-pong, {count}"), Workload::round_trips(Request::Heartbeat), step),
        Case::exchanges(format!("produce v12 16 KiB, {count}"), produce, step),
    ];
    cases.into_iter().map(|case| case.at(count as f64)).collect()
}
