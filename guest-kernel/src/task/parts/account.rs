//! What the scheduler knows of the child: class, nice value, CPUs, time used.

use alloc::sync::Arc;

use super::Making;
use crate::errno::Result;
use crate::mm::frame;
use crate::sched::Account;

/// Nothing of what was used is inherited, but what was asked of the scheduler.
pub(super) fn open(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let parent = making.parent.account();
    let attributes = parent.attributes().for_child();
    let group = making.draft.group.as_ref().map(|group| group.clock.clone());
    let account = Account::new(group, attributes, parent.affinity());
    making.draft.account = Some(Arc::new(account));
    Ok(())
}
