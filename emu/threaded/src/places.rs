//! A table from places in memory to what was made of the code there. (`alloc` has no hash map, and
//! its ordered one takes three times as long.)

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use rustc_hash::FxBuildHasher;

/// Slots that a table begins with; always a power of two.
const FIRST: usize = 1024;

/// A hash table that is never more than half full, with linear probing. What is put in stays until
/// all is dropped. Slots are small, since most are empty: what was put in stands elsewhere.
#[derive(Debug)]
pub(crate) struct Places<K, V> {
    /// One more than the place in `entries`; 0 if the slot is empty.
    slots: Vec<u32>,
    entries: Vec<(K, V)>,
}

impl<K: Copy + Eq + Hash, V> Default for Places<K, V> {
    fn default() -> Self {
        Places {
            slots: vec![0; FIRST],
            entries: Vec::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Places<K, V> {
    /// The slot that holds the key, or would.
    fn slot(&self, key: &K) -> usize {
        let most = self.slots.len() - 1;
        let mut at = FxBuildHasher.hash_one(key) as usize & most;
        while let Some((other, _)) = self.entry(at)
            && other != key
        {
            at = (at + 1) & most;
        }
        at
    }

    fn entry(&self, slot: usize) -> Option<&(K, V)> {
        let entry = self.slots[slot].checked_sub(1)?;
        self.entries.get(entry as usize)
    }

    /// What was put in for the key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entry(self.slot(key)).map(|(_, value)| value)
    }

    /// Puts in what belongs to the key, in place of what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if 2 * (self.entries.len() + 1) > self.slots.len() {
            self.grow();
        }
        let slot = self.slot(&key);
        match self.slots[slot] {
            0 => {
                self.entries.push((key, value));
                self.slots[slot] = self.entries.len() as u32;
            }
            place => self.entries[place as usize - 1].1 = value,
        }
    }

    fn grow(&mut self) {
        self.slots = vec![0; 2 * self.slots.len()];
        for entry in 0..self.entries.len() {
            let slot = self.slot(&self.entries[entry].0);
            self.slots[slot] = entry as u32 + 1;
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
        assert_eq!((places.get(&1), places.entries.len()), (None, 3000));
        places.clear();
        assert_eq!(places.get(&0), None);
    }
}
