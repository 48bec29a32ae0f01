//! PID namespaces: sets of task numbers, each inside the one that it was made
//! from. A task has a number in its own namespace and in all above it.
//!
//! Number 1 is a namespace's init: it gets the orphans, nobody in the
//! namespace can send it a signal that it has no handler for, and when it ends
//! all others are killed and no task can be made any more.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::tree::{INIT, TREE};
use super::user_namespace::UserNamespace;
use super::{Task, current, namespaces, signal, wait};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::signal::{SIG_IGN, SigAction, SigInfo, Signal};
use crate::sync::{Once, SpinLock};

/// Numbers are below this; then they start again at [`FIRST_AGAIN`].
pub const MAX: u32 = 32768;
/// Low numbers belong to the tasks of boot.
const FIRST_AGAIN: u32 = 300;
/// How deep namespaces may lie in each other.
const LEVELS: u32 = 32;

/// The number under which /proc shows the first namespace.
const FIRST_NUMBER: u64 = 0xEFFF_FFFC;

struct Numbers {
    /// The numbers in use, each with the kernel's number of the same task.
    taken: BTreeMap<u32, u32>,
    last: u32,
    /// The kernel's number of the group whose leader has number 1.
    init: Option<u32>,
    /// Its init has ended.
    ended: bool,
}

/// A set of task numbers.
pub struct PidNamespace {
    _counted: Counted,
    parent: Option<Arc<PidNamespace>>,
    level: u32,
    number: u64,
    /// Whose root rules it.
    user: Arc<UserNamespace>,
    numbers: SpinLock<Numbers>,
}

/// The namespace of boot, which all others lie in.
pub fn first() -> &'static Arc<PidNamespace> {
    static FIRST: Once<Arc<PidNamespace>> = Once::new();
    if FIRST.get().is_none() {
        // Boot comes here before there is a second task.
        let namespace = PidNamespace::with(None, FIRST_NUMBER, UserNamespace::first());
        namespace.numbers.lock().init = Some(INIT);
        FIRST.set(Arc::new(namespace));
    }
    FIRST.get().expect("it was set above")
}

/// The namespace of the running task.
#[must_use]
pub fn own() -> Arc<PidNamespace> {
    current().pid().namespace().clone()
}

impl PidNamespace {
    fn with(parent: Option<Arc<PidNamespace>>, number: u64, user: Arc<UserNamespace>) -> Self {
        PidNamespace {
            _counted: Counted::new(Type::PidNamespace),
            level: parent.as_ref().map_or(0, |parent| parent.level + 1),
            parent,
            number,
            user,
            numbers: SpinLock::new(Numbers {
                taken: BTreeMap::new(),
                last: 0,
                init: None,
                ended: false,
            }),
        }
    }

    /// A namespace inside another one.
    ///
    /// # Errors
    /// `ENOSPC` if that is too deep, `ENOMEM`.
    pub fn inside(parent: &Arc<PidNamespace>, user: Arc<UserNamespace>) -> Result<Arc<Self>> {
        frame::room()?;
        if parent.level >= LEVELS {
            return Err(Errno::ENOSPC);
        }
        let number = namespaces::next_number();
        Ok(Arc::new(Self::with(Some(parent.clone()), number, user)))
    }

    /// How deep it lies; the first one's level is 0.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// The one that it lies in.
    #[must_use]
    pub fn parent(&self) -> Option<&Arc<PidNamespace>> {
        self.parent.as_ref()
    }

    /// Its own number, under which /proc shows it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The user namespace whose root rules it.
    #[must_use]
    pub fn user(&self) -> &Arc<UserNamespace> {
        &self.user
    }

    /// True if it is `other` or lies in it.
    #[must_use]
    pub fn is_within(self: &Arc<Self>, other: &Arc<PidNamespace>) -> bool {
        let mut at = Some(self);
        while let Some(namespace) = at {
            if Arc::ptr_eq(namespace, other) {
                return true;
            }
            at = namespace.parent.as_ref();
        }
        false
    }

    /// The kernel's number of the task that has this number here.
    #[must_use]
    pub fn find(&self, number: u32) -> Option<u32> {
        let found = self.numbers.lock().taken.get(&number).copied();
        if found.is_none() && self.level > 0 && crate::mutant!("pid-namespace-leaks") {
            return first().find(number);
        }
        found
    }

