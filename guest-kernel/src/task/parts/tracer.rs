//! Who traces the child.

use super::Making;
use crate::errno::Result;
use crate::task::ptrace;

/// The parent's tracer traces the child, too.
pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if !crate::mutant!("clone-ptrace-untraced") {
        ptrace::hand_on(making.parent, making.draft);
    }
    Ok(())
}

/// So it does if it wants to know of every child.
pub(super) fn share_for_event(making: &mut Making<'_>) -> Result<()> {
    if ptrace::clone_event(making.args).is_some() {
        ptrace::hand_on(making.parent, making.draft);
    }
    Ok(())
}
