//! Descriptors of things without names: event counters, files in memory.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL, O_NONBLOCK,
    O_RDWR,
};

use super::Call;
use super::file::{context, install};
use crate::errno::{Errno, Result};
use crate::fs::eventfd::EventFd;
use crate::fs::inode::MEMORY_DEVICE;
use crate::fs::{File, Inode};
use crate::mm::{frame, user};

/// The longest name of a file in memory, without its NUL.
const NAME_MAX: usize = 249;

/// `eventfd(count)`
pub fn eventfd(call: &mut Call<'_>) -> Result<u64> {
    make(call.args[0] as u32, 0)
}

/// `eventfd2(count, flags)`
pub fn eventfd2(call: &mut Call<'_>) -> Result<u64> {
    let [count, flags, ..] = call.args;
    make(count as u32, flags as u32)
}

fn make(count: u32, flags: u32) -> Result<u64> {
    frame::room()?;
    if flags & !(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let event = EventFd::new(u64::from(count), flags & EFD_SEMAPHORE != 0);
    let inode = Inode::anonymous(Box::new(event), 0o600);
    let file = File::new(inode, O_RDWR | flags & O_NONBLOCK);
    install(&file, flags & EFD_CLOEXEC != 0)
}

/// `memfd_create(name, flags)`; there are no seals and no huge pages.
pub fn memfd_create(call: &mut Call<'_>) -> Result<u64> {
    let [name, flags, ..] = call.args;
    let flags = flags as u32;
    frame::room()?;
    if flags & !(MFD_CLOEXEC | MFD_EXEC) != 0 || flags & MFD_NOEXEC_SEAL != 0 {
        return Err(Errno::EINVAL);
    }
    let given = user::read_cstr(name, NAME_MAX + 1).map_err(|error| match error {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        error => error,
    })?;
    let mut name: Vec<u8> = b"memfd:".to_vec();
    name.extend_from_slice(&given);
    let inode: Arc<Inode> = Inode::new_nameless(MEMORY_DEVICE, 0o777);
    let root = context().lock().root.clone();
    let file = File::open_nameless(inode, root, &name, O_RDWR)?;
    install(&file, flags & MFD_CLOEXEC != 0)
}
