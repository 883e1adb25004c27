//! Topic ids: which are the tenant's, and a mask for those that are not.
//!
//! An id never changes its name, so what is known stays known; it is only forgotten for lack of room. That an id is not the
//! tenant's is never kept: it is asked for again with the next request that uses it.
//!
//! Each worker remembers for itself and tells the others through shared data: what a client's Metadata answer has shown on one
//! worker is known when its Produce request, which cannot wait, comes by another.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};

use bifrost_core::host::Host;

use crate::config::{Access, Config};
use crate::names::Deed;

/// A topic id as it lies in a message.
pub(crate) type TopicId = [u8; 16];

/// No topic.
pub(crate) const NONE: TopicId = [0; 16];

/// What the tenant may do with a topic whose id it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything.
    Owned,
    /// What the operator shares.
    Shared(Access),
}

impl Standing {
    const fn code(self) -> u8 {
        match self {
            Standing::Owned => 0,
            Standing::Shared(Access::ReadOnly) => 1,
            Standing::Shared(Access::ReadWrite) => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Standing> {
        match code {
            0 => Some(Standing::Owned),
            1 => Some(Standing::Shared(Access::ReadOnly)),
            2 => Some(Standing::Shared(Access::ReadWrite)),
            _ => None,
        }
    }

    pub(crate) fn allows(self, deed: Deed) -> bool {
        match (self, deed) {
            (Standing::Owned, _) | (Standing::Shared(_), Deed::Read) => true,
            (Standing::Shared(access), Deed::Write) => access == Access::ReadWrite,
            (Standing::Shared(_), Deed::Create | Deed::Manage) => false,
        }
    }
}

/// A bounded map by topic id that forgets what has not been used for longest, roughly: two generations of which the older one
/// goes when the younger one is full. An entry takes about 40 bytes.
#[derive(Debug)]
pub(crate) struct TopicIds<V> {
    generation_max: usize,
    young: HashMap<TopicId, V>,
    old: HashMap<TopicId, V>,
}

impl<V: Copy> TopicIds<V> {
    /// Keeps from `generation_max` to twice as many ids.
    pub(crate) fn new(generation_max: usize) -> Self {
        TopicIds { generation_max, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    pub(crate) fn get(&mut self, id: &TopicId) -> Option<V> {
        if let Some(value) = self.young.get(id) {
            return Some(*value);
        }
        let value = self.old.remove(id)?;
        self.insert(*id, value);
        Some(value)
    }

    pub(crate) fn insert(&mut self, id: TopicId, value: V) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&id) {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(id, value);
    }
}

/// Ids that one worker remembers as the tenant's; from this many to twice as many.
const NEAR_MAX: usize = 16_384;

/// Shared ids lie under as many keys ...
const SLOTS: u8 = 64;
/// ... of at most this many bytes each, so that a change moves little: about 16,000 ids in 280 KiB altogether.
const SLOT_BYTES_MAX: usize = 256 * ENTRY_BYTES;
/// An id and a standing.
const ENTRY_BYTES: usize = 17;

/// How often a lost race for a slot is tried again before it is left to the next answer.
const RACES_MAX: usize = 16;

/// The ids that are known to be the tenant's.
#[derive(Debug)]
pub(crate) struct TenantIds {
    near: TopicIds<Standing>,
    /// What the ids were judged by: under other names they have to be learned again. Under other policies they stay known: a
    /// Produce request cannot wait, and an idempotent producer whose first batch is refused, but not the second, that is
    /// under way behind it, can never send the first again (the broker has taken the second for the beginning).
    judged_by: u64,
}

impl TenantIds {
    pub(crate) fn new(config: &Config) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{:?} {:?}", config.topic_prefix, config.shared_topics).hash(&mut hasher);
        TenantIds { near: TopicIds::new(NEAR_MAX), judged_by: hasher.finish() }
    }

    pub(crate) fn get(&mut self, id: &TopicId, host: &mut dyn Host) -> Option<Standing> {
        if let Some(standing) = self.near.get(id) {
            return Some(standing);
        }
        let (slot, _) = host.shared(&self.key(id))?;
        let standing = find(&slot, id)?;
        self.near.insert(*id, standing);
        Some(standing)
    }

    pub(crate) fn learn(&mut self, id: TopicId, standing: Standing, host: &mut dyn Host) {
        if self.near.get(&id) == Some(standing) {
            return;
        }
        self.near.insert(id, standing);
        let key = self.key(&id);
        for _ in 0..RACES_MAX {
            let (mut slot, version) = host.shared(&key).unwrap_or_default();
            if find(&slot, &id) == Some(standing) {
                return;
            }
            // The oldest come first.
            let excess = slot.len().saturating_add(ENTRY_BYTES).saturating_sub(SLOT_BYTES_MAX);
            slot.drain(..excess);
            slot.extend_from_slice(&id);
            slot.push(standing.code());
            if host.set_shared(&key, &slot, version) {
                return;
            }
        }
    }

    fn key(&self, id: &TopicId) -> String {
        let slot = id.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) % SLOTS;
        format!("bifrost.topic_ids.{:x}.{slot}", self.judged_by)
    }
}

fn find(slot: &[u8], id: &TopicId) -> Option<Standing> {
    let entry = slot.chunks_exact(ENTRY_BYTES).find(|entry| entry.starts_with(id))?;
    Standing::from_code(*entry.last()?)
}

/// Makes an id that no topic has from one that is not the tenant's, so that the broker itself says so. A keyed permutation (a
/// Feistel network): a client that has seen some hidden ids learns nothing about others, or it could write an id that is hidden
/// as another tenant's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask(RandomState);

const ROUNDS: [u8; 6] = [0, 1, 2, 3, 4, 5];

impl Mask {
    pub(crate) fn hide(&self, id: &TopicId) -> TopicId {
        let (mut left, mut right) = split(id);
        for round in ROUNDS {
            (left, right) = (right, left ^ self.0.hash_one((round, right)));
        }
        join(left, right)
    }

