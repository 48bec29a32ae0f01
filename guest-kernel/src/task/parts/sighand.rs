//! The table of signal handlers.

use super::Making;
use crate::errno::Result;
use crate::mm::frame;
use crate::task::clone_args::CLONE_CLEAR_SIGHAND;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-sighand-copies") {
        return copy(making);
    }
    making.draft.sighand = Some(making.parent.sighand());
    Ok(())
}

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let copy = making.parent.sighand().copy();
    let clears = making.args.flags & CLONE_CLEAR_SIGHAND != 0;
    if clears && !crate::mutant!("clear-sighand-keeps") {
        copy.0.lock().exec();
    }
    making.draft.sighand = Some(copy);
    Ok(())
}
