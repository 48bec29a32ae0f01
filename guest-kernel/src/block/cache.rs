//! The page cache of a disk: pages in memory, which of them differ from the
//! disk, and since when.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::event::FrameKind;

use super::PAGE;
use super::virtio_blk::Disk;
use crate::arch::irq;
use crate::errno::{Errno, Result};
use crate::mm::frame::{self, Frame};
use crate::sched::{Mutex, Time, WaitQueue};
use crate::sync::SpinLock;

/// At most one of so many frames of memory holds a page of the disk.
const SHARE: u64 = 4;

/// A page of the disk in memory.
struct Page {
    frame: Frame,
    /// True once the frame holds the page. The lock is held while the page is
    /// read, changed or written back.
    filled: Mutex<bool>,
}

#[derive(Default)]
struct Index {
    pages: BTreeMap<u64, Arc<Page>>,
    /// The pages in the order in which they came in.
    order: VecDeque<u64>,
    /// The pages that differ from the disk, and since when.
    dirty: BTreeMap<u64, Time>,
    /// The same, oldest first.
    by_age: BTreeSet<(Time, u64)>,
}

impl Index {
    /// A page differs from the disk. True if it is the only one.
    fn mark(&mut self, page: u64) -> bool {
        if self.dirty.contains_key(&page) {
            return false;
        }
        let now = Time::now();
        self.dirty.insert(page, now);
        self.by_age.insert((now, page));
        self.dirty.len() == 1
    }

    fn clean(&mut self, page: u64) -> bool {
        match self.dirty.remove(&page) {
            Some(since) => self.by_age.remove(&(since, page)),
            None => false,
        }
    }
}

/// A disk with its page cache.
pub struct BlockDevice {
    disk: Disk,
    index: SpinLock<Index>,
    /// A page could not be written back, and nobody has been told yet.
    lost: AtomicBool,
    /// Descriptions that are open for writing.
    writers: AtomicU32,
    /// Whoever writes pages back sleeps here while there is nothing to do.
    changed: WaitQueue,
}

