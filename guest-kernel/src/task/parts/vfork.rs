//! What a parent waits for after CLONE_VFORK.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use super::Making;
use crate::count::{Counted, Type};
use crate::errno::Result;
use crate::mm::frame;
use crate::sched::WaitQueue;

/// What a parent waits for after CLONE_VFORK.
pub(in crate::task) struct Vfork {
    _counted: Counted,
    done: AtomicBool,
    queue: WaitQueue,
}

impl Vfork {
    fn new() -> Self {
        Vfork {
            _counted: Counted::new(Type::Vfork),
            done: AtomicBool::new(false),
            queue: WaitQueue::new(),
        }
    }

    /// The child has left the memory.
    pub(in crate::task) fn complete(&self) {
        self.done.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// Waits for that.
    pub(in crate::task) fn wait(&self) {
        let done = || self.done.load(Ordering::Acquire).then_some(());
        // A parent that is killed does not wait any longer.
        let _ = self.queue.wait_killable(done);
    }
}

pub(super) fn let_parent_wait(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    if crate::mutant!("vfork-does-not-wait") {
        return Ok(());
    }
    making.draft.vfork = Some(Arc::new(Vfork::new()));
    Ok(())
}
