//! The part of a task's context that CLONE_FS shares: cwd, root and umask.

use alloc::vec::Vec;

use super::place::Place;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};

/// Where a task's paths begin, and what it takes from the modes it asks for.
#[derive(Clone)]
pub struct FsContext {
    /// Where `/` is.
    pub root: Place,
    /// The current working directory.
    pub cwd: Place,
    /// The permissions that new files do not get.
    pub umask: u32,
    _counted: Counted,
}

impl FsContext {
    /// The first context: everything begins at the root.
    pub fn new(root: Place) -> Self {
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
        if self.cwd.is_gone() {
            return Err(Errno::ENOENT);
        }
        Ok(self.cwd.path(&self.root))
    }
}
