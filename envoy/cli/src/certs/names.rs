//! Names that a certificate is to hold, as written by a person.

use std::net::IpAddr;

use bifrost_config::certificates::{NODE_ID, has_variable, printable};
use rcgen::SanType;
use rustls::pki_types::DnsName;

/// Names of files that are not for a client.
const RESERVED: &[&str] = &["ca", "server"];

/// The most that X.509 allows for a common name (RFC 5280, `ub-common-name`).
pub(super) const COMMON_NAME_CHARS_MAX: usize = 64;

/// A DNS name, a wildcard or an IP address.
pub(super) fn host(text: &str) -> Result<SanType, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(ip));
    }
    let shown = printable(text);
    if has_variable(text) {
        return Err(format!(
            "no certificate covers '{shown}': a wildcard stands for the first label, so {NODE_ID} or $1 must be in that one only, \
             below a parent domain"
        ));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let without_wildcard = name.strip_prefix("*.").unwrap_or(&name);
    match (DnsName::try_from(without_wildcard), name.clone().try_into()) {
        (Ok(_), Ok(name)) => Ok(SanType::DnsName(name)),
        _ => Err(format!(
            "'{shown}' is not a name for a certificate; write a DNS name (not ASCII: as xn--...), a wildcard such as \
             *.kafka.example.com, or an IP address, without a port"
        )),
    }
}

/// Whether it is a wildcard right below a top-level domain, such as `*.localhost`: OpenSSL matches it with nothing.
pub(super) fn is_too_wide(name: &SanType) -> bool {
    matches!(name, SanType::DnsName(name) if name.as_str().strip_prefix("*.").is_some_and(|parent| !parent.contains('.')))
}

/// A client that is to get a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Also the name of its files.
    pub(super) common_name: String,
    pub(super) names: Vec<SanType>,
}

impl Client {
    /// Reads `CN` or `CN,SAN,...`.
    pub(super) fn parse(text: &str) -> Result<Client, String> {
        let mut parts = text.split(',').map(str::trim);
        let common_name = parts.next().unwrap_or_default().to_owned();
        let allowed = |c: char| c.is_alphanumeric() || "-_.@ ".contains(c);
        if common_name.is_empty()
            || common_name.starts_with('.')
            || common_name.chars().count() > COMMON_NAME_CHARS_MAX
            || !common_name.chars().all(allowed)
        {
            return Err(format!(
                "'{}' cannot be the name of a client and of its files; use 1 to {COMMON_NAME_CHARS_MAX} letters, digits, \
                 '-', '_', '.', '@' and spaces, the first one not a '.'",
                printable(&common_name)
            ));
        }
        if RESERVED.contains(&common_name.to_lowercase().as_str()) {
            return Err(format!("a client cannot be called '{common_name}': {common_name}.crt is another file"));
        }
        Ok(Client { common_name, names: parts.map(alternative).collect::<Result<_, _>>()? })
    }
}

/// A name of a client: what [`host`] takes, an e-mail address or a URI.
fn alternative(text: &str) -> Result<SanType, String> {
    let ia5 = |text: &str| text.to_owned().try_into().map_err(|_| format!("'{}' is not ASCII", printable(text)));
    if text.contains("://") {
        Ok(SanType::URI(ia5(text)?))
    } else if text.contains('@') {
        Ok(SanType::Rfc822Name(ia5(text)?))
    } else {
        host(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_wildcards_and_addresses() {
        let dns = |name: &str| Ok(SanType::DnsName(name.to_owned().try_into().unwrap()));
        assert_eq!(host("Kafka.Example.com."), dns("kafka.example.com"));
        assert_eq!(host("*.kafka.example.com"), dns("*.kafka.example.com"));
        assert_eq!(host("kafka_1"), dns("kafka_1"));
        assert_eq!(host("::1"), Ok(SanType::IpAddress("::1".parse().unwrap())));
        assert_eq!(host("10.0.0.1"), Ok(SanType::IpAddress("10.0.0.1".parse().unwrap())));
    }

    #[test]
    fn what_no_client_could_match_is_refused() {
        for text in
            ["", ".", "*", "*.", "a..b", "a b", "kafka:9092", "b*.example.com", "a.*.example.com", "käfka", "[::1]"]
        {
            assert!(host(text).is_err(), "{text}");
        }
        assert!(host("kafka.$(nodeId).example.com").unwrap_err().contains("$(nodeId) or $1 must be in that one only"));
    }

    #[test]
    fn a_wildcard_below_a_top_level_domain_is_too_wide() {
        for (name, wide) in [("*.localhost", true), ("*.example.com", false), ("localhost", false), ("::1", false)] {
            assert_eq!(is_too_wide(&host(name).unwrap()), wide, "{name}");
        }
    }

    #[test]
    fn a_client_has_a_common_name_and_alternatives() {
        let client =
            Client::parse("alice, alice.example.com,10.0.0.1,alice@example.com,spiffe://orders/alice").unwrap();
        assert_eq!(client.common_name, "alice");
        assert!(matches!(
            client.names[..],
            [SanType::DnsName(_), SanType::IpAddress(_), SanType::Rfc822Name(_), SanType::URI(_)]
        ));
        assert_eq!(
            Client::parse("Orders Team").unwrap(),
            Client { common_name: "Orders Team".to_owned(), names: vec![] }
        );
    }

    #[test]
    fn a_client_cannot_write_elsewhere_or_over_other_files() {
        for text in
            ["", ",a", "../alice", "a/b", ".alice", "a\0", "CN=alice", "ca", "Server", "\x1b[2J", &"a".repeat(65)]
        {
            assert!(Client::parse(text).is_err(), "{text}");
        }
        assert!(Client::parse("alice,").is_err());
        assert!(Client::parse("alice,b c").is_err());
    }
}
