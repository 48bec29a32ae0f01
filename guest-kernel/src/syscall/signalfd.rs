//! `signalfd`: signals that are read from a descriptor.

use alloc::boxed::Box;

use linux_raw_sys::general::{O_CLOEXEC, O_NONBLOCK, O_RDWR};

use super::Call;
use super::file::{descriptor, install};
use super::signal::check_size;
use crate::errno::{Errno, Result};
use crate::fs::{File, Inode};
use crate::mm::{frame, user};
use crate::signal::SigSet;
use crate::task::signalfd::SignalFd;

/// `signalfd(fd, mask, size)`
pub(super) fn signalfd(call: &mut Call<'_>) -> Result<u64> {
    let [fd, mask, size, ..] = call.args;
    make(fd, mask, size, 0)
}

/// `signalfd4(fd, mask, size, flags)`
pub(super) fn signalfd4(call: &mut Call<'_>) -> Result<u64> {
    let [fd, mask, size, flags, ..] = call.args;
    make(fd, mask, size, flags as u32)
}

fn make(fd: u64, mask: u64, size: u64, flags: u32) -> Result<u64> {
    check_size(size)?;
    let mask: SigSet = user::read_value(mask)?;
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if fd as i32 != -1 {
        let file = descriptor(fd)?;
        let known = file.inode().special::<SignalFd>().ok_or(Errno::EINVAL)?;
        known.set(mask);
        return Ok(fd & u64::from(u32::MAX));
    }
    frame::room()?;
    let inode = Inode::anonymous(Box::new(SignalFd::new(mask)), 0o600);
    let file = File::new(inode, O_RDWR | flags & O_NONBLOCK);
    install(&file, flags & O_CLOEXEC != 0)
}
