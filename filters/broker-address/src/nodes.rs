//! The map from node id to broker address, shared by all workers of a virtual cluster.
//!
//! Each worker's VM keeps a copy. An answer that repeats what the copy holds costs nothing; a change is merged into the
//! shared map by compare-and-set.

use std::collections::{BTreeMap, BTreeSet};

use bifrost_core::host::{Counter, Host};

use crate::config::{Config, HostPerNode, Node};

/// Key of the map in the host's shared data. Shared data are private to a virtual cluster's VM id.
const SHARED_KEY: &str = "bifrost.nodes";

/// How often a lost race for the shared map is tried again before it is left to the next answer.
const RACES_MAX: usize = 16;

/// Longest host name that is believed (RFC 1035).
const HOST_BYTES_MAX: usize = 255;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or IP address, as brokers advertise it.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

type Known = BTreeMap<i32, Address>;

/// One worker's copy of the map.
#[derive(Debug, Default)]
pub struct Nodes {
    known: Known,
    /// Of `known`, by the names that clients are told; `None` for a name of several. Made when it is asked for.
    by_name: Option<BTreeMap<String, Option<i32>>>,
}

impl Nodes {
    /// Which node is meant and where it is, as far as any worker knows.
    pub fn find(&mut self, node: &Node, config: &Config, host: &mut dyn Host) -> Option<(i32, Address)> {
        if let Some((shared, _)) = host.shared(SHARED_KEY) {
            self.know(decode(&shared));
        }
        let id = match (node, config.named()) {
            (Node::Id(id), _) => *id,
            (Node::Host(name), Some(named)) => (*self.by_name(named).get(&**name)?)?,
            (Node::Host(_), None) => return None,
        };
        Some((id, self.known.get(&id)?.clone()))
    }

    /// The host name that the broker of node `id` advertises, as far as this worker knows.
    pub(crate) fn host(&self, id: i32) -> Option<&str> {
        Some(&self.known.get(&id)?.host)
    }

    /// Whether nobody but node `id` has this name, or nobody at another address.
    pub(crate) fn is_free(&mut self, name: &str, id: i32, address: &Address, named: &HostPerNode) -> bool {
        match self.by_name(named).get(name).copied() {
            None => true,
            Some(None) => false,
            Some(Some(other)) => other == id || self.known.get(&other) == Some(address),
        }
    }

    /// Takes over addresses that an answer held. With `named` the answer held all that there are, so that others which have
    /// the name of one of them are there no more.
    pub fn learn(&mut self, met: &[(i32, Address)], named: Option<&HostPerNode>, host: &mut dyn Host) {
        let gone = |known: &Known| named.map(|named| gone(known, met, named)).unwrap_or_default();
        let is_new =
            |known: &Known| met.iter().any(|(id, address)| known.get(id) != Some(address)) || !gone(known).is_empty();
        let renew = |known: &mut Known| {
            gone(known).iter().for_each(|id| drop(known.remove(id)));
            known.extend(met.iter().cloned());
        };
        if is_new(&self.known) && self.change(host, is_new, renew) {
            host.count(Counter::NodesLearned, 1);
        }
    }

    fn know(&mut self, known: Known) {
        if known != self.known {
            self.known = known;
            self.by_name = None;
        }
    }

    fn by_name(&mut self, named: &HostPerNode) -> &BTreeMap<String, Option<i32>> {
        let known = &self.known;
        self.by_name.get_or_insert_with(|| {
            let mut by_name: BTreeMap<String, Option<i32>> = BTreeMap::new();
            for (id, address) in known {
                let Some(name) = named.host(*id, &address.host) else { continue };
                let one = by_name.entry(name).or_insert(Some(*id));
                // A node that has taken another's place has its address.
                let same = one.is_some_and(|other| known.get(&other) == Some(address));
                *one = same.then_some(*id);
            }
            by_name
        })
    }

    /// Forgets that node `id` is at `address`, where nobody answered: the next connection asks again.
    pub fn forget(&mut self, id: i32, address: &Address, host: &mut dyn Host) {
        let is_known = |known: &Known| known.get(&id) == Some(address);
        if self.change(host, is_known, |known| drop(known.remove(&id))) {
            host.count(Counter::NodesForgotten, 1);
        }
    }

