//! RAM: sparse on the host, with a hole for devices below 4 GiB.

mod changes;
mod moments;
mod ways;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::fast::Banks;
use super::image::Image;
use super::kept::{self, KeptHash, Notes, PART};
pub use super::page::Page;
use super::page::{Stored, ZERO};
use crate::addr::{PAGE_SIZE, PhysAddr};
pub(crate) use changes::FrameHashes;
pub(crate) use ways::Rights;

/// Where low RAM ends at the latest; the rest lies above [`HIGH_START`].
pub const LOW_END: u64 = 3 << 30;
/// Where the RAM that does not fit below the hole begins.
pub const HIGH_START: u64 = 4 << 30;

/// One frame of RAM.
#[derive(Clone, Debug)]
struct Frame {
    /// Absent until something is written; absent and all zero are the same.
    page: Option<Stored>,
    /// Host only: what the next write has to know of.
    notes: Notes,
    /// Host only: how often code in this frame was overwritten.
    generation: u32,
}

impl Default for Frame {
    fn default() -> Self {
        Frame {
            page: None,
            notes: Notes::new(Notes::SHARED),
            generation: 0,
        }
    }
}

/// The machine's memory.
///
/// Only the size is serialised here; snapshots and digests take the contents
/// frame by frame.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ram {
    size: u64,
    #[serde(skip)]
    frames: Vec<Frame>,
    /// Host only: the hashes of the parts, [`PART`] frames each. While one is kept, every
    /// frame of it has a note that a write will come upon.
    #[serde(skip)]
    parts: Vec<KeptHash>,
    /// Host only: what all frames but the changed ones hold.
    #[serde(skip)]
    base: Image,
    /// Host only: the frames that have [`Notes::CHANGED`].
    #[serde(skip)]
    changed: Vec<u32>,
    /// Host only: how often code was overwritten anywhere.
    #[serde(skip)]
    epoch: u64,
    /// Host only: the direct ways to the frames' pages.
    #[serde(skip)]
    fast: Banks,
    /// Host only: which [`Mmu`](crate::mmu::Mmu) they were made for.
    #[serde(skip)]
    owner: u64,
    /// Host only: frames have got notes while tags for writing to them exist.
    #[serde(skip)]
    noted: AtomicBool,
}

