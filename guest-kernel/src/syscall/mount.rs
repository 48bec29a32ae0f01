//! mount and its relatives: which file systems are seen where.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    AT_FDCWD, MNT_DETACH, MNT_FORCE, MS_BIND, MS_MGC_MSK, MS_MGC_VAL, MS_MOVE, MS_PRIVATE, MS_REC,
    MS_REMOUNT, MS_SHARED, MS_SILENT, MS_SLAVE, MS_UNBINDABLE, UMOUNT_NOFOLLOW,
};

use super::Call;
use super::file::{context, lookup, user_path};
use crate::errno::{Errno, Result};
use crate::fs::mount::{CHANGING, Mount};
use crate::fs::{Place, permission, super_block};
use crate::mm::{frame, user};
use crate::task;
use crate::task::credentials::Cap;
use crate::task::mount_namespace::MountNamespace;

/// The most that is read of a file system's options.
const DATA_MAX: usize = 4096;

/// The running task's mount namespace, if the task may change it.
fn changeable() -> Result<Arc<MountNamespace>> {
    let me = task::current();
    let namespace = me.namespaces().mount.clone();
    if me.credentials().capable_in(namespace.user(), Cap::SysAdmin) {
        Ok(namespace)
    } else {
        Err(Errno::EPERM)
    }
}

fn walk(path: u64, follow: bool) -> Result<Place> {
    lookup(AT_FDCWD as u64, &user_path(path)?, follow)
}

fn optional_string(address: u64, most: usize) -> Result<Vec<u8>> {
    match address {
        0 => Ok(Vec::new()),
        address => user::read_cstr(address, most),
    }
}

/// `mount(source, target, filesystemtype, mountflags, data)`
pub fn mount(call: &mut Call<'_>) -> Result<u64> {
    let [source, target, kind, flags, data, _] = call.args;
    frame::room()?;
    let kind = optional_string(kind, DATA_MAX)?;
    let source = optional_string(source, DATA_MAX)?;
    let data = optional_string(data, DATA_MAX)?;
    let target = walk(target, true)?;
    let flags = match flags as u32 {
        flags if flags & MS_MGC_MSK == MS_MGC_VAL => flags & !MS_MGC_MSK,
        flags => flags,
    };
    let request = Request {
        namespace: changeable()?,
        target,
        flags: flags & !MS_SILENT,
    };
    let _one = CHANGING.lock();
    if request.has(MS_REMOUNT) {
        request.remount()
    } else if request.has(MS_BIND) {
        request.bind(&source)
    } else if request.has(MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE) {
        request.change_kind()
    } else if request.has(MS_MOVE) {
        request.move_here(&source)
    } else {
        request.make(&kind, &source, &data)
    }?;
    Ok(0)
}

/// What is to happen at a place.
struct Request {
    namespace: Arc<MountNamespace>,
    target: Place,
    flags: u32,
}

