//! The direct ways through RAM: see [`crate::bus::fast`]. Here they are kept in
//! step with the frames.

use super::{Frame, Ram};
use crate::addr::{PhysAddr, VirtAddr};
use crate::bus::fast::{Banks, Mode, Way};
use crate::bus::kept::Notes;
use crate::bus::page::ZERO;

/// What a translation allows besides reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// Writing, without a walk for the dirty bit.
    pub(crate) write: bool,
    /// Staying when CR3 is loaded.
    pub(crate) global: bool,
}

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

    /// The direct ways: see [`crate::bus::fast`].
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
