//! Numbers for tasks: each the next free one after the last, as on Linux.

use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sched::TaskId;
use crate::sync::SpinLock;

/// Numbers are below this; then they start again at [`FIRST_AGAIN`].
const MAX: u32 = 32768;
/// Low numbers belong to the tasks of boot.
const FIRST_AGAIN: u32 = 300;

struct Numbers {
    used: [u64; MAX as usize / 64],
    last: u32,
}

static NUMBERS: SpinLock<Numbers> = SpinLock::new(Numbers {
    used: [0; MAX as usize / 64],
    last: 0,
});

/// A number in use; dropping it frees it.
#[derive(Debug)]
pub(super) struct Pid(
    u32,
    #[expect(dead_code, reason = "it counts by being there")] Counted,
);

impl Pid {
    /// The idle task's number, which was never free.
    pub(super) fn idle() -> Self {
        Pid(0, Counted::new(Type::Pid))
    }

    /// Takes the next number.
    ///
    /// # Errors
    /// `EAGAIN` if none is free.
    pub(super) fn take() -> Result<Self> {
        let mut numbers = NUMBERS.lock();
        let after = numbers.last + 1;
        let mut candidates = (after..MAX).chain(FIRST_AGAIN..after.max(FIRST_AGAIN));
        let free = |pid: &u32| numbers.used[*pid as usize / 64] >> (pid % 64) & 1 == 0;
        let pid = candidates.find(free).ok_or(Errno::EAGAIN)?;
        numbers.used[pid as usize / 64] |= 1 << (pid % 64);
        numbers.last = pid;
        Ok(Pid(pid, Counted::new(Type::Pid)))
    }

    pub(super) fn id(&self) -> TaskId {
        TaskId(self.0)
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        if self.0 != 0 {
            NUMBERS.lock().used[self.0 as usize / 64] &= !(1 << (self.0 % 64));
        }
    }
}
