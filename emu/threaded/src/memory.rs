//! What bodies see of the machine: the CPU, and memory that is known to be there.

use machine::cpu::{Cpu, Cx};
use machine::mmu::fast::{self, Slot};

/// The direct ways to memory that the running code may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bank(*const Slot);

impl Bank {
    /// Those of a CPU as it stands.
    ///
    /// # Safety
    /// It is not used after anything was done with the `Cx` other than what a [`View`] allows.
    pub(crate) unsafe fn of(cx: &Cx<'_>) -> Bank {
        Bank(cx.fast_bank())
    }
}

/// The CPU and its memory, for one operation.
pub(crate) struct View<'a> {
    pub(crate) cpu: &'a mut Cpu,
    bank: Bank,
}

impl<'a> View<'a> {
    /// Of this CPU, by these ways.
    ///
    /// # Safety
    /// Both belong to one `Cx`, which is borrowed mutably.
    #[inline(always)]
    pub(crate) unsafe fn new(cpu: &'a mut Cpu, bank: Bank) -> Self {
        View { cpu, bank }
    }

    /// Reads `W` bytes (1, 2, 4, 8) if that is known to pass, to cost nothing but the access, and
    /// to change nothing.
    #[inline(always)]
    pub(crate) fn read<const W: usize>(&self, va: u64) -> Option<u64> {
        // SAFETY: who made the view vouches for the bank.
        unsafe { fast::read::<W>(self.bank.0, va) }
    }

    /// Writes `W` bytes (1, 2, 4, 8) if that is known to pass, to cost nothing but the access, and
    /// to change nothing else.
    #[inline(always)]
    pub(crate) fn write<const W: usize>(&mut self, va: u64, value: u64) -> Option<()> {
        // SAFETY: who made the view vouches for the bank, and for the mutable borrow.
        unsafe { fast::write::<W>(self.bank.0, va, value) }.then_some(())
    }

    /// As [`View::read`] with 16 bytes.
    #[inline(always)]
    pub(crate) fn read128(&self, va: u64) -> Option<u128> {
        // SAFETY: as in `read`.
        unsafe { fast::read128(self.bank.0, va) }
    }

    /// As [`View::write`] with 16 bytes.
    #[inline(always)]
    pub(crate) fn write128(&mut self, va: u64, value: u128) -> Option<()> {
        // SAFETY: as in `write`.
        unsafe { fast::write128(self.bank.0, va, value) }.then_some(())
    }
}
