//! The namespaces: of each kind the parent's, or with its CLONE_NEW* flag a new one.

use super::Making;
use crate::errno::Result;
use crate::task::mount_namespace;

pub(super) fn derive(making: &mut Making<'_>) -> Result<()> {
    let parents = making.parent.namespaces();
    let flags = making.args.namespaces();
    let own = making.parent.pid();
    making.draft.namespaces = parents.derive(flags, &making.draft.credentials, own.namespace())?;
    Ok(())
}

/// The child's working directory is a copy by now, and moves over to the
/// copies of the mounts.
pub(super) fn begin_mounts(making: &mut Making<'_>) -> Result<()> {
    let draft = &mut *making.draft;
    let Some(fs) = &draft.fs else {
        return Ok(());
    };
    draft.namespaces = mount_namespace::begin(&draft.namespaces, fs, &draft.credentials)?;
    Ok(())
}
