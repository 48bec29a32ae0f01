//! What bodies see of the machine: the CPU, and memory that is known to be there.

use machine::addr::PAGE_SIZE;
use machine::cpu::{Cpu, Cx};
use machine::mmu::fast::{self, SLOTS, Slot};

/// The direct ways to memory that the running code may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bank(*const Slot);

impl Bank {
    /// Those of a CPU as it stands.
    ///
    /// # Safety
    /// It is not used after anything was done with the `Cx` other than what a [`View`] allows.
    #[inline(always)]
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

/// The rest of a page from an address on, on the host.
pub(crate) struct Stretch {
    start: *mut u8,
    len: usize,
}

impl Bank {
    fn slot(self, va: u64) -> Slot {
        // SAFETY: a bank has this many slots, and is borrowed as `Bank::of` says.
        unsafe { *self.0.add((va >> 12) as usize % SLOTS) }
    }

    fn stretch(slot: &Slot, va: u64) -> Stretch {
        let host = va.wrapping_add(slot.addend) as usize;
        Stretch {
            start: core::ptr::with_exposed_provenance_mut(host),
            len: (PAGE_SIZE - va % PAGE_SIZE) as usize,
        }
    }

    /// The rest of the page at this address, if it may be read directly.
    pub(crate) fn readable(self, va: u64) -> Option<Stretch> {
        let slot = self.slot(va);
        (slot.read == va & !(PAGE_SIZE - 1)).then(|| Bank::stretch(&slot, va))
    }

    /// The same if it may be written directly.
    pub(crate) fn writable(self, va: u64) -> Option<Stretch> {
        let slot = self.slot(va);
        (slot.write == va & !(PAGE_SIZE - 1)).then(|| Bank::stretch(&slot, va))
    }
}

impl Stretch {
    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies bytes here, element by element upwards, as far as both reach.
    pub(crate) fn copy_from(&self, source: &Stretch, bytes: usize, element: usize) {
        let bytes = bytes.min(self.len).min(source.len);
        let apart = (self.start as usize).wrapping_sub(source.start as usize);
        // SAFETY: both have so many bytes, in pages that the slots' tags vouch for; the `Cx` is
        // borrowed mutably, so nobody else holds them.
        unsafe {
            if apart >= bytes {
                return core::ptr::copy(source.start, self.start, bytes);
            }
            // What is written is read again: a pattern spreads.
            for at in (0..bytes).step_by(element) {
                let mut value = [0; 8];
                core::ptr::copy(source.start.add(at), value.as_mut_ptr(), element);
                core::ptr::copy(value.as_ptr(), self.start.add(at), element);
            }
        }
    }

    /// Writes copies of an element of 1, 2, 4 or 8 bytes, as far as the page reaches.
    pub(crate) fn fill(&self, element: &[u8], count: usize) {
        let bytes = (count * element.len()).min(self.len);
        // SAFETY: as in `copy_from`.
        let place = unsafe { core::slice::from_raw_parts_mut(self.start, bytes) };
        match *element {
            [byte, ref rest @ ..] if rest.iter().all(|other| *other == byte) => place.fill(byte),
            [a, b] => place.as_chunks_mut().0.fill([a, b]),
            [a, b, c, d] => place.as_chunks_mut().0.fill([a, b, c, d]),
            _ => {
                let element = element.first_chunk().copied().unwrap_or([0; 8]);
                place.as_chunks_mut().0.fill(element);
            }
        }
    }

    /// What stands there.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: as in `copy_from`; nothing is written while the stretch is looked at.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}
