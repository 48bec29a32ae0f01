//! Addresses: physical and virtual ones cannot be mixed up.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Bytes in the smallest page.
pub const PAGE_SIZE: u64 = 4096;

/// Bits of a physical address that this machine has.
pub const PHYS_BITS: u32 = 40;

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PhysAddr(pub u64);

/// A virtual (linear) address, canonical or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct VirtAddr(pub u64);

impl PhysAddr {
    /// The number of its 4 KiB frame.
    #[must_use]
    pub const fn frame(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// Its place within that frame.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 % PAGE_SIZE
    }

    /// The address `n` bytes further on.
    #[must_use]
    pub const fn add(self, n: u64) -> Self {
        PhysAddr(self.0.wrapping_add(n))
    }
}

impl VirtAddr {
    /// The number of its 4 KiB page.
    #[must_use]
    pub const fn page(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// Its place within that page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 % PAGE_SIZE
    }

    /// The address `n` bytes further on, wrapping.
    #[must_use]
    pub const fn add(self, n: u64) -> Self {
        VirtAddr(self.0.wrapping_add(n))
    }

    /// True if bits 63 to 47 are all equal, as 4-level paging wants them.
    #[must_use]
    pub const fn is_canonical(self) -> bool {
        ((self.0 as i64) << 16) >> 16 == self.0 as i64
    }

    /// Index into the page table of `level` (0 is the last one, 3 the root).
    #[must_use]
    pub const fn index(self, level: u32) -> u64 {
        (self.0 >> (12 + 9 * level)) & 0x1FF
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhysAddr({:#x})", self.0)
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtAddr({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_is_sign_extended_from_bit_47() {
        for good in [0, 0x7FFF_FFFF_FFFF, 0xFFFF_8000_0000_0000, u64::MAX] {
            assert!(VirtAddr(good).is_canonical(), "{good:#x}");
        }
        for bad in [0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF, 1 << 63] {
            assert!(!VirtAddr(bad).is_canonical(), "{bad:#x}");
        }
    }

    #[test]
    fn indices_take_nine_bits_each() {
        let va = VirtAddr((1 << 39) | (2 << 30) | (3 << 21) | (4 << 12) | 5);
        assert_eq!([3, 2, 1, 0].map(|level| va.index(level)), [1, 2, 3, 4]);
        assert_eq!(va.offset(), 5);
    }
}
