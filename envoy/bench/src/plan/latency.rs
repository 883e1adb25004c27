//! Latency at fixed rates, from when a record was due.

use std::time::Duration;

use super::{Case, Deployment, Stage, What};
use crate::load::Pace;
use crate::target::{Floor, Target};

const RATES: [u32; 3] = [5_000, 20_000, 50_000];
const RECORD_BYTES: usize = 1_000;

pub(super) fn latency(duration: Duration) -> Stage {
    let paced = |name, rate, produce_version, fetch_version| {
        let pace = Pace { rate, record_bytes: RECORD_BYTES, produce_version, fetch_version };
        Case::new(name, What::Paced { pace, duration })
    };
    let mut cases: Vec<_> = RATES.into_iter().map(|rate| paced(format!("{rate} x 1 KB/s"), rate, 12, 12)).collect();
    cases.push(paced("20000 x 1 KB/s by id".to_owned(), 20_000, 13, 17).without(&[
        "direct",
        "noop",
        "peek",
        "addresses",
    ]));
    Stage {
        name: "latency",
        about: "Open loop: each record is a Produce request of its own, due at a fixed time; latency counts from then, to the \
                answer and, end to end, to the record's arrival at a consumer that fetches all the while. Four producers, a \
                consumer for each of two nodes, one worker.",
        axis: None,
        deployment: Deployment::default(),
        targets: vec![
            Target::Bare,
            Target::Floor(Floor::Noop),
            Target::Floor(Floor::Peek),
            Target::Addresses,
            Target::Tenancy,
            Target::Direct,
        ],
        cases,
    }
}
