//! What exec has put into an address space, and where: for those who ask later.

use alloc::sync::Arc;
use core::any::Any;
use core::ops::Range;

/// A file as this room sees it: something that is kept, and handed back.
pub type FileHandle = Arc<dyn Any + Send + Sync>;

/// A program's image.
#[derive(Clone, Default)]
pub struct Image {
    /// The program's file.
    pub file: Option<FileHandle>,
    /// Its instructions.
    pub code: Range<u64>,
    /// Its data.
    pub data: Range<u64>,
    /// The stack pointer with which it began.
    pub stack: u64,
    /// Its arguments, each ended by NUL.
    pub args: Range<u64>,
    /// Its environment, each variable ended by NUL.
    pub env: Range<u64>,
    /// Its auxiliary vector.
    pub auxv: Arc<[u64]>,
}
