//! What the core and its filters may ask of the process around them.

use core::fmt;

/// Things that are counted. The adapter maps each to one Envoy counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Request frames of clients.
    Requests,
    /// Response frames of the upstream, own ones included.
    Responses,
    /// Requests that the gateway answered itself.
    LocalAnswers,
    /// Requests that the gateway sent on its own account.
    OwnRequests,
    /// Changes of the node map.
    NodesLearned,
    /// Addresses forgotten because nobody answered there.
    NodesForgotten,
    /// Addresses taken out of answers because their node id has no port.
    NodesUnmapped,
    /// Topic ids in requests that are not the tenant's.
    TopicIdsForeign,
    /// Elements of list answers that are not the tenant's and were left out.
    ForeignElements,
}

impl Counter {
    /// Every counter with its metric name.
    pub const ALL: &'static [(Counter, &'static str)] = &[
        (Counter::Requests, "requests"),
        (Counter::Responses, "responses"),
        (Counter::LocalAnswers, "local_answers"),
        (Counter::OwnRequests, "own_requests"),
        (Counter::NodesLearned, "nodes_learned"),
        (Counter::NodesForgotten, "nodes_forgotten"),
        (Counter::NodesUnmapped, "nodes_unmapped"),
        (Counter::TopicIdsForeign, "topic_ids_foreign"),
        (Counter::ForeignElements, "foreign_elements"),
    ];
}

/// What whoever runs the gateway has to know, and no connection is closed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    /// This node of the target cluster has no address that clients could be given, so it is left out of answers.
    NodeUnmapped(i32),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::NodeUnmapped(id) => write!(
                f,
                "node {id} of the target cluster has no port here and is left out of what clients are told; partitions \
                 that it leads cannot be reached: add its id to spec.listener.nodePorts, or raise maxNodeId"
            ),
        }
    }
}

/// State that all workers of one virtual cluster share, and counters. Implemented by the packaging (proxy-wasm, tests).
pub trait Host {
    /// The value under `key` and its version for [`Host::set_shared`].
    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Stores `value` if nobody else has since `version` was read; 0 stores always. False: read again.
    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> bool;

    /// The clock, in milliseconds of any origin. It may be set back or ahead.
    fn now_ms(&mut self) -> u64;

    /// Adds `by` to a counter.
    fn count(&mut self, counter: Counter, by: u64);

    /// Tells the operator. The same may be reported again and again; once is enough to be told.
    fn report(&mut self, report: Report);
}
