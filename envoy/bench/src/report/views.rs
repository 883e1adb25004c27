//! Which figures of a stage get a table, and how they are compared.

use super::comparison::Relation;
use super::stage::{DIRECT, Stage};
use crate::figure::{Figure, Kind};

/// One table: a figure of some of the stage's cases.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) figure: Figure,
    pub(crate) relation: Relation,
    /// What the others are compared with.
    pub(crate) against: Vec<&'static str>,
    cases: Cases,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cases {
    All,
    /// Requests so large that their bytes are what costs.
    Bulk,
    Small,
    /// Those whose pace is not that of a single round trip after the other.
    SmallAtOnce,
}

/// From here on a figure per gigabyte says more than one per request.
const BULK_BYTES_MIN: f64 = 8.0 * 1024.0;

const BULK_AND_SMALL: &[Figure] = &[Figure::CpuSecondsPerGigabyte, Figure::CpuSecondsPerMillionRequests];

/// The figures that answer what a stage asks, in this order; of any other stage all that have a table.
const CHOSEN: &[(&str, &[Figure])] = &[
    (
        "exchanges",
        &[
            Figure::CpuSecondsPerGigabyte,
            Figure::CpuSecondsPerMillionRequests,
            Figure::P50Us,
            Figure::P99Us,
            Figure::MegabytesPerSecond,
        ],
    ),
    ("sizes", BULK_AND_SMALL),
    ("topics-per-request", &[Figure::CpuSecondsPerGigabyte, Figure::CpuSecondsPerMillionRequests, Figure::P50Us]),
    ("floor", BULK_AND_SMALL),
    ("two workers", &[Figure::CpuSecondsPerGigabyte, Figure::CpuSecondsPerMillionRequests, Figure::P50Us]),
    (
        "latency",
        &[
            Figure::P50Us,
            Figure::P99Us,
            Figure::P999Us,
            Figure::EndToEndP50Us,
            Figure::EndToEndP99Us,
            Figure::EndToEndP999Us,
        ],
    ),
    (
        "kafka",
        &[
            Figure::CpuSecondsPerGigabyte,
            Figure::RecordsPerSecond,
            Figure::MeanUs,
            Figure::P50Us,
            Figure::P99Us,
            Figure::P999Us,
            Figure::EndToEndP50Us,
            Figure::EndToEndP99Us,
            Figure::EndToEndP999Us,
        ],
    ),
];

impl View {
    fn of(stage: &Stage<'_>, figure: Figure, cases: Cases) -> Option<Self> {
        let reference = stage.reference();
        let (relation, against) = match figure.kind() {
            Kind::Median | Kind::Tail | Kind::FarTail => (Relation::Added, vec![reference, DIRECT]),
            Kind::Memory | Kind::Start => (Relation::Added, vec![reference]),
            Kind::Cpu | Kind::Throughput => (Relation::Ratio, vec![reference]),
            Kind::Share => return None,
        };
        Some(Self { figure, relation, against, cases })
    }

    /// All that are worth a table, in the order of their figures.
    pub(crate) fn of_stage(stage: &Stage<'_>) -> Vec<Self> {
        let measured = stage.figures();
        if stage.head.axis.is_some() {
            // The points of a curve stay together, however large their requests are.
            let per_one = [Figure::KibPerVirtualCluster, Figure::KibPerConnection];
            let figures =
                growing(&measured).into_iter().chain(per_one.into_iter().filter(|one| measured.contains(one)));
            return figures.filter_map(|figure| Self::of(stage, figure, Cases::All)).collect();
        }
        let chosen = CHOSEN.iter().find(|(name, _)| *name == stage.name()).map(|(_, figures)| *figures);
        let figures = chosen.unwrap_or(&measured).iter().filter(|figure| measured.contains(figure));
        figures.filter_map(|figure| Self::of(stage, *figure, cases(*figure))).collect()
    }

    pub(crate) fn is_of(&self, stage: &Stage<'_>, case: &str) -> bool {
        let is_bulk = || stage.bytes_per_request(case).is_none_or(|bytes| bytes >= BULK_BYTES_MIN);
        let is_small = || stage.bytes_per_request(case).is_none_or(|bytes| bytes < BULK_BYTES_MIN);
        let is_round_trip = || stage.has(case, Figure::P50Us);
        match self.cases {
            Cases::All => true,
            Cases::Bulk => is_bulk() && !is_round_trip(),
            Cases::Small => is_small() || is_round_trip(),
            Cases::SmallAtOnce => is_small() && !is_round_trip(),
        }
    }
}

fn cases(figure: Figure) -> Cases {
    match figure {
        Figure::CpuSecondsPerGigabyte | Figure::MegabytesPerSecond => Cases::Bulk,
        Figure::CpuSecondsPerMillionRequests => Cases::Small,
        Figure::RequestsPerSecond => Cases::SmallAtOnce,
        _ => Cases::All,
    }
}

/// Of what was measured, what may grow along a stage's axis: CPU by one count, memory, start.
pub(crate) fn growing(measured: &[Figure]) -> Vec<Figure> {
    const CPU: [Figure; 3] =
        [Figure::CpuSecondsPerMillionRequests, Figure::CpuMicrosPerConnection, Figure::CpuSecondsPerGigabyte];
    const OTHERS: [Figure; 4] = [Figure::ResidentMib, Figure::PeakMib, Figure::StartCpuSeconds, Figure::StartSeconds];
    let is_measured = |figure: &Figure| measured.contains(figure);
    CPU.into_iter().find(is_measured).into_iter().chain(OTHERS.into_iter().filter(is_measured)).collect()
}
