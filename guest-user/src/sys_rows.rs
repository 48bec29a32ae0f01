//! Calls that the rows of the task model need beside those in [`crate::sys`].

use linux_raw_sys::general::__NR_umask;

use crate::sys::call;

/// `umask`: sets it and gives the one before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: a number only. It cannot fail.
    unsafe { call(__NR_umask, [mask as usize, 0, 0, 0, 0, 0]) }.map_or(0, |old| old as u32)
}
