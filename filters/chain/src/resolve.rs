//! Addresses that the operator gives to hosts of brokers, in place of what DNS says.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One override: connections to `host` go to `address`, on the port that they would have gone to. The name that TLS uses
/// stays `host`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Override {
    /// A host name or IP address as brokers advertise it, or one with a `*` that stands for any text.
    pub host: String,
    /// Where it is.
    pub address: IpAddr,
}

/// The address that `overrides` give to `host`. An exact host wins over one with `*`, then the longer one over the shorter,
/// then the later one.
#[must_use]
pub fn resolve(overrides: &[Override], host: &str) -> Option<IpAddr> {
    let host = plain(host);
    let fitting = overrides.iter().filter_map(|entry| Some((specificity(&plain(&entry.host), &host)?, entry.address)));
    fitting.max_by_key(|(specificity, _)| *specificity).map(|(_, address)| address)
}

/// Names are the same in every case, and with and without the final dot.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// How closely `mask` describes `host`: exactly or not, then how much of it; `None` when it does not.
fn specificity(mask: &str, host: &str) -> Option<(bool, usize)> {
    match mask.split_once('*') {
        None => (mask == host).then_some((true, 0)),
        Some((prefix, suffix)) => {
            host.strip_prefix(prefix)?.strip_suffix(suffix)?;
            Some((false, mask.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(overrides: &[(&str, u8)], host: &str) -> Option<String> {
        let overrides: Vec<Override> = overrides
            .iter()
            .map(|(host, last)| Override { host: (*host).to_owned(), address: IpAddr::from([10, 0, 0, *last]) })
            .collect();
        resolve(&overrides, host).map(|address| address.to_string())
    }

    #[test]
    fn exact_wins_then_the_more_specific_then_the_later() {
        let overrides = [
            ("b-1.x.internal", 1),
            ("*.internal", 2),
            ("*.x.internal", 3),
            ("*", 4),
            ("b-*.y.internal", 5),
            ("c-*.y.internal", 6),
            ("*.z", 7),
            ("*.z", 8),
            ("same", 9),
            ("SAME.", 10),
        ];
        for (host, last) in [
            ("b-1.x.internal", 1),
            ("B-1.X.Internal.", 1),
            ("b-2.x.internal", 3),
            ("a.internal", 2),
            ("internal", 4),
            ("b-7.y.internal", 5),
            ("c-7.y.internal", 6),
            ("b.z", 8),
            ("same", 10),
            ("10.1.1.1", 4),
        ] {
            assert_eq!(resolved(&overrides, host), Some(format!("10.0.0.{last}")), "{host}");
        }
    }

    #[test]
    fn what_nothing_describes_is_left_to_dns() {
        for host in ["b", "x.internal", "ab.internal.evil", "ba", "", "aba"] {
            assert_eq!(resolved(&[("a.b", 1), ("*.y", 2), ("ab*ba", 3)], host), None, "{host}");
        }
        assert_eq!(resolved(&[], "b"), None);
    }

    #[test]
    fn both_families_are_addresses() {
        let overrides = [Override { host: "b".to_owned(), address: "fd00::1".parse().unwrap() }];
        assert_eq!(resolve(&overrides, "b").unwrap().to_string(), "fd00::1");
    }
}
