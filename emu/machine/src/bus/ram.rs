//! RAM: sparse on the host, with a hole for devices below 4 GiB.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::kept::{self, KeptHash, Notes};
use crate::addr::{PAGE_SIZE, PhysAddr};

/// Where low RAM ends at the latest; the rest lies above [`HIGH_START`].
pub const LOW_END: u64 = 3 << 30;
/// Where the RAM that does not fit below the hole begins.
pub const HIGH_START: u64 = 4 << 30;

/// The bytes of one frame.
pub type Page = [u8; PAGE_SIZE as usize];

pub(super) static ZERO: Page = [0; PAGE_SIZE as usize];

/// One frame of RAM.
#[derive(Clone, Debug, Default)]
struct Frame {
    /// Absent until something is written; absent and all zero are the same.
    bytes: Option<Box<Page>>,
    /// Host only: what the next write has to know of.
    notes: Notes,
    /// Host only: how often code in this frame was overwritten.
    generation: u32,
}

/// The machine's memory.
///
/// Only the size is serialised here; snapshots and digests take the contents
/// frame by frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ram {
    size: u64,
    #[serde(skip)]
    frames: Vec<Frame>,
    /// Host only: the hashes of the frames that have [`Notes::HASH`].
    #[serde(skip)]
    hashes: Vec<KeptHash>,
    /// Host only: how often code was overwritten anywhere.
    #[serde(skip)]
    epoch: u64,
}

impl Ram {
    /// Zeroed memory of `size` bytes, a multiple of the page size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let mut ram = Ram {
            size,
            frames: Vec::new(),
            hashes: Vec::new(),
            epoch: 0,
        };
        ram.allocate();
        ram
    }

    /// Makes the frames of a memory that was just deserialised.
    pub(crate) fn allocate(&mut self) {
        let count = (self.size / PAGE_SIZE) as usize;
        self.frames = (0..count).map(|_| Frame::default()).collect();
        self.hashes = (0..count).map(|_| KeptHash::default()).collect();
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
        Some(frame.bytes.as_deref().unwrap_or(&ZERO))
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
        let index = self.index(pa);
        let Some(frame) = self.frames.get_mut(index) else {
            return false;
        };
        if frame.notes.any() {
            self.epoch += frame.change();
        }
        let page = match &mut frame.bytes {
            Some(page) => page,
            None => frame.bytes.insert(zeroed()),
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
            let index = self.index(pa);
            let Some(frame) = self.frames.get_mut(index) else {
                return false;
            };
            self.epoch += frame.change();
            let page = frame.bytes.get_or_insert_with(|| Box::new(ZERO));
            let start = pa.offset() as usize;
            page[start..start + now.len()].copy_from_slice(now);
            pa = pa.add(now.len() as u64);
            bytes = later;
        }
        true
    }

    /// Notes that decoded instructions of this frame are kept, and tells the
    /// generation that they belong to. Host only: costs and changes nothing.
    pub fn keep_code(&mut self, pa: PhysAddr) -> u32 {
        let index = self.index(pa);
        match self.frames.get_mut(index) {
            Some(frame) => {
                frame.notes.add(Notes::CODE);
                frame.generation
            }
            None => 0,
        }
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
            let bytes = frame.bytes.as_deref()?;
            (bytes != &ZERO).then_some((index as u64, bytes))
        })
    }

    /// The hashes of those frames, with their numbers. Only what has changed
    /// since the last time is hashed again.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = (u64, u128)> {
        let frames = self.frames.iter().zip(&self.hashes).enumerate();
        frames.filter_map(|(index, (frame, kept))| {
            let bytes = frame.bytes.as_deref()?;
            if !frame.notes.has(Notes::HASH) {
                kept.set(kept::hash(bytes));
                frame.notes.add(Notes::HASH);
            }
            let hash = kept.get();
            (hash != kept::ALL_ZERO).then_some((index as u64, hash))
        })
    }

    /// Puts a frame's contents back by its number within RAM.
    pub(crate) fn put(&mut self, index: u64, bytes: &Page) -> bool {
        match self.frames.get_mut(index as usize) {
            Some(frame) => {
                frame.bytes = Some(Box::new(*bytes));
                self.epoch += frame.change();
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

#[cold]
fn zeroed() -> Box<Page> {
    Box::new(ZERO)
}

impl Frame {
    /// The contents are about to change: nothing that is kept about them holds
    /// any more. Returns 1 if there was code among it, otherwise 0.
    #[cold]
    fn change(&mut self) -> u64 {
        let code = self.notes.take_code();
        self.generation = self.generation.wrapping_add(u32::from(code));
        u64::from(code)
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
