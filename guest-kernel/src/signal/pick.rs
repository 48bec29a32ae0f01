//! Which signal a task gets next, and what becomes of it.

use linux_raw_sys::general::SA_RESETHAND;

use super::handlers::{Actions, SIG_DFL, SIG_IGN, SigAction};
use super::info::SigInfo;
use super::number::{DefaultAction, Signal};
use super::state::{GroupSignals, TaskSignals};

/// What has to be done about a signal.
#[derive(Clone, Copy, Debug)]
pub enum Delivery {
    /// Call the handler.
    Handler(SigInfo, SigAction),
    /// End the group. (Core files are never written.)
    Terminate(Signal),
    /// Stop the group.
    Stop(Signal),
}

/// Takes the next signal that the task does not block.
pub fn take(group: &mut GroupSignals, task: &mut TaskSignals) -> Option<SigInfo> {
    let blocked = task.blocked;
    task.pending
        .take_caused(blocked)
        .or_else(|| task.pending.take(blocked))
        .or_else(|| group.pending.take(blocked))
}

/// What is to be done about a signal; nothing if it is ignored.
pub fn decide(actions: &mut Actions, info: SigInfo) -> Option<Delivery> {
    let signal = info.signal;
    let action = actions.get(signal);
    match action.handler {
        SIG_IGN => None,
        SIG_DFL => match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Continue => None,
            DefaultAction::Stop => Some(Delivery::Stop(signal)),
            DefaultAction::Terminate | DefaultAction::Core => Some(Delivery::Terminate(signal)),
        },
        _ => {
            if action.has(SA_RESETHAND) {
                actions.reset(signal);
            }
            Some(Delivery::Handler(info, action))
        }
    }
}
