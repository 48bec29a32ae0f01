//! The address space.

use linux_raw_sys::general as linux;

use super::Making;
use crate::errno::Result;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-vm-copies")
        || crate::mutant!("thread-copies-memory") && making.args.has(linux::CLONE_THREAD)
        || crate::mutant!("vfork-copies-memory") && making.args.has(linux::CLONE_VFORK)
    {
        return copy(making);
    }
    making.draft.mm = making.parent.mm();
    Ok(())
}

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    let mm = making.parent.mm();
    if crate::mutant!("memory-always-shared") && making.args.stack != 0 {
        making.draft.mm = mm;
        return Ok(());
    }
    making.draft.mm = mm.map(|mm| mm.fork()).transpose()?;
    Ok(())
}
