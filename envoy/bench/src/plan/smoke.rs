//! `bench smoke`: the large effects in two to three minutes.

use std::time::Duration;

use super::{Case, Deployment, Plan, Stage, What};
use crate::load::{Request, Workload};
use crate::target::Target;

const KIB: usize = 1024;

/// Not every workload runs against every target, because a run of all has to end within three minutes.
pub(crate) fn smoke(rounds: usize, step: Duration) -> Plan {
    let produce = |version, kib: usize| {
        let request = Request::produce(version, kib * KIB);
        Case::exchanges(format!("produce v{version} {}", size(kib)), Workload::pipelined(request), step)
    };
    let fetch = |version, kib: usize| {
        let request = Request::fetch(version, kib * KIB);
        Case::exchanges(format!("fetch v{version} {}", size(kib)), Workload::pipelined(request), step)
    };
    let by_id = Workload::pipelined(Request::fetch(17, 16 * KIB));
    let cases = vec![
        Case::new("unseen topic id", What::LookUp { workload: by_id }).without(&["direct", "bare", "addresses"]),
        produce(12, 1024).without(&["direct", "tenancy"]),
        produce(12, 256),
        produce(13, 256).without(&["direct", "addresses"]),
        produce(12, 16).without(&["direct"]),
        produce(13, 16).without(&["direct", "addresses"]),
        produce(12, 1),
        fetch(12, 256),
        fetch(17, 256).without(&["direct", "addresses"]),
        fetch(12, 16).without(&["direct"]),
        fetch(17, 16).without(&["direct", "addresses"]),
        fetch(17, 1024).without(&["direct", "tenancy"]),
        Case::exchanges("ping-pong", Workload::round_trips(Request::Heartbeat), step),
        Case::exchanges("list 200 of 1000 topics", Workload::round_trips(Request::ListTopics { of: 1_000 }), step)
            .without(&["direct"]),
    ];
    let stage = Stage {
        name: "exchanges",
        about: "Synthetic endpoint and load, one worker, as many exchanges as possible; ping-pong and list one at a time.",
        axis: None,
        deployment: Deployment::default(),
        targets: vec![Target::Bare, Target::Addresses, Target::Tenancy, Target::Direct],
        cases,
    };
    Plan { rounds, close: None, stages: vec![stage] }
}

fn size(kib: usize) -> String {
    if kib < 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024) }
}
