//! Every bound of the data path: a name, a default and a reason each.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Bounds of one virtual cluster. Sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Largest frame in either direction, without its size field. Kafka's own default is 100 MiB
    /// (`socket.request.max.bytes`).
    pub frame_bytes_max: u32,
    /// Largest frame that is collected whole because a filter must see all of it (Metadata of a large cluster).
    pub held_bytes_max: u32,
    /// Bytes that all connections of one worker may keep in memory together. The module's memory ends at 1 GiB.
    pub worker_held_bytes_max: u32,
    /// Requests of one connection that wait for their answer. Beyond it the client is not read.
    pub in_flight_max: u32,
    /// How long a connection to a node's port waits until the node's address is known.
    pub node_wait_ms: u32,
    /// How often the target cluster is asked for its nodes.
    pub node_refresh_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: 100 << 20,
            held_bytes_max: 32 << 20,
            worker_held_bytes_max: 256 << 20,
            in_flight_max: 1024,
            node_wait_ms: 5_000,
            node_refresh_ms: 30_000,
        }
    }
}

impl Limits {
    /// Bytes that must be kept until more of their frame has come fit the module's memory.
    pub(crate) fn check_held(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.held_bytes_max as usize {
            let got = u64::try_from(bytes).unwrap_or(u64::MAX);
            return Err(Fault::Limit { limit: "heldBytesMax", max: u64::from(self.held_bytes_max), got });
        }
        Ok(())
    }
}
