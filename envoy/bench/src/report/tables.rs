//! The tables of a stage: a row for each case, the figures of the targets, and what they are against bare Envoy.

use super::cells;
use super::comparison::{Comparison, Flaw, Relation, other_side};
use super::growth;
use super::stage::{DIRECT, FLOORS, Stage};
use super::statistics::Spread;
use super::table::Table;
use super::views::View;
use crate::figure::Figure;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Bare Envoy's figures, and the others against them.
    Terminal,
    /// The figures of all but the floors, too.
    Page,
}

pub(crate) fn of_stage(stage: &Stage<'_>, width: Width) -> Vec<Table> {
    let mut tables: Vec<_> = View::of_stage(stage)
        .iter()
        .map(|view| table(stage, view, width))
        .filter(|table| !table.rows.is_empty())
        .collect();
    tables.extend(growth::table(stage));
    tables
}

fn table(stage: &Stage<'_>, view: &View, width: Width) -> Table {
    let has_figure = |case: &&str| stage.has(case, view.figure) && view.is_of(stage, case);
    let cases: Vec<_> = stage.cases().into_iter().filter(has_figure).collect();
    let mut targets = stage.targets();
    targets.retain(|target| cases.iter().any(|case| !stage.by_round(case, target, view.figure).is_empty()));
    let against: Vec<_> = view.against.iter().filter(|reference| targets.contains(reference)).copied().collect();
    let against = if width == Width::Terminal { against.get(..1).unwrap_or_default() } else { &against };
    let compared: Vec<_> = against
        .iter()
        .flat_map(|reference| targets.iter().map(move |target| [*target, *reference]))
        .filter(is_compared)
        .collect();
    let of_case = |case: &&str| {
        let compare = |pair: &[&str; 2]| Comparison::new(stage, view.figure, view.relation, case, *pair);
        // Floors and direct connections are a scale for the others; nothing is claimed of them.
        let is_claim = |[target, reference]: &[&str; 2]| !FLOORS.contains(target) && *reference != DIRECT;
        compared.iter().map(|pair| (compare(pair), is_claim(pair))).collect::<Vec<_>>()
    };
    let comparisons: Vec<_> = cases.iter().flat_map(of_case).collect();
    let (mut cells, note) = cells::comparisons(&comparisons, digits(view.relation, view.figure));
    let absolute: Vec<_> = match width {
        // Figures that the reference does not have stand for themselves.
        _ if comparisons.iter().all(|(comparison, _)| comparison.is_none()) => targets.clone(),
        Width::Terminal => vec![stage.reference()],
        Width::Page => targets.iter().copied().filter(|target| !FLOORS.contains(target)).collect(),
    };

    // Points of a single curve are named by their place alone.
    let is_single = cases.iter().all(|case| stage.work(case).is_empty());
    let mut head = vec![stage.head.axis.clone().filter(|_| is_single).unwrap_or_else(|| "case".to_owned())];
    head.extend(absolute.iter().map(|target| (*target).to_owned()));
    head.extend(compared.iter().map(|[target, reference]| match view.relation {
        Relation::Ratio => format!("{target} / {reference}"),
        Relation::Added => format!("{target} - {reference}"),
    }));
    let mut rows = Vec::new();
    for case in cases {
        let mut row = vec![case.to_owned()];
        row.extend(absolute.iter().map(|target| figure(stage, view.figure, case, target)));
        row.extend(cells.drain(..compared.len()));
        rows.push(row);
    }
    let title = format!("{}:", view.figure.title());
    let is_wide = compared.len() > COLUMNS_MAX && compared.len() > rows.len();
    let table = Table { title, head, rows, notes: note.into_iter().collect() };
    if is_wide { table.transposed() } else { table }
}

/// Comparisons beside each other, when there are fewer cases than that.
const COLUMNS_MAX: usize = 4;

/// Not a reference with itself, nor no proxy at all with a proxy.
fn is_compared([target, reference]: &[&str; 2]) -> bool {
    target != reference && *target != DIRECT
}

/// Digits behind the point of a figure that was compared.
pub(crate) fn digits(relation: Relation, figure: Figure) -> usize {
    if relation == Relation::Ratio { 2 } else { figure.digits() }
}

/// A target's own figure: without a median when it is reported as a flaw against the reference.
fn figure(stage: &Stage<'_>, figure: Figure, case: &str, target: &str) -> String {
    let Some(spread) = Spread::of(stage.by_round(case, target, figure).into_values()) else { return String::new() };
    if let Some(flaw) = other_side(stage, figure, case, target) {
        return flaw.to_string();
    }
    let against_bare = Comparison::new(stage, figure, Relation::Ratio, case, [target, stage.reference()]);
    let do_disagree = |comparison: Comparison| matches!(comparison.flaw, Some(Flaw::Disagreement { .. }));
    if target != stage.reference() && against_bare.is_some_and(do_disagree) {
        let number = |value| cells::number(value, figure.digits());
        return format!("{} - {}", number(spread.min), number(spread.max));
    }
    cells::spread(spread, figure.digits())
}
