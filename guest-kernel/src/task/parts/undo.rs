//! The list of semaphores' operations that are taken back at the end.

use super::Making;
use crate::errno::Result;
use crate::task::ipc::undo::UndoList;

/// Without the flag the child begins with nothing to take back.
pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if !crate::mutant!("sysvsem-own-list") {
        making.draft.undo = Some(UndoList::of(making.parent)?);
    }
    Ok(())
}
