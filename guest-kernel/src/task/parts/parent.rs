//! Whose child it is.

use super::Making;
use crate::errno::Result;
use crate::task::tree::Place;

/// The caller's parent becomes the child's, which ends with the signal with
/// which the caller's group ends. (A thread's parent is its group's anyway.)
pub(super) fn share(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-parent-ignored") {
        return be_parent(making);
    }
    let tree = crate::task::tree::TREE.lock();
    if let Some(node) = tree.node(making.parent.tgid().0) {
        making.draft.parent = Place {
            parent: node.parent,
            maker: node.maker,
            parent_execs: node.parent_execs,
        };
        if !crate::mutant!("clone-parent-own-signal") {
            making.draft.exit_signal = node.exit_signal;
        }
    }
    Ok(())
}

pub(super) fn be_parent(making: &mut Making<'_>) -> Result<()> {
    making.draft.parent = Place {
        parent: making.parent.tgid().0,
        maker: making.parent.id().0,
        parent_execs: making.parent.group().execs(),
    };
    Ok(())
}
