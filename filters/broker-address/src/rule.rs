//! Host names of nodes that are made of the names that their brokers advertise, as some other proxies do it.

use core::fmt;

use regex_lite::{Captures, Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Longest host name (RFC 1035), label of one, and pattern. Bytes.
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const PATTERN_BYTES_MAX: usize = 4096;

/// Memory of the compiled pattern: bounds the time that it takes to match a name. Bytes.
const PATTERN_MEMORY_MAX: usize = 256 << 10;

/// A regular expression for the host names that brokers advertise, and the template of what clients are shown for them.
///
/// The expression has to match all of a name, in any case. The template is a host name in lower case with `$1` to `$9` for
/// what the expression's groups have matched, and `$(nodeId)`. A broker whose name does not match, or that would get no host
/// name, has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct HostRule {
    text: Text,
    pattern: Regex,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    upstream_host: String,
    template: String,
}

/// A piece of a node's host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Itself.
    Text(String),
    /// The node's id.
    Id,
    /// What a group of the expression has matched: anything that host names are made of, or nothing.
    Group(usize),
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRule {
    /// With the expression.
    UpstreamHost(String),
    /// With the template.
    Template(String),
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (BadRule::UpstreamHost(reason) | BadRule::Template(reason)) = self;
        f.write_str(reason)
    }
}

/// Rules are what they are written as.
impl PartialEq for HostRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for HostRule {}

impl From<HostRule> for Text {
    fn from(rule: HostRule) -> Self {
        rule.text
    }
}

impl TryFrom<Text> for HostRule {
    type Error = BadRule;

    fn try_from(text: Text) -> Result<Self, BadRule> {
        HostRule::parse(&text.upstream_host, &text.template)
    }
}

/// The template, and what it is for.
impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.text.template, self.text.upstream_host)
    }
}

impl HostRule {
    /// Reads a rule. Whether the template makes host names is not looked at.
    ///
    /// # Errors
    /// Which of the two is wrong, and what.
    pub fn parse(upstream_host: &str, template: &str) -> Result<Self, BadRule> {
        let pattern = compile(upstream_host).map_err(BadRule::UpstreamHost)?;
        let parts = parts(template, pattern.captures_len()).map_err(BadRule::Template)?;
        let text = Text { upstream_host: upstream_host.to_owned(), template: template.to_owned() };
        Ok(HostRule { text, pattern, parts })
    }

    /// The pieces of every name.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The host name of node `id`, whose broker advertises `upstream_host`.
    #[must_use]
    pub fn host(&self, id: i32, upstream_host: &str) -> Option<String> {
        let upstream_host = upstream_host.strip_suffix('.').unwrap_or(upstream_host);
        if upstream_host.len() > HOST_BYTES_MAX {
            return None;
        }
        let groups = self.pattern.captures(upstream_host)?;
        let host: String = self.parts.iter().map(|part| part.text(id, &groups)).collect();
        Some(host.to_ascii_lowercase()).filter(|host| is_host_name(host))
    }
}

impl Part {
    fn text(&self, id: i32, groups: &Captures<'_>) -> String {
        match self {
            Part::Text(text) => text.clone(),
            Part::Id => id.to_string(),
            Part::Group(number) => groups.get(*number).map_or("", |group| group.as_str()).to_owned(),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("has {} bytes; at most {PATTERN_BYTES_MAX} are allowed", pattern.len()));
    }
    let compile =
        |pattern: &str| RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_MEMORY_MAX).build();
    // By itself first: `a)|(b` is no pattern, although it would be one inside of a group.
    let whole = compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$")));
    whole.map_err(|error| format!("'{pattern}' is not a good regular expression: {error}"))
}

