//! The figures of one stage, found by case, target and round.

use std::collections::BTreeMap;

use super::statistics::Spread;
use crate::figure::Figure;
use crate::record::{Bottleneck, Record, Run, StageHead};

/// What all others are compared with.
pub(crate) const REFERENCE: &str = "bare";
/// Except in these stages: settings are compared with those that are rendered.
const OTHER_REFERENCES: &[(&str, &str)] = &[("settings", "tenancy"), ("settings of workers", "tenancy")];
/// No proxy at all.
pub(crate) const DIRECT: &str = "direct";
/// Filters that do nothing with what they see, cheapest first: what any filter in wasm costs.
pub(crate) const FLOORS: &[&str] = &["noop", "peek", "copy"];

/// The module, doing a little and doing more.
pub(crate) const GATEWAYS: &[&str] = &["addresses", "tenancy"];

/// One stage of a run.
pub(crate) struct Stage<'a> {
    pub(crate) head: &'a StageHead,
    records: Vec<&'a Record>,
}

impl<'a> Stage<'a> {
    pub(crate) fn all(run: &'a Run) -> Vec<Self> {
        let of = |name: &str| {
            Some(Self {
                head: run.stages.iter().find(|head| head.name == name)?,
                records: run.records.iter().filter(|record| record.stage == name).collect(),
            })
        };
        // Stages of one name differ in their deployment and are points of one curve.
        distinct(run.stages.iter().map(|head| head.name.as_str())).into_iter().filter_map(of).collect()
    }

    /// What its targets are compared with.
    pub(crate) fn reference(&self) -> &'static str {
        let other = OTHER_REFERENCES.iter().find(|(stage, _)| *stage == self.name());
        other.map_or(REFERENCE, |(_, reference)| reference)
    }

    pub(crate) fn name(&self) -> &'a str {
        &self.head.name
    }

    /// In the order of the plan, which is that of the first round; but those of one curve stand together.
    pub(crate) fn cases(&self) -> Vec<&'a str> {
        let mut cases = distinct(self.records.iter().map(|record| record.case.as_str()));
        let works: Vec<_> = cases.iter().map(|case| self.work(case)).collect();
        cases.sort_by_key(|case| {
            let work = self.work(case);
            works.iter().position(|other| *other == work)
        });
        cases
    }

    /// What a case has in common with the other points of its curve: its name without the place on the axis.
    /// `ping-pong, 20` at 20 is `ping-pong`.
    pub(crate) fn work(&self, case: &str) -> String {
        let Some(x) = self.x(case) else { return case.to_owned() };
        let is_place = |word: &&str| word.replace(',', "").parse() == Ok(x);
        let words: Vec<_> = case.split_whitespace().filter(|word| !is_place(word)).collect();
        words.join(" ").trim_end_matches(',').to_owned()
    }

    /// Reference, floors and gateways first, then the others in the order of the plan.
    pub(crate) fn targets(&self) -> Vec<&'a str> {
        let mut targets = distinct(self.records.iter().map(|record| record.target.as_str()));
        let first: Vec<_> = [DIRECT, REFERENCE].iter().chain(FLOORS).chain(GATEWAYS).collect();
        targets.sort_by_key(|target| first.iter().position(|first| *first == target).unwrap_or(first.len()));
        targets
    }

    /// What was measured at all.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<_> =
            self.records.iter().flat_map(|record| record.measured.figures.keys().copied()).collect();
        figures.sort_unstable();
        figures.dedup();
        figures
    }

    pub(crate) fn has(&self, case: &str, figure: Figure) -> bool {
        self.records.iter().any(|record| record.case == case && record.measured.figures.contains_key(&figure))
    }

    /// What was measured of a case.
    pub(crate) fn figures_of(&self, case: &str) -> Vec<Figure> {
        self.figures().into_iter().filter(|figure| self.has(case, *figure)).collect()
    }

    /// Where a case stands on the stage's axis.
    pub(crate) fn x(&self, case: &str) -> Option<f64> {
        self.records.iter().find(|record| record.case == case)?.x
    }

    /// A figure of a target, by round.
    pub(crate) fn by_round(&self, case: &str, target: &str, figure: Figure) -> BTreeMap<usize, f64> {
        let of_round = |record: &&Record| Some((record.round, *record.measured.figures.get(&figure)?));
        self.of(case, target).filter_map(|record| of_round(&record)).collect()
    }

    /// Who set the pace, by round; empty where nobody was meant to.
    pub(crate) fn bottlenecks(&self, case: &str, target: &str) -> Vec<Bottleneck> {
        self.of(case, target).filter_map(|record| record.measured.bottleneck).collect()
    }

    /// How long others had the proxy's core, over all cases and rounds; `None` without a proxy.
    pub(crate) fn kept_waiting(&self) -> Option<Spread> {
        Spread::of(self.records.iter().filter_map(|record| {
            record.measured.figures.get(&Figure::ProxyKeptWaiting).copied().filter(|_| record.target != DIRECT)
        }))
    }

    /// Bytes of a request and its answer, where both were counted.
    pub(crate) fn bytes_per_request(&self, case: &str) -> Option<f64> {
        let of = |record: &&Record| {
            let figure = |figure| record.measured.figures.get(&figure);
            Some(figure(Figure::MegabytesPerSecond)? * 1e6 / figure(Figure::RequestsPerSecond)?)
        };
        self.records.iter().filter(|record| record.case == case).find_map(of)
    }

    fn of(&self, case: &str, target: &str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().copied().filter(move |record| record.case == case && record.target == target)
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::cases_of;

    #[test]
    fn cases_of_one_work_are_one_curve() {
        let cases = [
            ("ping-pong, 20", 20.0),
            ("20 topics of 20,000", 20_000.0),
            ("ping-pong, 1", 1.0),
            ("fetch v12 50 MiB", 50.0),
        ];
        let run = cases_of(&cases);
        let stages = Stage::all(&run);
        assert_eq!(
            cases.map(|(case, _)| stages[0].work(case)),
            ["ping-pong", "20 topics of", "ping-pong", "fetch v12 MiB"]
        );
        assert_eq!(stages[0].cases(), ["ping-pong, 20", "ping-pong, 1", "20 topics of 20,000", "fetch v12 50 MiB"]);
    }

    #[test]
    fn stages_of_one_name_are_one() {
        let mut run = cases_of(&[("one", 1.0)]);
        run.stages.push(run.stages[0].clone());
        assert_eq!(Stage::all(&run).len(), 1);
    }
}
