//! Runs a plan: rounds, in each round its stages, in each stage every case against every target in turn.

#[cfg(feature = "real-kafka")]
use std::cell::OnceCell;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::connections;
use crate::endpoint::Endpoint;
use crate::figure::Figure;
#[cfg(feature = "real-kafka")]
use crate::kafka_cluster::KafkaCluster;
use crate::machine::Machine;
use crate::measure;
use crate::plan::{Case, Plan, Stage, Upstream, What};
use crate::record::{Measured, Record, Run, StageHead};
use crate::target::{Cluster, Files, Running, Target};

pub(crate) const NODES: usize = 2;

/// All rounds of a plan. An error means that something broke, was lost, or came twice.
pub(crate) fn run(plan: &Plan, files: &Files) -> Result<Run> {
    let machine = Machine::this(&files.envoy);
    let endpoint = Endpoint::start(NODES)?;
    #[cfg(feature = "real-kafka")]
    let kafka = OnceCell::new();
    let steps: usize = plan.stages.iter().map(|stage| plan.rounds_of(stage) * stage.steps()).sum();
    let bar = ProgressBar::new(steps as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} of {duration} {msg}")?);
    bar.enable_steady_tick(Duration::from_secs(1));
    let mut records = Vec::new();
    for round in 0..plan.rounds {
        for stage in plan.stages.iter().filter(|stage| round < plan.rounds_of(stage)) {
            let stage_round = StageRound {
                stage,
                round,
                files,
                endpoint: &endpoint,
                #[cfg(feature = "real-kafka")]
                kafka: &kafka,
                bar: &bar,
            };
            let place = || format!("round {} of {}, stage {}", round + 1, plan.rounds_of(stage), stage.name);
            stage_round.run(&mut records).with_context(place)?;
        }
    }
    bar.finish_and_clear();
    let mut stages: Vec<_> = plan.stages.iter().map(Stage::head).collect();
    // Several of one name are points of one curve.
    stages.dedup_by(|one, earlier| one.name == earlier.name);
    Ok(Run { machine, stages, records })
}

/// One stage in one round.
struct StageRound<'a> {
    stage: &'a Stage,
    round: usize,
    files: &'a Files,
    endpoint: &'a Endpoint,
    /// One for all rounds: its code has to be compiled before it says anything.
    #[cfg(feature = "real-kafka")]
    kafka: &'a OnceCell<KafkaCluster>,
    bar: &'a ProgressBar,
}

impl StageRound<'_> {
    fn run(&self, records: &mut Vec<Record>) -> Result<()> {
        // Whatever drifts, drifts against each of them in turn.
        let mut targets: Vec<_> = self.stage.targets.iter().collect();
        let turn = self.round % targets.len().max(1);
        targets.rotate_left(turn);
        // New processes each round: where the allocator happens to put things is part of the noise.
        let cluster = self.cluster()?;
        let mut started = Vec::new();
        for target in targets.into_iter().filter(|target| self.stage.cases.iter().any(|case| case.runs_on(target))) {
            self.bar.set_message(format!("{}: starting {}", self.stage.name, target.name()));
            let running = target
                .start(&self.stage.deployment, self.files, &cluster)
                .with_context(|| format!("starting {}", target.name()))?;
            started.push((target, running));
        }
        for case in &self.stage.cases {
            for (target, running) in started.iter().filter(|(target, _)| case.runs_on(target)) {
                self.bar.set_message(format!("{}: {} {}", self.stage.name, case.name, target.name()));
                let measured =
                    self.step(case, running).with_context(|| format!("{} through {}", case.name, target.name()))?;
                let record = self.record(case, target, measured);
                records.push(if target.is_gateway() { per_virtual_cluster(record, records) } else { record });
                self.bar.inc(1);
            }
        }
        Ok(())
    }

    /// What the targets of this stage lead to.
    fn cluster(&self) -> Result<Cluster> {
        match self.stage.deployment.upstream {
            Upstream::Synthetic => Ok(self.endpoint.into()),
            #[cfg(feature = "real-kafka")]
            Upstream::Kafka => Ok(self.kafka()?.cluster()),
        }
    }

    /// Starts when the first stage wants it.
    #[cfg(feature = "real-kafka")]
    fn kafka(&self) -> Result<&KafkaCluster> {
        if self.kafka.get().is_none() {
            self.bar.set_message("starting Kafka");
            let started = KafkaCluster::start(self.files).context("Kafka")?;
            return Ok(self.kafka.get_or_init(|| started));
        }
        self.kafka.get().context("Kafka was not started")
    }

    fn step(&self, case: &Case, running: &Running) -> Result<Measured> {
        match &case.what {
            What::Exchanges { workload, duration } => {
                Ok(measure::step(workload, running, self.endpoint, *duration)?.measured())
            }
            What::Paced { pace, duration } => measure::paced(pace, running, self.endpoint, *duration),
            What::LookUp { workload } => {
                measure::look_up(workload, running, self.endpoint)?;
                Ok(Measured::default())
            }
            What::Start => connections::start(running),
            What::Peak { workload } => connections::peak(workload, running, self.endpoint),
            What::Churn { door, duration } => connections::churn(*door, running, *duration),
            What::Hold { count } => connections::hold(*count, running),
            #[cfg(feature = "real-kafka")]
            What::Clients(work) => work.step(running, self.kafka()?),
        }
    }

    fn record(&self, case: &Case, target: &Target, measured: Measured) -> Record {
        Record {
            stage: self.stage.name.into(),
            case: case.name.clone(),
            x: case.x,
            target: target.name().into(),
            round: self.round,
            measured,
        }
    }
}

/// Memory at rest beyond that of one virtual cluster in the same round, where a stage has several numbers of them.
fn per_virtual_cluster(mut record: Record, earlier: &[Record]) -> Record {
    let at_rest = |record: &Record| record.measured.figures.get(&Figure::ResidentMib).copied();
    let is_of_one = |one: &&Record| {
        (one.round, &one.stage, &one.target, one.x) == (record.round, &record.stage, &record.target, Some(1.0))
            && one.measured.figures.contains_key(&Figure::StartSeconds)
    };
    let one = earlier.iter().find(is_of_one).and_then(at_rest);
    if record.measured.figures.contains_key(&Figure::StartSeconds)
        && let (Some(count), Some(one), Some(mib)) = (record.x, one, at_rest(&record))
    {
        record.measured = record.measured.with(Figure::KibPerVirtualCluster, (mib - one) * 1024.0 / (count - 1.0));
    }
    record
}

impl Stage {
    fn steps(&self) -> usize {
        let on = |case: &Case| self.targets.iter().filter(|target| case.runs_on(target)).count();
        self.cases.iter().map(on).sum()
    }

    fn head(&self) -> StageHead {
        StageHead { name: self.name.into(), about: self.about.into(), axis: self.axis.map(str::to_owned) }
    }
}

impl Case {
    fn runs_on(&self, target: &Target) -> bool {
        !self.without.contains(&target.name())
    }
}
