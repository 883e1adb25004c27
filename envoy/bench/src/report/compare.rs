//! Two targets of a run against each other, case by case: what one commit costs beside another.

use anyhow::{Result, bail};

use super::cells::{self, Claims, NOT_SHOWN};
use super::comparison::{Comparison, Relation};
use super::stage::Stage;
use super::statistics::SIGNIFICANT;
use super::table::Table;
use super::views::View;
use crate::record::Run;

/// For each stage and figure a table: `after` as a multiple of `before` in every case, with range, p and verdict, and a
/// sentence below that says what is shown. The p are corrected for all cases of a table.
///
/// Errors: a target that is in no stage together with the other.
pub(crate) fn comparison(run: &Run, before: &str, after: &str) -> Result<String> {
    let stages = Stage::all(run);
    let has = |stage: &&Stage<'_>, target| stage.targets().contains(&target);
    let mut out = String::new();
    for stage in stages.iter().filter(|stage| has(stage, before) && has(stage, after)) {
        for view in View::of_stage(stage) {
            if let Some(table) = table(stage, &view, before, after) {
                out += &format!("\n{}, {}", stage.name(), table.text());
            }
        }
    }
    if out.is_empty() {
        let mut targets: Vec<_> = stages.iter().flat_map(Stage::targets).collect();
        targets.sort_unstable();
        targets.dedup();
        bail!("no stage has figures of both '{before}' and '{after}'; this run has: {}", targets.join(", "));
    }
    Ok(out)
}

/// `None` without a case that both ran.
fn table(stage: &Stage<'_>, view: &View, before: &str, after: &str) -> Option<Table> {
    let compare = |case| {
        let comparison = Comparison::new(stage, view.figure, Relation::Ratio, case, [after, before])?;
        view.is_of(stage, case).then_some((case, comparison))
    };
    let cases: Vec<_> = stage.cases().into_iter().filter_map(compare).collect();
    let mut claims = Claims::default();
    let sound = |(_, comparison): &&(&str, Comparison)| comparison.flaw.is_none();
    for (_, comparison) in cases.iter().filter(sound) {
        claims.add(comparison.p_of_difference(), comparison.rounds());
    }
    let mut corrected = claims.corrected().into_iter();
    let mut shown = Vec::new();
    let mut rows = Vec::new();
    for (case, comparison) in &cases {
        let p = if comparison.flaw.is_none() { corrected.next() } else { None };
        let verdict = match p {
            Some(p) if p < SIGNIFICANT => {
                shown.push(format!("{case} ({})", cells::number(comparison.spread.median, 2)));
                if comparison.spread.median > 1.0 { "more" } else { "less" }
            }
            _ => NOT_SHOWN,
        };
        rows.push(vec![
            (*case).to_owned(),
            comparison.flaw.map_or_else(|| cells::spread(comparison.spread, 2), |flaw| flaw.to_string()),
            p.map(cells::p).unwrap_or_default(),
            verdict.to_owned(),
        ]);
    }
    let sentence = if shown.is_empty() {
        format!("No difference is shown between {before} and {after}.")
    } else {
        format!("{after} differs from {before} in {} of {} cases: {}.", shown.len(), rows.len(), shown.join(", "))
    };
    let head = vec!["case".to_owned(), format!("{after} / {before}"), "p".to_owned(), "verdict".to_owned()];
    let title = format!("{}:", view.figure.title());
    (!rows.is_empty()).then(|| Table {
        title,
        head,
        rows,
        notes: claims.note().into_iter().chain([sentence]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Cell, stage_of};

    fn compared(after: [f64; 6]) -> String {
        let before = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95];
        comparison(&stage_of(&[Cell::new("old", before), Cell::new("new", after)]), "old", "new").unwrap()
    }

    #[test]
    fn what_costs_more_in_every_round_is_said_to_cost_more() {
        let text = compared([1.2, 1.3, 1.1, 1.2, 1.25, 1.15]);
        assert!(text.contains("p 0.031  more"), "{text}");
        assert!(text.contains("new differs from old in 1 of 1 cases: case (1.20)."), "{text}");
    }

    #[test]
    fn what_costs_more_in_some_rounds_is_no_difference() {
        let text = compared([1.2, 1.3, 1.1, 0.9, 1.25, 1.15]);
        assert!(text.contains("not shown") && text.contains("No difference is shown between old and new."), "{text}");
    }

    #[test]
    fn a_target_that_was_not_run_is_named() {
        let run = stage_of(&[Cell::new("old", [1.0])]);
        let error = comparison(&run, "old", "newer").unwrap_err().to_string();
        assert_eq!(error, "no stage has figures of both 'old' and 'newer'; this run has: old");
    }
}
