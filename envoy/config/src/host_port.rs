//! `host:port` as Kafka writes it, IPv6 in brackets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A server's address. `host` is a host name or an IP address without brackets; `port` is not 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Host name or IP address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port` or `[IPv6]:port`. The error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<HostPort, String> {
        if text.is_empty() {
            return Err("an entry is empty; write host:port".to_owned());
        }
        if text.contains("://") {
            return Err(format!("'{text}' has a scheme; write host:port"));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) =
                    rest.split_once("]:").ok_or_else(|| format!("'{text}' is not [IPv6 address]:port"))?;
                host.parse::<Ipv6Addr>().map_err(|_| format!("'{host}' in '{text}' is not an IPv6 address"))?;
                (host, port)
            }
            None => {
                let (host, port) =
                    text.rsplit_once(':').ok_or_else(|| format!("'{text}' has no port; write host:port"))?;
                if host.contains(':') {
                    return Err(format!("'{text}': write an IPv6 address in brackets, as in [::1]:9092"));
                }
                check_host(host).map_err(|reason| format!("'{text}': {reason}"))?;
                (host, port)
            }
        };
        match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(HostPort { host: host.to_owned(), port: number })
            }
            _ => Err(format!("'{text}': the port must be a number from 1 to 65535")),
        }
    }

    /// The same for every way to write this server: the case of a name, its final dot, the zeros of an IPv6 address.
    pub(crate) fn identity(&self) -> (String, u16) {
        let host = match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) => self.host.strip_suffix('.').unwrap_or(&self.host).to_ascii_lowercase(),
        };
        (host, self.port)
    }

    /// Whether the host is an IP address, which needs no DNS.
    pub fn is_ip(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Accepts DNS names and IPv4 addresses. Underscores too: container networks use them.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.is_empty() {
        Err("the host is empty".to_owned())
    } else if host.len() > 253 || !host.strip_suffix('.').unwrap_or(host).split('.').all(label) {
        Err(format!("'{host}' is not a host name or an IP address"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_written_back() {
        for text in ["broker-1.internal:9092", "127.0.0.1:1", "kafka_1:65535", "[::1]:9092"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPort::parse("[::1]:9092").unwrap().host, "::1");
    }

    #[test]
    fn one_server_has_one_identity() {
        let same = |a: &str, b: &str| HostPort::parse(a).unwrap().identity() == HostPort::parse(b).unwrap().identity();
        assert!(same("Broker-1.Internal:9092", "broker-1.internal.:9092"));
        assert!(same("[::1]:9092", "[0:0:0:0:0:0:0:1]:9092"));
        assert!(same("10.0.0.1:9092", "[::ffff:10.0.0.1]:9092"));
        assert!(!same("broker:9092", "broker:9093"));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            ":",
            "broker",
            "broker:",
            ":9092",
            "broker:0",
            "broker:65536",
            "broker:+1",
            "broker:x",
            "a b:1",
            "::1:9092",
            "[::1]",
            "[::1]9092",
            "[broker]:9092",
            "PLAINTEXT://broker:9092",
            "-a:1",
            "a..b:1",
        ] {
            assert!(HostPort::parse(text).is_err(), "{text}");
        }
    }
}
