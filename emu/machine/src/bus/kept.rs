//! What the next write to a frame has to know of: decoded instructions and a
//! hash that are kept until its contents change, and others who hold the page.
//!
//! Hashes are put down, and pages shared, while the machine is only looked at.
//! Atomics let several threads do so; they put down the same.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_128;

use super::page::{Page, ZERO};

/// What a write to a frame has to know of.
#[derive(Debug)]
pub(super) struct Notes(AtomicU8);

impl Notes {
    /// Decoded instructions are kept.
    pub(super) const CODE: u8 = 1;
    /// The hash is kept.
    pub(super) const HASH: u8 = 2;
    /// There is no page yet, or others may hold it too.
    pub(super) const SHARED: u8 = 4;
    /// Slots of the direct ways may lead here. A write need not know.
    pub(super) const REACHED: u8 = 8;
    /// Stands among the changed frames. A write need not know.
    pub(super) const CHANGED: u8 = 16;

    const FOR_WRITES: u8 = Notes::CODE | Notes::HASH | Notes::SHARED;

    pub(super) fn new(notes: u8) -> Self {
        Notes(AtomicU8::new(notes))
    }

    /// True if a write may not simply happen.
    #[inline]
    pub(super) fn concern_writes(&mut self) -> bool {
        *self.0.get_mut() & Notes::FOR_WRITES != 0
    }

    pub(super) fn has(&self, note: u8) -> bool {
        self.0.load(Ordering::Relaxed) & note != 0
    }

    pub(super) fn add(&self, note: u8) {
        self.0.fetch_or(note, Ordering::Relaxed);
    }

    pub(super) fn remove(&mut self, note: u8) {
        *self.0.get_mut() &= !note;
    }

    /// Takes what concerns writes away, and tells it.
    pub(super) fn take(&mut self) -> u8 {
        let notes = self.0.get_mut();
        core::mem::replace(notes, *notes & !Notes::FOR_WRITES) & Notes::FOR_WRITES
    }
}

impl Clone for Notes {
    fn clone(&self) -> Self {
        Notes::new(self.0.load(Ordering::Relaxed))
    }
}

/// The hash of a page.
#[derive(Debug, Default)]
pub(super) struct KeptHash([AtomicU64; 2]);

impl KeptHash {
    pub(super) fn set(&self, hash: u128) {
        let [low, high] = &self.0;
        low.store(hash as u64, Ordering::Relaxed);
        high.store((hash >> 64) as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u128 {
        let [low, high] = &self.0;
        let half = |half: &AtomicU64| u128::from(half.load(Ordering::Relaxed));
        half(high) << 64 | half(low)
    }
}

/// What stands for the hash of a frame that is all zero, and of no other.
pub(super) const ALL_ZERO: u128 = 0;

/// The hash of a frame's contents.
pub(super) fn hash(bytes: &Page) -> u128 {
    if bytes == &ZERO {
        ALL_ZERO
    } else {
        xxh3_128(bytes).max(ALL_ZERO + 1)
    }
}
