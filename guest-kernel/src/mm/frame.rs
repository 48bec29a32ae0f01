//! Frames: physical memory in pieces of 4 KiB, counted by reference.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::choice::ChoiceKind;
use abi::event::{FrameKind, MmPageAlloc, MmPageFree};

use crate::arch::layout::{self, BOOT_MAPPED, PAGE_SIZE, direct};
use crate::arch::pvh::Range;
use crate::errno::{Errno, Result};
use crate::probe;
use crate::sync::{Once, SpinLock};

/// Frames that only the kernel's small objects may take, so that they do not
/// fail: every call that makes such objects first takes something that can.
const RESERVE: u64 = 128;

/// Frames that must be left beyond those when a task is made: it and its maker
/// are about to copy pages, and a page that cannot be copied ends its task,
/// where a task that cannot be made is only an error.
const TASK_RESERVE: u64 = 256;

/// At most this many separate ranges of RAM.
const MAX_RANGES: usize = 16;

/// What is known of a frame. The number is that of the references; while the
/// frame is free it is that of the next free frame.
struct Info {
    number: AtomicU32,
    kind: AtomicU32,
}

const NONE: u32 = u32::MAX;
const KINDS: [FrameKind; 5] = [
    FrameKind::User,
    FrameKind::PageTable,
    FrameKind::KernelStack,
    FrameKind::Slab,
    FrameKind::PageCache,
];

#[derive(Clone, Copy)]
struct Frames {
    start: u64,
    end: u64,
}

struct Allocator {
    /// Ranges of frames that were never taken, lowest first.
    fresh: [Frames; MAX_RANGES],
    ranges: usize,
    /// The first of the frames that came back; the last one back is first.
    returned: u32,
    free: u64,
    total: u64,
    /// How many are taken, by what for.
    taken: [u64; KINDS.len()],
}

static ALLOCATOR: SpinLock<Allocator> = SpinLock::new(Allocator {
    fresh: [Frames { start: 0, end: 0 }; MAX_RANGES],
    ranges: 0,
    returned: NONE,
    free: 0,
    total: 0,
    taken: [0; KINDS.len()],
});

static INFOS: Once<&'static [Info]> = Once::new();

impl Allocator {
    fn add(&mut self, frames: Frames) {
        if frames.start < frames.end && self.ranges < MAX_RANGES {
            self.fresh[self.ranges] = frames;
            self.ranges += 1;
            self.free += frames.end - frames.start;
            self.total += frames.end - frames.start;
        }
    }

    fn take(&mut self, reserve: u64, kind: FrameKind) -> Option<u64> {
        if self.free <= reserve {
            return None;
        }
        self.free -= 1;
        self.taken[kind as usize] += 1;
        if self.returned != NONE {
            let pfn = u64::from(self.returned);
            self.returned = info(pfn).number.load(Ordering::Relaxed);
            return Some(pfn);
        }
        let range = self.fresh[..self.ranges]
            .iter_mut()
            .find(|range| range.start < range.end)?;
        range.start += 1;
        Some(range.start - 1)
    }

    fn give(&mut self, pfn: u64, kind: FrameKind) {
        self.taken[kind as usize] -= 1;
        info(pfn).number.store(self.returned, Ordering::Relaxed);
        self.returned = pfn as u32;
        self.free += 1;
    }
}

fn info(pfn: u64) -> &'static Info {
    let infos = INFOS
        .get()
        .expect("frames are counted before they are used");
    &infos[pfn as usize]
}

/// One reference to a frame. The last one to go frees it.
pub struct Frame {
    pfn: u64,
}

