//! What is mapped by whom, for files that change under their mappings.

use super::tree::TREE;
use crate::arch::layout::PAGE_SIZE;
use crate::fs::Inode;

/// A file is this long now: what was behind it leaves every memory.
pub fn truncated(inode: &Inode, len: u64) {
    let first = len.div_ceil(PAGE_SIZE);
    let mut at = 0;
    let mut done = None;
    loop {
        let next = TREE.lock().next(at);
        let Some((pid, task)) = next else {
            break;
        };
        at = pid;
        // Tasks that share their memory mostly have numbers side by side.
        if let Some(mm) = task.mm()
            && done != Some(mm.root())
        {
            mm.forget(inode, first);
            done = Some(mm.root());
        }
    }
}
