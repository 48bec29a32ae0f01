//! The descriptor table.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::Making;
use crate::errno::Result;
use crate::mm::frame;
use crate::sync::SpinLock;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-files-copies") {
        return copy(making);
    }
    making.draft.files = making.parent.context.lock().files.clone();
    Ok(())
}

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    if crate::mutant!("descriptors-always-shared")
        || crate::mutant!("thread-shares-descriptors") && making.args.has(linux::CLONE_THREAD)
    {
        making.draft.files = making.parent.context.lock().files.clone();
        return Ok(());
    }
    let shared = making.parent.context.lock().files.clone();
    let copy = shared.map(|files| files.lock().copy()).transpose()?;
    making.draft.files = copy.map(|files| Arc::new(SpinLock::new(files)));
    Ok(())
}
