//! Files: names, contents, open descriptions, descriptor tables, pipes and
//! the console's terminal.
//!
//! | file | concept |
//! |---|---|
//! | `path` | walking names: `.`, `..`, symbolic links |
//! | `inode` | what a name stands for, and what `stat` says of it |
//! | `regular`, `directory`, `device`, `pipe`, `tty` | the kinds of inodes |
//! | `cpio` | the initrd becomes the first files |
//! | `file` | open file descriptions: offset and flags, shared by dup and fork |
//! | `fd_table`, `context` | the two parts of a task's context that live here |
//! | `transfer` | where bytes come from and go to |
//! | `permission`, `capability` | who may do what to an inode |
//! | `hooks` | what this room asks of the rooms above it |

pub mod capability;
pub mod context;
pub mod cpio;
pub mod device;
pub mod directory;
pub mod fd_table;
pub mod file;
pub mod hooks;
pub mod inode;
pub mod path;
#[allow(dead_code, reason = "the whole set of questions is kept together")]
pub mod permission;
pub mod pipe;
pub mod regular;
pub mod settings;

pub mod transfer;
pub mod tty;
mod tty_input;

pub use context::FsContext;
pub use fd_table::FdTable;
pub use file::File;
pub use inode::Inode;

use alloc::sync::Arc;

use device::Device;
use inode::Kind;

/// Builds the first file system: the archives' files, and the device nodes.
///
/// The archives' bytes stay in use: a file's page is copied from them when it
/// is first touched.
///
/// # Errors
/// The archive is damaged: what is wrong, and at which byte.
pub fn init(archives: &'static [u8]) -> core::result::Result<Arc<Inode>, cpio::Damaged> {
    let root = Inode::new_root();
    cpio::unpack(&root, archives)?;
    let dev = cpio::directory_at(&root, b"dev");
    for (name, device) in Device::NODES {
        let node = Inode::new(Kind::Device(device), 0o666);
        if let Kind::Directory(entries) = dev.kind() {
            entries.replace(name, node);
        }
    }
    Ok(root)
}
