//! CR3, the TLB, and the bits of a page-table entry.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

bitflags::bitflags! {
    /// Bits of a page-table entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Bits: u64 {
        /// There is a translation.
        const PRESENT = 1;
        /// It may be written to.
        const WRITE = 1 << 1;
        /// User mode may use it.
        const USER = 1 << 2;
        /// Writes go through.
        const WRITE_THROUGH = 1 << 3;
        /// Not cached.
        const NO_CACHE = 1 << 4;
        /// Used.
        const ACCESSED = 1 << 5;
        /// Written to.
        const DIRTY = 1 << 6;
        /// A 2-MiB or 1-GiB page.
        const LARGE = 1 << 7;
        /// Survives a load of CR3.
        const GLOBAL = 1 << 8;
        /// May not be executed.
        const NO_EXECUTE = 1 << 63;
    }
}

/// The part of an entry that is a physical address.
pub const ADDRESS_MASK: u64 = 0x000F_FFFF_FFFF_F000;

/// The top page table of boot, which maps the kernel and nothing else.
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// Remembers the page tables of boot.
pub fn init() {
    KERNEL_ROOT.store(root(), Ordering::Relaxed);
}

/// The kernel's own top page table.
#[must_use]
pub fn kernel_root() -> u64 {
    KERNEL_ROOT.load(Ordering::Relaxed)
}

/// The top page table that this CPU uses.
#[must_use]
pub fn root() -> u64 {
    let value: u64;
    // SAFETY: reading CR3 changes nothing.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value & ADDRESS_MASK
}

/// Uses another top page table.
///
/// # Safety
/// It maps the kernel as every other one does.
pub unsafe fn set_root(physical: u64) {
    // SAFETY: by the caller.
    unsafe { asm!("mov cr3, {}", in(reg) physical, options(nostack, preserves_flags)) };
}

/// Forgets every translation that is not global.
pub fn flush_all() {
    // SAFETY: the same page tables again.
    unsafe { set_root(root()) };
}

/// Forgets the translation of one page.
pub fn flush_page(address: u64) {
    // SAFETY: only drops a cached translation.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// The address of the last page fault.
#[must_use]
pub fn fault_address() -> u64 {
    let value: u64;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}
