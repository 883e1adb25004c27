//! Host names of virtual clusters that share a port.

use std::collections::{HashSet, VecDeque};

use bifrost_broker_address::{Config, HostPerNode, NodeHost, Part};

use crate::load::Document;
use crate::problem::Problem;
use crate::validate::VirtualCluster;

/// Reports every host name that would lead to two virtual clusters, at the later one. `virtual_clusters` are in the order of
/// `documents`.
pub(crate) fn overlaps(documents: &[Document], virtual_clusters: &[VirtualCluster], problems: &mut Vec<Problem>) {
    let mut earlier: Vec<(&Document, &VirtualCluster, &HostPerNode)> = Vec::new();
    for (document, virtual_cluster) in documents.iter().zip(virtual_clusters) {
        let Config::HostPerNode(hosts) = &virtual_cluster.endpoints else { continue };
        // Could not be read, which has been reported.
        if hosts.node_host == NodeHost::default() {
            continue;
        }
        for (other_document, other, other_hosts) in &earlier {
            if (other.bind, other.port) != (virtual_cluster.bind, virtual_cluster.port) {
                continue;
            }
            for (field, other_field, host) in common_fields(hosts, other_hosts) {
                let path = format!("spec.listener.sni.{field}");
                let other_path = format!("spec.listener.sni.{other_field}");
                let message = format!(
                    "'{host}' is a host name of virtual cluster '{}' too ({} {other_path}), on the same port; change one of them",
                    other.name,
                    other_document.place(&other_path)
                );
                problems.push(document.problem(&path, message));
            }
        }
        earlier.push((document, virtual_cluster, hosts));
    }
}

/// Fields of the one and the other that have a host name in common, and the name.
fn common_fields(hosts: &HostPerNode, other: &HostPerNode) -> Vec<(&'static str, &'static str, String)> {
    let fields = |hosts: &HostPerNode| {
        let bootstrap_host = vec![Part::Text(hosts.bootstrap_host.to_ascii_lowercase())];
        [("bootstrapHost", bootstrap_host), ("nodeHost", hosts.node_host.parts())]
    };
    let mut found = Vec::new();
    for (field, parts) in fields(hosts) {
        for (other_field, other_parts) in fields(other) {
            found.extend(common(&parts, &other_parts).map(|host| (field, other_field, host)));
        }
    }
    found
}

/// One of the shortest host names that can be made of both, for whatever ids and groups.
pub(crate) fn common(one: &[Part], other: &[Part]) -> Option<String> {
    let (one, other) = (Automaton::of(one), Automaton::of(other));
    let mut seen = HashSet::new();
    let mut reached = VecDeque::from([((0, 0), String::new())]);
    while let Some((at, host)) = reached.pop_front() {
        if at == (one.end, other.end) {
            return Some(host);
        }
        if !seen.insert(at) {
            continue;
        }
        for (set, to) in one.steps(at.0) {
            for (other_set, other_to) in other.steps(at.1) {
                reached.extend(set.common(other_set).map(|c| ((to, other_to), format!("{host}{c}"))));
            }
        }
        // These add nothing, so they come before what is longer.
        let skips = one.skips(at.0).map(|to| (to, at.1)).chain(other.skips(at.1).map(|to| (at.0, to)));
        skips.for_each(|to| reached.push_front((to, host.clone())));
    }
    None
}

/// The names that parts make, as states and ways between them. The first state is 0.
struct Automaton {
    ways: Vec<(usize, Way, usize)>,
    end: usize,
}

#[derive(Clone, Copy)]
enum Way {
    /// With one of these characters.
    With(Set),
    /// Without any.
    Skip,
}

#[derive(Clone, Copy)]
enum Set {
    One(char),
    Digit,
    DigitButZero,
    /// What host names are made of.
    Host,
}

impl Automaton {
    fn of(parts: &[Part]) -> Automaton {
        let mut automaton = Automaton { ways: Vec::new(), end: 0 };
        for part in parts {
            match part {
                Part::Text(text) => text.chars().for_each(|c| automaton.go_on(Way::With(Set::One(c)))),
                // As ids are written: without zeros before them.
                Part::Id => {
                    let (start, end) = (automaton.end, automaton.end.saturating_add(2));
                    automaton.ways.push((start, Way::With(Set::One('0')), end));
                    automaton.go_on(Way::With(Set::DigitButZero));
                    automaton.stay(Set::Digit);
                    automaton.go_on(Way::Skip);
                }
                Part::Group(_) => {
                    automaton.go_on(Way::Skip);
                    automaton.stay(Set::Host);
                }
            }
        }
        automaton
    }

