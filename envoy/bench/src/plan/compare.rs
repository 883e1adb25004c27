//! Two builds of the gateway against each other.

use std::time::Duration;

use super::{Plan, What};
use crate::target::{Build, Target};

/// The stage `exchanges`, all of it under tenancy.
pub(crate) fn compare(rounds: usize, step: Duration, builds: [&'static Build; 2]) -> Plan {
    let mut plan = super::smoke(rounds, step);
    for stage in &mut plan.stages {
        stage.targets = vec![Target::Bare, Target::Build(builds[0]), Target::Build(builds[1])];
        for case in &mut stage.cases {
            // Nobody but a tenant has ids to look up.
            case.without = if matches!(case.what, What::LookUp { .. }) { vec!["bare"] } else { Vec::new() };
        }
    }
    plan
}
