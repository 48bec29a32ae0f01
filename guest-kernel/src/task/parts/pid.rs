//! The child's numbers, one in each PID namespace from its own outwards.

use super::Making;
use crate::errno::{Errno, Result};
use crate::task::credentials::Cap;
use crate::task::pid::Pid;

/// The numbers of the child: the next ones, or those of `set_tid`, which are
/// a privilege to choose.
pub(super) fn take(making: &mut Making<'_>) -> Result<()> {
    let namespace = &making.draft.namespaces.pid;
    let mut wanted = &making.args.set_tid[..];
    let credentials = &making.draft.credentials;
    if !wanted.is_empty() && !credentials.capable_in(namespace.user(), Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    if crate::mutant!("set-tid-ignored") {
        wanted = &[];
    }
    making.draft.pid = Some(Pid::take(namespace, wanted)?);
    Ok(())
}
