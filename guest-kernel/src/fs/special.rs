//! Files that other rooms make up: what they must answer.
//!
//! A room that has something to read, to wait for or to list gives it one of
//! these faces, and open, read, poll, stat and the rest work on it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use linux_raw_sys::general::O_TRUNC;

use super::file::File;
use super::inode::Inode;
use super::place::Place;
use super::transfer::{Sink, Source};
use crate::errno::{Errno, Result};
use crate::mm::Backing;
use crate::sched::WaitQueue;

/// What can be opened, and read, written or waited for as its room says.
pub trait SpecialFile: Send + Sync + Any {
    /// What stands for its path where it has none: `anon_inode:[eventfd]`.
    fn label(&self) -> String;

    /// The kind in `st_mode`: none for what never has a name.
    fn file_type(&self) -> u32 {
        0
    }

    /// For a device its number.
    fn device_number(&self) -> u64 {
        0
    }

    /// Bytes in it, as `stat` tells.
    fn size(&self) -> u64 {
        0
    }

    /// A description with these flags of open comes into being.
    ///
    /// # Errors
    /// Whatever open is to fail with.
    fn opened(&self, flags: u32) -> Result<()> {
        let _ = flags & O_TRUNC;
        Ok(())
    }

    /// A description that [`SpecialFile::opened`] heard of is gone.
    fn closed(&self, flags: u32) {
        let _ = flags;
    }

    /// Reads at `at`, which is 0 where positions mean nothing.
    ///
    /// # Errors
    /// EINVAL: it cannot be read.
    fn read(&self, to: &mut dyn Sink, at: u64, nonblocking: bool) -> Result<usize> {
        let _ = (to, at, nonblocking);
        Err(Errno::EINVAL)
    }

    /// Writes at `at`, which is 0 where positions mean nothing.
    ///
    /// # Errors
    /// EINVAL: it cannot be written.
    fn write(&self, from: &mut dyn Source, at: u64, nonblocking: bool) -> Result<usize> {
        let _ = (from, at, nonblocking);
        Err(Errno::EINVAL)
    }

    /// What it is ready for, as poll's bits.
    fn readiness(&self) -> u32 {
        0
    }

    /// Where to wait for a change of that.
    fn queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// True if positions mean something in it.
    fn seekable(&self) -> bool {
        false
    }

    /// True if `lseek` does nothing, where another would be refused.
    fn ignores_seek(&self) -> bool {
        false
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// EINVAL: there is nothing behind it that lasts.
    fn sync(&self) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// Answers an ioctl.
    ///
    /// # Errors
    /// ENOTTY: it knows none.
    fn ioctl(&self, request: u32, argument: u64) -> Result<u64> {
        let _ = (request, argument);
        Err(Errno::ENOTTY)
    }

    /// Its pages, if it can be mapped.
    fn backing(&self) -> Option<Arc<dyn Backing>> {
        None
    }

    /// Lines behind the common ones of `/proc/PID/fdinfo/N`.
    fn fdinfo(&self) -> String {
        String::new()
    }
}

/// A directory whose names are found when somebody looks.
pub trait VirtualDirectory: Send + Sync {
    /// What a name stands for.
    ///
    /// # Errors
    /// Whatever the walk is to fail with; no name is no error.
    fn get(&self, name: &[u8]) -> Result<Option<Arc<Inode>>>;

    /// The names that are listed, without `.` and `..`: each with its inode
    /// number and its kind as `getdents64` gives it.
    ///
    /// # Errors
    /// Whatever the listing is to fail with.
    fn entries(&self) -> Result<Vec<(Vec<u8>, u64, u8)>>;

    /// The directory that `..` stands for; none for the root.
    fn parent(&self) -> Option<Arc<Inode>>;

    /// Its own name there.
    fn name(&self) -> Vec<u8>;
}

/// Where a link leads.
pub enum Jump {
    /// To this place, whatever its path.
    Place(Place),
    /// To what this was opened on, by the name that led there then.
    File(Arc<File>),
    /// To what this text says, as with a link in a file system.
    Text(Vec<u8>),
}

/// A link whose target is found when somebody follows it.
pub trait MagicLink: Send + Sync {
    /// What `readlink` says.
    ///
    /// # Errors
    /// Whatever `readlink` is to fail with.
    fn text(&self) -> Result<Vec<u8>>;

    /// Where it leads.
    ///
    /// # Errors
    /// Whatever the walk is to fail with.
    fn follow(&self) -> Result<Jump>;
}
