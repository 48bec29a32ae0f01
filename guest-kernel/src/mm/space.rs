//! Address spaces: which areas a task sees, and how they change.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::event::FrameKind;

use super::frame;
use super::image::Image;
use super::page_table::{Entry, Tables};
use super::vma::{Prot, Vma};
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sched::{Mutex, MutexGuard};
use crate::sync::SpinLock;

/// Mappings without a wish go below this, the highest first.
const MMAP_TOP: u64 = 0x7FFF_F7FF_F000;
/// The most areas of one address space, as on Linux.
pub const AREAS_MAX: usize = 65530;
/// Nothing is ever mapped below.
pub const MMAP_MIN: u64 = 0x1_0000;
/// What a stack may grow to.
pub const STACK_LIMIT: u64 = 8 << 20;
/// What must stay free below a stack that grows.
const STACK_GAP: u64 = 1 << 20;

/// An address space. Tasks share it by reference.
pub struct Mm {
    root: u64,
    _counted: Counted,
    /// 1 if others may look into the memory, as PR_SET_DUMPABLE says.
    dumpable: AtomicU32,
    image: SpinLock<Image>,
    space: Mutex<Space>,
}

/// What an address space takes, in pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The size of all areas.
    pub pages: u64,
    /// Pages that are there.
    pub resident: u64,
    /// Those of them that are no file's.
    pub user_frames: u64,
    /// Those of these that belong to shared memory.
    pub shared_frames: u64,
    /// The size of what may be written and is private, stacks apart.
    pub data: u64,
    /// The size of stacks.
    pub stack: u64,
    /// The size of what may be executed.
    pub code: u64,
    /// Page tables.
    pub tables: u64,
}

impl Usage {
    fn add_area(&mut self, area: &Vma) {
        let pages = (area.end - area.start) / PAGE_SIZE;
        self.pages += pages;
        if area.grows_down {
            self.stack += pages;
        } else if area.prot.contains(Prot::WRITE) && !area.shared {
            self.data += pages;
        }
        if area.prot.contains(Prot::EXEC) {
            self.code += pages;
        }
    }
}

pub(super) struct Space {
    pub(super) tables: Tables,
    pub(super) areas: BTreeMap<u64, Vma>,
    /// What is mapped from now on is to stay in memory.
    pub(super) lock_future: bool,
    /// Nothing is free between here and [`MMAP_TOP`].
    full_from: u64,
    brk_start: u64,
    brk: u64,
}

