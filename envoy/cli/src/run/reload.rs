//! Changes while the gateway runs: a good one comes into force, a bad one is refused and the last good one stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bifrost_config::{Problem, Resource, transition};
use tokio::time::{sleep, timeout};

use super::directory::RunDirectory;
use super::discovery::{Discovery, Refusal};
use super::generation::Generation;
use super::watch::Watch;
use crate::admin;
use crate::arguments::Run;
use crate::child::Complaints;
use crate::description::Description;
use crate::state::{self, Refused, State};

/// How long Envoy may take for a change.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is in force, and the way to change it.
pub(crate) struct Reloads<'a> {
    pub(crate) run: &'a Run,
    pub(crate) directory: &'a RunDirectory,
    pub(crate) discovery: &'a Arc<Discovery>,
    pub(crate) complaints: Complaints,
    pub(crate) in_force: Generation,
    pub(crate) state: State,
}

impl Reloads<'_> {
    /// Follows the documents; ends only when the state cannot be written down.
    pub(crate) async fn follow(&mut self, mut watch: Watch, hangup: &mut tokio::signal::unix::Signal) -> Result<()> {
        loop {
            tokio::select! {
                () = watch.changed() => tracing::info!("the documents have changed"),
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP: the documents are read again");
                    watch.renew();
                }
            }
            self.reload().await;
            self.directory.write_state(&self.state)?;
        }
    }

    async fn reload(&mut self) {
        let started = Instant::now();
        let next = match Generation::read(self.run, self.directory, &self.in_force.gateway) {
            Ok(next) => next,
            Err(reasons) => return self.refuse(reasons),
        };
        self.warn_of_new(&next.gateway.warnings);
        if next.resources == self.in_force.resources {
            self.in_force = next;
            self.state.refused = None;
            return tracing::info!("the documents say what is in force already");
        }
        match self.bring_into_force(&self.in_force.resources, &next.resources).await {
            Ok(()) => self.accept(next, started.elapsed()),
            Err(reasons) => {
                if let Err(reasons) = self.bring_into_force(&next.resources, &self.in_force.resources).await {
                    tracing::error!("Envoy did not take back the last good state: {}", reasons.join("; "));
                }
                self.refuse(reasons);
            }
        }
    }

    async fn bring_into_force(&self, from: &[Resource], to: &[Resource]) -> Result<(), Vec<String>> {
        self.complaints.take();
        for step in transition(from, to).map_err(|error| vec![error.to_string()])? {
            self.discovery.publish(&step);
            in_force(self.discovery, &self.complaints, &self.state.admin, PATIENCE).await?;
        }
        Ok(())
    }

    fn accept(&mut self, next: Generation, took: Duration) {
        let difference = next.difference(&self.in_force);
        let number = self.state.generation.number.saturating_add(1);
        self.state.generation = state::Generation { number, hash: next.hash(), since: state::now() };
        self.state.changes.accepted = self.state.changes.accepted.saturating_add(1);
        self.state.refused = None;
        self.state.virtual_clusters = next.gateway.virtual_clusters.iter().map(Description::of).collect();
        self.in_force = next;
        tracing::info!("generation {number} is in force after {:.2} s: it {difference}", took.as_secs_f64());
    }

    fn refuse(&mut self, reasons: Vec<String>) {
        for reason in &reasons {
            tracing::error!("{reason}");
        }
        let number = self.state.generation.number;
        tracing::error!("the change is refused, generation {number} stays in force");
        self.state.changes.refused = self.state.changes.refused.saturating_add(1);
        self.state.refused = Some(Refused { at: state::now(), reasons });
    }

    fn warn_of_new(&self, warnings: &[Problem]) {
        for warning in warnings {
            if !self.in_force.gateway.warnings.contains(warning) {
                tracing::warn!("{warning}");
            }
        }
    }
}

/// Waits until Envoy works with everything that is published. The error says what it did not take and, as far as it told,
/// why.
pub(crate) async fn in_force(
    discovery: &Discovery,
    complaints: &Complaints,
    admin: &str,
    patience: Duration,
) -> Result<(), Vec<String>> {
    let taken = async {
        discovery.settled().await?;
        // What is taken may still wait, a listener for its certificate for instance.
        while admin::is_warming(admin.to_owned()).await != Some(false) {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    match timeout(patience, taken).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refusal)) => Err(refused(&refusal, complaints).await),
        Err(_) => {
            let mut outstanding = discovery.outstanding();
            if outstanding.is_empty() {
                outstanding = "what its listeners and clusters wait for".to_owned();
            }
            let sentence = format!("Envoy did not take {outstanding} within {} s", patience.as_secs());
            Err(std::iter::once(sentence).chain(complaints.take()).collect())
        }
    }
}

/// What was refused and Envoy's own words, which come another way and may be later.
pub(crate) async fn refused(refusal: &Refusal, complaints: &Complaints) -> Vec<String> {
    sleep(Duration::from_millis(100)).await;
    std::iter::once(format!("Envoy refuses {refusal}")).chain(complaints.take()).collect()
}
