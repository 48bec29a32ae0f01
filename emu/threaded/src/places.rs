//! A table from places in memory to what was made of the code there. (`alloc` has no hash map, and
//! its ordered one takes three times as long.)

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use rustc_hash::FxBuildHasher;

/// Slots that a table begins with; always a power of two.
const FIRST: usize = 1024;

/// A hash table that is never more than half full, with linear probing. What is put in stays until
/// all is dropped.
#[derive(Debug)]
pub(crate) struct Places<K, V> {
    slots: Vec<Option<(K, V)>>,
    used: usize,
}

impl<K: Copy + Eq + Hash, V> Default for Places<K, V> {
    fn default() -> Self {
        Places {
            slots: empty(FIRST),
            used: 0,
        }
    }
}

fn empty<K, V>(size: usize) -> Vec<Option<(K, V)>> {
    let mut slots = vec![];
    slots.resize_with(size, || None);
    slots
}

impl<K: Copy + Eq + Hash, V> Places<K, V> {
    /// The slot that holds the key, or would.
    fn slot(&self, key: &K) -> usize {
        let most = self.slots.len() - 1;
        let mut at = FxBuildHasher.hash_one(key) as usize & most;
        while let Some((other, _)) = &self.slots[at]
            && other != key
        {
            at = (at + 1) & most;
        }
        at
    }

    /// What was put in for the key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.slots[self.slot(key)].as_ref().map(|(_, value)| value)
    }

    /// Puts in what belongs to the key, in place of what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if 2 * (self.used + 1) > self.slots.len() {
            self.grow();
        }
        let slot = self.slot(&key);
        self.used += usize::from(self.slots[slot].is_none());
        self.slots[slot] = Some((key, value));
    }

    fn grow(&mut self) {
        let more = empty(2 * self.slots.len());
        for (key, value) in core::mem::replace(&mut self.slots, more)
            .into_iter()
            .flatten()
        {
            let slot = self.slot(&key);
            self.slots[slot] = Some((key, value));
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Places::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found_and_can_be_replaced() {
        let mut places = Places::default();
        for round in 0..2_u64 {
            for key in 0..3000_u64 {
                places.insert(key << 12, key + round);
            }
        }
        assert!((0..3000).all(|key| places.get(&(key << 12)) == Some(&(key + 1))));
        assert_eq!((places.get(&1), places.used), (None, 3000));
        places.clear();
        assert_eq!(places.get(&0), None);
    }
}
