//! How the gateway does with many virtual clusters. The figures are printed (`make e2e TEST=many`); only what would be a fault
//! is asserted.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bifrost_e2e::gateway::Gateway;
use bifrost_e2e::ports::PortBlock;
use bifrost_e2e::wait;
use serde_json::Value;

use super::Held;
use super::ways::document;
use crate::fixture::{Fixture, alone};

const MANY: usize = 200;
const FEW: usize = 10;

/// What was measured with one number of virtual clusters.
#[derive(Debug)]
struct Figures {
    virtual_clusters: usize,
    start: Duration,
    envoy_rss_mib: u64,
    policy: Taken,
    added: Taken,
    removed: Taken,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { virtual_clusters, start, envoy_rss_mib, policy, added, removed } = self;
        let start = start.as_secs_f64();
        writeln!(f, "{virtual_clusters} virtual clusters: ready after {start:.1} s, Envoy takes {envoy_rss_mib} MiB")?;
        for (change, Taken { all, in_force }) in
            [("policies changed", policy), ("one added", added), ("one removed", removed)]
        {
            let all = all.as_secs_f64();
            writeln!(
                f,
                "  {change}: in force {all:.2} s after the file was written, {in_force:.2} s of that in the gateway"
            )?;
        }
        Ok(())
    }
}

/// From the moment that the file was written.
#[derive(Debug)]
struct Taken {
    all: Duration,
    /// Without waiting for the file to come to rest, as the gateway says.
    in_force: f64,
}

#[test]
fn one_of_many_changes_as_fast_as_one_of_few() {
    let fixture = alone();
    let few = measure(&fixture, FEW);
    let many = measure(&fixture, MANY);
    for figures in [&few, &many] {
        println!("{figures}");
    }
    let more = u64::try_from(MANY - FEW).unwrap();
    let each = (many.envoy_rss_mib - few.envoy_rss_mib) * 1024 / more;
    println!("memory of one virtual cluster more: {each} KiB of Envoy's");
    // Of order, not of measure: a machine may be busy.
    assert!(many.policy.in_force < 5.0, "{many}");
    assert!(each < 16 << 10, "{each} KiB");
}

fn measure(fixture: &Fixture, count: usize) -> Figures {
    let servers = fixture.kafka.bootstrap_servers();
    let blocks: Vec<PortBlock> = (0..=count / 40).map(|_| PortBlock::claim().unwrap()).collect();
    let port = |index: usize| blocks[index / 40].port(u16::try_from(index % 40 * 2).unwrap());
    let folder = fixture.run.folder(&format!("many-{count}")).unwrap();
    let file = |index: usize| folder.join(format!("vc{index:03}.yaml"));
    let text = |index: usize, options: &str| document(&format!("vc{index:03}"), &servers, port(index), options);
    for index in 0..count {
        fs::write(file(index), text(index, "")).unwrap();
    }
    let started = Instant::now();
    let gateway = Gateway::start_with(&fixture.tools, &fixture.run, &format!("gateway-many-{count}"), &folder).unwrap();
    let start = started.elapsed();
    let envoy_rss_mib = rss_mib(gateway.envoy_pid());
    let mut held = [0, count / 2, count - 1].map(|index| Held::open(port(index), 2));

    let policy = change(&gateway, 1, &file(count / 2), Some(&text(count / 2, ", clusterId: other")));
    let added = change(&gateway, 2, &file(count), Some(&text(count, "")));
    Held::open(port(count), 1);
    let removed = change(&gateway, 3, &file(count), None);
    held.iter_mut().for_each(Held::assert_all_answer);
    gateway.stop().unwrap();
    Figures { virtual_clusters: count, start, envoy_rss_mib, policy, added, removed }
}

fn change(gateway: &Gateway, number: u64, file: &Path, text: Option<&str>) -> Taken {
    let started = Instant::now();
    match text {
        Some(text) => fs::write(file, text).unwrap(),
        None => fs::remove_file(file).unwrap(),
    }
    let sentence = format!("generation {} is in force after ", number + 1);
    let in_force = wait::until(&sentence, Duration::from_secs(60), || {
        let log = gateway.log()?;
        let rest = log.split_once(&sentence).and_then(|(_, rest)| rest.split_once(" s"));
        Ok(rest.and_then(|(seconds, _)| seconds.parse().ok()))
    })
    .unwrap();
    let all = started.elapsed();
    let status: Value = gateway.after_changes(number).unwrap();
    assert_eq!(status["generation"]["number"], number + 1);
    Taken { all, in_force }
}

fn rss_mib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}
