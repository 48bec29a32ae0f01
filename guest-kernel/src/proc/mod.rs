//! `/proc`: what the kernel tells about tasks and itself, as files that are
//! made up when somebody looks.
//!
//! | file | what |
//! |---|---|
//! | `text` | a file whose text a function writes |
//! | `root` | the top: tasks' numbers, `self`, and files about the whole machine |
//! | `task_directory` | `/proc/PID` and `/proc/PID/task/TID`: the table of their entries |
//! | `status`, `memory`, `limits`, `users` | the texts of those entries |
//! | `descriptors` | `fd` and `fdinfo` |
//! | `namespaces` | `ns` |
//! | `mounts` | `mounts` and `mountinfo` |
//! | `system` | the texts about the whole machine |
//! | `sysctl` | `/proc/sys` |
//!
//! No inode is kept: each walk makes the ones that it meets, with numbers that
//! stay the same. A file about a task refers to the task's numbers, so whoever
//! holds it open hears ESRCH when the task is gone, whatever task comes later.

mod descriptors;
mod limits;
mod memory;
mod mounts;
mod namespaces;
mod root;
mod status;
mod sysctl;
mod system;
mod task_directory;
mod text;
mod users;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::{Arc, Weak};

use linux_raw_sys::general::{DT_DIR, DT_LNK, DT_REG};

use crate::errno::Result;
use crate::fs::inode::Kind;
use crate::fs::mount::Mount;
use crate::fs::special::{MagicLink, SpecialFile, VirtualDirectory};
use crate::fs::{Inode, Place, cpio, super_block};
use crate::sync::Once;
use crate::task::pid_namespace::{self, PidNamespace};

/// Kinds of entries as `getdents64` gives them.
const DIRECTORY: u8 = DT_DIR as u8;
const FILE: u8 = DT_REG as u8;
const LINK: u8 = DT_LNK as u8;

/// One /proc: it shows the tasks of one PID namespace by their numbers there.
struct Proc {
    device: u64,
    namespace: Arc<PidNamespace>,
    root: Once<Weak<Inode>>,
}

impl Proc {
    /// The inode at the top, as long as anybody has it mounted.
    fn root(&self) -> Option<Arc<Inode>> {
        self.root.get()?.upgrade()
    }

    fn directory(
        &self,
        number: u64,
        directory: impl VirtualDirectory + 'static,
        mode: u32,
        owner: (u32, u32),
    ) -> Arc<Inode> {
        let kind = Kind::Virtual(Box::new(directory));
        Inode::made_up(self.device, number, kind, mode, owner)
    }

    fn file(
        &self,
        number: u64,
        file: impl SpecialFile,
        mode: u32,
        owner: (u32, u32),
    ) -> Arc<Inode> {
        let kind = Kind::Special(Box::new(file));
        Inode::made_up(self.device, number, kind, mode, owner)
    }

    fn link(
        &self,
        number: u64,
        link: impl MagicLink + 'static,
        mode: u32,
        owner: (u32, u32),
    ) -> Arc<Inode> {
        let kind = Kind::Magic(Box::new(link));
        Inode::made_up(self.device, number, kind, mode, owner)
    }
}

/// The number that a name is, if it is one as Linux writes it.
fn number(name: &[u8]) -> Option<u32> {
    let canonical = name == b"0"
        || name
            .first()
            .is_some_and(|byte| (b'1'..=b'9').contains(byte));
    let text = core::str::from_utf8(name).ok().filter(|_| canonical)?;
    text.parse().ok()
}

fn name_of(number: impl Into<u64>) -> alloc::vec::Vec<u8> {
    let mut text = String::new();
    // Memory for a few digits is what `room` has seen to.
    let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{}", number.into()));
    text.into_bytes()
}

/// Makes the file system known to mount.
pub fn init() {
    super_block::register("proc", |request| {
        Ok(make(request.device, pid_namespace::own()))
    });
}

fn make(device: u64, namespace: Arc<PidNamespace>) -> Arc<Inode> {
    let proc = Arc::new(Proc {
        device,
        namespace,
        root: Once::new(),
    });
    let root = proc.directory(root::NUMBER, root::Root(proc.clone()), 0o555, (0, 0));
    proc.root.set(Arc::downgrade(&root));
    root
}

/// Mounts it where tasks look for it, at boot.
///
/// # Errors
/// `ENOMEM`.
pub fn mount_at_boot(root: &Arc<Mount>) -> Result<()> {
    let point = cpio::directory_at(root.root(), b"proc");
    let super_block = super_block::make(b"proc", b"proc", b"", 0)?;
    let top = super_block.root().clone();
    Mount::new(super_block, top, 0).attach(&Place::new(root.clone(), point))
}
