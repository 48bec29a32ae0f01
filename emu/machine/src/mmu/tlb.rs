//! The modelled TLB: 256 sets of 4 ways, each way one 4 KiB translation.
//!
//! A set is filled in turn, whatever was used last: the order does not depend
//! on hits, so a host may remember hits elsewhere without changing the model.

use alloc::vec;
use alloc::vec::Vec;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

const SETS: usize = 256;
const WAYS: usize = 4;

/// Bit of a tag that says that the way is in use.
const VALID: u64 = 1 << 63;

bitflags! {
    /// Rights of a translation, all levels combined, and what a hit needs to know.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Rights: u8 {
        const WRITE = 1;
        const USER = 2;
        const NO_EXECUTE = 4;
        const GLOBAL = 8;
        /// The last entry is marked dirty: a write needs no walk.
        const DIRTY = 16;
    }
}

impl Serialize for Rights {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(self.bits())
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Rights::from_bits_retain(u8::deserialize(d)?))
    }
}

/// One 4 KiB translation, perhaps a fragment of a larger page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The page's number, with [`VALID`].
    tag: u64,
    /// The frame's number.
    pub(super) frame: u64,
    pub(super) rights: Rights,
    /// Level of the table that mapped it: 0, 1 (2 MiB) or 2 (1 GiB).
    level: u8,
    /// The process context that it was made in; a global one serves all.
    context: u16,
}

impl Entry {
    pub(super) fn new(page: u64, frame: u64, rights: Rights, level: u32) -> Self {
        Entry {
            tag: page | VALID,
            frame,
            rights,
            level: level as u8,
            context: 0,
        }
    }

    /// The same for this process context.
    pub(super) fn in_context(self, context: u16) -> Self {
        Entry { context, ..self }
    }

    pub(super) fn is_global(&self) -> bool {
        self.rights.contains(Rights::GLOBAL)
    }

    /// Of this context, and of no other.
    pub(super) fn belongs_to(&self, context: u16) -> bool {
        self.context == context && !self.is_global()
    }

    /// Whether it translates this page in this context.
    fn serves(&self, page: u64, context: u16) -> bool {
        self.tag == page | VALID && (self.context == context || self.is_global())
    }

    /// True if this is a fragment of the (large) page that holds `page`.
    fn is_part_of(&self, page: u64) -> bool {
        let shift = 9 * u32::from(self.level);
        self.tag & VALID != 0 && (self.tag ^ (page | VALID)) >> shift == 0
    }
}

/// Sets that are worth looking at: each that has what is sought, and perhaps others. Host only.
#[derive(Clone, Copy, Debug)]
struct Sets([u64; SETS / 64]);

impl Default for Sets {
    /// All of them, for one who knows nothing yet.
    fn default() -> Self {
        Sets([u64::MAX; SETS / 64])
    }
}

impl PartialEq for Sets {
    /// What the host knows makes no difference.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Sets {}

impl Sets {
    fn put(&mut self, set: usize, is_in: bool) {
        let (word, bit) = (&mut self.0[set / 64], 1 << (set % 64));
        *word = if is_in { *word | bit } else { *word & !bit };
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(index, word)| {
            let rest = |word: &u64| Some(word & (word - 1)).filter(|rest| *rest != 0);
            let words = core::iter::successors(Some(word).filter(|word| *word != 0), rest);
            words.map(move |word| 64 * index + word.trailing_zeros() as usize)
        })
    }
}

/// Large pages of which there may be fragments: a bit for each, which many share. Host only.
#[derive(Clone, Copy, Debug)]
struct Regions([u64; 4]);

impl Default for Regions {
    /// All of them, for one who knows nothing yet.
    fn default() -> Self {
        Regions([u64::MAX; 4])
    }
}

impl PartialEq for Regions {
    /// What the host knows makes no difference.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Regions {}

impl Regions {
    const NONE: Regions = Regions([0; 4]);

    /// Word and bit of the page of this level that holds `page`.
    #[inline]
    fn place(page: u64, level: u8) -> (usize, u64) {
        let region = (page & !VALID) >> (9 * u32::from(level)) << 2 | u64::from(level);
        let hash = region.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        ((hash / 64) as usize, 1 << (hash % 64))
    }

    fn put(&mut self, entry: &Entry) {
        let (word, bit) = Regions::place(entry.tag, entry.level);
        self.0[word] |= bit;
    }

    /// Whether a large page that holds `page` may have fragments.
    fn may_hold(&self, page: u64) -> bool {
        (1..=2).any(|level| {
            let (word, bit) = Regions::place(page, level);
            self.0[word] & bit != 0
        })
    }
}

/// The translations that one CPU remembers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tlb {
    entries: Vec<Entry>,
    /// For each set, the way that is filled next.
    next: Vec<u8>,
    /// Those with an entry in use, so that few are looked at when many are forgotten.
    #[serde(skip)]
    used: Sets,
    /// Those with a fragment of a large page.
    #[serde(skip)]
    large: Sets,
    /// The large pages that those belong to.
    #[serde(skip)]
    regions: Regions,
}

impl Default for Tlb {
    fn default() -> Self {
        Tlb {
            entries: vec![Entry::default(); SETS * WAYS],
            next: vec![0; SETS],
            used: Sets::default(),
            large: Sets::default(),
            regions: Regions::default(),
        }
    }
}

impl Clone for Tlb {
    fn clone(&self) -> Self {
        Tlb {
            entries: self.entries.clone(),
            next: self.next.clone(),
            used: self.used,
            large: self.large,
            regions: self.regions,
        }
    }

