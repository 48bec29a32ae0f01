//! Semaphore sets. A call's operations happen all or not at all. Who has to
//! wait leaves its operations with the set: whoever changes a value does them
//! for it, in the order of arrival, so nobody overtakes a sleeper.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::IpcNamespace;
use super::permission::{ALTER, Permission, READ};
use super::registry::{IPC_NOWAIT, Object};
use super::undo::UndoList;
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sched::{Time, WaitQueue};
use crate::sync::SpinLock;
use crate::task;
use crate::task::credentials::Credentials;

/// The highest value.
pub const VALUE_MAX: i32 = 32767;
/// The most sets.
pub const SETS_MAX: u32 = 32000;
/// The most semaphores of one set.
pub const SET_MAX: usize = 32000;
/// The most operations of one call.
pub const OPERATIONS_MAX: usize = 500;
/// The flag of an operation that is taken back at the task's end.
pub const SEM_UNDO: u32 = 0x1000;

/// `struct sembuf`.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which semaphore.
    pub number: u16,
    /// What is added; 0 waits for zero.
    pub add: i16,
    /// `IPC_NOWAIT`, `SEM_UNDO`.
    pub flags: u16,
}

impl Operation {
    fn has(self, flag: u32) -> bool {
        u32::from(self.flags) & flag != 0
    }
}

/// One semaphore.
#[derive(Clone, Copy, Default)]
pub(super) struct Semaphore {
    pub value: i32,
    /// The group that last changed or tested it.
    pub pid: u32,
}

pub(super) struct State {
    pub semaphores: Vec<Semaphore>,
    pub waiting: VecDeque<Arc<Waiting>>,
    /// What each undo list takes back, by its number.
    pub undo: BTreeMap<u64, Vec<i16>>,
    pub removed: bool,
    /// Seconds since 1970: the last operation, the last change by semctl.
    pub operated: u64,
    pub changed: u64,
}

/// A semaphore set.
pub struct Set {
    permission: Permission,
    pub(super) state: SpinLock<State>,
}

/// A call that waits.
pub(super) struct Waiting {
    operations: Vec<Operation>,
    undo: Option<u64>,
    pid: u32,
    result: SpinLock<Option<Result<()>>>,
    queue: WaitQueue,
}

impl Object for Set {
    fn permission(&self) -> &Permission {
        &self.permission
    }
}

/// What becomes of operations.
enum Outcome {
    Done,
    /// The operation at this place has to wait.
    Waits(usize),
}

pub(super) fn seconds() -> u64 {
    Time::now().real() / 1_000_000_000
}

impl State {
    /// Does all operations or none.
    fn perform(
        &mut self,
        operations: &[Operation],
        undo: Option<u64>,
        pid: u32,
    ) -> Result<Outcome> {
        for (waits, operation) in operations.iter().enumerate() {
            let outcome = self.perform_one(*operation, undo);
            if !matches!(outcome, Ok(true)) {
                let done = if crate::mutant!("semaphores-half-done") {
                    0
                } else {
                    waits
                };
                for operation in operations[..done].iter().rev() {
                    self.take_back(*operation, undo);
                }
                return outcome.map(|_| Outcome::Waits(waits));
            }
        }
        for operation in operations {
            self.semaphores[usize::from(operation.number)].pid = pid;
        }
        self.operated = seconds();
        Ok(Outcome::Done)
    }

    /// False if it has to wait.
    fn perform_one(&mut self, operation: Operation, undo: Option<u64>) -> Result<bool> {
        let number = usize::from(operation.number);
        let value = self.semaphores[number].value;
        let add = i32::from(operation.add);
        if add == 0 && value != 0 || value + add < 0 {
            return Ok(false);
        }
        if value + add > VALUE_MAX {
            return Err(Errno::ERANGE);
        }
        if operation.has(SEM_UNDO)
            && let Some(adjustments) = undo.and_then(|undo| self.undo.get_mut(&undo))
        {
            let adjustment = i32::from(adjustments[number]) - add;
            adjustments[number] = i16::try_from(adjustment).map_err(|_| Errno::ERANGE)?;
        }
        self.semaphores[number].value = value + add;
        Ok(true)
    }

    fn take_back(&mut self, operation: Operation, undo: Option<u64>) {
        let number = usize::from(operation.number);
        self.semaphores[number].value -= i32::from(operation.add);
        if operation.has(SEM_UNDO)
            && let Some(adjustments) = undo.and_then(|undo| self.undo.get_mut(&undo))
        {
            adjustments[number] = adjustments[number].wrapping_add(operation.add);
        }
    }

    /// Values have changed: does what waits and can be done now. Each that
    /// changes something itself lets all be looked at again.
    pub(super) fn settle(&mut self) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at).cloned() {
            let outcome = self.perform(&waiting.operations, waiting.undo, waiting.pid);
            let result = match outcome {
                Ok(Outcome::Waits(_)) => {
                    at += 1;
                    continue;
                }
                Ok(Outcome::Done) => Ok(()),
                Err(error) => Err(error),
            };
            self.waiting.remove(at);
            let alters = waiting
                .operations
                .iter()
                .any(|operation| operation.add != 0);
            if result.is_ok() && alters {
                at = 0;
            }
            waiting.finish(result);
        }
    }

    /// How many calls wait for a semaphore to grow, or to become zero: each
    /// waits at the first operation that it cannot do.
    pub(super) fn count_waiting(&mut self, number: u16, for_zero: bool) -> u64 {
        let all: Vec<Arc<Waiting>> = self.waiting.iter().cloned().collect();
        let mut count = 0;
        for waiting in all {
            let outcome = self.perform(&waiting.operations, waiting.undo, waiting.pid);
            if let Ok(Outcome::Waits(at)) = outcome {
                let operation = waiting.operations[at];
                count += u64::from(operation.number == number && (operation.add == 0) == for_zero);
            }
        }
        count
    }
}

