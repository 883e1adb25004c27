//! The map from node id to broker address, shared by all workers of a virtual cluster.
//!
//! Each worker's VM keeps a copy. An answer that repeats what the copy holds costs nothing; a change is merged into the
//! shared map by compare-and-set.

use std::collections::BTreeMap;

use bifrost_core::host::{Counter, Host};

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
}

impl Nodes {
    /// Where node `id` is, as far as any worker knows.
    pub fn find(&mut self, id: i32, host: &mut dyn Host) -> Option<Address> {
        if let Some((shared, _)) = host.shared(SHARED_KEY) {
            self.known = decode(&shared);
        }
        self.known.get(&id).cloned()
    }

    /// Takes over addresses that an answer held.
    pub fn learn(&mut self, met: &[(i32, Address)], host: &mut dyn Host) {
        let is_new = |known: &Known| met.iter().any(|(id, address)| known.get(id) != Some(address));
        if is_new(&self.known) && self.change(host, is_new, |known| known.extend(met.iter().cloned())) {
            host.count(Counter::NodesLearned, 1);
        }
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
            self.known = decode(&shared);
            if !needed(&self.known) {
                return false;
            }
            make(&mut self.known);
            if host.set_shared(SHARED_KEY, &encode(&self.known), version) {
                return true;
            }
        }
        false
    }
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

        fn count(&mut self, _: Counter, by: u64) {
            self.learned += by;
        }

        fn report(&mut self, _: Report) {}
    }

    fn node(id: i32, host: &str) -> (i32, Address) {
        (id, address(host, 9092).unwrap())
    }

    #[test]
    fn what_one_worker_learns_another_finds() {
        let mut shared = Shared::default();
        Nodes::default().learn(&[node(1, "b1"), node(2, "b2")], &mut shared);
        let found = Nodes::default().find(2, &mut shared);
        assert_eq!(found, address("b2", 9092));
    }

    #[test]
    fn a_lost_race_keeps_what_the_other_worker_wrote() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1")], &mut shared);
        shared.race = Some(b"1 b1 9092\n7 b7 9092\n".to_vec());
        nodes.learn(&[node(2, "b2")], &mut shared);
        let mut other = Nodes::default();
        assert_eq!(other.find(7, &mut shared), address("b7", 9092));
        assert_eq!(other.find(2, &mut shared), address("b2", 9092));
    }

    #[test]
    fn known_addresses_are_not_written_again() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1")], &mut shared);
        nodes.learn(&[node(1, "b1")], &mut shared);
        assert_eq!((shared.version, shared.learned), (1, 1));
        nodes.learn(&[node(1, "moved")], &mut shared);
        assert_eq!((shared.version, shared.learned), (2, 2));
    }

    #[test]
    fn only_the_address_that_failed_is_forgotten() {
        let mut shared = Shared::default();
        let mut nodes = Nodes::default();
        nodes.learn(&[node(1, "b1"), node(2, "b2")], &mut shared);
        nodes.forget(1, &address("moved-meanwhile", 9092).unwrap(), &mut shared);
        assert_eq!(nodes.find(1, &mut shared), address("b1", 9092));
        nodes.forget(1, &address("b1", 9092).unwrap(), &mut shared);
        assert_eq!(Nodes::default().find(1, &mut shared), None);
        assert_eq!(Nodes::default().find(2, &mut shared), address("b2", 9092));
    }

    #[test]
    fn hosts_that_are_no_host_names_are_not_believed() {
        for host in ["", "a b", "a\nb", "\u{e9}", "a,b", "a/b", &"x".repeat(256)] {
            assert_eq!(address(host, 9092), None, "{host:?}");
        }
        assert_eq!((address("b", 0), address("b", -1), address("b", 65_536)), (None, None, None));
    }
}
