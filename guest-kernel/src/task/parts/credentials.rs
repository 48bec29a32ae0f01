//! Who the child is to permission checks: a value that never changes, so that a
//! copy of it is a reference to it. CLONE_NEWUSER begins a user namespace.

use alloc::sync::Arc;

use super::Making;
use crate::errno::Result;
use crate::task::user_namespace;

/// A value that never changes: a copy of it is a reference to it.
pub(super) fn keep(making: &mut Making<'_>) -> Result<()> {
    making.draft.credentials = making.parent.credentials();
    Ok(())
}

pub(super) fn begin_namespace(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("new-user-shares") {
        return keep(making);
    }
    let new = user_namespace::begin(&making.parent.credentials())?;
    making.draft.credentials = Arc::new(new);
    Ok(())
}
