//! Two workers; one is what all other stages have.

use std::time::Duration;

use super::{Case, Deployment, Stage};
use crate::load::{Request, Workload};
use crate::target::Target;

const KIB: usize = 1024;

/// Cases of the stage `exchanges`, so that the same names stand for the same work of one worker.
pub(super) fn workers(step: Duration) -> Stage {
    let bulk = |name, request| Case::exchanges(name, Workload::pipelined(request), step);
    Stage {
        name: "two workers",
        about: "As in the stage exchanges, but two workers, which share all cores with load and endpoint.",
        axis: None,
        deployment: Deployment { workers: 2, ..Deployment::default() },
        targets: vec![Target::Bare, Target::Tenancy],
        cases: vec![
            bulk("produce v12 256 KiB", Request::produce(12, 256 * KIB)),
            bulk("fetch v12 16 KiB", Request::fetch(12, 16 * KIB)),
            Case::exchanges("ping-pong", Workload::round_trips(Request::Heartbeat), step),
        ],
    }
}
