//! Working directory, root and umask.

use alloc::sync::Arc;

use super::Making;
use crate::errno::Result;
use crate::mm::frame;
use crate::sync::SpinLock;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-fs-copies") {
        return copy(making);
    }
    making.draft.fs = making.parent.context.lock().fs.clone();
    Ok(())
}

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let shared = making.parent.context.lock().fs.clone();
    making.draft.fs = shared.map(|fs| Arc::new(SpinLock::new(fs.lock().clone())));
    Ok(())
}
