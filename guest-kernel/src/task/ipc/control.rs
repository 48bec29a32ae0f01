//! What semctl does to a set, below the reading and writing of structures.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::permission::{ALTER, Owners, READ};
use super::registry::Object;
use super::semaphores::{Set, VALUE_MAX, seconds};
use super::{IpcNamespace, shown_group};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::task;

/// What IPC_STAT tells.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The key.
    pub key: i32,
    /// Whose it is.
    pub owners: Owners,
    /// How many semaphores it has.
    pub count: u64,
    /// When somebody last operated on it, in seconds since 1970.
    pub operated: u64,
    /// When semctl last changed it.
    pub changed: u64,
}

/// A number that semctl tells of one semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its value.
    Value,
    /// Who changed it last.
    Pid,
    /// How many wait for it to grow.
    WaitingToGrow,
    /// How many wait for it to become zero.
    WaitingForZero,
}

impl IpcNamespace {
    fn set(&self, id: i32, wanted: u32) -> Result<Arc<Set>> {
        let set = self.semaphores.lock().get(id)?;
        let me = task::current().credentials();
        set.permission().check(wanted, &me, self)?;
        Ok(set)
    }

    /// IPC_STAT.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`.
    pub fn semaphore_status(&self, id: i32) -> Result<Status> {
        self.set(id, READ).map(|set| set.status())
    }

    /// IPC_SET, with ids of the first user namespace.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn set_semaphore_owner(&self, id: i32, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let set = self.semaphores.lock().get(id)?;
        let me = task::current().credentials();
        set.permission().check_owner(&me, self)?;
        set.permission().set(uid, gid, mode);
        set.state.lock().changed = seconds();
        Ok(())
    }

    /// IPC_RMID.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn remove_semaphores(&self, id: i32) -> Result<()> {
        let set = self.semaphores.lock().get(id)?;
        let me = task::current().credentials();
        set.permission().check_owner(&me, self)?;
        let removed = self.semaphores.lock().remove(id);
        if let Some(set) = removed {
            set.close();
        }
        Ok(())
    }

    /// GETVAL, GETPID, GETNCNT, GETZCNT.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`.
    pub fn ask_semaphore(&self, id: i32, number: i32, question: Question) -> Result<u64> {
        frame::room()?;
        let set = self.set(id, READ)?;
        let mut state = set.state.lock();
        let at = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
        let semaphore = *state.semaphores.get(at).ok_or(Errno::EINVAL)?;
        Ok(match question {
            Question::Value => semaphore.value as u64,
            Question::Pid => {
                drop(state);
                shown_group(semaphore.pid).into()
            }
            Question::WaitingToGrow => state.count_waiting(at as u16, false),
            Question::WaitingForZero => state.count_waiting(at as u16, true),
        })
    }

    /// GETALL.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`, `ENOMEM`.
    pub fn semaphore_values(&self, id: i32) -> Result<Vec<u16>> {
        let set = self.set(id, READ)?;
        let state = set.state.lock();
        let mut values = Vec::new();
        let count = state.semaphores.len();
        values.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        values.extend(state.semaphores.iter().map(|one| one.value as u16));
        Ok(values)
    }

    /// How many semaphores SETALL has to bring.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`.
    pub fn semaphore_count(&self, id: i32) -> Result<usize> {
        Ok(self.set(id, ALTER)?.state.lock().semaphores.len())
    }

    /// SETALL.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`, `ERANGE`.
    pub fn set_semaphore_values(&self, id: i32, values: &[u16]) -> Result<()> {
        let set = self.set(id, ALTER)?;
        if values.iter().any(|&value| i32::from(value) > VALUE_MAX) {
            return Err(Errno::ERANGE);
        }
        set.change(|at| values.get(at).map(|&value| i32::from(value)));
        Ok(())
    }

    /// SETVAL.
    ///
    /// # Errors
    /// `ERANGE`, `EINVAL`, `EACCES`.
    pub fn set_semaphore(&self, id: i32, number: i32, value: i32) -> Result<()> {
        if !(0..=VALUE_MAX).contains(&value) {
            return Err(Errno::ERANGE);
        }
        let set = self.semaphores.lock().get(id)?;
        let count = set.state.lock().semaphores.len();
        let number = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
        if number >= count {
            return Err(Errno::EINVAL);
        }
        self.set(id, ALTER)?
            .change(|at| (at == number).then_some(value));
        Ok(())
    }
}

impl Set {
    /// What IPC_STAT tells.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state.lock();
        Status {
            key: self.permission().key(),
            owners: self.permission().owners(),
            count: state.semaphores.len() as u64,
            operated: state.operated,
            changed: state.changed,
        }
    }

    /// Sets values. What tasks would have taken back from them is forgotten.
    fn change(&self, value: impl Fn(usize) -> Option<i32>) {
        let pid = task::current().tgid().0;
        let mut state = self.state.lock();
        for at in 0..state.semaphores.len() {
            let Some(value) = value(at) else {
                continue;
            };
            state.semaphores[at].value = value;
            state.semaphores[at].pid = pid;
            for adjustments in state.undo.values_mut() {
                adjustments[at] = 0;
            }
        }
        state.changed = seconds();
        state.settle();
    }
}
