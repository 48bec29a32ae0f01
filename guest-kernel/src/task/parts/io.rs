//! The I/O context.

use super::Making;
use crate::errno::Result;
use crate::mm::frame;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-io-copies") {
        return copy(making);
    }
    making.draft.io = Some(making.parent.io());
    Ok(())
}

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    making.draft.io = Some(making.parent.io().copy());
    Ok(())
}