    fn go_on(&mut self, way: Way) {
        let from = self.end;
        self.end = from.saturating_add(1);
        self.ways.push((from, way, self.end));
    }

    fn stay(&mut self, set: Set) {
        self.ways.push((self.end, Way::With(set), self.end));
    }

    fn steps(&self, at: usize) -> impl Iterator<Item = (Set, usize)> + '_ {
        self.ways.iter().filter_map(move |(from, way, to)| match way {
            Way::With(set) if *from == at => Some((*set, *to)),
            _ => None,
        })
    }

    fn skips(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.ways.iter().filter(move |(from, way, _)| *from == at && matches!(way, Way::Skip)).map(|(_, _, to)| *to)
    }
}

impl Set {
    /// A character of both.
    fn common(self, other: Set) -> Option<char> {
        let own = [self, other].into_iter().filter_map(|set| match set {
            Set::One(c) => Some(c),
            _ => None,
        });
        own.chain(['0', '1']).find(|c| self.holds(*c) && other.holds(*c))
    }

    fn holds(self, c: char) -> bool {
        match self {
            Set::One(one) => one == c,
            Set::Digit => c.is_ascii_digit(),
            Set::DigitButZero => c.is_ascii_digit() && c != '0',
            Set::Host => c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'),
        }
    }
}

#[cfg(test)]
mod tests {
    use bifrost_broker_address::{HostPattern, HostRule};

    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        if text.contains("$1") {
            return HostRule::parse("(.*)", text).unwrap().parts().to_vec();
        }
        match HostPattern::parse(text) {
            Ok(pattern) => NodeHost::ById(pattern).parts(),
            Err(_) => vec![Part::Text(text.to_owned())],
        }
    }

    #[test]
    fn patterns_overlap_when_they_have_a_name_in_common() {
        for (one, other, wanted) in [
            ("b.x", "b.x", Some("b.x")),
            ("b.x", "b.y", None),
            ("b-7.x", "b-$(nodeId).x", Some("b-7.x")),
            ("b-07.x", "b-$(nodeId).x", None),
            ("b-$(nodeId).x", "b-$(nodeId).x", Some("b-0.x")),
            ("b-$(nodeId).x", "B-$(nodeid).X", Some("b-0.x")),
            ("b-$(nodeId).x", "c-$(nodeId).x", None),
            ("b-$(nodeId).x", "b-$(nodeId).y", None),
            ("b-$(nodeId).rack-1.x", "b-3.rack-$(nodeId).x", Some("b-3.rack-1.x")),
            ("b-$(nodeId).rack-1.x", "b-03.rack-$(nodeId).x", None),
            ("b-$(nodeId).rack-1.x", "b-3.rack-$(nodeId).y", None),
            ("b-$(nodeId).rack-a.x", "b-3.rack-$(nodeId).x", None),
            ("$(nodeId).x", "b-$(nodeId).x", None),
            ("b-$(nodeId)-0.x", "b-1$(nodeId)0.x", None),
            ("$1.orders.x", "$1.payments.x", None),
            ("$1.orders.x", "b-$(nodeId).x", None),
            ("$1.orders.x", "b-$(nodeId).orders.x", Some("b-0.orders.x")),
            ("$1.orders.x", "bootstrap.orders.x", Some("bootstrap.orders.x")),
            ("$1.x", "$1.orders.x", Some(".orders.x")),
            ("a-$1.x", "$1-b.x", Some("a-b.x")),
            ("n$(nodeId)-$1.x", "n$(nodeId).x", None),
            ("n$(nodeId)-$1.x", "n1-a.x", Some("n1-a.x")),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(common(&parts(one), &parts(other)).as_deref(), wanted, "{one} {other}");
            }
        }
    }

    #[test]
    fn long_names_take_no_time() {
        let long = format!("{}$1.{}", "a".repeat(60), "b.".repeat(90));
        assert!(common(&parts(&long), &parts(&long)).is_some());
        assert_eq!(common(&parts(&long), &parts(&format!("{long}c"))), None);
    }
}
