//! What connections repeat: which request, how large, how many at once.

use kafka_protocol::messages::ApiKey;

use crate::endpoint::{Family, PARTITIONS, Topic};

/// What one connection repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Produce, acks=all. Names its topics up to v12, from v13 on it gives their ids.
    Produce { version: i16, batch: Batch },
    /// Fetch that is answered with one batch from each partition. The same holds for its topics.
    Fetch { version: i16, batch: Batch },
    /// A small request with a small answer.
    Heartbeat,
    /// Metadata of this many topics, by name.
    Metadata { topics: usize },
    /// Metadata of all topics that the client may see, of so many in the cluster: under tenancy one in five.
    ListTopics { of: usize },
}

/// What goes to or comes from each partition of a request, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Length of the RECORDS field: one batch with one record, which has no key and no headers. 61 bytes of it are the head
    /// of the batch and 8 to 13 that of the record, so "a record of 100 B" has a value of 31 bytes and one of 16 KiB a value of
    /// 16,312. (Kafka's own tools count the value alone.)
    pub(crate) record_bytes: usize,
    pub(crate) topics: usize,
    /// In each topic.
    pub(crate) partitions: usize,
}

impl Request {
    pub(crate) const fn produce(version: i16, record_bytes: usize) -> Self {
        Self::Produce { version, batch: Batch { record_bytes, topics: 1, partitions: 1 } }
    }

    pub(crate) const fn fetch(version: i16, record_bytes: usize) -> Self {
        Self::Fetch { version, batch: Batch { record_bytes, topics: 1, partitions: 1 } }
    }

    /// The same to or from more than one partition; no change for requests without records.
    pub(crate) const fn over(self, topics: usize, partitions: usize) -> Self {
        match self {
            Self::Produce { version, batch } => Self::Produce { version, batch: Batch { topics, partitions, ..batch } },
            Self::Fetch { version, batch } => Self::Fetch { version, batch: Batch { topics, partitions, ..batch } },
            _ => self,
        }
    }

    pub(crate) fn api(self) -> (ApiKey, i16) {
        match self {
            Self::Produce { version, .. } => (ApiKey::Produce, version),
            Self::Fetch { version, .. } => (ApiKey::Fetch, version),
            Self::Heartbeat => (ApiKey::Heartbeat, 4),
            Self::Metadata { .. } | Self::ListTopics { .. } => (ApiKey::Metadata, 12),
        }
    }

    /// The topics that it names.
    pub(crate) fn topics(self) -> Vec<Topic> {
        let first = |family, count| (0..count).map(|index| Topic::new(family, index)).collect();
        match self {
            Self::Produce { batch, .. } | Self::Fetch { batch, .. } => first(batch.family(), batch.topics),
            Self::Metadata { topics } => first(Family::Bench, topics),
            Self::Heartbeat | Self::ListTopics { .. } => Vec::new(),
        }
    }

    /// What its cost may grow with: partitions with records, or topics of a list; `None` where there is one of everything.
    pub(crate) fn elements(self) -> Option<usize> {
        let elements = match self {
            Self::Produce { batch, .. } | Self::Fetch { batch, .. } => batch.topics * batch.partitions,
            Self::Metadata { topics } => topics,
            Self::ListTopics { of } => of,
            Self::Heartbeat => 1,
        };
        (elements > 1).then_some(elements)
    }

    /// Whether what matters comes back.
    pub(crate) fn is_answer_larger(self) -> bool {
        matches!(self, Self::Fetch { .. } | Self::Metadata { .. } | Self::ListTopics { .. })
    }
}

impl Batch {
    /// All partitions of a request have one leader, so many of them need a topic that has many.
    fn family(self) -> Family {
        // With two nodes, each leads half.
        if self.partitions * 2 <= PARTITIONS { Family::Bench } else { Family::Wide }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) request: Request,
    pub(crate) connections: usize,
    /// Requests ahead of their answers, per connection.
    pub(crate) in_flight: usize,
}

impl Workload {
    /// Four connections with as many requests under way as the Java producer's `max.in.flight.requests.per.connection`.
    pub(crate) const fn pipelined(request: Request) -> Self {
        Self { request, connections: 4, in_flight: 5 }
    }

    pub(crate) const fn round_trips(request: Request) -> Self {
        Self { request, connections: 1, in_flight: 1 }
    }

    /// Many connections, all active, each with one request under way.
    pub(crate) const fn crowd(request: Request, connections: usize) -> Self {
        Self { request, connections, in_flight: 1 }
    }

    /// Whether the time of an answer says something: where others wait before it, it tells of them.
    pub(crate) fn is_round_trip(&self) -> bool {
        self.in_flight == 1 && self.connections == 1
    }
}
