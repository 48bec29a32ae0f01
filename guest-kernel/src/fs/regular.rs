//! Regular files: contents in page frames.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::event::FrameKind;

use super::transfer::{self, Sink, Source};
use crate::errno::{Errno, Result};
use crate::mm::Backing;
use crate::mm::frame::{self, Frame};
use crate::sched::Mutex;
use crate::sync::SpinLock;

const PAGE: u64 = 4096;

/// How many frames hold contents of files. Writing makes no more of them than
/// half of the memory, as in Linux's file system in memory.
static PAGES: AtomicU64 = AtomicU64::new(0);

/// How many more pages may be written.
pub fn pages_left() -> u64 {
    (frame::total() / 2).saturating_sub(PAGES.load(Ordering::Relaxed))
}

/// The contents of a file.
///
/// A page gets its frame when it is first touched; until then it is a stretch
/// of the archive that the file came from, or a hole. Frames stay the same as
/// long as the file does, so `mmap` can hand them out.
pub struct Regular {
    content: SpinLock<Content>,
    /// Held over a whole write: writes do not mix, and O_APPEND finds the end.
    writing: Mutex<()>,
}

struct Content {
    frames: BTreeMap<u64, Frame>,
    len: u64,
    /// What the file began as, as far as it was not cut off since.
    initial: &'static [u8],
}

impl Regular {
    /// A file that begins as these bytes.
    pub fn new(initial: &'static [u8]) -> Self {
        Regular {
            content: SpinLock::new(Content {
                frames: BTreeMap::new(),
                len: initial.len() as u64,
                initial,
            }),
            writing: Mutex::new(()),
        }
    }

    /// Gives an empty file, nothing of which was used yet, its contents.
    pub(super) fn begin_as(&self, initial: &'static [u8]) {
        let mut content = self.content.lock();
        content.initial = initial;
        content.len = initial.len() as u64;
    }

    /// How many frames it holds.
    pub fn pages(&self) -> u64 {
        self.content.lock().frames.len() as u64
    }

    /// How many bytes it holds.
    pub fn len(&self) -> u64 {
        self.content.lock().len
    }

    /// Pieces of 512 bytes that it takes up: whole pages, where there is data.
    pub fn sectors(&self) -> u64 {
        let content = self.content.lock();
        let initial = (content.initial.len() as u64).div_ceil(PAGE);
        let behind = content.frames.range(initial..).count() as u64;
        (initial + behind) * (PAGE / 512)
    }

