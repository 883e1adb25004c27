//! Topic ids: which are the tenant's, and a mask for those that are not.
//!
//! An id never changes its name, so what is known stays known; it is only forgotten for lack of room. That an id is not the
//! tenant's is never kept: it is asked for again with the next request that uses it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use crate::config::Access;
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

/// Makes an id that no topic has from one that is not the tenant's, so that the broker itself says so. Secret: a client that
/// knew it could write an id that becomes another tenant's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask(u128);

impl Mask {
    pub(crate) fn random() -> Self {
        let half = || u128::from(RandomState::new().hash_one(0u8));
        Mask(half() | half() << 64 | 1)
    }

    pub(crate) fn apply(self, id: &TopicId) -> TopicId {
        (u128::from_be_bytes(*id) ^ self.0).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_mask_is_its_own_inverse_and_changes_every_id() {
        let mask = Mask::random();
        for n in [0, 1, usize::MAX] {
            assert_ne!(mask.apply(&id(n)), id(n));
            assert_eq!(mask.apply(&mask.apply(&id(n))), id(n));
        }
        assert_ne!(mask.0, Mask::random().0);
    }

    #[test]
    fn shared_topics_are_not_managed() {
        let read_only = Standing::Shared(Access::ReadOnly);
        assert!(read_only.allows(Deed::Read) && !read_only.allows(Deed::Write) && !read_only.allows(Deed::Manage));
        let read_write = Standing::Shared(Access::ReadWrite);
        assert!(read_write.allows(Deed::Write) && !read_write.allows(Deed::Manage));
    }
}