    pub(crate) fn show(&self, hidden: &TopicId) -> TopicId {
        let (mut left, mut right) = split(hidden);
        for round in ROUNDS.into_iter().rev() {
            (left, right) = (right ^ self.0.hash_one((round, left)), left);
        }
        join(left, right)
    }
}

fn split(id: &TopicId) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *id;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest))
}

fn join(left: u64, right: u64) -> TopicId {
    (u128::from(left) << 64 | u128::from(right)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use bifrost_testkit::host::FakeHost;

    use super::*;
    use crate::config::TopicCreation;

    fn id(n: usize) -> TopicId {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let mut ids = TopicIds::new(100);
        ids.insert(id(0), ());
        for n in 1..500 {
            ids.insert(id(n), ());
            assert!(ids.get(&id(0)).is_some());
            assert!(ids.young.len() + ids.old.len() <= 200);
        }
        assert!(ids.get(&id(1)).is_none());
    }

    #[test]
    fn what_one_worker_learns_the_others_know_as_long_as_they_judge_alike() {
        let host = &mut FakeHost::default();
        let config = Config { topic_prefix: "a.".to_owned(), ..Config::default() };
        let (mut one, mut other) = (TenantIds::new(&config), TenantIds::new(&config));
        for n in 1..=100 {
            one.learn(id(n), Standing::Owned, host);
        }
        assert_eq!(other.get(&id(100), host), Some(Standing::Owned));
        assert_eq!(other.get(&id(101), host), None);
        assert_eq!(TenantIds::new(&Config::default()).get(&id(100), host), None);
        let policy = TopicCreation { partitions_max: Some(7), ..TopicCreation::default() };
        let mut policed = TenantIds::new(&Config { topic_creation: policy, ..config });
        assert_eq!(policed.get(&id(100), host), Some(Standing::Owned));
    }

    #[test]
    fn shared_memory_is_bounded_and_keeps_the_newest() {
        let host = &mut FakeHost::default();
        let mut ids = TenantIds::new(&Config::default());
        for n in 1..=40_000 {
            ids.learn(id(n), Standing::Owned, host);
        }
        for slot in 0..SLOTS {
            let (bytes, _) = host.shared(&format!("bifrost.topic_ids.{:x}.{slot}", ids.judged_by)).unwrap();
            assert!(bytes.len() <= SLOT_BYTES_MAX);
        }
        assert_eq!(TenantIds::new(&Config::default()).get(&id(40_000), host), Some(Standing::Owned));
        assert_eq!(TenantIds::new(&Config::default()).get(&id(1), host), None);
    }

    #[test]
    fn what_is_hidden_is_shown_again_and_differs_for_every_mask() {
        let (one, other) = (Mask::default(), Mask::default());
        for n in [0, 1, usize::MAX] {
            let hidden = one.hide(&id(n));
            assert_ne!(hidden, id(n));
            assert_ne!(hidden, other.hide(&id(n)));
            assert_eq!(one.show(&hidden), id(n));
        }
    }

    #[test]
    fn one_hidden_id_says_nothing_about_another() {
        let mask = Mask::default();
        let difference = |n: usize| (u128::from_be_bytes(mask.hide(&id(n))) ^ n as u128).count_ones();
        let same = (u128::from_be_bytes(mask.hide(&id(1))) ^ 1) == (u128::from_be_bytes(mask.hide(&id(2))) ^ 2);
        assert!(!same && difference(1) > 20 && difference(2) > 20);
    }

    #[test]
    fn shared_topics_are_not_managed() {
        let read_only = Standing::Shared(Access::ReadOnly);
        assert!(read_only.allows(Deed::Read) && !read_only.allows(Deed::Write) && !read_only.allows(Deed::Manage));
        let read_write = Standing::Shared(Access::ReadWrite);
        assert!(read_write.allows(Deed::Write) && !read_write.allows(Deed::Manage));
    }
}
