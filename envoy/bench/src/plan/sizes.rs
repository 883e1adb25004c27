//! Records of all sizes, many topics in a request, and what a filter costs that does nothing.

use std::time::Duration;

use super::{Case, Deployment, Stage};
use crate::load::{Request, Workload};
use crate::target::{Floor, Target};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The last version that names topics, and one that gives their ids.
const PRODUCE: [i16; 2] = [12, 13];
const FETCH: [i16; 2] = [12, 17];

/// What the stage `exchanges` leaves out.
pub(super) fn sizes(step: Duration) -> Stage {
    let by_name = |[by_name, _]: [i16; 2]| by_name;
    let mut cases = Vec::new();
    for (name, record_bytes) in [("100 B", 100), ("1 KiB", KIB), ("1 MiB", MIB)] {
        for (api, versions) in [("produce", PRODUCE), ("fetch", FETCH)] {
            for version in versions {
                if (api, version, record_bytes) == ("produce", by_name(PRODUCE), KIB) {
                    // `exchanges` has it for all targets.
                    continue;
                }
                let request = match api {
                    "produce" => Request::produce(version, record_bytes),
                    _ => Request::fetch(version, record_bytes),
                };
                let case = Case::exchanges(format!("{api} v{version} {name}"), Workload::pipelined(request), step);
                let is_by_name = version == by_name(versions);
                cases.push(match record_bytes {
                    100 if is_by_name => case,
                    MIB => case.without(&["direct", "addresses"]),
                    _ if is_by_name => case.without(&["direct"]),
                    _ => case.without(&["direct", "addresses"]),
                });
            }
        }
    }
    Stage {
        name: "sizes",
        about: "One record in each request, in one batch: its size is that of the batch, 69 to 74 bytes more than its value. \
                Four connections, five requests under way on each, one worker.",
        axis: None,
        deployment: Deployment::default(),
        targets: vec![Target::Bare, Target::Addresses, Target::Tenancy, Target::Direct],
        cases,
    }
}

/// A request with one topic is in `exchanges`.
pub(super) fn topics(step: Duration) -> Stage {
    let mut cases = Vec::new();
    for count in [10, 100] {
        let mut case = |api, version, request: Request| {
            let case = Case::exchanges(
                format!("{api} v{version}, {count} topics"),
                Workload::pipelined(request.over(count, 1)),
                step,
            );
            cases.push(if version > 12 { case.without(&["addresses"]) } else { case });
        };
        for version in PRODUCE {
            case("produce", version, Request::produce(version, KIB));
        }
        for version in FETCH {
            case("fetch", version, Request::fetch(version, KIB));
        }
    }
    for topics in [1, 10, 1_000] {
        let workload = Workload::round_trips(Request::Metadata { topics });
        let name = if topics == 1 { "Metadata of 1 topic".to_owned() } else { format!("Metadata of {topics} topics") };
        cases.push(Case::exchanges(name, workload, step));
    }
    Stage {
        name: "topics-per-request",
        about: "Produce and Fetch with a record of 1 KiB for one partition of each topic, four connections, five requests \
                under way on each; Metadata of named topics, 4 partitions each, one at a time. One worker.",
        axis: None,
        deployment: Deployment::default(),
        targets: vec![Target::Bare, Target::Addresses, Target::Tenancy],
        cases,
    }
}

/// How far the gateway is from a filter in wasm that does as little as there is, and from one that takes all bytes out.
pub(super) fn floor(step: Duration) -> Stage {
    let bulk = |name, request| Case::exchanges(name, Workload::pipelined(request), step);
    let floors = [Floor::Noop, Floor::Peek, Floor::Copy].map(Target::Floor);
    Stage {
        name: "floor",
        about: "The gateway beside filters in wasm that do nothing (noop), that copy out the first 64 bytes of what has come \
                (peek) and that copy out everything and write it back (copy), in every callback. One worker.",
        axis: None,
        deployment: Deployment::default(),
        targets: [Target::Bare].into_iter().chain(floors).chain([Target::Tenancy]).collect(),
        cases: vec![
            bulk("produce v12 256 KiB", Request::produce(12, 256 * KIB)),
            bulk("produce v12 16 KiB", Request::produce(12, 16 * KIB)).without(&["copy"]),
            bulk("fetch v12 256 KiB", Request::fetch(12, 256 * KIB)),
            bulk("fetch v12 16 KiB", Request::fetch(12, 16 * KIB)).without(&["copy"]),
            Case::exchanges("ping-pong", Workload::round_trips(Request::Heartbeat), step).without(&["copy"]),
        ],
    }
}
