//! Start, memory, and what connections cost.

use std::time::Duration;

use super::{Case, Deployment, Stage, What};
use crate::connections::{Door, most_held};
use crate::load::{Request, Workload};
use crate::target::{Floor, Target};

const MIB: usize = 1024 * 1024;

/// How each proxy starts, and what connections cost that do nothing, or come and go.
pub(super) fn connections(step: Duration) -> Stage {
    let held = |count| {
        let count = most_held(count);
        Case::new(format!("{count} idle connections"), What::Hold { count }).without(&["noop"])
    };
    let churn = |name, door| Case::new(name, What::Churn { door, duration: step });
    Stage {
        name: "connections",
        about: "One worker. Start: from the start of the process to the first Metadata answer through it. Idle connections \
                have asked for ApiVersions, half of them at each node; their memory is that of a thousand more on top of a \
                thousand, and of thousands more on top of these. Set-up: open, ApiVersions, one Metadata, close.",
        axis: None,
        deployment: Deployment::default(),
        targets: vec![Target::Bare, Target::Floor(Floor::Noop), Target::Addresses, Target::Tenancy],
        cases: vec![
            Case::new("start", What::Start),
            // Before anything else that takes memory.
            held(1_000),
            held(10_000),
            churn("set-up at bootstrap", Door::Bootstrap),
            churn("set-up at nodes", Door::Nodes),
        ],
    }
}

/// How much memory large frames take while they pass: as much as small ones.
pub(super) fn frames() -> Stage {
    let frames = |mib: usize| {
        let request = Request::fetch(12, mib * MIB);
        let workload = Workload { in_flight: 1, ..Workload::pipelined(request) };
        Case::new(format!("fetch v12 {mib} MiB"), What::Peak { workload }).at(mib as f64)
    };
    Stage {
        name: "large frames",
        about: "Memory while four connections fetch frames of one size, one at a time; one worker.",
        axis: Some("MiB in a frame"),
        deployment: Deployment::default(),
        targets: vec![Target::Bare, Target::Addresses, Target::Tenancy],
        cases: vec![frames(1), frames(50)],
    }
}
