//! Files: names, contents, open descriptions, descriptor tables, pipes and
//! the console's terminal.
//!
//! | file | concept |
//! |---|---|
//! | `path` | walking names: `.`, `..`, symbolic links |
//! | `place` | an inode, and the mount through which one has come to it |
//! | `mount`, `super_block` | which file system is seen where; the types of file systems |
//! | `inode`, `attributes` | what a name stands for, and what `stat` says of it |
//! | `regular`, `directory`, `device`, `pipe`, `tty` | the kinds of inodes |
//! | `special` | the faces of what other rooms make up: files, directories, links |
//! | `timerfd` | timers as descriptors |
//! | `rename` | moving names |
//! | `block_file` | the disk as a file |
//! | `locks` | locks of ranges and of whole files |
//! | `splice` | moving bytes between files |
//! | `eventfd` | a number to wait for |
//! | `cpio` | the initrd becomes the first files |
//! | `file` | open file descriptions: offset and flags, shared by dup and fork |
//! | `fd_table`, `context` | the two parts of a task's context that live here |
//! | `transfer` | where bytes come from and go to |
//! | `permission`, `capability` | who may do what to an inode |
//! | `hooks` | what this room asks of the rooms above it |

pub mod attributes;
mod block_file;
pub mod capability;
pub mod context;
pub mod cpio;
pub mod device;
pub mod directory;
pub mod eventfd;
pub mod fd_table;
pub mod file;
pub mod hooks;
pub mod inode;
pub mod locks;
pub mod mount;
pub mod path;
pub mod permission;
pub mod pipe;
pub mod place;
pub mod regular;
pub mod rename;
pub mod settings;
pub mod special;
pub mod splice;
pub mod super_block;
pub mod timerfd;
pub mod transfer;
pub mod tty;
mod tty_input;
mod tty_session;

pub use context::FsContext;
pub use fd_table::FdTable;
pub use file::File;
pub use inode::Inode;
pub use mount::MountTree;
pub use place::Place;

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::block;
use device::Device;
use inode::{Kind, MEMORY_DEVICE};
use mount::Mount;
use super_block::SuperBlock;

/// Names in /dev for what a task itself has open.
const OPEN_FILES: [(&[u8], &[u8]); 4] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
];

/// Builds the first file system: the archives' files, and the device nodes.
/// Gives the first namespace of mounts.
///
/// The archives' bytes stay in use: a file's page is copied from them when it
/// is first touched.
///
/// # Errors
/// The archive is damaged: what is wrong, and at which byte.
pub fn init(archives: &'static [u8]) -> core::result::Result<Arc<MountTree>, cpio::Damaged> {
    mount::init();
    super_block::register("tmpfs", super_block::make_tmpfs);
    let root = Inode::new_root(MEMORY_DEVICE, 0o755);
    cpio::unpack(&root, archives)?;
    let dev = cpio::directory_at(&root, b"dev");
    let devices = Device::NODES.map(|(name, device)| (name, Kind::Device(device), 0o666));
    let links = OPEN_FILES.map(|(name, target)| (name, Kind::Symlink(target.into()), 0o777));
    for (name, kind, permissions) in devices.into_iter().chain(links) {
        if let Kind::Directory(entries) = dev.kind() {
            entries.replace(name, Inode::new(kind, permissions));
        }
    }
    if let Some(device) = block::device() {
        let file = Box::new(block_file::BlockFile(device));
        let node = Inode::new(Kind::Special(file), 0o660);
        if let Kind::Directory(entries) = dev.kind() {
            entries.replace(b"vda", node);
        }
    }
    let super_block = SuperBlock::new("rootfs", b"rootfs", root.clone(), 0);
    let tree = MountTree::new(Mount::new(super_block, root, 0));
    for path in ["tmp", "dev/shm"] {
        mount_memory(&tree.root(), path);
    }
    Ok(tree)
}

/// Mounts a file system in memory where files come and go, unless the archives
/// brought files for that place.
fn mount_memory(root: &Arc<Mount>, path: &str) {
    let point = cpio::directory_at(root.root(), path.as_bytes());
    let is_empty = point.directory().is_ok_and(directory::Directory::is_empty);
    if let (true, Ok(made)) = (is_empty, super_block::make(b"tmpfs", b"tmpfs", b"", 0)) {
        let mount = Mount::new(made.clone(), made.root().clone(), 0);
        // Nothing is short of room this early.
        let _ = mount.attach(&Place::new(root.clone(), point));
    }
}
