//! The thread group: the parent's, or one that the child leads.

use alloc::sync::Arc;

use super::Making;
use crate::errno::{Errno, Result};
use crate::mm::frame;

pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("thread-leads-a-group") {
        return lead(making);
    }
    making.draft.group = Some(making.parent.group().clone());
    Ok(())
}

pub(super) fn lead(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let pid = making.draft.pid.as_ref().ok_or(Errno::EAGAIN)?;
    let group = making.parent.group().child(pid.clone());
    making.draft.group = Some(Arc::new(group));
    making.draft.exit_signal = making.args.exit_signal;
    Ok(())
}
