//! Places: an inode, and the mount through which one has come to it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inode::{Inode, Kind};
use super::mount::Mount;
use crate::errno::{Errno, Result};

/// Where a walk is, where a task works, what a descriptor was opened on.
#[derive(Clone)]
pub struct Place {
    mount: Arc<Mount>,
    inode: Arc<Inode>,
}

impl Place {
    /// An inode as it is seen through a mount.
    pub fn new(mount: Arc<Mount>, inode: Arc<Inode>) -> Self {
        Place { mount, inode }
    }

    /// An inode that lies in no directory.
    pub fn anonymous(inode: Arc<Inode>) -> Self {
        Place {
            mount: Mount::nowhere(),
            inode,
        }
    }

    /// The root of a mount.
    pub fn root_of(mount: Arc<Mount>) -> Self {
        let inode = mount.root().clone();
        Place { mount, inode }
    }

    /// The mount.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// The inode.
    pub fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }

    /// Something else, seen through the same mount.
    pub fn beside(&self, inode: Arc<Inode>) -> Self {
        Place {
            mount: self.mount.clone(),
            inode,
        }
    }

    /// True if the two are one.
    pub fn is(&self, other: &Place) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.inode, &other.inode)
    }

    /// True if it is where its mount begins.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.inode, self.mount.root())
    }

    /// What is seen here: the root of what is mounted on it, if anything is.
    #[must_use]
    pub fn uncovered(self) -> Self {
        let mut place = self;
        while let Some(mount) = place.mount.child_at(&place.inode) {
            place = Place::root_of(mount);
        }
        place
    }

    /// What a name in this directory stands for.
    ///
    /// # Errors
    /// ENOTDIR, and what a directory that is made up says.
    pub fn child(&self, name: &[u8]) -> Result<Option<Place>> {
        let inode = self.inode.child(name)?;
        Ok(inode.map(|inode| self.beside(inode).uncovered()))
    }

    /// What `..` stands for, where `/` is `root`.
    ///
    /// # Errors
    /// ENOENT: the directory above is gone.
    pub fn parent(&self, root: &Place) -> Result<Place> {
        match self.step_up(root) {
            Step::Top => Ok(self.clone()),
            Step::Up { parent, .. } => Ok(parent.uncovered()),
            Step::Lost => Err(Errno::ENOENT),
        }
    }

    fn step_up(&self, root: &Place) -> Step {
        let mut at = self.clone();
        while at.is_mount_root() {
            if at.is(root) && !crate::mutant!("chroot-lets-out") {
                return Step::Top;
            }
            match at.mount.point() {
                Some(point) => at = point,
                None => return Step::Top,
            }
        }
        if at.is(root) && !crate::mutant!("chroot-lets-out") {
            return Step::Top;
        }
        let name = match at.inode.kind() {
            Kind::Directory(directory) => directory.name(),
            Kind::Virtual(directory) => directory.name(),
            _ => return Step::Lost,
        };
        match at.inode.parent() {
            Some(parent) => Step::Up {
                parent: at.beside(parent),
                name,
            },
            None => Step::Lost,
        }
    }

    /// True if it, a directory, was removed.
    pub fn is_gone(&self) -> bool {
        match self.inode.kind() {
            Kind::Directory(directory) => directory.is_gone(),
            _ => false,
        }
    }

    /// The path of a directory, where `/` is `root`; one that cannot be
    /// reached from there begins with `(unreachable)`, as on Linux.
    pub fn path(&self, root: &Place) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self.clone();
        while let Step::Up { parent, name } = at.step_up(root) {
            names.push(name);
            at = parent;
        }
        let mut path = Vec::new();
        if !at.reaches(root) {
            path.extend_from_slice(b"(unreachable)");
        }
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if names.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// True if climbing from here has ended at the root and not beside it.
    fn reaches(&self, root: &Place) -> bool {
        let mut at = self.clone();
        loop {
            if at.is(root) {
                return true;
            }
            match at.mount.point() {
                Some(point) if at.is_mount_root() => at = point,
                _ => return false,
            }
        }
    }
}

/// What lies above a directory.
enum Step {
    /// Nothing: it is the root.
    Top,
    /// This directory, in which it has this name.
    Up { parent: Place, name: Vec<u8> },
    /// Something that is gone.
    Lost,
}