impl Frame {
    /// The physical address.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.pfn * PAGE_SIZE
    }

    /// What it was taken for.
    #[must_use]
    pub fn kind(&self) -> FrameKind {
        KINDS[info(self.pfn).kind.load(Ordering::Relaxed) as usize]
    }

    /// How many references there are.
    #[must_use]
    pub fn references(&self) -> u32 {
        info(self.pfn).number.load(Ordering::Acquire)
    }

    /// Where the kernel sees the frame's bytes. Others may write them at any
    /// time, so they are only ever copied, never borrowed.
    #[must_use]
    pub fn bytes(&self) -> *mut u8 {
        direct(self.address()) as *mut u8
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// If they do not lie in the frame.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) {
        assert!(offset + buffer.len() <= PAGE_SIZE as usize);
        // SAFETY: inside the frame, which this reference keeps.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.bytes().add(offset),
                buffer.as_mut_ptr(),
                buffer.len(),
            );
        }
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// If they do not lie in the frame.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= PAGE_SIZE as usize);
        // SAFETY: as in `read`; whoever else sees the frame is a user task.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.bytes().add(offset), bytes.len());
        }
    }

    /// Fills a part with zeros.
    ///
    /// # Panics
    /// If it does not lie in the frame.
    pub fn clear(&self, offset: usize, len: usize) {
        assert!(offset + len <= PAGE_SIZE as usize);
        // SAFETY: as in `write`.
        unsafe { core::ptr::write_bytes(self.bytes().add(offset), 0, len) };
    }

    /// Copies bytes of another frame in; it may also be this one.
    ///
    /// # Panics
    /// If they do not lie in the frames.
    pub fn copy_part(&self, offset: usize, from: &Frame, from_offset: usize, len: usize) {
        assert!(offset + len <= PAGE_SIZE as usize && from_offset + len <= PAGE_SIZE as usize);
        // SAFETY: inside both frames; `copy` allows them to overlap.
        unsafe {
            core::ptr::copy(from.bytes().add(from_offset), self.bytes().add(offset), len);
        }
    }

    /// Takes over the other frame's bytes.
    pub fn copy_from(&self, other: &Frame) {
        // SAFETY: two whole frames; if they are one, nothing is to be done.
        unsafe { core::ptr::copy(other.bytes(), self.bytes(), PAGE_SIZE as usize) };
    }

    /// Gives the reference away as a physical address, to a page table.
    #[must_use]
    pub fn into_address(self) -> u64 {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes a reference back.
    ///
    /// # Safety
    /// The address came from [`Frame::into_address`] and is used once.
    #[must_use]
    pub unsafe fn from_address(address: u64) -> Self {
        Frame {
            pfn: address / PAGE_SIZE,
        }
    }
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        info(self.pfn).number.fetch_add(1, Ordering::Relaxed);
        Frame { pfn: self.pfn }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let info = info(self.pfn);
        if info.number.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        core::sync::atomic::fence(Ordering::Acquire);
        let kind = KINDS[info.kind.load(Ordering::Relaxed) as usize];
        let mut allocator = ALLOCATOR.lock();
        // Under the lock: the next one to take it must not be told of first.
        probe::emit(&MmPageFree {
            pfn: self.pfn,
            kind: kind.into(),
        });
        allocator.give(self.pfn, kind);
    }
}

/// Takes a free frame and fills it with zeros. Whether it fails is a choice,
/// except for the kernel's small objects.
///
/// # Errors
/// `ENOMEM`.
pub fn alloc(kind: FrameKind) -> Result<Frame> {
    let frame = alloc_uncleared(kind)?;
    frame.clear(0, PAGE_SIZE as usize);
    Ok(frame)
}

/// Like [`alloc`], for a caller that fills the whole frame.
///
/// # Errors
/// `ENOMEM`.
pub fn alloc_uncleared(kind: FrameKind) -> Result<Frame> {
    let reserve = if kind == FrameKind::Slab {
        0
    } else {
        if chosen_to_fail() {
            return Err(Errno::ENOMEM);
        }
        RESERVE
    };
    let pfn = ALLOCATOR.lock().take(reserve, kind).ok_or(Errno::ENOMEM)?;
    let info = info(pfn);
    info.number.store(1, Ordering::Relaxed);
    info.kind.store(kind as u32, Ordering::Relaxed);
    probe::emit(&MmPageAlloc {
        pfn,
        kind: kind.into(),
    });
    Ok(Frame { pfn })
}

