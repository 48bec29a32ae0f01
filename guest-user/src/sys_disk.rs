//! What programs that speak to the disk need.

use linux_raw_sys::general::{__NR_pread64, __NR_pwrite64};

use crate::errno::Result;
use crate::sys::{Fd, call};

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
