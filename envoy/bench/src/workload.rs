//! The workloads: what is sent, how large, how much of it at once.

use anyhow::{Result, anyhow};
use kafka_protocol::messages::ApiKey;
use serde::Serialize;

use crate::target::Target::{self, Addresses, Bare, Direct, Tenancy};

const KIB: usize = 1024;

/// What one connection repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// Produce with this many record bytes, acks=all. Names its topic up to v12, from v13 on it gives the topic's id.
    Produce { version: i16, record_bytes: usize },
    /// Fetch that is answered with this many record bytes. The same holds for its topic.
    Fetch { version: i16, record_bytes: usize },
    /// A small request with a small answer.
    Heartbeat,
    /// Metadata of all topics that the client may see.
    ListTopics,
}

impl Request {
    pub(crate) fn api(self) -> (ApiKey, i16) {
        match self {
            Self::Produce { version, .. } => (ApiKey::Produce, version),
            Self::Fetch { version, .. } => (ApiKey::Fetch, version),
            Self::Heartbeat => (ApiKey::Heartbeat, 4),
            Self::ListTopics => (ApiKey::Metadata, 12),
        }
    }

    /// Whether what matters comes back.
    pub(crate) fn is_answer_larger(self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::ListTopics)
    }
}

/// What a workload is charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    Gigabyte,
    MillionRequests,
}

/// What the gateway may take more than bare Envoy.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Budget {
    /// CPU, as a multiple.
    pub(crate) cpu_ratio_max: Option<f64>,
    /// Time of a round trip.
    pub(crate) added_p50_us_max: Option<f64>,
    pub(crate) added_p99_us_max: Option<f64>,
    /// CPU of a request: what a round trip takes longer on a machine with nothing else to do.
    pub(crate) added_cpu_us_max: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) request: Request,
    pub(crate) connections: usize,
    /// Requests ahead of their answers, per connection; with 1 the round trip is what is measured.
    pub(crate) in_flight: usize,
    pub(crate) unit: Unit,
    pub(crate) budget: Budget,
    /// Where it runs: not everywhere, because a run of all has to end within three minutes.
    pub(crate) targets: &'static [Target],
}

/// The table of `bench smoke`. In-flight is the Java producer's `max.in.flight.requests.per.connection`.
pub(crate) const SMOKE: &[Workload] = &[
    bulk("produce v12 1 MiB", produce(12, 1024), 1.15, &[Bare, Addresses]),
    bulk("produce v12 256 KiB", produce(12, 256), 1.15, &[Direct, Bare, Addresses, Tenancy]),
    bulk("produce v13 256 KiB", produce(13, 256), 1.15, &[Bare, Tenancy]),
    bulk("produce v12 16 KiB", produce(12, 16), 1.3, &[Bare, Addresses, Tenancy]),
    bulk("produce v13 16 KiB", produce(13, 16), 1.3, &[Bare, Tenancy]),
    Workload {
        unit: Unit::MillionRequests,
        ..bulk("produce v12 1 KiB", produce(12, 1), 1.4, &[Direct, Bare, Addresses, Tenancy])
    },
    bulk("fetch v12 256 KiB", fetch(12, 256), 1.15, &[Direct, Bare, Addresses, Tenancy]),
    bulk("fetch v17 256 KiB", fetch(17, 256), 1.15, &[Bare, Tenancy]),
    bulk("fetch v12 16 KiB", fetch(12, 16), 1.3, &[Bare, Addresses, Tenancy]),
    bulk("fetch v17 16 KiB", fetch(17, 16), 1.3, &[Bare, Tenancy]),
    bulk("fetch v17 1 MiB", fetch(17, 1024), 1.15, &[Bare, Addresses]),
    round_trips(
        "ping-pong",
        Request::Heartbeat,
        Budget {
            cpu_ratio_max: Some(1.4),
            added_p50_us_max: Some(20.0),
            added_p99_us_max: Some(100.0),
            added_cpu_us_max: None,
        },
        &[Direct, Bare, Addresses, Tenancy],
    ),
    round_trips(
        "list 200 of 1000 topics",
        Request::ListTopics,
        Budget {
            cpu_ratio_max: None,
            added_p50_us_max: Some(1000.0),
            added_p99_us_max: None,
            added_cpu_us_max: Some(1000.0),
        },
        &[Bare, Addresses, Tenancy],
    ),
];

/// What tells most about Envoy's buffer limit: a frame that fits most limits, and one that fits none.
pub(crate) const BUFFERS: &[&str] = &["produce v12 256 KiB", "produce v12 1 MiB"];

/// Those of `SMOKE` with these names.
pub(crate) fn named<Name: AsRef<str>>(names: &[Name]) -> Result<Vec<Workload>> {
    names
        .iter()
        .map(|name| {
            let known = || SMOKE.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
            let found = SMOKE.iter().find(|workload| workload.name == name.as_ref());
            found.copied().ok_or_else(|| anyhow!("no workload '{}', there are: {}", name.as_ref(), known()))
        })
        .collect()
}

const fn produce(version: i16, kib: usize) -> Request {
    Request::Produce { version, record_bytes: kib * KIB }
}

const fn fetch(version: i16, kib: usize) -> Request {
    Request::Fetch { version, record_bytes: kib * KIB }
}

const fn bulk(name: &'static str, request: Request, cpu_ratio_max: f64, targets: &'static [Target]) -> Workload {
    let budget = Budget {
        cpu_ratio_max: Some(cpu_ratio_max),
        added_p50_us_max: None,
        added_p99_us_max: None,
        added_cpu_us_max: None,
    };
    Workload { name, request, connections: 4, in_flight: 5, unit: Unit::Gigabyte, budget, targets }
}

const fn round_trips(name: &'static str, request: Request, budget: Budget, targets: &'static [Target]) -> Workload {
    Workload { name, request, connections: 1, in_flight: 1, unit: Unit::MillionRequests, budget, targets }
}

impl Workload {
    pub(crate) fn is_round_trip(&self) -> bool {
        self.in_flight == 1
    }
}