fn chosen_to_fail() -> bool {
    probe::choose(ChoiceKind::AllocFail, 2, 0, &[]) == 1
}

/// Fails where memory is so short that the kernel's small objects are at risk.
/// For calls that make such objects and nothing else. Whether it fails is a
/// choice, as that of a frame is.
///
/// # Errors
/// `ENOMEM`.
pub fn room() -> Result<()> {
    if free() > RESERVE && !chosen_to_fail() {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Like [`room`], for a new task.
///
/// # Errors
/// `ENOMEM`.
pub fn room_for_task() -> Result<()> {
    if free() > RESERVE + TASK_RESERVE && !chosen_to_fail() {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Free frames.
#[must_use]
pub fn free() -> u64 {
    ALLOCATOR.lock().free
}

/// Frames that are taken for this.
#[must_use]
pub fn taken(kind: FrameKind) -> u64 {
    ALLOCATOR.lock().taken[kind as usize]
}

/// All frames that the allocator has been given.
#[must_use]
pub fn total() -> u64 {
    ALLOCATOR.lock().total
}

/// Takes stock at boot: all RAM but what lies in `taken`.
///
/// # Panics
/// If there is no place for the list of frames.
pub fn init(ram: impl Iterator<Item = Range> + Clone, taken: &[Range]) {
    let top = ram.clone().map(|range| range.end).max().unwrap_or(0) / PAGE_SIZE;
    let bytes = (top * size_of::<Info>() as u64).next_multiple_of(PAGE_SIZE);
    let place = ram
        .clone()
        .find_map(|range| first_gap(range, taken, bytes))
        .expect("there is memory for the list of frames");
    let own = Range {
        start: place,
        end: place + bytes,
    };
    // SAFETY: a gap in RAM that is mapped and nobody else's, set to zero here.
    let infos = unsafe {
        core::ptr::write_bytes(direct(place) as *mut u8, 0, bytes as usize);
        core::slice::from_raw_parts(direct(place) as *const Info, top as usize)
    };
    INFOS.set(infos);
    for range in ram {
        add_gaps(range, taken, own);
    }
}

/// Gives the allocator a range that boot no longer needs.
pub fn add(range: Range) {
    ALLOCATOR.lock().add(whole(range));
}

fn whole(range: Range) -> Frames {
    Frames {
        start: range.start.div_ceil(PAGE_SIZE),
        end: range.end / PAGE_SIZE,
    }
}

/// The lowest `bytes` of a range that meet nothing taken.
fn first_gap(range: Range, taken: &[Range], bytes: u64) -> Option<u64> {
    let limit = range.end.min(BOOT_MAPPED);
    let mut at = range
        .start
        .max(layout::LOW_MEMORY_END)
        .next_multiple_of(PAGE_SIZE);
    while at + bytes <= limit {
        let in_the_way = taken
            .iter()
            .find(|other| other.start < at + bytes && at < other.end);
        match in_the_way {
            None => return Some(at),
            Some(other) => at = other.end.next_multiple_of(PAGE_SIZE),
        }
    }
    None
}

fn add_gaps(range: Range, taken: &[Range], own: Range) {
    let mut start = range.start.max(layout::LOW_MEMORY_END);
    while start < range.end {
        let inside = |other: &&Range| other.start <= start && start < other.end;
        if let Some(other) = taken.iter().chain([&own]).find(inside) {
            start = other.end;
            continue;
        }
        let end = taken
            .iter()
            .chain([&own])
            .map(|other| other.start)
            .filter(|&other| other > start)
            .fold(range.end, u64::min);
        add(Range { start, end });
        start = end;
    }
}
