//! `bifrost-bench compare`: two commits against each other and against bare Envoy, in alternating rounds.

mod build;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::plan::{self, Names};
use crate::report;
use crate::run;
use crate::target::{Build, Places};

#[derive(Args)]
pub(crate) struct Compare {
    /// The commit to compare with: a name or hash that `git rev-parse` knows.
    before: String,
    /// The commit in question. The working tree is one, too: `$(git stash create)`.
    after: String,
    #[command(flatten)]
    places: Places,
    /// More rounds show smaller differences; with fewer than six, none is significant.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(5..))]
    rounds: u64,
    /// Counted time of one case against one commit.
    #[arg(long, default_value_t = 400)]
    step_ms: u64,
    /// Only these cases of the stage `exchanges`, by the names in the table, with commas between them.
    #[arg(long, value_parser = plan::names, value_name = "NAMES")]
    cases: Option<Names>,
}

impl Compare {
    pub(crate) fn run(&self) -> Result<()> {
        // First of all: afterwards this process has the load's cores only.
        let folder = self.places.output()?.join("compare");
        let (before, after) = (build::resolve(&self.before)?, build::resolve(&self.after)?);
        let before = keep(build::build("A", &before, &folder)?);
        let after = keep(build::build("B", &after, &folder)?);

        let plan = plan::compare(usize::try_from(self.rounds)?, Duration::from_millis(self.step_ms), [before, after]);
        let plan = plan.part(None, self.cases.as_ref())?;
        let files = self.places.files_with_module(&after.module)?;
        let run = run::run(&plan, &files)?;
        let raw = files.work.join("compare.json");
        run.write(&raw)?;
        print!("{}", report::text(&run));
        print!("{}", report::comparison(&run, &before.name, &after.name)?);
        println!("raw figures: {}", raw.display());
        Ok(())
    }
}

/// For as long as this process lives, so that a target is a small value.
fn keep(build: Build) -> &'static Build {
    Box::leak(Box::new(build))
}
