//! Moving names: rename, with replacing, refusing to replace, and exchanging.

use alloc::sync::Arc;

use super::directory::Directory;
use super::inode::Inode;
use crate::errno::{Errno, Result};
use crate::sched::Mutex;

/// One rename at a time: two directories that move into each other would
/// leave the tree.
static MOVING: Mutex<()> = Mutex::new(());

/// What is done about something that has the new name already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It loses the name.
    Replace,
    /// EEXIST.
    Refuse,
    /// It gets the old name.
    Exchange,
}

/// A name in a directory.
pub struct Name<'a> {
    /// The directory.
    pub parent: &'a Arc<Inode>,
    /// The name in it.
    pub name: &'a [u8],
}

/// Gives what has the old name the new one.
///
/// # Errors
/// Linux's: ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL where a
/// directory would come to lie in itself.
pub fn rename(old: &Name<'_>, new: &Name<'_>, existing: Existing) -> Result<()> {
    let _one = MOVING.lock();
    let from = old.parent.directory()?;
    let to = new.parent.directory()?;
    let moved = from.get(old.name).ok_or(Errno::ENOENT)?;
    if is_within(new.parent, &moved) {
        return Err(Errno::EINVAL);
    }
    let target = to.get(new.name);
    match (&target, existing) {
        (Some(_), Existing::Refuse) => return Err(Errno::EEXIST),
        (None, Existing::Exchange) => return Err(Errno::ENOENT),
        (Some(target), Existing::Exchange) => {
            if is_within(old.parent, target) {
                return Err(Errno::EINVAL);
            }
        }
        (Some(target), Existing::Replace) => {
            if is_within(old.parent, target) {
                return Err(Errno::ENOTEMPTY);
            }
            if Arc::ptr_eq(target, &moved) {
                // Two names of one file: both stay.
                return Ok(());
            }
            may_replace(target, &moved)?;
        }
        (None, _) if to.is_gone() => return Err(Errno::ENOENT),
        (None, _) => {}
    }
    if existing == Existing::Exchange {
        exchange(from, to, old, new);
    } else {
        let replaced = Directory::shift(from, to, old, new);
        if let Some(replaced) = replaced {
            replaced.unlinked();
        }
    }
    old.parent.touch();
    new.parent.touch();
    moved.touch_changed();
    Ok(())
}

fn may_replace(target: &Inode, moved: &Inode) -> Result<()> {
    match (target.is_directory(), moved.is_directory()) {
        (true, true) if crate::mutant!("rename-over-non-empty") => Ok(()),
        (true, true) => target.directory()?.close_if_empty(),
        (true, false) => Err(Errno::EISDIR),
        (false, true) => Err(Errno::ENOTDIR),
        (false, false) => Ok(()),
    }
}

fn exchange(from: &Directory, to: &Directory, old: &Name<'_>, new: &Name<'_>) {
    let (first, second) = (from.remove(old.name), to.remove(new.name));
    if let (Some(first), Some(second)) = (first, second) {
        from.enter(old.parent, old.name, second);
        to.enter(new.parent, new.name, first);
    }
}

/// True if `inner` is `outer` or lies somewhere below it.
fn is_within(inner: &Arc<Inode>, outer: &Arc<Inode>) -> bool {
    let mut at = inner.clone();
    loop {
        if Arc::ptr_eq(&at, outer) {
            return true;
        }
        match at.parent() {
            Some(parent) if !Arc::ptr_eq(&parent, &at) => at = parent,
            _ => return false,
        }
    }
}