/// The pieces of a template for an expression with so many groups, 0 included.
fn parts(template: &str, groups: usize) -> Result<Vec<Part>, String> {
    const ID: &str = "(nodeid)";
    let lower = template.to_ascii_lowercase();
    let mut pieces = lower.split('$');
    let mut parts = vec![Part::Text(pieces.next().unwrap_or_default().to_owned())];
    for piece in pieces {
        let (variable, text) = match (piece.strip_prefix(ID), piece.chars().next().and_then(|c| c.to_digit(10))) {
            (Some(text), _) => (Part::Id, text),
            (None, Some(number)) => {
                let number = usize::try_from(number).unwrap_or_default();
                if number == 0 || number >= groups {
                    let last = groups.saturating_sub(1);
                    return Err(match last {
                        0 => format!("'{template}' has ${number}, but upstreamHost has no group in parentheses"),
                        last => format!(
                            "'{template}' has ${number}, but upstreamHost has $1 to ${last}, its groups in parentheses"
                        ),
                    });
                }
                (Part::Group(number), piece.get(1..).unwrap_or_default())
            }
            (None, None) => {
                return Err(format!("'{template}' has a '$' that is neither $1 to $9 nor $(nodeId)"));
            }
        };
        parts.push(variable);
        parts.push(Part::Text(text.to_owned()));
    }
    if parts.len() == 1 {
        return Err(format!("'{template}' has neither $1 nor $(nodeId), so all nodes would have one name"));
    }
    Ok(parts)
}

/// Whether clients can ask for it in a TLS handshake.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What ends in a number is an IP address.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label) && !host.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(upstream_host: &str, template: &str) -> HostRule {
        HostRule::parse(upstream_host, template).unwrap()
    }

    #[test]
    fn a_node_gets_its_name_from_that_of_its_broker() {
        for (upstream_host, template, upstream, host) in [
            (r"(b-[0-9]+)\..*", "$1.gw.example.com", "b-7.prod.internal", Some("b-7.gw.example.com")),
            (r"(b-[0-9]+)\.PROD\.internal", "$1.GW.example.com", "B-7.Prod.Internal.", Some("b-7.gw.example.com")),
            (r"(.*)\.(eu|us)\.internal", "$2-$1.x.net", "kafka.eu.internal", Some("eu-kafka.x.net")),
            (r"ip-([0-9-]+)\..*", "n$(nodeId)-$1.x.net", "ip-10-0-0-1.ec2", Some("n5-10-0-0-1.x.net")),
            (".*", "$(NODEID).x.net", "whatever", Some("5.x.net")),
            (r"([0-9.]+)", "$1.x.net", "10.0.0.1", Some("10.0.0.1.x.net")),
            (r"(b)-(x)?.*", "$1$2.x.net", "b-7", Some("b.x.net")),
            (r"(b-[0-9]+)\.prod", "$1.x.net", "b-7.prod.internal", None),
            (r"b|b-(7)", "b$1.x.net", "b-7", Some("b7.x.net")),
        ] {
            assert_eq!(rule(upstream_host, template).host(5, upstream).as_deref(), host, "{upstream_host} {upstream}");
        }
    }

    #[test]
    fn what_would_be_no_host_name_is_none() {
        let long = "x".repeat(64);
        for upstream in ["", "a_b", "a..b", "-a", "::1", "ä", "a%b", &long, &"a.".repeat(150)] {
            assert_eq!(rule("(.*)", "$1.x.net").host(1, upstream), None, "{upstream}");
        }
        assert_eq!(rule("(.*)", "n.$1").host(1, "10"), None);
        assert_eq!(rule("(.*)", "n-$(nodeId).x").host(-1, "a"), Some("n--1.x".to_owned()));
    }

    #[test]
    fn bad_rules_are_refused() {
        let refused = |upstream_host: &str, template: &str| HostRule::parse(upstream_host, template).unwrap_err();
        for (upstream_host, reason) in [
            ("(b", "'(b' is not a good regular expression: "),
            ("a)|(b", "'a)|(b' is not a good regular expression: "),
            ("((a{999}){999}){999}", "'((a{999}){999}){999}' is not a good regular expression: "),
            (&"x".repeat(5000), "has 5000 bytes"),
        ] {
            let BadRule::UpstreamHost(said) = refused(upstream_host, "$1.x") else { panic!("{upstream_host}") };
            assert!(said.starts_with(reason), "{said}");
        }
        for (template, reason) in [
            ("x.net", "'x.net' has neither $1 nor $(nodeId)"),
            ("$2.x", "'$2.x' has $2, but upstreamHost has $1 to $1, its groups in parentheses"),
            ("$0.x", "'$0.x' has $0"),
            ("$x.x", "'$x.x' has a '$' that is neither"),
            ("$1.x$", "'$1.x$' has a '$' that is neither"),
        ] {
            let BadRule::Template(said) = refused("(b)", template) else { panic!("{template}") };
            assert!(said.starts_with(reason), "{said}");
        }
    }
}
