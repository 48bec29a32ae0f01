//! Signals: numbers and sets, what comes with a signal, the table of handlers,
//! pending sets, the choice of the next signal, and the frame on the user's
//! stack in which a handler runs.
//!
//! This room knows a task only as an id; who sends to whom, and what becomes
//! of the task that a signal ends or stops, is decided by the task room.
//!
//! Locks are taken in the order handlers, group, task.

mod altstack;
mod fpu_frame;
mod frame;
mod handlers;
mod info;
mod number;
mod pending;
mod pick;
mod quota;
mod restart;
mod state;

pub use altstack::StackT;
pub use frame::{enter_handler, leave_handler};
pub use handlers::{SIG_DFL, SIG_IGN, SigAction, SigHand};
pub use info::{Fields, SigInfo, code};
pub use number::{DefaultAction, SigSet, Signal};
pub use pick::{Delivery, decide, take};
pub use quota::{Account, queued};
pub use restart::{Restart, for_handler, without_handler};
pub use state::{GroupSignals, TaskSignals};
