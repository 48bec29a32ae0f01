//! The registration for restartable sequences.

use super::Making;
use crate::errno::Result;

/// In a copy of the memory the registration still means the same; where the
/// memory is shared it is the parent's.
pub(super) fn copy(making: &mut Making<'_>) -> Result<()> {
    making.draft.rseq = *making.parent.rseq.lock();
    Ok(())
}
