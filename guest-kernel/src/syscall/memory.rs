//! Address spaces: brk, mmap and their like.

use alloc::sync::Arc;
use core::ops::Range;

use linux_raw_sys::general as linux;

use super::file::descriptor;
use super::locking;
use super::table::Call;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
use crate::fs::device::Device;
use crate::fs::inode::Kind;
use crate::mm::remap::Remap;
use crate::mm::shared::SharedPages;
use crate::mm::vma::{Prot, Source, Vma};
use crate::mm::{Backing, Mm, frame, user};

/// A page-aligned range of user addresses.
fn range(start: u64, len: u64) -> Result<Range<u64>> {
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let len = len
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    let end = start.checked_add(len).ok_or(Errno::ENOMEM)?;
    if end > USER_END {
        return Err(Errno::ENOMEM);
    }
    Ok(start..end)
}

fn prot(bits: u64) -> Result<Prot> {
    Prot::from_bits(bits as u32).ok_or(Errno::EINVAL)
}

pub(super) fn brk(call: &mut Call<'_>) -> Result<u64> {
    Ok(user::current()?.brk(call.args[0]))
}

/// What is to be mapped, without its place.
struct Mapping {
    prot: Prot,
    shared: bool,
    never_writable: bool,
    grows_down: bool,
    locked: bool,
    source: Option<Source>,
}

impl Mapping {
    fn at(self, range: Range<u64>) -> Vma {
        Vma {
            shared: self.shared,
            never_writable: self.never_writable,
            grows_down: self.grows_down,
            locked: self.locked,
            source: self.source,
            ..Vma::anonymous(range, self.prot)
        }
    }
}

/// The file behind a mapping, checked as mmap checks it; none where it is
/// plain memory after all.
fn file(fd: u64, offset: u64, prot: Prot, shared: bool) -> Result<Option<Source>> {
    let file = descriptor(fd)?;
    let writes = shared && prot.contains(Prot::WRITE);
    if !file.is_readable() || writes && !file.is_writable() {
        return Err(Errno::EACCES);
    }
    let no_programs = file.place().mount().flags() & linux::MS_NOEXEC != 0;
    if no_programs && prot.contains(Prot::EXEC) {
        return Err(Errno::EPERM);
    }
    let backing: Arc<dyn Backing> = match file.inode().kind() {
        Kind::Regular(_) => file.inode().clone(),
        Kind::Special(special) => special.backing().ok_or(Errno::ENODEV)?,
        Kind::Device(Device::Zero) => return Ok(None),
        _ => return Err(Errno::ENODEV),
    };
    Ok(Some(Source {
        backing,
        first: offset / PAGE_SIZE,
        anonymous: false,
        file: Some(file),
    }))
}

fn mapping(len: u64, prot: Prot, flags: u32, fd: u64, offset: u64) -> Result<Mapping> {
    let shared = match flags & linux::MAP_TYPE {
        linux::MAP_SHARED | linux::MAP_SHARED_VALIDATE => true,
        linux::MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL),
    };
    frame::room()?;
    let mut never_writable = false;
    let mut source = None;
    if flags & linux::MAP_ANONYMOUS == 0 {
        never_writable = shared && !descriptor(fd)?.is_writable();
        source = file(fd, offset, prot, shared)?;
    }
    if shared && source.is_none() {
        let backing: Arc<dyn Backing> = Arc::new(SharedPages::new(len));
        source = Some(Source {
            backing,
            first: 0,
            anonymous: true,
            file: None,
        });
    }
    Ok(Mapping {
        prot,
        shared,
        never_writable,
        grows_down: flags & linux::MAP_GROWSDOWN != 0,
        locked: flags & linux::MAP_LOCKED != 0,
        source,
    })
}

pub(super) fn mmap(call: &mut Call<'_>) -> Result<u64> {
    let [address, len, bits, flags, fd, offset] = call.args;
    let flags = flags as u32;
    if !offset.is_multiple_of(PAGE_SIZE) || len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = len
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    if len > USER_END {
        return Err(Errno::ENOMEM);
    }
    if offset.checked_add(len).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    let mm = user::current()?;
    if flags & linux::MAP_LOCKED != 0 {
        locking::check_limit(&mm, len).map_err(|_| Errno::EAGAIN)?;
    }
    let mapping = mapping(len, prot(bits)?, flags, fd, offset)?;
    let start = place(&mm, mapping, address, len, flags)?;
    let populate = flags & (linux::MAP_POPULATE | linux::MAP_LOCKED) != 0;
    if populate || mm.locks_future() {
        // What is not there now comes when it is touched.
        let _ = mm.populate(start..start + len);
    }
    Ok(start)
}

