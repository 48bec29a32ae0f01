//! Disks: virtio-blk behind virtio-mmio, and the page cache before it.
//!
//! | file | concept |
//! |---|---|
//! | `mmio` | the registers of a device, and how a driver and a device agree |
//! | `virtqueue` | requests and answers in memory that both see |
//! | `virtio_blk` | the disk: one page in or out, asleep until it is done |
//! | `cache` | pages of the disk in memory, which of them changed, and when |
//!
//! There is at most one disk. Where the command line announces none, nothing
//! here is touched.

pub mod cache;
mod mmio;
mod virtio_blk;
mod virtqueue;

pub use cache::BlockDevice;

use crate::arch::ioapic;
use crate::sync::Once;

/// Bytes of a page of the disk: it is moved in pages of memory.
pub const PAGE: u64 = 4096;

static DEVICE: Once<BlockDevice> = Once::new();

/// A device behind registers in memory, as the command line announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The physical address of its registers.
    pub address: u64,
    /// Its line of the interrupt controller.
    pub line: u8,
}

/// Finds the disk that was announced.
///
/// # Panics
/// If there is none, or one that this driver cannot agree with: a kernel that
/// was promised a disk is no use without it.
pub fn init(announced: Announced) {
    let vector = ioapic::vector_of(announced.line);
    let disk = match virtio_blk::Disk::new(announced.address, vector) {
        Ok(disk) => disk,
        Err(why) => panic!("the disk at {:#x}: {why}", announced.address),
    };
    DEVICE.set(BlockDevice::new(disk));
    ioapic::route(announced.line);
}

/// The disk, if there is one.
#[must_use]
pub fn device() -> Option<&'static BlockDevice> {
    DEVICE.get()
}

/// A device's interrupt. True if it was the disk's.
pub fn interrupt(vector: u8) -> bool {
    device().is_some_and(|device| device.interrupt(vector))
}