impl Ram {
    /// Zeroed memory of `size` bytes, a multiple of the page size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let mut ram = Ram {
            size,
            frames: Vec::new(),
            parts: Vec::new(),
            base: Image::default(),
            changed: Vec::new(),
            epoch: 0,
            fast: Banks::default(),
            owner: 0,
            noted: AtomicBool::new(false),
        };
        ram.allocate();
        ram
    }

    /// Makes the frames of a memory that was just deserialised.
    pub(crate) fn allocate(&mut self) {
        let count = (self.size / PAGE_SIZE) as usize;
        self.frames = (0..count).map(|_| Frame::default()).collect();
        let parts = core::iter::repeat_with(KeptHash::default);
        self.parts = parts.take(count.div_ceil(PART)).collect();
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes below the hole.
    #[must_use]
    pub fn low_size(&self) -> u64 {
        self.size.min(LOW_END)
    }

    /// Bytes above 4 GiB.
    #[must_use]
    pub fn high_size(&self) -> u64 {
        self.size - self.low_size()
    }

    /// Place of a frame in `frames`; beyond its end if the frame is not RAM.
    #[inline]
    fn index(&self, pa: PhysAddr) -> usize {
        let frame = pa.frame();
        if frame < LOW_END / PAGE_SIZE {
            return frame as usize;
        }
        match frame.checked_sub((HIGH_START - LOW_END) / PAGE_SIZE) {
            Some(index) if index >= LOW_END / PAGE_SIZE => index as usize,
            _ => usize::MAX,
        }
    }

    /// True if the address is RAM.
    #[inline]
    #[must_use]
    pub fn contains(&self, pa: PhysAddr) -> bool {
        self.index(pa) < self.frames.len()
    }

    /// The bytes of the frame that holds `pa`; `None` outside RAM.
    #[inline]
    #[must_use]
    pub fn page(&self, pa: PhysAddr) -> Option<&Page> {
        let frame = self.frames.get(self.index(pa))?;
        Some(frame.page.as_ref().map_or(&ZERO, Stored::bytes))
    }

    /// Reads 1 to 8 bytes within a page; `None` outside RAM.
    #[inline]
    #[must_use]
    pub fn read(&self, pa: PhysAddr, len: usize) -> Option<u64> {
        let page = self.page(pa)?;
        let rest = page.get(pa.offset() as usize..)?;
        // Eight bytes at once, cut to size, need no branch for each length.
        let bytes = match rest.first_chunk() {
            Some(eight) => *eight,
            None => tail(rest),
        };
        let unused = 64 - 8 * (len as u32).clamp(1, 8);
        Some(u64::from_le_bytes(bytes) << unused >> unused)
    }

    /// Writes 1 to 8 bytes within a page; false outside RAM.
    #[inline]
    pub fn write(&mut self, pa: PhysAddr, len: usize, value: u64) -> bool {
        let Some(page) = self.open(self.index(pa)) else {
            return false;
        };
        let bytes = value.to_le_bytes();
        let rest = page.get_mut(pa.offset() as usize..).unwrap_or_default();
        match len {
            8 if let Some(place) = rest.first_chunk_mut() => *place = bytes,
            4 if let Some(place) = rest.first_chunk_mut::<4>() => {
                place.copy_from_slice(&bytes[..4])
            }
            1 if let Some(place) = rest.first_mut() => *place = bytes[0],
            _ => rest
                .iter_mut()
                .zip(bytes)
                .take(len)
                .for_each(|(place, byte)| *place = byte),
        }
        true
    }

    /// Sees to all that a write to the frame at `pa` would see to, before writes
    /// that are not told of one by one.
    pub(crate) fn expect_writes(&mut self, pa: PhysAddr) {
        let _page = self.open(self.index(pa));
    }

    /// Copies bytes into RAM, across pages; false if not all of it is RAM.
    #[must_use]
    pub fn load(&mut self, mut pa: PhysAddr, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let room = (PAGE_SIZE - pa.offset()) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let Some(page) = self.open(self.index(pa)) else {
                return false;
            };
            let start = pa.offset() as usize;
            page[start..start + now.len()].copy_from_slice(now);
            pa = pa.add(now.len() as u64);
            bytes = later;
        }
        true
    }

    /// The page of a frame, to be written. What is kept about its contents, and
    /// whoever shares them, has been seen to.
    #[inline]
    fn open(&mut self, index: usize) -> Option<&mut Page> {
        if self.frames.get_mut(index)?.notes.concern_writes() {
            self.change(index);
        }
        let page = self.frames.get(index)?.page.as_ref()?;
        // SAFETY: without the note SHARED nobody else holds the page, and `self`
        // is borrowed mutably for as long as what is returned here lives.
        Some(unsafe { &mut *page.start().cast() })
    }

    /// The contents of a frame are about to change: nothing that is kept about
    /// them holds any more, and the page has to be this frame's own.
    #[cold]
    fn change(&mut self, index: usize) {
        self.parts[index / PART].forget();
        let frame = &mut self.frames[index];
        let notes = frame.notes.take();
        let code = notes & Notes::CODE != 0;
        frame.generation = frame.generation.wrapping_add(u32::from(code));
        self.epoch += u64::from(code);
        if !frame.notes.has(Notes::CHANGED) {
            frame.notes.add(Notes::CHANGED);
            self.changed.push(index as u32);
        }
        match &frame.page {
            Some(page) if notes & Notes::SHARED == 0 || page.is_alone() => page.forget_hash(),
            other => {
                let bytes = other.as_ref().map_or(&ZERO, Stored::bytes);
                let own = Stored::new(bytes);
                self.replace(index, Some(own));
            }
        }
    }

    /// Puts another page into a frame. Ways to the old one vanish.
    fn replace(&mut self, index: usize, page: Option<Stored>) {
        let frame = &mut self.frames[index];
        if frame.notes.has(Notes::REACHED) {
            frame.notes.remove(Notes::REACHED);
            self.fast.drop_frame(address(index));
        }
        frame.page = page;
    }

    /// Notes that decoded instructions of this frame are kept, and tells the
    /// generation that they belong to. Host only: costs and changes nothing.
    pub fn keep_code(&mut self, pa: PhysAddr) -> u32 {
        let index = self.index(pa);
        let Some(frame) = self.frames.get_mut(index) else {
            return 0;
        };
        if !frame.notes.has(Notes::CODE) {
            frame.notes.add(Notes::CODE);
            if frame.notes.has(Notes::REACHED) {
                self.fast.close_frame(pa);
            }
        }
        frame.generation
    }

    /// The frame's generation: it has changed if code kept since
    /// [`Ram::keep_code`] may have been overwritten.
    #[inline]
    #[must_use]
    pub fn generation(&self, pa: PhysAddr) -> u32 {
        self.frames
            .get(self.index(pa))
            .map_or(0, |frame| frame.generation)
    }

    /// A number that changes whenever any frame's generation does. Host only.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The frames that hold something other than zeros, in order, by number
    /// within RAM (the hole is not counted).
    pub(crate) fn contents(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.frames.iter().enumerate().filter_map(|(index, frame)| {
            let bytes = frame.page.as_ref()?.bytes();
            (bytes != &ZERO).then_some((index as u64, bytes))
        })
    }

    /// The hashes of the parts that hold something other than zeros, in order, with their
    /// numbers. Only what has changed since the last time is hashed again.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = (u64, u128)> {
        let hashes = self.hashed_parts().enumerate();
        let hashes = hashes.map(|(number, (hash, _))| (number as u64, hash));
        hashes.filter(|(_, hash)| *hash != kept::ALL_ZERO)
    }

    /// All parts with their hashes.
    fn hashed_parts(&self) -> impl Iterator<Item = (u128, &[Frame])> {
        let parts = self.parts.iter().zip(self.frames.chunks(PART));
        parts.map(|(part, frames)| {
            let hash = part.get(|| kept::hash_of_hashes(self.hashes_of(frames)));
            (hash, frames)
        })
    }

    /// The hashes of those of a part's frames that hold something other than zeros, with
    /// their numbers within it.
    fn hashes_of(&self, frames: &[Frame]) -> impl Iterator<Item = (u64, u128)> {
        frames.iter().enumerate().filter_map(|(index, frame)| {
            let page = frame.page.as_ref()?;
            if !frame.notes.has(Notes::HASH) {
                frame.notes.add(Notes::HASH);
                self.noted.store(true, Ordering::Relaxed);
            }
            let hash = page.hash();
            (hash != kept::ALL_ZERO).then_some((index as u64, hash))
        })
    }

    /// Puts a frame's contents back by its number within RAM.
    pub(crate) fn put(&mut self, index: u64, bytes: &Page) -> bool {
        match self.open(index as usize) {
            Some(page) => {
                *page = *bytes;
                true
            }
            None => false,
        }
    }
}

/// The last bytes of a page, filled up with zeros.
#[cold]
fn tail(rest: &[u8]) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    bytes
}

/// Address of a frame by its place.
fn address(index: usize) -> PhysAddr {
    let at = index as u64 * PAGE_SIZE;
    PhysAddr(if at < LOW_END {
        at
    } else {
        at - LOW_END + HIGH_START
    })
}

#[cfg(test)]
mod tests;