impl Mm {
    /// An empty one.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Arc<Self>> {
        frame::room()?;
        let tables = Tables::new()?;
        Ok(Arc::new(Mm {
            root: tables.root(),
            _counted: Counted::new(Type::Mm),
            dumpable: AtomicU32::new(1),
            image: SpinLock::new(Image::default()),
            space: Mutex::new(Space {
                tables,
                areas: BTreeMap::new(),
                lock_future: false,
                full_from: MMAP_TOP,
                brk_start: 0,
                brk: 0,
            }),
        }))
    }

    /// The top page table's physical address.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// What PR_GET_DUMPABLE tells.
    #[must_use]
    pub fn dumpable(&self) -> u32 {
        self.dumpable.load(Ordering::Relaxed)
    }

    /// Sets what PR_GET_DUMPABLE tells.
    pub fn set_dumpable(&self, value: u32) {
        self.dumpable.store(value, Ordering::Relaxed);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Space> {
        self.space.lock()
    }

    /// A copy whose private pages are shared until somebody writes.
    ///
    /// # Errors
    /// `ENOMEM`; the original then only has more pages to take over again.
    pub fn fork(&self) -> Result<Arc<Self>> {
        let copy = Mm::new()?;
        copy.set_dumpable(self.dumpable());
        *copy.image.lock() = self.image();
        let mut space = self.space.lock();
        let result = space.copy_into(&mut copy.space.lock());
        space.tables.flush_all();
        result.map(|()| copy)
    }

    /// What exec has put into it.
    #[must_use]
    pub fn image(&self) -> Image {
        self.image.lock().clone()
    }

    /// Changes what is known of that.
    pub fn with_image(&self, change: impl FnOnce(&mut Image)) {
        change(&mut self.image.lock());
    }

    /// Its areas, lowest first, and the addresses of the heap of `brk`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn areas(&self) -> Result<(Vec<Vma>, Range<u64>)> {
        let space = self.space.lock();
        let mut areas = Vec::new();
        let count = space.areas.len();
        areas.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        areas.extend(space.areas.values().cloned());
        Ok((areas, space.brk_start..space.brk))
    }

    /// What it takes.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let space = self.space.lock();
        let mut usage = Usage {
            tables: space.tables.count(),
            ..Usage::default()
        };
        for area in space.areas.values() {
            usage.add_area(area);
            let Ok(()) = space.tables.for_each(area.range(), |_, place| {
                usage.resident += 1;
                let user = place.get().frame().kind() == FrameKind::User;
                usage.user_frames += u64::from(user);
                usage.shared_frames += u64::from(user && area.shared);
                Ok::<(), Infallible>(())
            });
        }
        usage
    }

    /// Sets where the heap of `brk` begins.
    pub fn set_brk_start(&self, address: u64) {
        let mut space = self.space.lock();
        space.brk_start = address;
        space.brk = address;
    }

    /// Moves the end of the heap; gives where it is afterwards.
    pub fn brk(&self, wanted: u64) -> u64 {
        let mut space = self.space.lock();
        if space.move_brk(wanted).is_ok() {
            space.brk = wanted;
        }
        space.brk
    }

    /// Puts an area in, over whatever was there.
    ///
    /// # Errors
    /// `EINVAL` outside user addresses, `ENOMEM`.
    pub fn map(&self, area: Vma) -> Result<()> {
        self.space.lock().map(area)
    }

    /// Puts an area in where there is room: at `hint` if it is free, otherwise
    /// as high as possible. `make` gets the place.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_anywhere(
        &self,
        hint: u64,
        len: u64,
        make: impl FnOnce(Range<u64>) -> Vma,
    ) -> Result<u64> {
        let mut space = self.space.lock();
        let start = space.find_free(hint, len).ok_or(Errno::ENOMEM)?;
        space.map(make(start..start + len))?;
        Ok(start)
    }

    /// True if nothing is mapped in a range.
    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.space.lock().is_free(&range)
    }

    /// Removes whatever is mapped in a range.
    ///
    /// # Errors
    /// `ENOMEM`, where areas would have to be cut and there is no room.
    pub fn unmap(&self, range: Range<u64>) -> Result<()> {
        frame::room()?;
        self.space.lock().unmap(range);
        Ok(())
    }

    /// Changes the rights in a range.
    ///
    /// # Errors
    /// `ENOMEM` if part of it is not mapped.
    pub fn protect(&self, range: Range<u64>, prot: Prot) -> Result<()> {
        frame::room()?;
        self.space.lock().protect(range, prot)
    }

    /// Forgets the contents of private memory in a range: zeros, or the file's
    /// bytes, from here on.
    ///
    /// # Errors
    /// `ENOMEM` if part of it is not mapped.
    pub fn discard(&self, range: Range<u64>) -> Result<()> {
        let mut space = self.space.lock();
        if !space.is_covered(&range) {
            return Err(Errno::ENOMEM);
        }
        space.tables.unmap(range);
        Ok(())
    }

    /// True if all of a range is mapped.
    #[must_use]
    pub fn is_covered(&self, range: Range<u64>) -> bool {
        self.space.lock().is_covered(&range)
    }
}

impl Space {
    fn copy_into(&mut self, copy: &mut Space) -> Result<()> {
        copy.full_from = self.full_from;
        copy.brk_start = self.brk_start;
        copy.brk = self.brk;
        for area in self.areas.values() {
            let mut twin = area.clone();
            twin.locked = false;
            if crate::mutant!("fork-copies-shared-memory") {
                twin.shared = false;
            }
            let private = !twin.shared;
            copy.areas.insert(area.start, twin);
            self.tables.for_each(area.range(), |address, place| {
                let there = copy.tables.place_or_new(address)?;
                let mut entry = place.get();
                if crate::mutant!("fork-copies-at-once") && !area.shared {
                    let whole = frame::alloc_uncleared(FrameKind::User)?;
                    whole.copy_from(&entry.frame());
                    there.set(Entry::new(whole, area.prot, entry.is_writable()));
                    return Ok(());
                }
                if private {
                    entry = entry.read_only();
                    place.set(entry);
                }
                core::mem::forget(entry.frame());
                there.set(entry);
                Ok::<(), Errno>(())
            })?;
        }
        Ok(())
    }

    /// The areas that begin in a range.
    pub(super) fn areas_in(&self, range: Range<u64>) -> impl Iterator<Item = &Vma> {
        self.areas.range(range).map(|(_, area)| area)
    }

    /// The area that contains an address.
    pub(super) fn area(&self, address: u64) -> Option<&Vma> {
        let (_, area) = self.areas.range(..=address).next_back()?;
        (address < area.end).then_some(area)
    }

    /// The area that contains an address; a stack grows to do so.
    pub(super) fn area_or_grow(&mut self, address: u64) -> Option<&Vma> {
        if self.area(address).is_none() {
            self.grow_stack(address)?;
        }
        self.area(address)
    }

    fn grow_stack(&mut self, address: u64) -> Option<()> {
        let start = address & !(PAGE_SIZE - 1);
        let (&key, above) = self.areas.range(address..).next()?;
        let too_long = above.end - start > STACK_LIMIT;
        if !above.grows_down || too_long && !crate::mutant!("stack-without-limit") {
            return None;
        }
        let below = self.areas.range(..address).next_back();
        if below.is_some_and(|(_, area)| area.end + STACK_GAP > start) {
            return None;
        }
        let mut area = self.areas.remove(&key)?;
        area.start = start;
        self.areas.insert(start, area);
        Some(())
    }