impl BlockDevice {
    /// A disk of which nothing is in memory.
    pub(super) fn new(disk: Disk) -> Self {
        BlockDevice {
            disk,
            index: SpinLock::new(Index::default()),
            lost: AtomicBool::new(false),
            writers: AtomicU32::new(0),
            changed: WaitQueue::new(),
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.disk.pages() * PAGE
    }

    /// The disk's interrupt. True if the vector is the disk's.
    pub(super) fn interrupt(&self, vector: u8) -> bool {
        self.disk.interrupt(vector)
    }

    fn cached(&self, index: u64) -> Option<Arc<Page>> {
        self.index.lock().pages.get(&index).cloned()
    }

    /// The place of a page in memory, whether it is filled or not.
    fn place(&self, index: u64) -> Result<Arc<Page>> {
        if index >= self.disk.pages() {
            return Err(Errno::ENXIO);
        }
        if let Some(page) = self.cached(index) {
            return Ok(page);
        }
        frame::room()?;
        self.make_room()?;
        let new = Arc::new(Page {
            frame: frame::alloc_uncleared(FrameKind::PageCache)?,
            filled: Mutex::new(false),
        });
        let mut places = self.index.lock();
        // Somebody else may have made it meanwhile.
        if let Some(page) = places.pages.get(&index) {
            let page = page.clone();
            drop(places);
            return Ok(page);
        }
        places.pages.insert(index, new.clone());
        places.order.push_back(index);
        Ok(new)
    }

    /// Lets pages go until there is room for one more.
    fn make_room(&self) -> Result<()> {
        let most = (frame::total() / SHARE).max(1) as usize;
        loop {
            let oldest = {
                let index = self.index.lock();
                let full = index.order.len() >= most;
                index.order.front().copied().filter(|_| full)
            };
            match oldest {
                Some(oldest) => self.let_go(oldest)?,
                None => return Ok(()),
            }
        }
    }

    /// Lets a page go, written back if it has to be. Its lock is held all the
    /// while: who changes a page holds it too, so no change comes in between.
    fn let_go(&self, index: u64) -> Result<()> {
        let page = self.cached(index);
        let filled = page.as_ref().map(|page| page.filled.lock());
        if let Some(page) = &page {
            self.write_locked(index, page)?;
        }
        let gone = {
            let mut places = self.index.lock();
            if places.order.front() == Some(&index) {
                places.order.pop_front();
                places.pages.remove(&index)
            } else {
                None
            }
        };
        drop(filled);
        drop(gone);
        Ok(())
    }

    /// Works on a page's frame for reading.
    ///
    /// # Errors
    /// `ENXIO` behind the end, `ENOMEM`, `EIO`.
    pub fn read<R>(&self, index: u64, work: impl FnOnce(&Frame) -> R) -> Result<R> {
        let page = self.place(index)?;
        self.fill(index, &page)?;
        Ok(work(&page.frame))
    }

    fn fill(&self, index: u64, page: &Page) -> Result<()> {
        let mut filled = page.filled.lock();
        if !*filled {
            self.disk.read(index, &page.frame)?;
            *filled = true;
        }
        Ok(())
    }

    /// Works on a page's frame for writing; `work` gives the number of bytes
    /// that it wrote. With `whole` it means to write all of them, and what is
    /// on the disk is not read before.
    ///
    /// # Errors
    /// As [`BlockDevice::read`].
    pub fn write(
        &self,
        index: u64,
        whole: bool,
        work: impl FnOnce(&Frame) -> usize,
    ) -> Result<usize> {
        // A page that changes takes a place in two lists.
        frame::room()?;
        loop {
            let page = self.place(index)?;
            let mut filled = page.filled.lock();
            // It may have been let go before it was locked.
            if !self
                .cached(index)
                .is_some_and(|now| Arc::ptr_eq(&now, &page))
            {
                continue;
            }
            if !*filled && !whole {
                self.disk.read(index, &page.frame)?;
                *filled = true;
            }
            let done = work(&page.frame);
            if !*filled && done < PAGE as usize {
                // What was not written is not there either.
                return Ok(0);
            }
            *filled = true;
            if done > 0 {
                let first = self.index.lock().mark(index);
                drop(filled);
                if first {
                    self.changed.wake_all();
                }
            }
            return Ok(done);
        }
    }

    /// Writes a page back if it differs from the disk.
    ///
    /// # Errors
    /// `EIO`; what the page held is lost then, as on Linux.
    pub fn write_back(&self, index: u64) -> Result<()> {
        let Some(page) = self.cached(index) else {
            return Ok(());
        };
        let filled = page.filled.lock();
        let result = self.write_locked(index, &page);
        drop(filled);
        result
    }

    /// The same for whoever holds the page's lock.
    fn write_locked(&self, index: u64, page: &Page) -> Result<()> {
        if !self.index.lock().clean(index) || crate::mutant!("write-back-forgets") {
            return Ok(());
        }
        let result = self.disk.write(index, &page.frame);
        if result.is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Writes everything back and has the disk keep it.
    ///
    /// # Errors
    /// `EIO`, also for what was lost since it was last asked.
    pub fn sync(&self) -> Result<()> {
        let mut after = None;
        loop {
            let next = {
                let index = self.index.lock();
                let from = after.map_or(0, |page: u64| page + 1);
                index.dirty.range(from..).next().map(|(page, _)| *page)
            };
            let Some(page) = next else { break };
            // Told below, with what pages of others lost.
            let _ = self.write_back(page);
            after = Some(page);
        }
        self.disk.flush()?;
        match self.lost.swap(false, Ordering::Relaxed) {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }

    /// The oldest of the pages that differ from the disk, and since when.
    #[must_use]
    pub fn oldest_dirty(&self) -> Option<(Time, u64)> {
        self.index.lock().by_age.first().copied()
    }

    /// How many pages have differed from the disk since `time` or longer.
    #[must_use]
    pub fn dirty_since(&self, time: Time) -> usize {
        self.index.lock().by_age.range(..=(time, u64::MAX)).count()
    }

    /// How many pages are in memory.
    #[must_use]
    pub fn cached_pages(&self) -> u64 {
        self.index.lock().pages.len() as u64
    }

    /// Where to wait for a page to change.
    #[must_use]
    pub fn changed(&self) -> &WaitQueue {
        &self.changed
    }

    /// A description was opened for writing.
    pub fn opened_to_write(&self) {
        self.writers.fetch_add(1, Ordering::Relaxed);
    }

    /// A description that was open for writing was closed. The last one to go
    /// takes care that everything is on the disk, as on Linux; what then
    /// cannot be written nobody hears of. Where nobody may sleep it is left to
    /// pdflush.
    pub fn closed_to_write(&self) {
        let last = self.writers.fetch_sub(1, Ordering::Relaxed) == 1;
        if last && irq::may_sleep() && !crate::mutant!("last-close-writes-nothing") {
            let _ = self.sync();
        }
    }
}
