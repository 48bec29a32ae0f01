//! What the host keeps about a frame's contents until they change: decoded
//! instructions, and the hash for digests.
//!
//! Hashes are put down while the machine is only looked at. Atomics let several
//! threads do so; they put down the same.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_128;

use super::ram::{Page, ZERO};

/// Which things are kept.
#[derive(Debug, Default)]
pub(super) struct Notes(AtomicU8);

impl Notes {
    /// Decoded instructions.
    pub(super) const CODE: u8 = 1;
    /// The hash.
    pub(super) const HASH: u8 = 2;

    /// True if anything is kept.
    #[inline]
    pub(super) fn any(&mut self) -> bool {
        *self.0.get_mut() != 0
    }

    pub(super) fn has(&self, note: u8) -> bool {
        self.0.load(Ordering::Acquire) & note != 0
    }

    pub(super) fn add(&self, note: u8) {
        self.0.fetch_or(note, Ordering::Release);
    }

    /// Forgets everything; true if there was code.
    pub(super) fn take_code(&mut self) -> bool {
        core::mem::take(self.0.get_mut()) & Notes::CODE != 0
    }
}

impl Clone for Notes {
    fn clone(&self) -> Self {
        Notes(AtomicU8::new(self.0.load(Ordering::Acquire)))
    }
}

/// The hash of a frame. It means something once [`Notes::HASH`] is there.
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

impl Clone for KeptHash {
    fn clone(&self) -> Self {
        let copy = KeptHash::default();
        copy.set(self.get());
        copy
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