    /// The bytes that the file began as, where they are still all of it.
    fn untouched(&self, index: u64) -> &'static [u8] {
        let initial = self.content.lock().initial;
        let begin = usize::try_from(index.saturating_mul(PAGE)).unwrap_or(usize::MAX);
        let rest = initial.get(begin..).unwrap_or(&[]);
        &rest[..rest.len().min(PAGE as usize)]
    }

    fn frame(&self, index: u64) -> Option<Frame> {
        self.content.lock().frames.get(&index).cloned()
    }

    /// The frame of a page, made now if there was none.
    fn frame_or_new(&self, index: u64) -> Result<Frame> {
        if let Some(frame) = self.frame(index) {
            return Ok(frame);
        }
        let initial = self.untouched(index);
        let new = frame::alloc_uncleared(FrameKind::PageCache)?;
        new.write(0, initial);
        new.clear(initial.len(), PAGE as usize - initial.len());
        let mut content = self.content.lock();
        // Somebody else may have made it meanwhile, or cut the file shorter.
        if let Some(frame) = content.frames.get(&index) {
            let frame = frame.clone();
            drop(content);
            return Ok(frame);
        }
        let begin = (index * PAGE) as usize;
        let kept = content.initial.len().saturating_sub(begin);
        if kept < initial.len() {
            new.clear(kept, initial.len() - kept);
        }
        content.frames.insert(index, new.clone());
        PAGES.fetch_add(1, Ordering::Relaxed);
        Ok(new)
    }

    /// The frame of a page that is to be written.
    fn frame_to_write(&self, index: u64) -> Result<Frame> {
        if let Some(frame) = self.frame(index) {
            return Ok(frame);
        }
        if PAGES.load(Ordering::Relaxed) >= frame::total() / 2 {
            return Err(Errno::ENOSPC);
        }
        self.frame_or_new(index)
    }

    /// Reads from `offset` on: as many bytes as are there and fit.
    ///
    /// # Errors
    /// EFAULT, if not even the first byte could be stored.
    pub fn read_at(&self, offset: u64, to: &mut dyn Sink) -> Result<usize> {
        let mut done = 0;
        while to.room() > 0 {
            let at = offset.saturating_add(done as u64);
            let len = self.len();
            if at >= len {
                break;
            }
            let within = (at % PAGE) as usize;
            let count = (PAGE - at % PAGE).min(len - at).min(to.room() as u64) as usize;
            let moved = match self.frame(at / PAGE) {
                Some(frame) => to.put_frame(&frame, within, count),
                None => {
                    let bytes = self.untouched(at / PAGE);
                    let bytes = &bytes[within.min(bytes.len())..];
                    transfer::from_bytes(bytes, count, to)
                }
            };
            done += moved;
            if moved < count {
                if done == 0 {
                    return Err(Errno::EFAULT);
                }
                break;
            }
        }
        Ok(done)
    }

    /// Writes at `offset`, or at the end if there is none; returns where the
    /// write ended and how many bytes it wrote.
    ///
    /// # Errors
    /// EFAULT, ENOMEM, ENOSPC or EFBIG, if not even one byte was written.
    pub fn write_at(&self, offset: Option<u64>, from: &mut dyn Source) -> Result<(u64, usize)> {
        let _turn = self.writing.lock();
        let offset = offset.unwrap_or_else(|| self.len());
        let mut done = 0;
        let mut failure = None;
        while from.left() > 0 && failure.is_none() {
            match self.write_page(offset + done as u64, from) {
                Ok((moved, whole)) => {
                    done += moved;
                    failure = (!whole).then_some(Errno::EFAULT);
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if done == 0 => Err(error),
            _ => Ok((offset + done as u64, done)),
        }
    }

    /// Writes into one page; false if the source stopped short.
    fn write_page(&self, at: u64, from: &mut dyn Source) -> Result<(usize, bool)> {
        let room = (i64::MAX as u64).saturating_sub(at);
        let count = (PAGE - at % PAGE).min(room).min(from.left() as u64) as usize;
        if count == 0 {
            return Err(Errno::EFBIG);
        }
        let frame = self.frame_to_write(at / PAGE)?;
        let moved = from.take_to_frame(&frame, (at % PAGE) as usize, count);
        let mut content = self.content.lock();
        content.len = content.len.max(at + moved as u64);
        Ok((moved, moved == count))
    }

    /// Gives every page of a range its frame, and the file at least the length
    /// of its end if `grow`.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC; what was done so far stays.
    pub fn allocate(&self, start: u64, end: u64, grow: bool) -> Result<()> {
        let _turn = self.writing.lock();
        for index in start / PAGE..end.div_ceil(PAGE) {
            drop(self.frame_to_write(index)?);
        }
        if grow {
            let mut content = self.content.lock();
            content.len = content.len.max(end);
        }
        Ok(())
    }

    /// Makes a range read as zeros; whole pages of it give their frames back,
    /// unless somebody maps them.
    ///
    /// # Errors
    /// ENOMEM or ENOSPC.
    pub fn punch(&self, start: u64, end: u64) -> Result<()> {
        let _turn = self.writing.lock();
        let end = end.min(self.len());
        let mut at = start;
        while let Some(index) = self.next_with_data(at / PAGE) {
            at = at.max(index * PAGE);
            if at >= end {
                break;
            }
            let stop = ((index + 1) * PAGE).min(end);
            self.clear_within(at, stop)?;
            at = stop;
        }
        Ok(())
    }

    /// The first page from `index` on that is no hole.
    fn next_with_data(&self, index: u64) -> Option<u64> {
        let content = self.content.lock();
        if index < (content.initial.len() as u64).div_ceil(PAGE) {
            return Some(index);
        }
        let (found, _) = content.frames.range(index..).next()?;
        Some(*found)
    }

    /// Clears a part of one page.
    fn clear_within(&self, start: u64, end: u64) -> Result<()> {
        let index = start / PAGE;
        let frame = match self.frame(index) {
            Some(frame) => frame,
            None if self.untouched(index).is_empty() => return Ok(()),
            None => self.frame_to_write(index)?,
        };
        frame.clear((start % PAGE) as usize, (end - start) as usize);
        let whole = end - start == PAGE;
        // One reference is the file's, one is ours.
        if whole && frame.references() == 2 && self.untouched(index).is_empty() {
            let removed = self.content.lock().frames.remove(&index);
            PAGES.fetch_sub(u64::from(removed.is_some()), Ordering::Relaxed);
            drop(removed);
        }
        Ok(())
    }

    /// Makes the file exactly this long: cut off, or filled up with zeros.
    pub fn truncate(&self, len: u64) {
        let _turn = self.writing.lock();
        let cut = {
            let mut content = self.content.lock();
            let initial = content
                .initial
                .len()
                .min(usize::try_from(len).unwrap_or(usize::MAX));
            content.initial = &content.initial[..initial];
            content.len = len;
            if let Some(frame) = content.frames.get(&(len / PAGE))
                && !crate::mutant!("truncate-keeps-tail")
            {
                let within = (len % PAGE) as usize;
                frame.clear(within, PAGE as usize - within);
            }
            content.frames.split_off(&len.div_ceil(PAGE))
        };
        // The frames are given back without the lock.
        PAGES.fetch_sub(cut.len() as u64, Ordering::Relaxed);
        drop(cut);
    }
}

impl Drop for Regular {
    fn drop(&mut self) {
        let pages = self.content.lock().frames.len();
        PAGES.fetch_sub(pages as u64, Ordering::Relaxed);
    }
}

impl Backing for super::Inode {
    fn page(&self, index: u64) -> Result<Frame> {
        let regular = self.regular().ok_or(Errno::ENODEV)?;
        self.note_mapping();
        if index >= regular.len().div_ceil(PAGE) {
            return Err(Errno::EINVAL);
        }
        regular.frame_or_new(index)
    }

    fn is_resident(&self, index: u64) -> bool {
        self.regular()
            .is_some_and(|regular| regular.frame(index).is_some())
    }

    fn len(&self) -> u64 {
        self.regular().map_or(0, Regular::len)
    }
}