/// Puts a mapping where it was wished for, or where there is room.
fn place(mm: &Mm, mapping: Mapping, address: u64, len: u64, flags: u32) -> Result<u64> {
    if flags & (linux::MAP_FIXED | linux::MAP_FIXED_NOREPLACE) == 0 {
        let hint = address & !(PAGE_SIZE - 1);
        return mm.map_anywhere(hint, len, |range| mapping.at(range));
    }
    let range = range(address, len)?;
    if flags & linux::MAP_FIXED_NOREPLACE != 0 && !mm.is_free(range.clone()) {
        return Err(Errno::EEXIST);
    }
    mm.map(mapping.at(range)).map_err(|error| match error {
        // Low addresses are not for everyone.
        Errno::EINVAL => Errno::EPERM,
        error => error,
    })?;
    Ok(address)
}

pub(super) fn munmap(call: &mut Call<'_>) -> Result<u64> {
    let range = range(call.args[0], call.args[1]).map_err(|_| Errno::EINVAL)?;
    if range.is_empty() {
        return Err(Errno::EINVAL);
    }
    user::current()?.unmap(range)?;
    Ok(0)
}

pub(super) fn mprotect(call: &mut Call<'_>) -> Result<u64> {
    let range = range(call.args[0], call.args[1])?;
    let prot = prot(call.args[2])?;
    if !range.is_empty() {
        user::current()?.protect(range, prot)?;
    }
    Ok(0)
}

pub(super) fn madvise(call: &mut Call<'_>) -> Result<u64> {
    /// Advice that linux-raw-sys does not name.
    const COLD: u32 = 20;
    const PAGEOUT: u32 = 21;
    const POPULATE_READ: u32 = 22;
    const POPULATE_WRITE: u32 = 23;
    let range = range(call.args[0], call.args[1]).map_err(|_| Errno::EINVAL)?;
    let mm = user::current()?;
    match call.args[2] as u32 {
        linux::MADV_DONTNEED if mm.is_locked(&range) => return Err(Errno::EINVAL),
        linux::MADV_DONTNEED => mm.discard(range)?,
        POPULATE_READ | POPULATE_WRITE => {
            check_mapped(&mm, range.clone())?;
            mm.populate(range).map_err(|_| Errno::EFAULT)?;
        }
        // Advice that may be followed by doing nothing. (Freeing lazily is free
        // to be as lazy as that.)
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_FREE
        | linux::MADV_DONTDUMP
        | linux::MADV_DODUMP
        | COLD
        | PAGEOUT => check_mapped(&mm, range)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn check_mapped(mm: &Mm, range: Range<u64>) -> Result<()> {
    mm.is_covered(range).then_some(()).ok_or(Errno::ENOMEM)
}

pub(super) fn mremap(call: &mut Call<'_>) -> Result<u64> {
    let [address, old_len, new_len, flags, to, _] = call.args;
    let flags = flags as u32;
    let known = linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED | linux::MREMAP_DONTUNMAP;
    let has = |flag: u32| flags & flag != 0;
    let moves = has(linux::MREMAP_MAYMOVE);
    let elsewhere = has(linux::MREMAP_FIXED) || has(linux::MREMAP_DONTUNMAP);
    if flags & !known != 0 || elsewhere && !moves || new_len == 0 {
        return Err(Errno::EINVAL);
    }
    let from = range(address, old_len)?;
    let new_len = new_len
        .checked_next_multiple_of(PAGE_SIZE)
        .filter(|&len| len <= USER_END)
        .ok_or(Errno::ENOMEM)?;
    if has(linux::MREMAP_DONTUNMAP) && new_len != from.end - from.start {
        return Err(Errno::EINVAL);
    }
    let to = if has(linux::MREMAP_FIXED) {
        let target = range(to, new_len).map_err(|_| Errno::EINVAL)?;
        if target.start < from.end && from.start < target.end || target.start < PAGE_SIZE * 16 {
            return Err(Errno::EINVAL);
        }
        Some(to)
    } else {
        None
    };
    user::current()?.remap(&Remap {
        from,
        new_len,
        may_move: moves,
        to,
        keep: has(linux::MREMAP_DONTUNMAP),
    })
}

/// `msync(addr, length, flags)`: memory and file are one here, so there is
/// nothing to carry from one to the other.
pub(super) fn msync(call: &mut Call<'_>) -> Result<u64> {
    let [address, len, flags, ..] = call.args;
    let flags = flags as u32;
    let both = linux::MS_ASYNC | linux::MS_SYNC;
    if flags & !(both | linux::MS_INVALIDATE) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let mm = user::current()?;
    let range = range(address, len)?;
    if flags & linux::MS_INVALIDATE != 0 && mm.is_locked(&range) {
        return Err(Errno::EBUSY);
    }
    check_mapped(&mm, range)?;
    Ok(0)
}

/// `mincore(addr, length, vec)`
pub(super) fn mincore(call: &mut Call<'_>) -> Result<u64> {
    let [address, len, vector, ..] = call.args;
    let range = range(address, len)?;
    let mm = user::current()?;
    let pages = mm.residency(range)?;
    user::write_bytes(vector, &pages)?;
    Ok(0)
}
