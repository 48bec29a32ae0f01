//! What files ask of the rooms above them: signals and the date.

use alloc::sync::Arc;

use super::inode::Inode;
use super::permission::Subject;
use crate::errno::Result;
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
    /// The session of a process group, if there is such a group.
    pub session_of: fn(group: i32) -> Option<i32>,
    /// The running task's session, and whether it leads it.
    pub own_session: fn() -> (i32, bool),
    /// Sends a signal to the running task's process group, unless it is the
    /// foreground one of the terminal's session.
    pub check_foreground: fn(session: i32, foreground: i32, signal: u32) -> Result<()>,
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

pub(super) fn session_of(group: i32) -> Option<i32> {
    (HOOKS.get()?.session_of)(group)
}

pub(super) fn own_session() -> (i32, bool) {
    HOOKS
        .get()
        .map_or((0, false), |hooks| (hooks.own_session)())
}

pub(super) fn check_foreground(session: i32, foreground: i32, signal: u32) -> Result<()> {
    HOOKS.get().map_or(Ok(()), |hooks| {
        (hooks.check_foreground)(session, foreground, signal)
    })
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

/// What happens to the mappings of a file that has got shorter.
pub static TRUNCATED: Once<fn(&Inode, u64)> = Once::new();

pub(super) fn truncated(inode: &Inode, len: u64) {
    if let Some(truncated) = TRUNCATED.get()
        && !crate::mutant!("truncate-leaves-mappings")
    {
        truncated(inode, len);
    }
}
