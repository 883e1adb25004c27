//! Real clients and a real broker.

use std::time::Duration;

use super::{Case, Deployment, Stage, Upstream, What};
use crate::clients::Work;
use crate::target::Target;

/// Records a second of the latency cases.
const RATES: &[u32] = &[5_000, 20_000, 50_000];
/// Enough for a cross-check: a second or two once Java has started.
const JAVA_RECORDS: u64 = 100_000;

pub(crate) fn kafka() -> Stage {
    let duration = Duration::from_secs(2);
    let bulk = |name: &str, work| Case::new(name, What::Clients(work));
    let mut cases = vec![
        bulk("produce 1 KiB", Work::Produce { duration }),
        bulk("consume 1 KiB", Work::Consume { records: 1024 * 1024, duration }),
    ];
    cases.extend(RATES.iter().map(|rate| {
        let work = Work::Paced { records_per_second: *rate, duration };
        Case::new(format!("latency {rate}/s"), What::Clients(work))
    }));
    // A cross-check of what is compared, and direct connections are compared with nothing.
    cases.push(bulk("java produce", Work::JavaProduce { records: JAVA_RECORDS }).without(&["direct"]));
    cases.push(bulk("java consume", Work::JavaConsume { records: JAVA_RECORDS }).without(&["direct"]));
    Stage {
        name: "kafka",
        about: "One real broker of Kafka 4.4 without fsync; librdkafka and, as a cross-check, Java's perf tools; records of \
                1 KiB, acks=all, no compression, linger 5 ms, for latencies 1 ms; one worker. On two cores the broker may \
                use the worker's, too. End to end is from the time at which a record was due to its arrival at a consumer.",
        axis: None,
        deployment: Deployment { upstream: Upstream::Kafka, ..Deployment::default() },
        targets: vec![Target::Direct, Target::Bare, Target::Addresses, Target::Tenancy],
        cases,
    }
}
