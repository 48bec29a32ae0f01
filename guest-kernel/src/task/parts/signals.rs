//! Mask, alternate stack and pending signals: always the child's own.

use linux_raw_sys::general as linux;

use super::Making;
use crate::errno::Result;
use crate::signal::{SigInfo, Signal};

pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    making.draft.signals = making.parent.signals.lock().for_child(true);
    Ok(())
}

/// With the memory shared, the parent's alternate stack is the parent's: only
/// while it waits for a vfork child may that one use it.
pub(super) fn copy_without_stack(making: &mut Making<'_>) -> Result<()> {
    let waits = making.args.has(linux::CLONE_VFORK);
    making.draft.signals = making.parent.signals.lock().for_child(waits);
    Ok(())
}

/// A child that starts in a stop finds SIGSTOP before its first instruction.
pub(super) fn stop(making: &mut Making<'_>) -> Result<()> {
    if making.args.starts_stopped() {
        let stop = SigInfo::kernel(Signal::SIGSTOP);
        let account = crate::task::signal::account(making.parent);
        // Only a signal with a value can fail.
        let _ = making.draft.signals.pending.add(stop, account);
    }
    Ok(())
}
