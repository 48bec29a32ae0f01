//! What files ask of the rooms above them: signals and the date.

use alloc::sync::Arc;

use super::permission::Subject;
use crate::sync::Once;

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds beyond them.
    pub nanoseconds: u32,
}

/// The functions that the rooms above provide.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Sends SIGPIPE to the running task, which wrote where nobody reads.
    pub broken_pipe: fn(),
    /// Sends a signal to every task of a process group.
    pub signal_group: fn(group: i32, signal: u32),
    /// True if there is a task in this process group.
    pub group_exists: fn(group: i32) -> bool,
    /// The date.
    pub now: fn() -> Timestamp,
    /// Who the running task is to permission checks.
    pub subject: fn() -> Arc<dyn Subject>,
}

static HOOKS: Once<Hooks> = Once::new();

/// Installs the hooks, once.
pub fn install(hooks: Hooks) {
    HOOKS.set(hooks);
}

pub(super) fn broken_pipe() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.broken_pipe)();
    }
}

pub(super) fn signal_group(group: i32, signal: u32) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.signal_group)(group, signal);
    }
}

pub(super) fn group_exists(group: i32) -> bool {
    HOOKS.get().is_some_and(|hooks| (hooks.group_exists)(group))
}

/// The date.
pub fn now() -> Timestamp {
    HOOKS
        .get()
        .map_or_else(Timestamp::default, |hooks| (hooks.now)())
}

pub(super) fn subject() -> Option<Arc<dyn Subject>> {
    HOOKS.get().map(|hooks| (hooks.subject)())
}

/// Whose what the running task makes is: its file-system user and group.
pub(super) fn owner() -> (u32, u32) {
    subject().map_or((0, 0), |subject| (subject.user_id(), subject.group_id()))
}
