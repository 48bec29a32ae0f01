//! The part of a task's context that CLONE_FS shares: cwd, root and umask.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inode::Inode;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};

/// Where a task's paths begin, and what it takes from the modes it asks for.
#[derive(Clone)]
pub struct FsContext {
    /// Where `/` is.
    pub root: Arc<Inode>,
    /// The current working directory.
    pub cwd: Arc<Inode>,
    /// The permissions that new files do not get.
    pub umask: u32,
    _counted: Counted,
}

impl FsContext {
    /// The first context: everything begins at the root.
    pub fn new(root: Arc<Inode>) -> Self {
        FsContext {
            cwd: root.clone(),
            root,
            umask: 0o022,
            _counted: Counted::new(Type::Fs),
        }
    }

    /// The path of the working directory.
    ///
    /// # Errors
    /// ENOENT: it was removed.
    pub fn cwd_path(&self) -> Result<Vec<u8>> {
        let mut names = Vec::new();
        let mut at = self.cwd.clone();
        while !Arc::ptr_eq(&at, &self.root) {
            if at.directory()?.is_gone() {
                return Err(Errno::ENOENT);
            }
            let parent = at.directory()?.parent().ok_or(Errno::ENOENT)?;
            if Arc::ptr_eq(&at, &parent) {
                break;
            }
            names.push(parent.directory()?.name_of(&at).ok_or(Errno::ENOENT)?);
            at = parent;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }
}
