//! Who runs. This room knows tasks as ids only; what an id stands for is the
//! task room's business and comes back to it as an opaque payload.

mod account;
pub mod class;
mod entity;
mod fair;
mod mutex;
pub mod policy;
mod run;
pub mod slice;
pub mod softirq;
pub mod time;
pub mod timer;
mod wait;

pub use account::{Account, CpuClock, Usage};
pub use class::{Attributes, Class};
pub use entity::{NewTask, Sleep};
pub use mutex::{Mutex, MutexGuard};
use run::{account, alarm, arm_cpu_alarm};
pub use run::{
    add, bases_of, current, exit_current, fatal_pending, finish_switch, idle, init, pending_work,
    preempt, priority, rename, request_resched, reschedule, set_attributes, set_bases_of,
    set_boost, set_fpu, set_notify, set_root, set_signal, set_user_bases, signal_pending, state,
    stop_current, stop_for_tracer, take_alarm, take_switched, user_bases, wake, wake_stopped,
    wake_traced, wants_switch, with_fpu, with_fpu_of, yield_now,
};
pub use time::{Deadline, Time};
pub use wait::WaitQueue;

/// A task's number: its PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u32);

impl TaskId {
    /// The idle task.
    pub const IDLE: TaskId = TaskId(0);
}

impl From<TaskId> for u64 {
    fn from(id: TaskId) -> u64 {
        u64::from(id.0)
    }
}
