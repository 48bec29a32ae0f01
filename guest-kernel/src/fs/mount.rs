//! Mounts: which file system is seen where, and namespaces of them.
//!
//! A mount owns what is mounted on it, and knows where it is mounted itself by
//! a weak reference. A namespace owns the mount at its root, and so its whole
//! tree. Every mount is private: nothing spreads to another namespace.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general::{
    MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME,
};

use super::context::FsContext;
use super::inode::Inode;
use super::place::Place;
use super::super_block::SuperBlock;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sched::Mutex;
use crate::sync::{Once, SpinLock};

/// The most mounts of one namespace.
const MOUNTS_MAX: usize = 1024;

/// The flags that belong to one mount and not to its file system.
pub const MOUNT_FLAGS: u32 =
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

/// Held by whoever changes any tree of mounts.
pub static CHANGING: Mutex<()> = Mutex::new(());

/// A part of a file system, seen at one point of one tree.
pub struct Mount {
    _counted: Counted,
    id: u64,
    root: Arc<Inode>,
    super_block: Arc<SuperBlock>,
    flags: AtomicU32,
    /// The namespace's number; 0 while it is in none.
    namespace: AtomicU64,
    state: SpinLock<State>,
}

struct State {
    /// Where it is mounted.
    point: Option<(Weak<Mount>, Arc<Inode>)>,
    /// What is mounted on it, the oldest first.
    children: Vec<(Arc<Inode>, Arc<Mount>)>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static NEXT_NAMESPACE: AtomicU64 = AtomicU64::new(1);
static NOWHERE: Once<Arc<Mount>> = Once::new();

/// Prepares what [`Mount::nowhere`] gives.
pub fn init() {
    let root = Inode::new_root(0, 0);
    let none = SuperBlock::new("none", b"none", root.clone(), 0);
    NOWHERE.set(Mount::new(none, root, 0));
}

impl Mount {
    /// A mount of this part of a file system, not yet anywhere.
    pub fn new(super_block: Arc<SuperBlock>, root: Arc<Inode>, flags: u32) -> Arc<Self> {
        Arc::new(Mount {
            _counted: Counted::new(Type::Mount),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            root,
            super_block,
            flags: AtomicU32::new(flags & MOUNT_FLAGS),
            namespace: AtomicU64::new(0),
            state: SpinLock::new(State {
                point: None,
                children: Vec::new(),
            }),
        })
    }

    /// The mount of what lies in no directory: pipes and their like.
    ///
    /// # Panics
    /// Before [`init`].
    pub fn nowhere() -> Arc<Self> {
        let nowhere = NOWHERE.get().expect("mounts are prepared first");
        nowhere.clone()
    }

    /// Its number, as `mountinfo` gives it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is seen at its beginning.
    pub fn root(&self) -> &Arc<Inode> {
        &self.root
    }

    /// Its file system.
    pub fn super_block(&self) -> &Arc<SuperBlock> {
        &self.super_block
    }

    /// Its own flags.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Gives it other flags.
    pub fn set_flags(&self, flags: u32) {
        self.flags.store(flags & MOUNT_FLAGS, Ordering::Relaxed);
    }