    /// The kernel's number of its init, while it lives.
    #[must_use]
    pub fn init(&self) -> Option<u32> {
        let numbers = self.numbers.lock();
        numbers.init.filter(|_| !numbers.ended)
    }

    /// True if it has, or had, an init.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.numbers.lock().init.is_some()
    }

    /// True if its init has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.numbers.lock().ended
    }

    /// Whether somebody may choose this number.
    pub(super) fn check(&self, number: u32) -> Result<()> {
        self.numbers.lock().exactly(number).map(drop)
    }

    /// Takes a number; `global` is the kernel's for the same task, which in
    /// the first namespace is the number itself.
    pub(super) fn take(&self, wanted: Option<u32>, global: Option<u32>) -> Result<u32> {
        let mut numbers = self.numbers.lock();
        let number = match wanted {
            None => numbers.next()?,
            Some(number) => numbers.exactly(number)?,
        };
        if numbers.ended {
            return Err(Errno::ENOMEM);
        }
        if wanted.is_none() {
            numbers.last = number;
        }
        numbers.taken.insert(number, global.unwrap_or(number));
        Ok(number)
    }

    pub(super) fn give_back(&self, number: u32) {
        let mut numbers = self.numbers.lock();
        numbers.taken.remove(&number);
        if numbers.init.is_none() {
            // Its first task was not made after all: the next one is the first.
            numbers.last = 0;
        }
    }

    /// A task with number 1 has been made.
    pub(super) fn set_init(&self, global: u32) {
        self.numbers.lock().init = Some(global);
    }
}

impl Numbers {
    fn next(&self) -> Result<u32> {
        let after = self.last + 1;
        let mut candidates = (after..MAX).chain(FIRST_AGAIN..after.max(FIRST_AGAIN));
        let free = |number: &u32| !self.taken.contains_key(number);
        candidates.find(free).ok_or(Errno::EAGAIN)
    }

    fn exactly(&self, number: u32) -> Result<u32> {
        if !(1..MAX).contains(&number) || number != 1 && self.init.is_none() {
            return Err(Errno::EINVAL);
        }
        if self.taken.contains_key(&number) {
            return Err(Errno::EEXIST);
        }
        Ok(number)
    }
}

/// The last task of a namespace's init is about to end: all others are killed
/// and waited for, and no task can be made in it any more.
pub(super) fn end(task: &Arc<Task>) {
    let namespace = task.pid().namespace().clone();
    if namespace.level == 0 {
        return;
    }
    namespace.numbers.lock().ended = true;
    ignore_children(task);
    if crate::mutant!("newpid-init-spares") {
        return;
    }
    let kill = SigInfo::kernel(Signal::SIGKILL);
    for other in others(&namespace, task) {
        signal::send(&other, true, kill);
    }
    task.group().children.wait(|| {
        wait::reap_all(task);
        others(&namespace, task).is_empty().then_some(())
    });
}

/// From here on no child of the task's group leaves a zombie.
fn ignore_children(task: &Task) {
    let sighand = task.sighand();
    let action = SigAction {
        handler: SIG_IGN,
        ..SigAction::default()
    };
    // Only SIGKILL and SIGSTOP refuse an action.
    let _ = sighand.0.lock().set(Signal::SIGCHLD, action);
}

/// The leaders of the groups that a namespace has beside the task's own.
fn others(namespace: &Arc<PidNamespace>, task: &Task) -> Vec<Arc<Task>> {
    let tree = TREE.lock();
    let leaders = tree.groups().map(|node| node.group.id().0);
    leaders
        .filter(|&tgid| tgid != task.tgid().0)
        .filter_map(|tgid| tree.task(tgid))
        .filter(|leader| leader.pid().number_in(namespace) != 0)
        .collect()
}

/// A task is gone for good: an init that waits for its namespace to be empty
/// looks again.
pub(super) fn left(task: &Task) {
    let pid = task.pid();
    for namespace in pid.namespaces().filter(|namespace| namespace.has_ended()) {
        let init = namespace.numbers.lock().init;
        let group = init.and_then(|init| Some(TREE.lock().node(init)?.group.clone()));
        if let Some(group) = group {
            group.children.wake_all();
        }
    }
    pid.notify();
}

/// A task is about to enter the tree: number 1 is its namespace's init.
pub(super) fn entered(task: &Task) {
    let pid = task.pid();
    if pid.number() == 1 && task.is_leader() {
        task.group().set_init();
        pid.namespace().set_init(pid.id().0);
    }
}
