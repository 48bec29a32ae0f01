//! Who may send a signal to whom.

use super::{Task, current};
use crate::errno::{Errno, Result};
use crate::signal::{SigInfo, Signal};

/// Whether the running task may send a signal; without one, whether it may ask.
/// What the kernel sends it may send to everybody.
///
/// # Errors
/// `EPERM`.
pub(super) fn check(target: &Task, info: Option<&SigInfo>) -> Result<()> {
    let by_kernel = info.is_some_and(|info| info.code > 0);
    let me = current();
    if by_kernel || me.is_kernel() || me.tgid() == target.tgid() || crate::mutant!("kill-unchecked")
    {
        return Ok(());
    }
    let continues = info.is_some_and(|info| info.signal == Signal::SIGCONT);
    let same_session = me.group().session() == target.group().session();
    if me.credentials().may_signal(&target.credentials()) || continues && same_session {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}