    /// Refuses changes, if it or its file system may only be read.
    ///
    /// # Errors
    /// EROFS.
    pub fn check_writable(&self) -> Result<()> {
        let read_only = (self.flags() | self.super_block.flags()) & MS_RDONLY != 0;
        if read_only && !crate::mutant!("mount-read-only-ignored") {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// The number of the namespace that it is in; 0 for none.
    pub fn namespace(&self) -> u64 {
        self.namespace.load(Ordering::Relaxed)
    }

    /// Where it is mounted.
    pub fn point(&self) -> Option<Place> {
        let state = self.state.lock();
        let (mount, inode) = state.point.as_ref()?;
        Some(Place::new(mount.upgrade()?, inode.clone()))
    }

    /// What was mounted last at this inode of it.
    pub fn child_at(&self, inode: &Arc<Inode>) -> Option<Arc<Mount>> {
        let state = self.state.lock();
        let mut children = state.children.iter().rev();
        let (_, mount) = children.find(|(point, _)| Arc::ptr_eq(point, inode))?;
        Some(mount.clone())
    }

    /// What is mounted on it, the oldest first.
    pub fn children(&self) -> Vec<Arc<Mount>> {
        let state = self.state.lock();
        state
            .children
            .iter()
            .map(|(_, child)| child.clone())
            .collect()
    }

    /// It and all that is mounted below it, each before its own children.
    pub fn tree(self: &Arc<Self>) -> Vec<Arc<Mount>> {
        let mut all = alloc::vec![self.clone()];
        let mut at = 0;
        while at < all.len() {
            let children = all[at].children();
            all.splice(at + 1..at + 1, children);
            at += 1;
        }
        all
    }

    /// Mounts it, with all that is below it, at a place.
    ///
    /// # Errors
    /// ENOSPC: the namespace has too many.
    pub fn attach(self: &Arc<Self>, at: &Place) -> Result<()> {
        frame::room()?;
        let namespace = at.mount().namespace();
        let tree = self.tree();
        if at.mount().top().tree().len() + tree.len() > MOUNTS_MAX {
            return Err(Errno::ENOSPC);
        }
        for mount in tree {
            mount.namespace.store(namespace, Ordering::Relaxed);
        }
        self.state.lock().point = Some((Arc::downgrade(at.mount()), at.inode().clone()));
        let mut state = at.mount().state.lock();
        state.children.push((at.inode().clone(), self.clone()));
        Ok(())
    }

    /// Takes it, with all that is below it, from where it is mounted.
    pub fn detach(self: &Arc<Self>) {
        let point = self.state.lock().point.take();
        let Some((parent, inode)) = point else {
            return;
        };
        if let Some(parent) = parent.upgrade() {
            let taken = {
                let mut state = parent.state.lock();
                let mut children = state.children.iter();
                let at = children.position(|(_, child)| Arc::ptr_eq(child, self));
                at.map(|at| state.children.remove(at))
            };
            drop(taken);
        }
        drop(inode);
        for mount in self.tree() {
            mount.namespace.store(0, Ordering::Relaxed);
        }
    }

    /// The mount at the root of its tree.
    fn top(self: &Arc<Self>) -> Arc<Mount> {
        let mut at = self.clone();
        while let Some(point) = at.point() {
            at = point.mount().clone();
        }
        at
    }

    /// True if it is `other`, or mounted somewhere below it.
    pub fn is_at_or_below(self: &Arc<Self>, other: &Arc<Mount>) -> bool {
        let mut at = self.clone();
        while !Arc::ptr_eq(&at, other) {
            match at.point() {
                Some(point) => at = point.mount().clone(),
                None => return false,
            }
        }
        true
    }

    /// Another mount of the same part, without what is mounted on it.
    pub fn copy(&self) -> Arc<Self> {
        Mount::new(self.super_block.clone(), self.root.clone(), self.flags())
    }

    /// A copy that begins at `root`, with what is mounted below that, and
    /// whom of the originals each copy stands for.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn copy_tree(self: &Arc<Self>, root: &Arc<Inode>) -> Result<Vec<(Arc<Mount>, Arc<Mount>)>> {
        frame::room()?;
        let top = Mount::new(self.super_block.clone(), root.clone(), self.flags());
        let mut pairs = alloc::vec![(self.clone(), top)];
        let mut at = 0;
        while at < pairs.len() {
            let (original, copy) = pairs[at].clone();
            for child in original.children() {
                let Some(point) = child.point() else {
                    continue;
                };
                let below = Place::new(original.clone(), copy.root.clone());
                if !is_below(&point, &below) {
                    continue;
                }
                frame::room()?;
                let twin = child.copy();
                twin.state.lock().point = Some((Arc::downgrade(&copy), point.inode().clone()));
                let mut state = copy.state.lock();
                state.children.push((point.inode().clone(), twin.clone()));
                drop(state);
                pairs.push((child, twin));
            }
            at += 1;
        }
        Ok(pairs)
    }
}

impl Drop for Mount {
    /// Lets go of what is mounted on it one by one, not on the stack.
    fn drop(&mut self) {
        let mut below = core::mem::take(&mut self.state.lock().children);
        while let Some((point, mount)) = below.pop() {
            drop(point);
            if let Some(last) = Arc::into_inner(mount) {
                let children = core::mem::take(&mut last.state.lock().children);
                below.extend(children);
            }
        }
    }
}

/// True if a directory of a mount lies at or below another of the same mount.
fn is_below(inner: &Place, outer: &Place) -> bool {
    let mut at = inner.inode().clone();
    loop {
        if Arc::ptr_eq(&at, outer.inode()) {
            return true;
        }
        match at.parent() {
            Some(parent) if !Arc::ptr_eq(&parent, &at) => at = parent,
            _ => return false,
        }
    }
}

/// The mounts that some tasks see: what CLONE_NEWNS copies.
pub struct MountTree {
    id: u64,
    root: SpinLock<Arc<Mount>>,
}

impl MountTree {
    /// A namespace with this mount at its root.
    pub fn new(root: Arc<Mount>) -> Arc<Self> {
        let id = NEXT_NAMESPACE.fetch_add(1, Ordering::Relaxed);
        for mount in root.tree() {
            mount.namespace.store(id, Ordering::Relaxed);
        }
        Arc::new(MountTree {
            id,
            root: SpinLock::new(root),
        })
    }

    /// The mount at its root.
    pub fn root(&self) -> Arc<Mount> {
        self.root.lock().clone()
    }

    /// Puts another mount at its root.
    pub fn put_at_root(&self, root: Arc<Mount>) {
        for mount in root.tree() {
            mount.namespace.store(self.id, Ordering::Relaxed);
        }
        let old = core::mem::replace(&mut *self.root.lock(), root);
        drop(old);
    }

    /// True if a mount is one of these.
    pub fn has(&self, mount: &Mount) -> bool {
        mount.namespace() == self.id
    }

    /// A copy; the root and the working directory of `context`, which goes
    /// with it, move over to the copies.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn copy(&self, context: &mut FsContext) -> Result<Arc<Self>> {
        let _one = CHANGING.lock();
        let root = self.root();
        let pairs = root.copy_tree(root.root())?;
        for place in [&mut context.root, &mut context.cwd] {
            let mut pairs = pairs.iter();
            let twin = pairs.find(|(original, _)| Arc::ptr_eq(original, place.mount()));
            if let Some((_, twin)) = twin {
                *place = Place::new(twin.clone(), place.inode().clone());
            }
        }
        let copied = pairs.first().map(|(_, copy)| copy.clone());
        Ok(MountTree::new(copied.ok_or(Errno::ENOMEM)?))
    }
}