    /// Changes the shared map if it still needs it. True when it did and was written.
    fn change(&mut self, host: &mut dyn Host, needed: impl Fn(&Known) -> bool, make: impl Fn(&mut Known)) -> bool {
        for _ in 0..RACES_MAX {
            let (shared, version) = host.shared(SHARED_KEY).unwrap_or_default();
            self.know(decode(&shared));
            if !needed(&self.known) {
                return false;
            }
            make(&mut self.known);
            self.by_name = None;
            if host.set_shared(SHARED_KEY, &encode(&self.known), version) {
                return true;
            }
        }
        false
    }
}

/// Nodes that are not among `met` and have the name of one of those.
fn gone(known: &Known, met: &[(i32, Address)], named: &HostPerNode) -> Vec<i32> {
    let is_met: BTreeSet<i32> = met.iter().map(|(id, _)| *id).collect();
    let others: Vec<(&i32, &Address)> = known.iter().filter(|(id, _)| !is_met.contains(id)).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<String> = met.iter().filter_map(|(id, address)| named.host(*id, &address.host)).collect();
    let has_such_a_name =
        |(id, address): &(&i32, &Address)| named.host(**id, &address.host).is_some_and(|name| names.contains(&name));
    others.into_iter().filter(has_such_a_name).map(|(id, _)| *id).collect()
}

/// The address, when it is one that can be connected to and stored.
pub(crate) fn address(host: &str, port: i64) -> Option<Address> {
    // What host names, IPv4 and IPv6 addresses are made of: lists of names are separated by something else.
    let plain =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'%'));
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    (plain && !host.is_empty() && host.len() <= HOST_BYTES_MAX).then(|| Address { host: host.to_owned(), port })
}

/// One line a node: id, host, port, separated by spaces.
fn encode(nodes: &Known) -> Vec<u8> {
    let lines = nodes.iter().map(|(id, address)| format!("{id} {} {}\n", address.host, address.port));
    lines.collect::<String>().into_bytes()
}

fn decode(bytes: &[u8]) -> Known {
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    let node = |line: &str| {
        let mut parts = line.split(' ');
        let id = parts.next()?.parse().ok()?;
        Some((id, address(parts.next()?, parts.next()?.parse().ok()?)?))
    };
    text.lines().filter_map(node).collect()
}

#[cfg(test)]
mod tests {
    use bifrost_core::host::Report;

    use super::*;
    use crate::config::NodeHost;
    use crate::rule::HostRule;

    #[derive(Default)]
    struct Shared {
        value: Vec<u8>,
        version: u32,
        learned: u64,
        /// Somebody else's write, made just before ours.
        race: Option<Vec<u8>>,
    }

    impl Host for Shared {
        fn shared(&mut self, _: &str) -> Option<(Vec<u8>, u32)> {
            (self.version > 0).then(|| (self.value.clone(), self.version))
        }

        fn set_shared(&mut self, _: &str, value: &[u8], version: u32) -> bool {
            if let Some(other) = self.race.take() {
                self.value = other;
                self.version += 1;
            }
            if version != 0 && version != self.version {
                return false;
            }
            self.value = value.to_vec();
            self.version += 1;
            true
        }

        fn now_ms(&mut self) -> u64 {
            0
        }

        fn count(&mut self, _: Counter, by: u64) {
            self.learned += by;
        }

        fn report(&mut self, _: Report) {}
    }

    fn node(id: i32, host: &str) -> (i32, Address) {
        (id, address(host, 9092).unwrap())
    }

    /// Names are the first labels of brokers.
    fn config() -> Config {
        let rule = HostRule::parse("([^.]*).*", "$1.gw.test").unwrap();
        Config::HostPerNode(HostPerNode {
            bootstrap_host: "bootstrap.gw.test".into(),
            node_host: NodeHost::ByUpstreamHost(rule),
            advertised_port: 443,
        })
    }

    fn find(nodes: &mut Nodes, id: i32, shared: &mut Shared) -> Option<Address> {
        nodes.find(&Node::Id(id), &config(), shared).map(|(_, address)| address)
    }

