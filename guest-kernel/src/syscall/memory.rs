//! Address spaces: brk, mmap and their like.

use alloc::sync::Arc;
use core::ops::Range;

use linux_raw_sys::general as linux;

use super::file::descriptor;
use super::table::Call;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
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
    source: Option<Source>,
}

impl Mapping {
    fn at(self, range: Range<u64>) -> Vma {
        Vma {
            shared: self.shared,
            source: self.source,
            ..Vma::anonymous(range, self.prot)
        }
    }
}

/// The file behind a mapping, checked as mmap checks it.
fn file(fd: u64, offset: u64, prot: Prot, shared: bool) -> Result<Source> {
    let file = descriptor(fd)?;
    let writes = shared && prot.contains(Prot::WRITE);
    if !file.is_readable() || writes && !file.is_writable() {
        return Err(Errno::EACCES);
    }
    let inode = file.inode().clone();
    if inode.regular().is_none() {
        return Err(Errno::ENODEV);
    }
    let backing: Arc<dyn Backing> = inode;
    Ok(Source {
        backing,
        first: offset / PAGE_SIZE,
        anonymous: false,
        file: Some(file),
    })
}

fn mapping(len: u64, prot: Prot, flags: u32, fd: u64, offset: u64) -> Result<Mapping> {
    let shared = match flags & linux::MAP_TYPE {
        linux::MAP_SHARED | linux::MAP_SHARED_VALIDATE => true,
        linux::MAP_PRIVATE => false,
        _ => return Err(Errno::EINVAL),
    };
    frame::room()?;
    let source = if flags & linux::MAP_ANONYMOUS == 0 {
        Some(file(fd, offset, prot, shared)?)
    } else if shared {
        let backing: Arc<dyn Backing> = Arc::new(SharedPages::new(len));
        Some(Source {
            backing,
            first: 0,
            anonymous: true,
            file: None,
        })
    } else {
        None
    };
    Ok(Mapping {
        prot,
        shared,
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
    let mapping = mapping(len, prot(bits)?, flags, fd, offset)?;
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
    let range = range(call.args[0], call.args[1]).map_err(|_| Errno::EINVAL)?;
    let mm = user::current()?;
    match call.args[2] as u32 {
        linux::MADV_DONTNEED => mm.discard(range)?,
        // Advice that may be followed by doing nothing. (Freeing lazily is free
        // to be as lazy as that.)
        linux::MADV_NORMAL
        | linux::MADV_RANDOM
        | linux::MADV_SEQUENTIAL
        | linux::MADV_WILLNEED
        | linux::MADV_FREE => check_mapped(&mm, range)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn check_mapped(mm: &Mm, range: Range<u64>) -> Result<()> {
    mm.is_covered(range).then_some(()).ok_or(Errno::ENOMEM)
}

pub(super) fn mremap(call: &mut Call<'_>) -> Result<u64> {
    let [address, old_len, new_len, flags, ..] = call.args;
    let flags = flags as u32;
    // Moving to a wished place or leaving the old one behind is not here.
    if flags & !linux::MREMAP_MAYMOVE != 0 || old_len == 0 || new_len == 0 {
        return Err(Errno::EINVAL);
    }
    let from = range(address, old_len)?;
    let new_len = new_len
        .checked_next_multiple_of(PAGE_SIZE)
        .filter(|&len| len <= USER_END)
        .ok_or(Errno::ENOMEM)?;
    user::current()?.resize(from, new_len, flags & linux::MREMAP_MAYMOVE != 0)
}
