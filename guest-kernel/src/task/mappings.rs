//! What is mapped by whom, for files that change under their mappings.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Task;
use super::tree::TREE;
use crate::arch::layout::PAGE_SIZE;
use crate::fs::Inode;
use crate::mm::Mm;

/// A file is this long now: what was behind it leaves every memory.
pub fn truncated(inode: &Inode, len: u64) {
    let tasks: Vec<Arc<Task>> = TREE.lock().all().cloned().collect();
    let mut spaces: Vec<Arc<Mm>> = Vec::new();
    for mm in tasks.iter().filter_map(|task| task.mm()) {
        if !spaces.iter().any(|known| Arc::ptr_eq(known, &mm)) {
            spaces.push(mm);
        }
    }
    for mm in spaces {
        mm.forget(inode, len.div_ceil(PAGE_SIZE));
    }
}
