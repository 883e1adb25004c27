//! What can go wrong on a connection, whose fault it is, and what the gateway does about it.
//!
//! Every fault ends the connection: a stream that lost step can only be closed. The reaction is chosen once, here.

use core::fmt;

use crate::protocol::ApiKey;

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes contradict Kafka's definition of the message.
    Malformed {
        /// The field that was being read.
        field: &'static str,
        /// Its offset in the frame, counted from the size field.
        at: usize,
    },
    /// The API key or version is in no table or not offered by the filter chain.
    Unsupported {
        /// Key of the request header.
        api_key: ApiKey,
        /// Version of the request header.
        version: i16,
    },
    /// Well-formed but larger than a limit allows.
    Limit {
        /// Name of the limit as in the configuration.
        limit: &'static str,
        /// Its value.
        max: u64,
        /// What was met.
        got: u64,
    },
    /// There are as many connections as a quota allows.
    Connections {
        /// Whose quota.
        whose: &'static str,
        /// The quota.
        max: u32,
    },
    /// The client speaks another protocol on this port.
    NotKafka(Protocol),
    /// The answer's correlation id is not the one of the oldest request in flight.
    Correlation {
        /// Correlation id at the head of the queue.
        expected: i32,
        /// Correlation id of the answer.
        got: i32,
    },
    /// The upstream sent a frame although no request is in flight.
    Unsolicited,
    /// The client closed in the middle of a frame.
    Truncated,
    /// The upstream's answer names something that is not the client's, where that cannot be.
    Foreign {
        /// The field with the name.
        field: &'static str,
    },
    /// The upstream is another Kafka cluster than the operator has said.
    WrongCluster {
        /// Cluster id that the operator has said.
        wanted: Box<str>,
        /// Cluster id that the upstream has, when it has one; shortened.
        got: Option<Box<str>>,
    },
    /// The client's certificate is good, but no rule makes a principal of it.
    Unidentified {
        /// What the rules were tried on, if the certificate has it; shortened.
        name: Option<Box<str>>,
    },
    /// A call to the host failed with this proxy-wasm status.
    Host(u32),
    /// Our own bug. Never carried on from.
    Internal(&'static str),
}

/// Protocols that are mistaken for Kafka often enough to be named in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A TLS record.
    Tls,
    /// An HTTP request line.
    Http,
}

/// Characters of other people's names that a fault keeps.
const NAME_CHARS_MAX: usize = 200;

/// A name from outside, as a fault keeps it.
#[must_use]
pub fn shortened(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name).chars().take(NAME_CHARS_MAX).collect()
}

impl Fault {
    /// The label under which closes are counted: a fixed, small set.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Fault::Malformed { .. } => "malformed",
            Fault::Unsupported { .. } => "unsupported",
            Fault::Limit { .. } => "limit",
            Fault::Connections { .. } => "connections",
            Fault::NotKafka(Protocol::Tls) => "not_kafka_tls",
            Fault::NotKafka(Protocol::Http) => "not_kafka_http",
            Fault::Correlation { .. } => "correlation",
            Fault::Unsolicited => "unsolicited",
            Fault::Truncated => "truncated",
            Fault::Foreign { .. } => "foreign",
            Fault::WrongCluster { .. } => "wrong_cluster",
            Fault::Unidentified { .. } => "unidentified",
            Fault::Host(_) => "host",
            Fault::Internal(_) => "internal",
        }
    }

    /// All labels that [`Fault::reason`] can give, so that a host can define its counters once.
    pub const REASONS: &'static [&'static str] = &[
        "malformed",
        "unsupported",
        "limit",
        "connections",
        "not_kafka_tls",
        "not_kafka_http",
        "correlation",
        "unsolicited",
        "truncated",
        "foreign",
        "wrong_cluster",
        "unidentified",
        "host",
        "internal",
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed { field, at } => write!(f, "malformed frame: field {field} at byte {at}"),
            Fault::Unsupported { api_key, version } => {
                write!(f, "request {api_key} version {version} is not offered by this virtual cluster")
            }
            Fault::Limit { limit, max, got } => write!(f, "{got} exceeds limits.{limit} ({max})"),
            Fault::Connections { whose, max } => write!(f, "the connections {whose} have reached their quota ({max})"),
            Fault::NotKafka(Protocol::Tls) => {
                f.write_str("TLS bytes on a plaintext Kafka port; check the client's security.protocol")
            }
            Fault::NotKafka(Protocol::Http) => f.write_str("HTTP bytes on a Kafka port"),
            Fault::Correlation { expected, got } => {
                write!(f, "upstream answered correlation id {got}, expected {expected}")
            }
            Fault::Unsolicited => f.write_str("upstream sent a frame that answers no request"),
            Fault::Truncated => f.write_str("connection ended inside a frame"),
            Fault::Foreign { field } => {
                write!(
                    f,
                    "the answer's {field} is outside this virtual cluster although the client cannot have asked for it"
                )
            }
            Fault::WrongCluster { wanted, got: Some(got) } => {
                write!(
                    f,
                    "the upstream is Kafka cluster '{}', but clusterId of the target cluster is '{wanted}'",
                    got.escape_debug()
                )
            }
            Fault::WrongCluster { wanted, got: None } => {
                write!(
                    f,
                    "the upstream does not tell its cluster id, but clusterId of the target cluster is '{wanted}'"
                )
            }
            Fault::Unidentified { name: Some(name) } => {
                write!(
                    f,
                    "no rule of spec.listener.tls.clientPrincipal fits the client's certificate '{}'",
                    name.escape_debug()
                )
            }
            Fault::Unidentified { name: None } => f.write_str(
                "the client's certificate has no name of the kind that spec.listener.tls.clientPrincipal asks for",
            ),
            Fault::Host(status) => write!(f, "host call failed with status {status}"),
            Fault::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl core::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_counted_reason() {
        let faults = [
            Fault::Malformed { field: "x", at: 0 },
            Fault::Unsupported { api_key: ApiKey(999), version: 1 },
            Fault::Limit { limit: "frameBytesMax", max: 1, got: 2 },
            Fault::Connections { whose: "x", max: 1 },
            Fault::NotKafka(Protocol::Tls),
            Fault::NotKafka(Protocol::Http),
            Fault::Correlation { expected: 1, got: 2 },
            Fault::Unsolicited,
            Fault::Truncated,
            Fault::Foreign { field: "x" },
            Fault::WrongCluster { wanted: "x".into(), got: None },
            Fault::Unidentified { name: None },
            Fault::Host(2),
            Fault::Internal("x"),
        ];
        assert_eq!(faults.len(), Fault::REASONS.len());
        for fault in faults {
            assert!(Fault::REASONS.contains(&fault.reason()), "{fault}");
        }
    }
}
