//! What is measured: the names, units and directions of all figures.

use serde::{Deserialize, Serialize};

/// One kind of figure; the unit is in its name and never another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Figure {
    /// User and system time of all threads of the proxy's process, from the operating system's accounts.
    CpuSecondsPerGigabyte,
    CpuSecondsPerMillionRequests,
    CpuMicrosPerConnection,
    /// Of a request with many, each: topics of a list, or partitions with records.
    CpuMicrosPerElement,
    MegabytesPerSecond,
    RequestsPerSecond,
    RecordsPerSecond,
    ConnectionsPerSecond,
    /// From the time at which a request was due to its answer.
    MeanUs,
    P50Us,
    P99Us,
    P999Us,
    /// From the time at which a record was due to its arrival at the consumer.
    EndToEndP50Us,
    EndToEndP99Us,
    EndToEndP999Us,
    /// How late the load sent its requests although nothing kept it from sending them.
    LateP99Us,
    /// From the start of the process to the first answer through it.
    StartSeconds,
    StartCpuSeconds,
    /// Resident memory of the proxy's process.
    ResidentMib,
    /// The most it has had so far.
    PeakMib,
    KibPerConnection,
    KibPerVirtualCluster,
    /// Shares of one core.
    ProxyBusy,
    LoadBusy,
    EndpointBusy,
    /// Share of the time in which a thread of the proxy could have run but something else had its core.
    ProxyKeptWaiting,
}

/// Figures that are compared and judged alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cpu,
    /// Counts only where the proxy set the pace.
    Throughput,
    Median,
    /// The 99th percentile.
    Tail,
    /// The 99.9th.
    FarTail,
    Start,
    Memory,
    /// Who was busy: says what to make of the others.
    Share,
}

impl Figure {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::CpuSecondsPerGigabyte
            | Self::CpuSecondsPerMillionRequests
            | Self::CpuMicrosPerConnection
            | Self::CpuMicrosPerElement => Kind::Cpu,
            Self::MegabytesPerSecond
            | Self::RequestsPerSecond
            | Self::RecordsPerSecond
            | Self::ConnectionsPerSecond => Kind::Throughput,
            Self::MeanUs | Self::P50Us | Self::EndToEndP50Us => Kind::Median,
            Self::P99Us | Self::EndToEndP99Us => Kind::Tail,
            Self::P999Us | Self::EndToEndP999Us => Kind::FarTail,
            Self::StartSeconds | Self::StartCpuSeconds => Kind::Start,
            Self::ResidentMib | Self::PeakMib | Self::KibPerConnection | Self::KibPerVirtualCluster => Kind::Memory,
            Self::ProxyBusy | Self::LoadBusy | Self::EndpointBusy | Self::ProxyKeptWaiting | Self::LateP99Us => {
                Kind::Share
            }
        }
    }

    /// As in the head of a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::CpuSecondsPerGigabyte => "CPU s/GB",
            Self::CpuSecondsPerMillionRequests => "CPU s/M requests",
            Self::CpuMicrosPerConnection => "CPU us/connection",
            Self::CpuMicrosPerElement => "CPU us/element",
            Self::MegabytesPerSecond => "MB/s",
            Self::RequestsPerSecond => "requests/s",
            Self::RecordsPerSecond => "records/s",
            Self::ConnectionsPerSecond => "connections/s",
            Self::MeanUs => "mean us",
            Self::P50Us => "p50 us",
            Self::P99Us => "p99 us",
            Self::P999Us => "p99.9 us",
            Self::EndToEndP50Us => "end to end p50 us",
            Self::EndToEndP99Us => "end to end p99 us",
            Self::EndToEndP999Us => "end to end p99.9 us",
            Self::LateP99Us => "sent late p99 us",
            Self::StartSeconds => "start s",
            Self::StartCpuSeconds => "start CPU s",
            Self::ResidentMib => "resident MiB",
            Self::PeakMib => "peak MiB",
            Self::KibPerConnection => "KiB/connection",
            Self::KibPerVirtualCluster => "KiB/virtual cluster",
            Self::ProxyBusy => "proxy busy",
            Self::LoadBusy => "load busy",
            Self::EndpointBusy => "endpoint busy",
            Self::ProxyKeptWaiting => "kept waiting",
        }
    }

    /// Digits behind the point.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::CpuSecondsPerGigabyte => 3,
            Self::CpuMicrosPerElement => 2,
            Self::StartSeconds | Self::StartCpuSeconds => 2,
            Self::ProxyBusy | Self::LoadBusy | Self::EndpointBusy | Self::ProxyKeptWaiting => 2,
            Self::CpuSecondsPerMillionRequests
            | Self::CpuMicrosPerConnection
            | Self::KibPerConnection
            | Self::ResidentMib
            | Self::PeakMib => 1,
            Self::MegabytesPerSecond
            | Self::RequestsPerSecond
            | Self::RecordsPerSecond
            | Self::ConnectionsPerSecond
            | Self::MeanUs
            | Self::P50Us
            | Self::P99Us
            | Self::P999Us
            | Self::EndToEndP50Us
            | Self::EndToEndP99Us
            | Self::EndToEndP999Us
            | Self::LateP99Us
            | Self::KibPerVirtualCluster => 0,
        }
    }
}
