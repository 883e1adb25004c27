//! Host names of nodes: one name for each node id.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Stands for the node id.
const NODE_ID: &str = "$(nodeId)";

/// A host name with `$(nodeId)` in it, in lower case, such as `broker-$(nodeId).orders.example.com`. No digit stands beside
/// the id, so that a name can be read in one way only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    prefix: String,
    suffix: String,
}

impl HostPattern {
    /// Reads a pattern. Whether the rest of it is a host name is not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let Some((prefix, suffix)) = lower.split_once(&NODE_ID.to_ascii_lowercase()) else {
            return Err(format!("'{text}' has no {NODE_ID}, so all nodes would have one name"));
        };
        if suffix.contains("$(") || prefix.contains("$(") {
            return Err(format!("'{text}' has more than one $(...); write {NODE_ID} once"));
        }
        if prefix.ends_with(is_digit) || suffix.starts_with(is_digit) {
            return Err(format!("'{text}' has a digit beside {NODE_ID}; put another character between them"));
        }
        Ok(HostPattern { prefix: prefix.to_owned(), suffix: suffix.to_owned() })
    }

    /// The host name of node `id`.
    #[must_use]
    pub fn host(&self, id: i32) -> String {
        format!("{}{id}{}", self.prefix, self.suffix)
    }

    /// The node whose host name this is. Names are compared without case.
    #[must_use]
    pub fn node_id(&self, host: &str) -> Option<i32> {
        let lower = host.to_ascii_lowercase();
        let digits = lower.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        number(digits)?.parse().ok()
    }

    /// What comes before and behind the id.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        (&self.prefix, &self.suffix)
    }
}

/// Digits as a node id is written: without zeros before it.
fn number(digits: &str) -> Option<&str> {
    let is_number = !digits.is_empty() && digits.chars().all(is_digit) && (digits == "0" || !digits.starts_with('0'));
    is_number.then_some(digits)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{NODE_ID}{}", self.prefix, self.suffix)
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        HostPattern::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn every_name_leads_to_the_node_that_it_was_made_for() {
        let pattern = pattern("Broker-$(nodeId).Orders.example.com");
        for id in [0, 1, 10, 1001, i32::MAX] {
            assert_eq!(pattern.node_id(&pattern.host(id)), Some(id));
        }
        assert_eq!(pattern.host(7), "broker-7.orders.example.com");
        assert_eq!(pattern.node_id("BROKER-7.ORDERS.EXAMPLE.COM"), Some(7));
        assert_eq!(pattern.to_string(), "broker-$(nodeId).orders.example.com");
    }

    #[test]
    fn other_names_lead_to_no_node() {
        let pattern = pattern("b-$(nodeId).x");
        for host in
            ["", "b-.x", "b-01.x", "b--1.x", "b-+1.x", "b-1.y", "c-1.x", "b-1", "b-1.x.x", "b-2147483648.x", "b-1a.x"]
        {
            assert_eq!(pattern.node_id(host), None, "{host}");
        }
    }

    #[test]
    fn a_pattern_has_one_id_with_no_digit_beside_it() {
        for text in [
            "",
            "broker.x",
            "broker-nodeId.x",
            "b-$(nodeId)-$(nodeId).x",
            "b-$(x)-$(nodeId).x",
            "b1$(nodeId).x",
            "b-$(nodeId)1.x",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
