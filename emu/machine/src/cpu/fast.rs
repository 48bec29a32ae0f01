//! Memory by the direct way, for engines: what misses goes through the reference
//! interpreter. A hit is an access that faults on nothing, misses no TLB, reaches
//! no device and overwrites no code; the caller charges it.

use super::Cx;
use super::state::flag;
use crate::addr::VirtAddr;
use crate::mmu::fast::{Mode, Slot};

impl Cx<'_> {
    /// The bank that accesses of the running code may use.
    #[inline(always)]
    pub(super) fn mode(&self) -> Mode {
        // Of watched accesses, and where the program may want alignment checked.
        const W: Mode = Mode::Watched;
        const MODES: [Mode; 8] = [Mode::Kernel, Mode::KernelAc, Mode::User, W, W, W, W, W];
        let ac = u64::from(self.cpu.rflags & flag::AC != 0);
        MODES[(ac | u64::from(self.user) << 1 | (self.watch & 1) << 2) as usize]
    }

    /// The first of the [`SLOTS`](crate::mmu::fast::SLOTS) slots of the bank that
    /// accesses of the running code may use; for compiled code, and for
    /// [`crate::mmu::fast::read`] and its like. It is another after a change of
    /// CPL or EFLAGS.AC. Where a bank lies does not change during a run, what is
    /// in its slots does with anything else that is done with this `Cx`.
    #[inline(always)]
    #[must_use]
    pub fn fast_bank(&self) -> *const Slot {
        self.bus.ram.fast().bank(self.mode())
    }

    /// Reads `N` bytes (1, 2, 4, 8) at `va`, if that goes the direct way; else
    /// none, and nothing has happened.
    #[inline(always)]
    #[must_use]
    pub fn fast_read<const N: usize>(&self, va: u64) -> Option<u64> {
        self.bus.ram.fast().read::<N>(self.mode(), va)
    }

    /// Writes the low `N` bytes (1, 2, 4, 8) of `value` at `va`, if that goes the
    /// direct way; else false, and nothing has happened.
    #[inline(always)]
    #[must_use]
    pub fn fast_write<const N: usize>(&mut self, va: u64, value: u64) -> bool {
        let mode = self.mode();
        self.bus.ram.fast_write::<N>(mode, va, value)
    }

    /// As [`Cx::fast_read`] with 16 bytes.
    #[inline(always)]
    #[must_use]
    pub fn fast_read128(&self, va: u64) -> Option<u128> {
        self.bus.ram.fast().read128(self.mode(), va)
    }

    /// As [`Cx::fast_write`] with 16 bytes.
    #[inline(always)]
    #[must_use]
    pub fn fast_write128(&mut self, va: u64, value: u128) -> bool {
        let mode = self.mode();
        self.bus.ram.fast_write128(mode, va, value)
    }

    /// Makes the direct way to the page of `va`, if an access of the running code
    /// there is sure to pass and reaches RAM; a TLB miss is charged at once. An
    /// access that writes must follow. If it says false, nothing has happened;
    /// if true, the way is there unless something else wants to notice accesses.
    pub fn make_way(&mut self, va: u64, write: bool) -> bool {
        let (va, rights) = (VirtAddr(va), self.rights(write));
        if self.mode() == Mode::Watched {
            return false;
        }
        let foreseen = self.mmu.foresee(self.bus, &self.paging, va, rights);
        let Some(pa) = foreseen.filter(|pa| self.bus.ram.contains(*pa)) else {
            return false;
        };
        // What was foreseen cannot fail.
        let _ = self.translate(va, rights);
        self.charge_work();
        if write {
            self.bus.ram.expect_writes(pa);
            // As sure to pass: now that the write is noticed, this makes the way.
            let _ = self.translate(va, rights);
        }
        true
    }

    /// Reads 1, 2, 4 or 8 bytes by the direct way.
    #[inline]
    pub(super) fn fast_read_len(&self, va: u64, len: u8) -> Option<u64> {
        match len {
            8 => self.fast_read::<8>(va),
            4 => self.fast_read::<4>(va),
            1 => self.fast_read::<1>(va),
            2 => self.fast_read::<2>(va),
            _ => None,
        }
    }

    /// Writes 1, 2, 4 or 8 bytes by the direct way.
    #[inline]
    pub(super) fn fast_write_len(&mut self, va: u64, len: u8, value: u64) -> bool {
        match len {
            8 => self.fast_write::<8>(va, value),
            4 => self.fast_write::<4>(va, value),
            1 => self.fast_write::<1>(va, value),
            2 => self.fast_write::<2>(va, value),
            _ => false,
        }
    }

    /// Reads 8 bytes for the CPU itself, whatever the level of the running code, by the direct way.
    #[inline(always)]
    pub(super) fn fast_read_system(&self, va: u64) -> Option<u64> {
        self.bus.ram.fast().read::<8>(Mode::Kernel, va)
    }

    /// Writes 8 bytes for the CPU itself, by the direct way.
    #[inline]
    pub(super) fn fast_write_system(&mut self, va: u64, value: u64) -> bool {
        self.bus.ram.fast_write::<8>(Mode::Kernel, va, value)
    }
}
