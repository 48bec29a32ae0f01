//! RAM: sparse on the host, with a hole for devices below 4 GiB.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::fast::{Banks, Mode, Way};
use super::kept::{self, Notes};
pub use super::page::Page;
use super::page::{Stored, ZERO};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

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

impl Clone for Ram {
    /// Pages that may be written without notice are copied, the others shared.
    fn clone(&self) -> Self {
        let frames = self.frames.iter().map(|frame| match &frame.page {
            Some(page) if !frame.notes.has(Notes::SHARED) => frame.with(Stored::new(page.bytes())),
            _ => frame.shared(),
        });
        self.with(frames.collect())
    }
}

impl Ram {
    /// Zeroed memory of `size` bytes, a multiple of the page size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let mut ram = Ram {
            size,
            frames: Vec::new(),
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
    }

    /// The same memory for another machine: all pages are shared until either
    /// writes to them. Nothing may have a [`Cx`](crate::cpu::Cx) on this memory.
    pub(crate) fn fork(&self) -> Ram {
        self.noted.store(true, Ordering::Relaxed);
        let frames = self.frames.iter().map(|frame| {
            if !frame.notes.has(Notes::SHARED) {
                frame.notes.add(Notes::SHARED);
            }
            frame.shared()
        });
        self.with(frames.collect())
    }

    /// The same memory with these frames, and no way to them yet.
    fn with(&self, frames: Vec<Frame>) -> Ram {
        Ram {
            size: self.size,
            frames,
            epoch: self.epoch,
            fast: Banks::default(),
            owner: 0,
            noted: AtomicBool::new(false),
        }
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
        let frame = &mut self.frames[index];
        let notes = frame.notes.take();
        let code = notes & Notes::CODE != 0;
        frame.generation = frame.generation.wrapping_add(u32::from(code));
        self.epoch += u64::from(code);
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

    /// The hashes of those frames, with their numbers. Only what has changed
    /// since the last time is hashed again.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = (u64, u128)> {
        self.frames.iter().enumerate().filter_map(|(index, frame)| {
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

/// Direct ways: see [`super::fast`].
impl Ram {
    /// Makes sure that the ways are those of this MMU, and that tags for writing
    /// are where they may be. Before anything executes.
    #[inline]
    pub(crate) fn attach(&mut self, owner: &mut u64) {
        if *owner == 0 || *owner != self.owner {
            self.fast.make();
            self.fast.clear();
            self.owner += 1;
            *owner = self.owner;
        }
        if core::mem::take(self.noted.get_mut()) {
            self.fast.close_all();
        }
    }

    /// Remembers that the translation of `va` to this frame may be read in this
    /// mode, and perhaps written. What is no RAM has no direct way.
    pub(crate) fn reach(&mut self, mode: Mode, va: VirtAddr, pa: PhysAddr, rights: Rights) {
        let index = self.index(pa);
        let Some(frame) = self.frames.get_mut(index) else {
            return;
        };
        let host = match &frame.page {
            Some(page) => page.start(),
            None => ZERO.as_ptr().cast_mut(),
        };
        let way = Way {
            host,
            open: !frame.notes.concern_writes(),
            pa,
            writable: rights.write,
            global: rights.global,
        };
        frame.notes.add(Notes::REACHED);
        // SAFETY: the frame holds the page until `replace`, which takes the tags
        // away, as does dropping all of this. It is open only if no note says
        // that others hold it, and `close_frame`, `close_all` and `change` come
        // before any access when one does.
        unsafe { self.fast.fill(mode, va, way) };
    }

    /// The physical address of an access that the translation is known to allow.
    #[inline]
    pub(crate) fn reached(&mut self, mode: Mode, va: VirtAddr, write: bool) -> Option<PhysAddr> {
        let (pa, closed) = self.fast.find(mode, va, write)?;
        if closed && write {
            self.widen(mode, va, pa);
        }
        Some(pa)
    }

    /// Lets writes go the direct way, too, if they need not be noticed any more.
    #[cold]
    fn widen(&mut self, mode: Mode, va: VirtAddr, pa: PhysAddr) {
        let index = self.index(pa);
        let open = |frame: &mut Frame| !frame.notes.concern_writes();
        if self.frames.get_mut(index).is_some_and(open) {
            // SAFETY: as in `reach`: no note says that others hold the page.
            unsafe { self.fast.widen(mode, va) };
        }
    }

    /// The modelled TLB forgot this page.
    pub(crate) fn forget_page(&mut self, page: u64) {
        self.fast.drop_page(page);
    }

    /// It forgot all pages but global ones.
    pub(crate) fn forget_local(&mut self) {
        self.fast.drop_local();
    }

    /// It forgot all pages, or what they allow has changed.
    pub(crate) fn forget_pages(&mut self) {
        self.fast.clear();
    }

    /// The direct ways: see [`super::fast`].
    #[inline(always)]
    pub(crate) fn fast(&self) -> &Banks {
        &self.fast
    }

    /// Writes `N` bytes (1, 2, 4, 8), if that goes the direct way.
    #[inline(always)]
    pub(crate) fn fast_write<const N: usize>(&mut self, mode: Mode, va: u64, value: u64) -> bool {
        self.fast.write::<N>(mode, va, value)
    }

    /// The same with 16 bytes.
    #[inline(always)]
    pub(crate) fn fast_write128(&mut self, mode: Mode, va: u64, value: u128) -> bool {
        self.fast.write128(mode, va, value)
    }
}

/// What a translation allows besides reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// Writing, without a walk for the dirty bit.
    pub(crate) write: bool,
    /// Staying when CR3 is loaded.
    pub(crate) global: bool,
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

impl Frame {
    /// The same frame in another memory, which shares the page.
    fn shared(&self) -> Frame {
        let copy = Frame {
            page: self.page.clone(),
            notes: self.notes.clone(),
            generation: self.generation,
        };
        copy.without_ways(Notes::SHARED)
    }

    /// The same frame in another memory with a page of its own.
    fn with(&self, page: Stored) -> Frame {
        let copy = Frame {
            page: Some(page),
            notes: self.notes.clone(),
            generation: self.generation,
        };
        copy.without_ways(0)
    }

    fn without_ways(mut self, notes: u8) -> Frame {
        self.notes.remove(Notes::REACHED);
        self.notes.add(notes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_is_not_ram() {
        let ram = Ram::new(4 << 30);
        assert!(ram.contains(PhysAddr(LOW_END - 1)));
        assert!(!ram.contains(PhysAddr(LOW_END)));
        assert!(!ram.contains(PhysAddr(HIGH_START - 1)));
        assert!(ram.contains(PhysAddr(HIGH_START)));
        assert!(ram.contains(PhysAddr((5 << 30) - 1)));
        assert!(!ram.contains(PhysAddr(5 << 30)));
        assert!(!ram.contains(PhysAddr(u64::MAX)));
    }

    #[test]
    fn small_ram_ends_where_it_ends() {
        let ram = Ram::new(16 << 20);
        assert!(ram.contains(PhysAddr((16 << 20) - 1)));
        assert!(!ram.contains(PhysAddr(16 << 20)));
        assert!(!ram.contains(PhysAddr(HIGH_START)));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut ram = Ram::new(16 << 20);
        assert!(ram.write(PhysAddr(0x1FF8), 8, 0x1122_3344_5566_7788));
        assert_eq!(ram.read(PhysAddr(0x1FF8), 4), Some(0x5566_7788));
        assert_eq!(ram.read(PhysAddr(0x1FFE), 2), Some(0x1122));
        assert!(ram.write(PhysAddr(0x1FFF), 1, 0xABCD));
        assert_eq!(ram.read(PhysAddr(0x1FF8), 8), Some(0xCD22_3344_5566_7788));
        assert_eq!(ram.read(PhysAddr(0x2000), 8), Some(0));
    }

    #[test]
    fn a_write_to_code_changes_the_generation_once() {
        let mut ram = Ram::new(16 << 20);
        let pa = PhysAddr(0x5000);
        let kept = ram.keep_code(pa);
        ram.write(PhysAddr(0x6000), 1, 1);
        assert_eq!(ram.generation(pa), kept);
        ram.write(PhysAddr(0x5FFF), 1, 1);
        let next = ram.generation(pa);
        assert_ne!(next, kept);
        ram.write(pa, 1, 1);
        assert_eq!(ram.generation(pa), next, "nobody keeps code there any more");
    }

    #[test]
    fn zeroed_frames_are_no_contents() {
        let mut ram = Ram::new(16 << 20);
        ram.write(PhysAddr(0x3000), 8, 1);
        ram.write(PhysAddr(0x4000), 8, 1);
        ram.write(PhysAddr(0x3000), 8, 0);
        let frames: Vec<u64> = ram.contents().map(|(index, _)| index).collect();
        assert_eq!(frames, [4]);
    }

    #[test]
    fn hashes_that_are_kept_are_those_of_the_contents() {
        let mut ram = Ram::new(16 << 20);
        let fresh = |ram: &Ram| -> Vec<(u64, u128)> {
            let contents = ram.contents();
            contents
                .map(|(index, bytes)| (index, kept::hash(bytes)))
                .collect()
        };
        let mut check = |change: &dyn Fn(&mut Ram)| {
            change(&mut ram);
            assert_eq!(ram.hashes().collect::<Vec<_>>(), fresh(&ram));
            assert_eq!(ram.clone().hashes().collect::<Vec<_>>(), fresh(&ram));
        };
        check(&|_| ());
        check(&|ram| assert!(ram.write(PhysAddr(0x3008), 8, 1)));
        check(&|ram| assert!(ram.write(PhysAddr(0x4FFF), 1, 1)));
        check(&|ram| {
            ram.keep_code(PhysAddr(0x4000));
        });
        check(&|ram| assert!(ram.write(PhysAddr(0x4001), 2, 7)));
        check(&|ram| assert!(ram.write(PhysAddr(0x3008), 8, 0)));
        check(&|ram| assert!(ram.load(PhysAddr(0x3FFF), &[1, 2, 3])));
        check(&|ram| assert!(ram.put(3, &[5; 4096])));
    }
}
