//! What the gateway may take, from the budgets of the design.

use super::comparison::Relation;
use crate::figure::Figure;

/// A budget, checked wherever its case was measured.
#[derive(Debug)]
pub(crate) struct Budget {
    stage: &'static str,
    case: Case,
    pub(crate) figure: Figure,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Case {
    Named(&'static str),
    /// All names with these words.
    With(&'static [&'static str]),
}

/// The median of the rounds decides; all but the last are against bare Envoy of the same round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AddedAtMost(f64),
    AtMost(f64),
}

impl Budget {
    pub(crate) fn is_of(&self, stage: &str) -> bool {
        self.stage == stage
    }

    pub(crate) fn is_for(&self, case: &str) -> bool {
        match self.case {
            Case::Named(name) => case == name,
            Case::With(words) => {
                let has = |word: &&str| case.split(|char: char| !char.is_alphanumeric()).any(|other| other == *word);
                words.iter().all(has)
            }
        }
    }
}

impl Bound {
    pub(crate) fn relation(self) -> Option<Relation> {
        match self {
            Self::RatioAtMost(_) | Self::RatioAtLeast(_) => Some(Relation::Ratio),
            Self::AddedAtMost(_) => Some(Relation::Added),
            Self::AtMost(_) => None,
        }
    }

    pub(crate) fn limit(self) -> f64 {
        match self {
            Self::RatioAtMost(limit) | Self::RatioAtLeast(limit) | Self::AddedAtMost(limit) | Self::AtMost(limit) => {
                limit
            }
        }
    }

    pub(crate) fn allows(self, value: f64) -> bool {
        match self {
            Self::RatioAtMost(limit) | Self::AddedAtMost(limit) | Self::AtMost(limit) => value <= limit,
            Self::RatioAtLeast(limit) => value >= limit,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RatioAtMost(limit) => write!(out, "{limit} times"),
            Self::RatioAtLeast(limit) => write!(out, "at least {limit} times"),
            Self::AddedAtMost(limit) => write!(out, "{} more", super::cells::number(*limit, 0)),
            Self::AtMost(limit) => write!(out, "{limit}"),
        }
    }
}

const fn budget(stage: &'static str, case: Case, figure: Figure, bound: Bound) -> Budget {
    Budget { stage, case, figure, bound }
}

const fn cpu(case: &'static str, limit: f64) -> Budget {
    budget("exchanges", Case::Named(case), Figure::CpuSecondsPerGigabyte, Bound::RatioAtMost(limit))
}

const fn small(case: &'static str, figure: Figure, bound: Bound) -> Budget {
    budget("exchanges", Case::Named(case), figure, bound)
}

pub(crate) const BUDGETS: &[Budget] = &[
    cpu("produce v12 1 MiB", 1.15),
    cpu("produce v12 256 KiB", 1.15),
    cpu("produce v13 256 KiB", 1.15),
    cpu("produce v12 16 KiB", 1.3),
    cpu("produce v13 16 KiB", 1.3),
    cpu("fetch v17 1 MiB", 1.15),
    cpu("fetch v12 256 KiB", 1.15),
    cpu("fetch v17 256 KiB", 1.15),
    cpu("fetch v12 16 KiB", 1.3),
    cpu("fetch v17 16 KiB", 1.3),
    small("produce v12 1 KiB", Figure::CpuSecondsPerMillionRequests, Bound::RatioAtMost(1.4)),
    small("ping-pong", Figure::CpuSecondsPerMillionRequests, Bound::RatioAtMost(1.4)),
    small("ping-pong", Figure::P50Us, Bound::AddedAtMost(20.0)),
    small("ping-pong", Figure::P99Us, Bound::AddedAtMost(100.0)),
    // CPU seconds per million requests are microseconds per request.
    small("list 200 of 1000 topics", Figure::CpuSecondsPerMillionRequests, Bound::AddedAtMost(1_000.0)),
    small("list 200 of 1000 topics", Figure::P50Us, Bound::AddedAtMost(1_000.0)),
    budget("sizes", Case::With(&["1", "MiB"]), Figure::CpuSecondsPerGigabyte, Bound::RatioAtMost(1.15)),
    budget("sizes", Case::With(&["1", "KiB"]), Figure::CpuSecondsPerMillionRequests, Bound::RatioAtMost(1.4)),
    // The design's rates of load; it has no budget beyond them.
    paced("latency", &["5000"], Figure::P50Us, 20.0),
    paced("latency", &["5000"], Figure::P99Us, 100.0),
    paced("latency", &["20000"], Figure::P50Us, 20.0),
    paced("latency", &["20000"], Figure::P99Us, 100.0),
    paced("kafka", &["latency", "5000"], Figure::P50Us, 20.0),
    paced("kafka", &["latency", "5000"], Figure::P99Us, 100.0),
    paced("kafka", &["latency", "20000"], Figure::P50Us, 20.0),
    paced("kafka", &["latency", "20000"], Figure::P99Us, 100.0),
    budget("kafka", Case::With(&["consume"]), Figure::RecordsPerSecond, Bound::RatioAtLeast(0.95)),
    budget("connections", Case::With(&["set", "up"]), Figure::CpuMicrosPerConnection, Bound::RatioAtMost(1.3)),
    budget("connections", Case::With(&["idle", "connections"]), Figure::KibPerConnection, Bound::AddedAtMost(16.0)),
    budget("connections", Case::Named("start"), Figure::StartSeconds, Bound::AtMost(2.0)),
    // Whoever held a frame of 50 MiB would have that much more.
    budget("large frames", Case::With(&["50", "MiB"]), Figure::PeakMib, Bound::AddedAtMost(50.0)),
];

const fn paced(stage: &'static str, words: &'static [&'static str], figure: Figure, limit: f64) -> Budget {
    budget(stage, Case::With(words), figure, Bound::AddedAtMost(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    #[test]
    fn each_budget_has_a_case_in_the_full_plan() {
        let plan = plan::full(6);
        let is_built = |budget: &&Budget| cfg!(feature = "real-kafka") || budget.stage != "kafka";
        for budget in BUDGETS.iter().filter(is_built) {
            let mut stages = plan.stages.iter().filter(|stage| budget.is_of(stage.name));
            let has = stages.any(|stage| stage.cases.iter().any(|case| budget.is_for(&case.name)));
            assert!(has, "{budget:?}");
        }
    }

    #[test]
    fn words_of_a_case_are_whole_words() {
        let of_rate = budget("latency", Case::With(&["5000"]), Figure::P50Us, Bound::AddedAtMost(1.0));
        assert!(of_rate.is_for("5000 x 1 KB/s") && of_rate.is_for("latency 5000/s"));
        assert!(!of_rate.is_for("50000 x 1 KB/s"));
    }

    #[test]
    fn a_bound_allows_what_is_on_it() {
        assert!(Bound::RatioAtMost(1.15).allows(1.15) && !Bound::RatioAtMost(1.15).allows(1.151));
        assert!(Bound::RatioAtLeast(0.95).allows(0.95) && !Bound::RatioAtLeast(0.95).allows(0.94));
    }
}
