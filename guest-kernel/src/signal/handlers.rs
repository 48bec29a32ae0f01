//! The table of handlers, which tasks share with CLONE_SIGHAND.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::number::{DefaultAction, SigSet, Signal};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::user::Plain;
use crate::sync::SpinLock;

/// `sa_handler`: the default action.
pub const SIG_DFL: u64 = 0;
/// `sa_handler`: nothing happens.
pub const SIG_IGN: u64 = 1;

/// The flags that this kernel knows; others are cleared, as on Linux.
const KNOWN_FLAGS: u64 = (linux::SA_NOCLDSTOP
    | linux::SA_NOCLDWAIT
    | linux::SA_SIGINFO
    | linux::SA_ONSTACK
    | linux::SA_RESTART
    | linux::SA_NODEFER
    | linux::SA_RESETHAND
    | linux::SA_RESTORER
    | linux::SA_EXPOSE_TAGBITS) as u64;

/// What a task wants done about a signal: `struct sigaction` of the system call.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SigAction {
    /// The handler's address, [`SIG_DFL`] or [`SIG_IGN`].
    pub handler: u64,
    /// SA_* flags.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// What is blocked besides while the handler runs.
    pub mask: SigSet,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for SigAction {}

impl SigAction {
    /// True if the flag is set.
    #[must_use]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & u64::from(flag) != 0
    }
}

/// The 64 entries.
#[derive(Clone)]
pub struct Actions([SigAction; Signal::MAX]);

impl Actions {
    /// The entry of a signal.
    #[must_use]
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0[signal.index()]
    }

    /// Changes an entry and returns the one before.
    ///
    /// # Errors
    /// EINVAL for SIGKILL and SIGSTOP.
    pub fn set(&mut self, signal: Signal, mut action: SigAction) -> Result<SigAction> {
        if SigSet::UNSTOPPABLE.has(signal) {
            return Err(Errno::EINVAL);
        }
        action.flags &= KNOWN_FLAGS;
        action.mask = action.mask.without(SigSet::UNSTOPPABLE);
        Ok(core::mem::replace(&mut self.0[signal.index()], action))
    }

    /// Back to the default.
    pub fn reset(&mut self, signal: Signal) {
        self.0[signal.index()].handler = SIG_DFL;
    }

    /// True if the signal would be thrown away on delivery.
    #[must_use]
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.get(signal).handler {
            SIG_IGN => true,
            SIG_DFL => matches!(
                signal.default_action(),
                DefaultAction::Ignore | DefaultAction::Continue
            ),
            _ => false,
        }
    }

    /// True if children leave no zombie: SIGCHLD is ignored, or SA_NOCLDWAIT.
    #[must_use]
    pub fn reaps_children(&self) -> bool {
        let action = self.get(Signal::SIGCHLD);
        let asked = action.handler == SIG_IGN || action.has(linux::SA_NOCLDWAIT);
        asked && !crate::mutant!("sigchld-ignored-zombie")
    }

    /// True if a child that stops or goes on sends no SIGCHLD.
    #[must_use]
    pub fn hides_stops(&self) -> bool {
        let action = self.get(Signal::SIGCHLD);
        let asked = action.has(linux::SA_NOCLDSTOP) && !crate::mutant!("nocldstop-ignored");
        action.handler == SIG_IGN || asked
    }

    /// A new program: caught signals go back to their default, ignored ones
    /// stay ignored; flags, masks and restorers are forgotten.
    pub fn exec(&mut self) {
        for action in &mut self.0 {
            let handler = if action.handler == SIG_IGN {
                SIG_IGN
            } else {
                SIG_DFL
            };
            *action = SigAction {
                handler,
                ..SigAction::default()
            };
        }
    }
}

/// A table of handlers.
pub struct SigHand(
    pub SpinLock<Actions>,
    #[expect(dead_code, reason = "it counts by being there")] Counted,
);

impl SigHand {
    /// A table with every signal at its default.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Actions([SigAction::default(); Signal::MAX]))
    }

    fn with(actions: Actions) -> Self {
        SigHand(SpinLock::new(actions), Counted::new(Type::Handlers))
    }

    /// A copy, for a task that does not share the table.
    #[must_use]
    pub fn copy(&self) -> Arc<Self> {
        let actions = self.0.lock().clone();
        Arc::new(Self::with(actions))
    }
}

impl Default for SigHand {
    fn default() -> Self {
        Self::new()
    }
}
