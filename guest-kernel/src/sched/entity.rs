//! What the scheduler keeps of a task.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use abi::event::TaskState;

use super::TaskId;
use super::account::Account;
use super::class::{Attributes, Class};
use crate::arch::context::SavedCpu;

/// What the task room wants to live as long as the task can run: the task
/// itself and its kernel stack. Dropped by whoever runs after the task's end.
pub type Payload = Box<dyn Any + Send>;

/// How a task sleeps: what else than what it waits for may wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// Nothing.
    Uninterruptible,
    /// A signal that kills it.
    Killable,
    /// Any signal.
    Interruptible,
    /// It is stopped: only SIGCONT or a kill.
    Stopped,
    /// It is stopped for its tracer: only that one, or a kill.
    Traced,
    /// As `Traced`, at its end, when it cannot be killed any more.
    TracedEnd,
}

impl Sleep {
    pub(super) fn state(self) -> TaskState {
        match self {
            Sleep::Uninterruptible | Sleep::Killable => TaskState::Uninterruptible,
            Sleep::Interruptible => TaskState::Interruptible,
            Sleep::Stopped | Sleep::Traced | Sleep::TracedEnd => TaskState::Stopped,
        }
    }
}

/// A task to be scheduled.
pub struct NewTask {
    /// Its number.
    pub id: TaskId,
    /// Where it starts.
    pub cpu: SavedCpu,
    /// True if it never runs in user mode.
    pub kernel: bool,
    /// True if it wants to know when others have run.
    pub notify: bool,
    /// What the task room finds again through the CPU while the task runs.
    pub pointer: *const (),
    /// What it has used and asked for.
    pub account: Arc<Account>,
    /// What must live as long.
    pub payload: Payload,
}

/// A task in the scheduler's eyes.
pub(super) struct Entity {
    pub cpu: SavedCpu,
    pub kernel: bool,
    pub pointer: *const (),
    /// `None` while it runs or waits to run.
    pub sleep: Option<Sleep>,
    /// Somebody woke it since it last began to wait.
    pub woken: bool,
    /// It wants to know when others have run.
    pub notify: bool,
    /// Others have run.
    pub switched: bool,
    /// A signal waits for it.
    pub signal: bool,
    /// It is to die.
    pub fatal: bool,
    /// Its CPU clock has reached an alarm.
    pub alarm: bool,
    /// What it has used.
    pub account: Arc<Account>,
    /// The account's, where the scheduler needs no other lock.
    pub attributes: Attributes,
    /// The real-time priority of somebody who waits for it; 0 if nobody does.
    pub boost: u8,
    /// What it has used for its weight, under a policy that weighs.
    pub runtime: u64,
    #[expect(dead_code, reason = "held only to be dropped with the entity")]
    pub payload: Option<Payload>,
}

impl Entity {
    pub(super) fn new(
        cpu: SavedCpu,
        kernel: bool,
        pointer: *const (),
        account: Arc<Account>,
        payload: Option<Payload>,
    ) -> Self {
        Entity {
            cpu,
            kernel,
            pointer,
            sleep: None,
            woken: false,
            notify: false,
            switched: false,
            signal: false,
            fatal: false,
            alarm: false,
            attributes: account.attributes(),
            account,
            boost: 0,
            runtime: 0,
            payload,
        }
    }

    /// The real-time priority at which it runs; 0 if none.
    pub(super) fn priority(&self) -> u8 {
        self.attributes.priority().max(self.boost)
    }

    /// True if ranks have to be looked at because of it.
    pub(super) fn is_unusual(&self) -> bool {
        self.priority() > 0 || self.attributes.class == Class::Idle
    }

    /// True if no slice ends its turn.
    pub(super) fn is_endless(&self) -> bool {
        match self.attributes.class {
            Class::Fifo(_) => true,
            Class::RoundRobin(_) => false,
            Class::Other | Class::Batch | Class::Idle => self.boost > 0,
        }
    }
}

// SAFETY: the pointer is only handed back; the task room answers for it.
unsafe impl Send for Entity {}