    fn clone_from(&mut self, other: &Self) {
        self.entries.clone_from(&other.entries);
        self.next.clone_from(&other.next);
        (self.used, self.large) = (other.used, other.large);
        self.regions = other.regions;
    }
}

fn set_of(page: u64) -> usize {
    page as usize % SETS
}

impl Tlb {
    #[inline]
    pub(super) fn find(&self, page: u64, context: u16) -> Option<&Entry> {
        let first = set_of(page) * WAYS;
        let set = self.entries.get(first..first + WAYS)?;
        set.iter().find(|entry| entry.serves(page, context))
    }

    /// Remembers a translation, in place of the same page's old one or of the
    /// oldest of its set. Returns the page whose translation went, if another.
    pub(super) fn fill(&mut self, entry: Entry) -> Option<u64> {
        let set = set_of(entry.tag);
        self.used.put(set, true);
        if entry.level != 0 {
            self.large.put(set, true);
            self.regions.put(&entry);
        }
        let first = set * WAYS;
        let ways = &mut self.entries[first..first + WAYS];
        let page = entry.tag & !VALID;
        if let Some(same) = ways.iter_mut().find(|way| way.serves(page, entry.context)) {
            *same = entry;
            return None;
        }
        let next = &mut self.next[set];
        let way = &mut ways[usize::from(*next) % WAYS];
        *next = (*next + 1) % WAYS as u8;
        let old = core::mem::replace(way, entry);
        (old.tag & VALID != 0).then_some(old.tag & !VALID)
    }

    /// Forgets one 4 KiB translation.
    pub(super) fn drop_page(&mut self, page: u64, context: u16) {
        let first = set_of(page) * WAYS;
        let ways = &mut self.entries[first..first + WAYS];
        if let Some(way) = ways.iter_mut().find(|way| way.serves(page, context)) {
            *way = Entry::default();
        }
    }

    /// Forgets the page that holds `page`, with all fragments of a large one, in this context, and
    /// perhaps if it is global. Tells each that went.
    pub(super) fn invalidate(
        &mut self,
        page: u64,
        context: u16,
        global_too: bool,
        mut gone: impl FnMut(u64),
    ) {
        let mut is_meant = |entry: &Entry| {
            let meant = entry.belongs_to(context) || global_too && entry.is_global();
            let goes = meant && entry.is_part_of(page);
            if goes {
                gone(entry.tag & !VALID);
            }
            goes
        };
        let set = set_of(page);
        if self.regions.may_hold(page) {
            let mut sets = self.large;
            sets.put(set, true);
            self.forget(sets, is_meant);
        } else {
            self.forget_in(set, &mut is_meant);
        }
    }

    /// Forgets those that are meant.
    pub(super) fn flush(&mut self, is_meant: impl Fn(&Entry) -> bool) {
        self.forget(self.used, is_meant);
    }

    /// Forgets those of these sets that are meant; all sets with fragments are among them.
    fn forget(&mut self, sets: Sets, mut is_meant: impl FnMut(&Entry) -> bool) {
        self.regions = Regions::NONE;
        for set in sets.iter() {
            self.forget_in(set, &mut is_meant);
            let Tlb {
                entries, regions, ..
            } = self;
            let ways = entries[set * WAYS..][..WAYS].iter();
            ways.filter(|way| way.level != 0)
                .for_each(|way| regions.put(way));
        }
    }

    /// Forgets those of this set that are meant.
    fn forget_in(&mut self, set: usize, is_meant: &mut impl FnMut(&Entry) -> bool) {
        let (mut used, mut large) = (false, false);
        for entry in &mut self.entries[set * WAYS..][..WAYS] {
            if is_meant(entry) {
                *entry = Entry::default();
            }
            used |= entry.tag & VALID != 0;
            large |= entry.level != 0;
        }
        self.used.put(set, used);
        self.large.put(set, large);
    }

    pub(super) fn is_sound(&self) -> bool {
        self.entries.len() == SETS * WAYS
            && self.next.len() == SETS
            && self.next.iter().all(|&way| usize::from(way) < WAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is there, whatever the host knows.
    fn pages(tlb: &Tlb) -> Vec<u64> {
        let used = tlb.entries.iter().filter(|entry| entry.tag & VALID != 0);
        used.map(|entry| entry.tag & !VALID).collect()
    }

    /// The same by looking everywhere.
    fn left(tlb: &Tlb, goes: impl Fn(&Entry) -> bool) -> Vec<u64> {
        let mut tlb = tlb.clone();
        for entry in tlb.entries.iter_mut().filter(|entry| goes(entry)) {
            *entry = Entry::default();
        }
        pages(&tlb)
    }

    #[test]
    fn looking_at_few_sets_finds_all_that_goes() {
        let mut tlb = Tlb::default();
        let mut state = 1_u64;
        for round in 0..4000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = state >> 33;
            let (page, level) = (random % 3000, (random >> 12) as u32 % 3);
            let rights = Rights::from_bits_retain((random >> 16) as u8);
            let context = (random >> 24) as u16 % 2;
            tlb.fill(Entry::new(page, page, rights, level).in_context(context));
            if round % 40 == 0 {
                let expected = left(&tlb, |entry| {
                    (entry.belongs_to(context) || entry.is_global()) && entry.is_part_of(page)
                });
                tlb.invalidate(page, context, true, |_| {});
                assert_eq!(pages(&tlb), expected);
            }
            if round % 700 == 0 {
                let expected = left(&tlb, |entry| entry.belongs_to(context));
                tlb.flush(|entry| entry.belongs_to(context));
                assert_eq!(pages(&tlb), expected);
            }
        }
    }
}
