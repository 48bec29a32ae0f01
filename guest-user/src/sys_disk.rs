//! What programs that speak to the disk need.

use linux_raw_sys::general::{__NR_fsync, __NR_ioctl, __NR_pread64, __NR_pwrite64, __NR_sync};

use linux_raw_sys::ioctl::BLKGETSIZE64;

use crate::errno::Result;
use crate::sys::{Fd, call};

/// `fsync(2)`.
///
/// # Errors
/// Those of fsync.
pub fn fsync(fd: Fd) -> Result<()> {
    // SAFETY: the call reads and writes no memory of this program.
    unsafe { call(__NR_fsync, [fd as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// `sync(2)`, which never fails.
pub fn sync() {
    // SAFETY: as in `fsync`.
    let _ = unsafe { call(__NR_sync, [0; 6]) };
}

/// `ioctl(2)` with BLKGETSIZE64: the bytes of a disk.
///
/// # Errors
/// Those of ioctl.
pub fn disk_size(fd: Fd) -> Result<u64> {
    let mut size = 0_u64;
    let place = (&raw mut size) as usize;
    let args = [fd as usize, BLKGETSIZE64 as usize, place, 0, 0, 0];
    // SAFETY: the kernel writes the eight bytes of `size`.
    unsafe { call(__NR_ioctl, args) }?;
    Ok(size)
}

/// `pread64(2)`.
///
/// # Errors
/// Those of pread64.
pub fn read_at(fd: Fd, bytes: &mut [u8], at: u64) -> Result<usize> {
    let args = [
        fd as usize,
        bytes.as_mut_ptr() as usize,
        bytes.len(),
        at as usize,
        0,
        0,
    ];
    // SAFETY: the kernel writes into `bytes` only.
    unsafe { call(__NR_pread64, args) }
}

/// `pwrite64(2)`.
///
/// # Errors
/// Those of pwrite64.
pub fn write_at(fd: Fd, bytes: &[u8], at: u64) -> Result<usize> {
    let args = [
        fd as usize,
        bytes.as_ptr() as usize,
        bytes.len(),
        at as usize,
        0,
        0,
    ];
    // SAFETY: the kernel only reads `bytes`.
    unsafe { call(__NR_pwrite64, args) }
}

/// The time-stamp counter: cycles.
#[must_use]
pub fn cycles() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and it changes no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}