impl Waiting {
    fn finish(&self, result: Result<()>) {
        *self.result.lock() = Some(result);
        if !crate::mutant!("semaphore-skips-wake") {
            self.queue.wake_all();
        }
    }
}

impl Set {
    fn new(permission: Permission, count: usize) -> Result<Self> {
        let mut semaphores = Vec::new();
        semaphores
            .try_reserve_exact(count)
            .map_err(|_| Errno::ENOMEM)?;
        semaphores.resize(count, Semaphore::default());
        Ok(Set {
            permission,
            state: SpinLock::new(State {
                semaphores,
                waiting: VecDeque::new(),
                undo: BTreeMap::new(),
                removed: false,
                operated: 0,
                changed: seconds(),
            }),
        })
    }

    /// The set is gone: everybody who waits hears so.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.state.lock();
            state.removed = true;
            state.undo.clear();
            core::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            waiting.finish(Err(Errno::EIDRM));
        }
    }

    /// Adds what a task's end takes back, and forgets it.
    pub(super) fn undo(&self, list: u64, pid: u32) {
        let mut state = self.state.lock();
        let Some(adjustments) = state.undo.remove(&list) else {
            return;
        };
        if crate::mutant!("undo-forgotten") {
            return;
        }
        for (semaphore, adjustment) in state.semaphores.iter_mut().zip(adjustments) {
            if adjustment != 0 {
                let value = semaphore.value + i32::from(adjustment);
                semaphore.value = value.clamp(0, VALUE_MAX);
                semaphore.pid = pid;
            }
        }
        state.settle();
    }
}

/// `semget`.
///
/// # Errors
/// `EINVAL`, `EACCES`, `EEXIST`, `ENOENT`, `ENOSPC`, `ENOMEM`.
pub fn get(namespace: &IpcNamespace, key: i32, count: i32, flags: u32) -> Result<i32> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if count > SET_MAX {
        return Err(Errno::EINVAL);
    }
    let me = task::current().credentials();
    if let Some((id, set)) = namespace.semaphores.lock().find(key, flags)? {
        if count > set.state.lock().semaphores.len() {
            return Err(Errno::EINVAL);
        }
        set.permission.check(flags, &me, namespace)?;
        return Ok(id);
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let set = Arc::new(Set::new(Permission::new(key, flags, &me), count)?);
    namespace.semaphores.lock().enter(set, SETS_MAX)
}

/// `semtimedop`: does the operations, asleep until they can be done.
///
/// # Errors
/// `EINVAL`, `EFBIG`, `EACCES`, `EAGAIN` also at the deadline, `ERANGE`,
/// `EIDRM` if the set is removed meanwhile, `EINTR`, `ENOMEM`.
pub fn operate(
    namespace: &IpcNamespace,
    id: i32,
    operations: Vec<Operation>,
    deadline: Option<Time>,
) -> Result<()> {
    frame::room()?;
    let set = namespace.semaphores.lock().get(id)?;
    let me = task::current();
    let credentials: Arc<Credentials> = me.credentials();
    let highest = operations.iter().map(|operation| operation.number).max();
    if usize::from(highest.unwrap_or(0)) >= set.state.lock().semaphores.len() {
        return Err(Errno::EFBIG);
    }
    let alters = operations.iter().any(|operation| operation.add != 0);
    let wanted = if alters { ALTER } else { READ };
    set.permission.check(wanted, &credentials, namespace)?;
    let undoes = operations.iter().any(|operation| operation.has(SEM_UNDO));
    let undo = undoes.then(|| UndoList::of(&me)?.join(&set)).transpose()?;
    let pid = me.tgid().0;
    let waiting = {
        let mut state = set.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        match state.perform(&operations, undo, pid)? {
            Outcome::Done => {
                if alters {
                    state.settle();
                }
                return Ok(());
            }
            Outcome::Waits(at) if operations[at].has(IPC_NOWAIT) => return Err(Errno::EAGAIN),
            Outcome::Waits(_) => {}
        }
        let waiting = Arc::new(Waiting {
            operations,
            undo,
            pid,
            result: SpinLock::new(None),
            queue: WaitQueue::new(),
        });
        state.waiting.push_back(waiting.clone());
        waiting
    };
    wait(&set, &waiting, deadline)
}

/// Sleeps until somebody has done the operations.
fn wait(set: &Set, waiting: &Arc<Waiting>, deadline: Option<Time>) -> Result<()> {
    let result = || *waiting.result.lock();
    let slept = waiting.queue.wait_interruptible(deadline, result);
    if let Ok(Some(result)) = slept {
        return result;
    }
    let mut state = set.state.lock();
    // Somebody may have done them just now.
    if let Some(result) = result() {
        return result;
    }
    state.waiting.retain(|other| !Arc::ptr_eq(other, waiting));
    Err(match slept {
        Ok(_) => Errno::EAGAIN,
        Err(_) => Errno::EINTR,
    })
}