    fn find_named(shared: &mut Shared, name: &str) -> Option<i32> {
        Nodes::default().find(&Node::Host(name.into()), &config(), shared).map(|(id, _)| id)
    }

    #[test]
    fn what_one_worker_learns_another_finds() {
        let mut shared = Shared::default();
        Nodes::default().learn(&[node(1, "b1"), node(2, "b2")], None, &mut shared);
        let found = find(&mut Nodes::default(), 2, &mut shared);
        assert_eq!(found, address("b2", 9092));
    }

    #[test]
    fn a_lost_race_keeps_what_the_other_worker_wrote() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1")], None, &mut shared);
        shared.race = Some(b"1 b1 9092\n7 b7 9092\n".to_vec());
        nodes.learn(&[node(2, "b2")], None, &mut shared);
        let mut other = Nodes::default();
        assert_eq!(find(&mut other, 7, &mut shared), address("b7", 9092));
        assert_eq!(find(&mut other, 2, &mut shared), address("b2", 9092));
    }

    #[test]
    fn known_addresses_are_not_written_again() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1")], None, &mut shared);
        nodes.learn(&[node(1, "b1")], None, &mut shared);
        assert_eq!((shared.version, shared.learned), (1, 1));
        nodes.learn(&[node(1, "moved")], None, &mut shared);
        assert_eq!((shared.version, shared.learned), (2, 2));
    }

    #[test]
    fn only_the_address_that_failed_is_forgotten() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1"), node(2, "b2")], None, &mut shared);
        nodes.forget(1, &address("moved-meanwhile", 9092).unwrap(), &mut shared);
        assert_eq!(find(&mut nodes, 1, &mut shared), address("b1", 9092));
        nodes.forget(1, &address("b1", 9092).unwrap(), &mut shared);
        assert_eq!(find(&mut Nodes::default(), 1, &mut shared), None);
        assert_eq!(find(&mut Nodes::default(), 2, &mut shared), address("b2", 9092));
    }

    #[test]
    fn hosts_that_are_no_host_names_are_not_believed() {
        for host in ["", "a b", "a\nb", "\u{e9}", "a,b", "a/b", &"x".repeat(256)] {
            assert_eq!(address(host, 9092), None, "{host:?}");
        }
        assert_eq!((address("b", 0), address("b", -1), address("b", 65_536)), (None, None, None));
    }

    #[test]
    fn a_node_is_found_by_the_name_that_its_broker_gives_it() {
        let mut shared = Shared::default();
        Nodes::default().learn(
            &[node(1, "b1.internal"), node(2, "b2.internal"), node(3, "no_name")],
            None,
            &mut shared,
        );
        assert_eq!(find_named(&mut shared, "b2.gw.test"), Some(2));
        for nobody in ["b3.gw.test", "b2", "", "no_name.gw.test", "bootstrap.gw.test"] {
            assert_eq!(find_named(&mut shared, nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_name_of_two_addresses_leads_to_none_of_them() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b.x"), node(2, "b.y"), node(3, "b.x")], None, &mut shared);
        assert_eq!(find_named(&mut shared, "b.gw.test"), None);
        nodes.forget(2, &address("b.y", 9092).unwrap(), &mut shared);
        assert_eq!(find_named(&mut shared, "b.gw.test"), Some(3), "the same broker under a new id");
    }

    #[test]
    fn only_an_answer_with_all_nodes_takes_a_name_away() {
        let config = config();
        let named = config.named().unwrap();
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b.x"), node(2, "c.x")], None, &mut shared);
        let moved = node(5, "b.y");
        assert!(!nodes.is_free("b.gw.test", 5, &moved.1, named));
        assert!(nodes.is_free("b.gw.test", 1, &moved.1, named), "its own");
        assert!(nodes.is_free("b.gw.test", 5, &node(1, "b.x").1, named), "the same address");
        assert!(nodes.is_free("d.gw.test", 5, &moved.1, named));

        nodes.learn(&[moved], Some(named), &mut shared);

        assert_eq!(find_named(&mut shared, "b.gw.test"), Some(5));
        assert_eq!(find(&mut nodes, 1, &mut shared), None);
        assert_eq!(find_named(&mut shared, "c.gw.test"), Some(2), "has a name of its own");
    }
}
