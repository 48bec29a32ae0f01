//! Kernel threads. kthreadd makes them all, on request.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general::{CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_UNTRACED, CLONE_VM};

use super::clone::{CloneArgs, clone};
use super::exit;
use crate::errno::Result;
use crate::mm::frame;
use crate::sched::{TaskId, Time, WaitQueue, softirq};
use crate::sync::SpinLock;

/// What kernel threads share with the task that makes them.
pub const CLONE_KERNEL: u32 = CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

/// What a kernel thread does, from its first moment to its last; what it gives
/// is for who stops it.
pub type Work = fn(&Kthread) -> i32;

/// How a kernel thread and those who asked for it speak to each other.
pub struct Kthread {
    name: &'static str,
    work: Work,
    /// The kernel cannot go on without it.
    needed: bool,
    /// `Some` once kthreadd has made the task, or could not.
    made: SpinLock<Option<Result<TaskId>>>,
    stop: AtomicBool,
    /// What the work gave, once it is over.
    result: SpinLock<Option<i32>>,
    /// Where the thread sleeps while it has nothing to do.
    idle: WaitQueue,
    /// Who waits for the thread to begin or to end.
    waiters: WaitQueue,
}

static REQUESTS: SpinLock<VecDeque<Arc<Kthread>>> = SpinLock::new(VecDeque::new());
static QUEUE: WaitQueue = WaitQueue::new();

impl Kthread {
    fn new(name: &'static str, work: Work, needed: bool) -> Arc<Self> {
        Arc::new(Kthread {
            name,
            work,
            needed,
            made: SpinLock::new(None),
            stop: AtomicBool::new(false),
            result: SpinLock::new(None),
            idle: WaitQueue::new(),
            waiters: WaitQueue::new(),
        })
    }

    /// Asked by the thread itself: is it to end?
    #[must_use]
    pub fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The thread sleeps until `cond` gives a value, or until `deadline`, or
    /// until it is to end: `None` then. `also` is where `cond` is told of.
    pub fn sleep<T>(
        &self,
        also: &WaitQueue,
        deadline: Option<Time>,
        mut cond: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let end = || match self.should_stop() {
            true => Some(None),
            false => cond().map(Some),
        };
        // No signal reaches a kernel thread, so only the deadline cuts it short.
        let got = WaitQueue::wait_many(&[&self.idle, also], deadline, end);
        got.ok().flatten().flatten()
    }
}

/// Clones the running kernel task into one that does `work(argument)`.
///
/// # Errors
/// Those of clone.
pub fn kernel_thread(
    name: &'static str,
    work: extern "C" fn(u64),
    argument: u64,
    flags: u32,
) -> Result<TaskId> {
    clone(&CloneArgs {
        flags: u64::from(flags | CLONE_VM | CLONE_UNTRACED),
        kernel: Some((work, argument)),
        name: Some(name),
        ..CloneArgs::default()
    })
    .map(|pid| pid.id())
}

/// Asks kthreadd for a kernel thread, and does not wait for it. For boot: the
/// kernel cannot go on without such a thread, and panics if there is no memory.
pub fn request(name: &'static str, work: Work) -> Arc<Kthread> {
    ask(Kthread::new(name, work, true))
}

fn ask(kthread: Arc<Kthread>) -> Arc<Kthread> {
    REQUESTS.lock().push_back(kthread.clone());
    QUEUE.wake_one();
    kthread
}

/// Asks kthreadd for a kernel thread, and waits until it is there.
///
/// # Errors
/// `ENOMEM`, or what else clone gives.
pub fn create(name: &'static str, work: Work) -> Result<Arc<Kthread>> {
    frame::room()?;
    if crate::mutant!("kthread-made-by-its-user") {
        let kthread = Kthread::new(name, work, false);
        make(&kthread)?;
        return Ok(kthread);
    }
    let kthread = ask(Kthread::new(name, work, false));
    kthread.waiters.wait(|| *kthread.made.lock())?;
    Ok(kthread)
}

/// Has a kernel thread end, waits until it has, and gives what its work gave.
pub fn stop(kthread: &Kthread) -> i32 {
    if crate::mutant!("kthread-stop-asks-nobody") {
        return 0;
    }
    kthread.stop.store(true, Ordering::Release);
    kthread.idle.wake_all();
    kthread.waiters.wait(|| *kthread.result.lock())
}

/// The life of kthreadd.
pub extern "C" fn kthreadd(_: u64) {
    loop {
        let kthread = QUEUE.wait(|| REQUESTS.lock().pop_front());
        let made = make(&kthread);
        if kthread.needed && made.is_err() {
            panic!("no memory for the kthread {}", kthread.name);
        }
        *kthread.made.lock() = Some(made);
        kthread.waiters.wake_all();
    }
}

fn make(kthread: &Arc<Kthread>) -> Result<TaskId> {
    let argument = Arc::into_raw(kthread.clone());
    let flags = match crate::mutant!("kthread-without-clone-kernel") {
        true => 0,
        false => CLONE_KERNEL,
    };
    let made = kernel_thread(kthread.name, begin, argument as u64, flags);
    if made.is_err() {
        // SAFETY: the task that would have taken the reference was not made.
        drop(unsafe { Arc::from_raw(argument) });
    }
    made
}

/// The first and the last thing that a kernel thread does.
extern "C" fn begin(kthread: u64) {
    {
        // SAFETY: `make` gave a reference to this task and to nobody else.
        let kthread = unsafe { Arc::from_raw(kthread as *const Kthread) };
        let result = (kthread.work)(&kthread);
        *kthread.result.lock() = Some(result);
        kthread.waiters.wake_all();
    }
    exit::exit(exit::exited(0))
}

/// The life of ksoftirqd.
pub fn ksoftirqd(_: &Kthread) -> i32 {
    softirq::run()
}
