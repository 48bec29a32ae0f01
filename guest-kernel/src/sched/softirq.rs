//! Work that interrupts leave to ksoftirqd.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{WaitQueue, timer};
use crate::sync::Once;

/// The kinds of deferred work, in the order in which they are done.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Softirq {
    /// Timers have expired.
    Timer = 0,
    /// The console has received bytes.
    Console = 1,
}

static PENDING: AtomicU32 = AtomicU32::new(0);
static QUEUE: WaitQueue = WaitQueue::new();
static CONSOLE: Once<fn()> = Once::new();

/// Asks for work of this kind. From interrupt handlers too.
pub fn raise(kind: Softirq) {
    let before = PENDING.fetch_or(1 << kind as u32, Ordering::Release);
    if before & 1 << kind as u32 == 0 {
        QUEUE.wake_one();
    }
}

/// True if work of this kind was asked for and not begun.
pub(super) fn is_raised(kind: Softirq) -> bool {
    PENDING.load(Ordering::Acquire) & 1 << kind as u32 != 0
}

/// Sets what is done when the console has received bytes.
pub fn on_console(work: fn()) {
    CONSOLE.set(work);
}

/// The life of ksoftirqd: it sleeps, wakes and works.
pub fn run() -> ! {
    loop {
        let pending = QUEUE.wait(|| match PENDING.swap(0, Ordering::Acquire) {
            0 => None,
            pending => Some(pending),
        });
        if pending & 1 << Softirq::Timer as u32 != 0 {
            timer::run_expired();
        }
        if pending & 1 << Softirq::Console as u32 != 0
            && let Some(work) = CONSOLE.get()
        {
            work();
        }
    }
}
