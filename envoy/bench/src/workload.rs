//! The workloads: what is sent, how large, how much of it at once.

use serde::Serialize;

const KIB: usize = 1024;

/// What one connection repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// Produce with this many record bytes, acks=all.
    Produce { record_bytes: usize },
    /// Fetch of at most this version, answered with this many record bytes.
    Fetch { record_bytes: usize, version_max: i16 },
    /// A small request with a small answer.
    Heartbeat,
}

/// What a workload is charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    Gigabyte,
    MillionRequests,
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
    /// Most CPU that the gateway may take, as a multiple of bare Envoy's.
    pub(crate) cpu_ratio_max: f64,
}

/// The table of `bench smoke`. In-flight is the Java producer's `max.in.flight.requests.per.connection`.
pub(crate) const SMOKE: &[Workload] = &[
    bulk("produce 1 MiB", Request::Produce { record_bytes: 1024 * KIB }, 1.15),
    bulk("produce 256 KiB", Request::Produce { record_bytes: 256 * KIB }, 1.15),
    bulk("produce 16 KiB", Request::Produce { record_bytes: 16 * KIB }, 1.3),
    Workload { unit: Unit::MillionRequests, ..bulk("produce 1 KiB", Request::Produce { record_bytes: KIB }, 1.4) },
    bulk("fetch v12 256 KiB", Request::Fetch { record_bytes: 256 * KIB, version_max: 12 }, 1.15),
    bulk("fetch v17 1 MiB", Request::Fetch { record_bytes: 1024 * KIB, version_max: 17 }, 1.15),
    Workload {
        in_flight: 1,
        connections: 1,
        unit: Unit::MillionRequests,
        ..bulk("ping-pong", Request::Heartbeat, 1.4)
    },
];

const fn bulk(name: &'static str, request: Request, cpu_ratio_max: f64) -> Workload {
    Workload { name, request, connections: 4, in_flight: 5, unit: Unit::Gigabyte, cpu_ratio_max }
}

impl Workload {
    pub(crate) fn is_round_trip(&self) -> bool {
        self.in_flight == 1
    }
}
