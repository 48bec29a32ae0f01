//! Numbers for tasks: one in the task's PID namespace and one in each above it.
//!
//! The number in the first namespace is the one that the kernel itself uses
//! everywhere; the others are what tasks of their namespace see.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::pid_namespace::{self, PidNamespace};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sched::{TaskId, WaitQueue};
use crate::sync::SpinLock;

/// A number below the first namespace.
struct Local {
    namespace: Arc<PidNamespace>,
    number: u32,
}

/// A task's numbers. They are in use for as long as somebody refers to them:
/// the task itself, and every group whose process group or session it names.
pub struct Pid {
    _counted: Counted,
    global: u32,
    /// In the second namespace, the third, and so on.
    locals: Vec<Local>,
    /// Who waits for the end of the task, if anybody ever asked.
    watch: SpinLock<Option<Arc<WaitQueue>>>,
}

impl Pid {
    /// The idle task's number, which was never free.
    pub(super) fn idle() -> Arc<Self> {
        if crate::mutant!("idle-takes-a-number")
            && let Ok(pid) = Pid::take(pid_namespace::first(), &[])
        {
            return pid;
        }
        Arc::new(Pid::bare(0))
    }

    fn bare(global: u32) -> Self {
        Pid {
            _counted: Counted::new(Type::Pid),
            global,
            locals: Vec::new(),
            watch: SpinLock::new(None),
        }
    }

    /// Takes a number in a namespace and in each above it: the next one, or
    /// the one that `wanted` names, which begins with the namespace's own.
    ///
    /// # Errors
    /// `EAGAIN` if none is free, `EEXIST` if a wanted one is taken, `EINVAL`
    /// for one that can be nobody's, `ENOMEM` if the namespace has ended.
    pub(super) fn take(namespace: &Arc<PidNamespace>, wanted: &[u32]) -> Result<Arc<Self>> {
        let depth = namespace.level() as usize;
        if wanted.len() > depth + 1 {
            return Err(Errno::EINVAL);
        }
        let wanted_at = |level: usize| {
            let kept = level == depth || !crate::mutant!("set-tid-inmost-only");
            wanted.get(depth - level).copied().filter(|_| kept)
        };
        let mut chain = Vec::new();
        let mut next = Some(namespace);
        while let Some(namespace) = next {
            if let Some(number) = wanted_at(namespace.level() as usize) {
                namespace.check(number)?;
            }
            chain.push(namespace.clone());
            next = namespace.parent();
        }
        let global = pid_namespace::first().take(wanted_at(0), None)?;
        // What has been taken goes back when this is dropped.
        let mut pid = Pid::bare(global);
        for namespace in chain.into_iter().rev().skip(1) {
            let number = namespace.take(wanted_at(namespace.level() as usize), Some(global))?;
            pid.locals.push(Local { namespace, number });
        }
        Ok(Arc::new(pid))
    }

    /// The number that the kernel uses.
    #[must_use]
    pub fn id(&self) -> TaskId {
        TaskId(self.global)
    }

    /// The namespace that it was taken in.
    #[must_use]
    pub fn namespace(&self) -> &Arc<PidNamespace> {
        match self.locals.last() {
            Some(local) => &local.namespace,
            None => pid_namespace::first(),
        }
    }

    /// The number in its own namespace.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.locals.last().map_or(self.global, |local| local.number)
    }

    /// The number that a namespace's tasks see; 0 if it is not visible there.
    #[must_use]
    pub fn number_in(&self, namespace: &Arc<PidNamespace>) -> u32 {
        let Some(index) = (namespace.level() as usize).checked_sub(1) else {
            return self.global;
        };
        let local = self.locals.get(index);
        let seen = local.filter(|local| Arc::ptr_eq(&local.namespace, namespace));
        if seen.is_none() && crate::mutant!("pid-unseen-is-global") {
            return self.global;
        }
        seen.map_or(0, |local| local.number)
    }

    /// The numbers from `namespace` down to its own, as `NSpid` shows them.
    pub fn numbers_from(&self, namespace: &Arc<PidNamespace>) -> impl Iterator<Item = u32> {
        let all = core::iter::once(self.global).chain(self.locals.iter().map(|local| local.number));
        all.skip(namespace.level() as usize)
    }

    /// The namespaces that it is visible in below the first.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &Arc<PidNamespace>> {
        self.locals.iter().map(|local| &local.namespace)
    }

    /// The queue that is woken when the task ends, and when it is gone.
    pub(super) fn watch(&self) -> Arc<WaitQueue> {
        let mut watch = self.watch.lock();
        watch
            .get_or_insert_with(|| Arc::new(WaitQueue::new()))
            .clone()
    }

    /// Wakes whoever watches.
    pub(super) fn notify(&self) {
        let watch = self.watch.lock().clone();
        if let Some(queue) = watch {
            queue.wake_all();
        }
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        for local in &self.locals {
            local.namespace.give_back(local.number);
        }
        if self.global != 0 {
            pid_namespace::first().give_back(self.global);
        }
    }
}
