//! The fixed addresses: everything that has a place has it here.

/// Bytes of a page and of a frame.
pub const PAGE_SIZE: u64 = 4096;

/// The first address that no user task can have.
pub const USER_END: u64 = 0x7FFF_FFFF_F000;

/// Where all physical memory is mapped (top-level entry 256).
pub const DIRECT_MAP: u64 = 0xFFFF_8000_0000_0000;

/// Where kernel stacks and large kernel objects are mapped (entry 257).
pub const KERNEL_MAP: u64 = 0xFFFF_8080_0000_0000;

/// Where the kernel image is linked, as a constant for the boot code.
pub const KERNEL_BASE: u64 = 0xFFFF_FFFF_8000_0000;

/// The direct map of boot covers this much.
pub const BOOT_MAPPED: u64 = 4 << 30;

/// The end of the memory that firmware and loaders keep their tables in.
pub const LOW_MEMORY_END: u64 = 1 << 20;

/// The local APIC's registers.
pub const LOCAL_APIC: u64 = 0xFEE0_0000;

/// The address at which a physical one is mapped.
#[must_use]
pub const fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}
