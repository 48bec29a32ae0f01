//! Where the child's number is written, and cleared at its end.

use linux_raw_sys::general as linux;

use super::Making;
use crate::errno::Result;

pub(super) fn tell_parent(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("parent-settid-forgotten") {
        return Ok(());
    }
    making.draft.tell_parent = making.args.parent_tid;
    Ok(())
}

pub(super) fn tell_child(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("child-settid-in-parent") {
        making.draft.tell_parent = making.args.child_tid;
        return Ok(());
    }
    making.draft.tell_child = making.args.child_tid;
    Ok(())
}

pub(super) fn clear_at_end(making: &mut Making<'_>) -> Result<()> {
    if making.args.has(linux::CLONE_SYSVSEM) && crate::mutant!("clear-tid-without-undo-only") {
        return Ok(());
    }
    if crate::mutant!("cleartid-forgotten") {
        return Ok(());
    }
    making.draft.clear_tid = making.args.child_tid;
    Ok(())
}
