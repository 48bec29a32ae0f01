//! What the next write to a frame has to know of: decoded instructions and a
//! hash that are kept until its contents change, and others who hold the page.
//!
//! Hashes are put down, and pages shared, while the machine is only looked at.
//! Atomics let several threads do so; they put down the same.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

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

/// A hash that is worked out when it is asked for, and then kept until what it is of changes.
#[derive(Debug, Default)]
pub(super) struct KeptHash {
    /// Means something while `known` is set.
    halves: [AtomicU64; 2],
    known: AtomicBool,
}

impl KeptHash {
    /// The hash; it is worked out if it is not known.
    pub(super) fn get(&self, work_out: impl FnOnce() -> u128) -> u128 {
        let [low, high] = &self.halves;
        if !self.known.load(Ordering::Acquire) {
            let hash = work_out();
            low.store(hash as u64, Ordering::Relaxed);
            high.store((hash >> 64) as u64, Ordering::Relaxed);
            self.known.store(true, Ordering::Release);
        }
        let half = |half: &AtomicU64| u128::from(half.load(Ordering::Relaxed));
        half(high) << 64 | half(low)
    }

    /// What it is of is about to change.
    pub(super) fn forget(&self) {
        self.known.store(false, Ordering::Relaxed);
    }
}

impl Clone for KeptHash {
    /// As far as it is known.
    fn clone(&self) -> Self {
        let half = |half: &AtomicU64| AtomicU64::new(half.load(Ordering::Relaxed));
        let known = self.known.load(Ordering::Acquire);
        KeptHash {
            halves: self.halves.each_ref().map(half),
            known: AtomicBool::new(known),
        }
    }
}

/// Frames whose hashes are hashed together: of a large memory, few of such parts change
/// from one digest to the next.
pub(super) const PART: usize = 64;

/// Bytes of the number and hash of a frame, or of a part.
const ENTRY: usize = 24;

/// The hash of hashes with their numbers, no more than [`PART`]; none are as one frame that is
/// all zero.
pub(super) fn hash_of_hashes(hashes: impl Iterator<Item = (u64, u128)>) -> u128 {
    let (mut entries, mut used) = ([[0; ENTRY]; PART], 0);
    for ((number, hash), entry) in hashes.zip(&mut entries) {
        *entry = self::entry(number, hash);
        used += 1;
    }
    match used {
        0 => ALL_ZERO,
        _ => xxh3_128(entries[..used].as_flattened()).max(ALL_ZERO + 1),
    }
}

/// A number and its hash, as they are hashed.
pub(crate) fn entry(number: u64, hash: u128) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let (first, second) = entry.split_at_mut(8);
    first.copy_from_slice(&number.to_le_bytes());
    second.copy_from_slice(&hash.to_le_bytes());
    entry
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
