//! What a task takes back at its end: the sum of its operations with SEM_UNDO.
//! CLONE_SYSVSEM shares the list; the last task that leaves it takes back.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::semaphores::Set;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sync::SpinLock;
use crate::task::Task;

/// The sets that some tasks have something to take back in.
pub struct UndoList {
    number: u64,
    sets: SpinLock<Vec<Weak<Set>>>,
    _counted: Counted,
}

impl UndoList {
    fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(UndoList {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            sets: SpinLock::new(Vec::new()),
            _counted: Counted::new(Type::UndoList),
        })
    }

    /// A task's list, which it gets when it first needs one.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn of(task: &Task) -> Result<Arc<Self>> {
        frame::room()?;
        let mut context = task.context.lock();
        Ok(context.undo.get_or_insert_with(UndoList::new).clone())
    }

    /// Makes room for what is to be taken back in a set; gives the number
    /// under which the set knows it.
    ///
    /// # Errors
    /// `ENOMEM`; `EIDRM` if the set is gone.
    pub(super) fn join(&self, set: &Arc<Set>) -> Result<u64> {
        let mut state = set.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        if state.undo.contains_key(&self.number) {
            return Ok(self.number);
        }
        let count = state.semaphores.len();
        let mut adjustments = Vec::new();
        adjustments
            .try_reserve_exact(count)
            .map_err(|_| Errno::ENOMEM)?;
        adjustments.resize(count, 0);
        let mut sets = self.sets.lock();
        sets.retain(|set| set.strong_count() > 0);
        sets.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        sets.push(Arc::downgrade(set));
        state.undo.insert(self.number, adjustments);
        Ok(self.number)
    }
}

/// A task leaves its undo list, because it ends or unshares it.
pub fn leave(task: &Task) {
    let list = task.context.lock().undo.take();
    let Some(last) = list.and_then(Arc::into_inner) else {
        return;
    };
    let pid = task.tgid().0;
    let sets = core::mem::take(&mut *last.sets.lock());
    for set in sets.iter().filter_map(Weak::upgrade) {
        set.undo(last.number, pid);
    }
}