impl Request {
    fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Refuses a mount that is not the caller's to change.
    fn check_ours(&self, mount: &Mount) -> Result<()> {
        if self.namespace.tree().has(mount) {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// New flags for the mount, or without MS_BIND for its file system too.
    fn remount(&self) -> Result<()> {
        let mount = self.target.mount();
        self.check_ours(mount)?;
        if !self.target.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        mount.set_flags(self.flags);
        if !self.has(MS_BIND) {
            mount.super_block().set_flags(self.flags);
        }
        Ok(())
    }

    /// Another view of something that is there already.
    fn bind(&self, source: &[u8]) -> Result<()> {
        let source = self.source(source)?;
        self.check_ours(source.mount())?;
        let mount = if self.has(MS_REC) && !crate::mutant!("bind-not-recursive") {
            let pairs = source.mount().copy_tree(source.inode())?;
            pairs.first().map(|(_, copy)| copy.clone())
        } else {
            let original = source.mount();
            let super_block = original.super_block().clone();
            let root = if crate::mutant!("bind-begins-at-root") {
                original.root().clone()
            } else {
                source.inode().clone()
            };
            Some(Mount::new(super_block, root, original.flags()))
        };
        self.attach(&mount.ok_or(Errno::ENOMEM)?)
    }

    /// Every mount is private here, and a private one's slave is private.
    fn change_kind(&self) -> Result<()> {
        self.check_ours(self.target.mount())?;
        let kind = self.flags & !MS_REC;
        if !self.target.is_mount_root() || ![MS_PRIVATE, MS_SLAVE].contains(&kind) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn move_here(&self, source: &[u8]) -> Result<()> {
        let source = self.source(source)?;
        let moved = source.mount();
        self.check_ours(moved)?;
        self.check_ours(self.target.mount())?;
        if !source.is_mount_root() || moved.point().is_none() {
            return Err(Errno::EINVAL);
        }
        self.check_kinds(moved)?;
        if self.target.mount().is_at_or_below(moved) {
            return Err(Errno::ELOOP);
        }
        moved.detach();
        moved.attach(&self.target)
    }

    fn make(&self, kind: &[u8], source: &[u8], data: &[u8]) -> Result<()> {
        if kind.is_empty() {
            return Err(Errno::EINVAL);
        }
        let made = super_block::make(kind, source, data, self.flags)?;
        let root = made.root().clone();
        self.attach(&Mount::new(made, root, self.flags))
    }

    fn source(&self, source: &[u8]) -> Result<Place> {
        if source.is_empty() {
            return Err(Errno::EINVAL);
        }
        lookup(AT_FDCWD as u64, source, true)
    }

    fn check_kinds(&self, mount: &Mount) -> Result<()> {
        let same = mount.root().is_directory() == self.target.inode().is_directory();
        if same { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    fn attach(&self, mount: &Arc<Mount>) -> Result<()> {
        self.check_ours(self.target.mount())?;
        self.check_kinds(mount)?;
        if self.target.is_gone() {
            return Err(Errno::ENOENT);
        }
        mount.attach(&self.target)
    }
}

/// `umount2(target, flags)`
pub fn umount2(call: &mut Call<'_>) -> Result<u64> {
    let [target, flags, ..] = call.args;
    let flags = flags as u32;
    // Marking a mount as expired is not here.
    if flags & !(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = walk(target, flags & UMOUNT_NOFOLLOW == 0)?;
    let namespace = changeable()?;
    let _one = CHANGING.lock();
    let mount = place.mount();
    if !place.is_mount_root() || !namespace.tree().has(mount) {
        return Err(Errno::EINVAL);
    }
    if mount.point().is_none() {
        // The root of the namespace stays.
        let lazily = flags & MNT_DETACH != 0;
        return Err(if lazily { Errno::EINVAL } else { Errno::EBUSY });
    }
    // One reference is its parent's, one is ours.
    let used = Arc::strong_count(mount) > 2 || !mount.children().is_empty();
    if used && flags & MNT_DETACH == 0 && !crate::mutant!("umount-while-busy") {
        return Err(Errno::EBUSY);
    }
    mount.detach();
    Ok(0)
}

/// `chroot(path)`
pub fn chroot(call: &mut Call<'_>) -> Result<u64> {
    let place = walk(call.args[0], true)?;
    place.inode().check_directory()?;
    permission::permission(place.inode(), permission::EXEC)?;
    if !task::current().credentials().capable_here(Cap::SysChroot) {
        return Err(Errno::EPERM);
    }
    let context = context();
    let old = core::mem::replace(&mut context.lock().root, place);
    drop(old);
    Ok(0)
}

/// `pivot_root(new_root, put_old)`
pub fn pivot_root(call: &mut Call<'_>) -> Result<u64> {
    let namespace = changeable()?;
    let new = walk(call.args[0], true)?;
    let old = walk(call.args[1], true)?;
    new.inode().check_directory()?;
    old.inode().check_directory()?;
    let root = context().lock().root.clone();
    let _one = CHANGING.lock();
    let tree = namespace.tree();
    let mounts = [&new, &old, &root].map(Place::mount);
    if !mounts.iter().all(|mount| tree.has(mount)) {
        return Err(Errno::EINVAL);
    }
    if Arc::ptr_eq(new.mount(), root.mount()) || Arc::ptr_eq(old.mount(), root.mount()) {
        return Err(Errno::EBUSY);
    }
    let below_new = old.mount().is_at_or_below(new.mount());
    if !new.is_mount_root() || !root.is_mount_root() || !below_new {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let (fresh, former) = (new.mount().clone(), root.mount().clone());
    let point = former.point();
    fresh.detach();
    former.detach();
    match point {
        Some(point) => fresh.attach(&point)?,
        None => tree.put_at_root(fresh.clone()),
    }
    former.attach(&old)?;
    task::mount_namespace::move_roots(&root, &Place::root_of(fresh));
    Ok(0)
}