    pub(super) fn is_free(&self, range: &Range<u64>) -> bool {
        let below = self.areas.range(..range.end).next_back();
        below.is_none_or(|(_, area)| area.end <= range.start)
    }

    pub(super) fn is_covered(&self, range: &Range<u64>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.area(at) {
                Some(area) => at = area.end,
                None => return false,
            }
        }
        true
    }

    pub(super) fn find_free(&mut self, hint: u64, len: u64) -> Option<u64> {
        let fits = |start: u64| {
            let end = start.checked_add(len)?;
            (start >= MMAP_MIN && end <= USER_END && self.is_free(&(start..end))).then_some(start)
        };
        if let Some(start) = (hint != 0).then(|| fits(hint)).flatten() {
            return Some(start);
        }
        let mut top = self.full_from;
        for area in self.areas.range(..top).rev().map(|(_, area)| area) {
            if area.end == self.full_from {
                self.full_from = area.start;
            }
            let gap = if area.grows_down { STACK_GAP } else { 0 };
            if area.end + len <= top {
                break;
            }
            top = area.start.saturating_sub(gap);
        }
        top.checked_sub(len).filter(|&start| start >= MMAP_MIN)
    }

    fn map(&mut self, area: Vma) -> Result<()> {
        let range = area.range();
        if range.start < MMAP_MIN || range.end > USER_END || range.is_empty() {
            return Err(Errno::EINVAL);
        }
        frame::room()?;
        if self.areas.len() >= AREAS_MAX {
            return Err(Errno::ENOMEM);
        }
        self.unmap(range);
        let mut area = area;
        area.locked |= self.lock_future;
        self.insert(area);
        Ok(())
    }

    /// Puts an area into a free range, joined with its neighbours where
    /// nothing tells them apart.
    pub(super) fn insert(&mut self, mut area: Vma) {
        let below = self.areas.range(..area.start).next_back();
        if let Some((&key, below)) = below
            && below.continues_in(&area)
            && let Some(mut below) = self.areas.remove(&key)
        {
            below.end = area.end;
            area = below;
        }
        if let Some(above) = self.areas.get(&area.end)
            && area.continues_in(above)
            && let Some(above) = self.areas.remove(&area.end)
        {
            area.end = above.end;
        }
        self.areas.insert(area.start, area);
    }

    /// Takes the areas of a range out, cut at its ends.
    pub(super) fn take(&mut self, range: &Range<u64>) -> Vec<Vma> {
        self.full_from = self.full_from.max(range.end.min(MMAP_TOP));
        for border in [range.start, range.end] {
            let below = self.areas.range_mut(..border).next_back();
            if let Some((_, area)) = below
                && area.end > border
            {
                let upper = area.split_off(border);
                self.areas.insert(border, upper);
            }
        }
        let keys: Vec<u64> = self
            .areas
            .range(range.clone())
            .map(|(&key, _)| key)
            .collect();
        keys.iter()
            .filter_map(|key| self.areas.remove(key))
            .collect()
    }

    pub(super) fn unmap(&mut self, range: Range<u64>) {
        drop(self.take(&range));
        self.tables.unmap(range);
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<()> {
        if !self.is_covered(&range) {
            return Err(Errno::ENOMEM);
        }
        let mut areas = self.areas.range(..range.end).rev();
        let refuses = areas
            .by_ref()
            .map(|(_, area)| area)
            .take_while(|area| area.end > range.start)
            .any(|area| area.never_writable);
        if refuses && prot.contains(Prot::WRITE) {
            return Err(Errno::EACCES);
        }
        for mut area in self.take(&range) {
            if crate::mutant!("mprotect-changes-nothing") {
                self.insert(area);
                continue;
            }
            area.prot = prot;
            let writable = area.shared && prot.contains(Prot::WRITE);
            let Ok(()) = self.tables.for_each(area.range(), |address, place| {
                // A private page gets its right to be written at the next
                // write, when it is known whether it is still shared.
                let before = place.get();
                let keeps = !area.shared && prot.contains(Prot::WRITE) && before.is_writable();
                place.set(before.with(prot, writable || keeps));
                self.tables.flush(address);
                Ok::<(), Infallible>(())
            });
            self.insert(area);
        }
        Ok(())
    }

    fn move_brk(&mut self, wanted: u64) -> Result<()> {
        if wanted < self.brk_start || wanted > USER_END {
            return Err(Errno::ENOMEM);
        }
        let old = self.brk.next_multiple_of(PAGE_SIZE);
        let new = wanted.next_multiple_of(PAGE_SIZE);
        if new < old && crate::mutant!("brk-keeps-pages") {
            drop(self.take(&(new..old)));
        } else if new < old {
            self.unmap(new..old);
        } else if new > old {
            frame::room()?;
            if !self.is_free(&(old..new + PAGE_SIZE)) {
                return Err(Errno::ENOMEM);
            }
            self.insert(Vma::anonymous(old..new, Prot::READ | Prot::WRITE));
        }
        Ok(())
    }
}
