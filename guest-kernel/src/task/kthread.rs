//! Kernel threads. kthreadd makes them all, on request.

use alloc::collections::VecDeque;

use linux_raw_sys::general::{CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_UNTRACED, CLONE_VM};

use super::clone::{CloneArgs, clone};
use crate::errno::Result;
use crate::sched::{TaskId, WaitQueue, softirq};
use crate::sync::SpinLock;

/// What kernel threads share with the task that makes them.
pub const CLONE_KERNEL: u32 = CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

struct Request {
    name: &'static str,
    work: extern "C" fn(u64),
    argument: u64,
}

static REQUESTS: SpinLock<VecDeque<Request>> = SpinLock::new(VecDeque::new());
static QUEUE: WaitQueue = WaitQueue::new();

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

/// Asks kthreadd for a thread.
pub fn request(name: &'static str, work: extern "C" fn(u64), argument: u64) {
    REQUESTS.lock().push_back(Request {
        name,
        work,
        argument,
    });
    QUEUE.wake_one();
}

/// The life of kthreadd.
pub extern "C" fn kthreadd(_: u64) {
    loop {
        let request = QUEUE.wait(|| REQUESTS.lock().pop_front());
        let made = kernel_thread(request.name, request.work, request.argument, CLONE_KERNEL);
        if made.is_err() {
            // Without its workers the kernel cannot go on.
            panic!("no memory for the kthread {}", request.name);
        }
    }
}

/// The life of ksoftirqd.
pub extern "C" fn ksoftirqd(_: u64) {
    softirq::run()
}
