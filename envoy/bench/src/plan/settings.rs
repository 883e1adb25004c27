//! Settings of Envoy that the gateway could render: are those that it does render the best?

use std::time::Duration;

use super::{Case, Deployment, Plan, Stage, What};
use crate::load::{Request, Workload};
use crate::target::{Target, VARIANTS, VARIANTS_OF_WORKERS, Variant};

const KIB: usize = 1024;

pub(crate) fn settings(rounds: usize, step: Duration) -> Plan {
    let stage = |name, about, workers, variants: &'static [Variant]| Stage {
        name,
        about,
        axis: None,
        deployment: Deployment { workers, ..Deployment::default() },
        targets: [Target::Bare, Target::Tenancy].into_iter().chain(variants.iter().map(Target::With)).collect(),
        cases: cases(step),
    };
    let stages = vec![
        stage(
            "settings",
            "Tenancy as rendered, and with one setting changed; one worker. `the same again` shows the noise.",
            1,
            VARIANTS,
        ),
        stage(
            "settings of workers",
            "Tenancy as rendered, and with one setting changed; two workers, which share all cores with the load.",
            2,
            VARIANTS_OF_WORKERS,
        ),
    ];
    Plan { rounds, close: None, stages }
}

fn cases(step: Duration) -> Vec<Case> {
    let bulk = |name, request| Case::exchanges(name, Workload::pipelined(request), step);
    vec![
        Case::new("start", What::Start),
        bulk("produce v12 256 KiB", Request::produce(12, 256 * KIB)),
        bulk("fetch v12 256 KiB", Request::fetch(12, 256 * KIB)),
        bulk("produce v12 16 KiB", Request::produce(12, 16 * KIB)),
        Case::exchanges("ping-pong", Workload::round_trips(Request::Heartbeat), step),
    ]
}
