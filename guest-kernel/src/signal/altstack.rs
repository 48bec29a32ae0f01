//! The alternate signal stack of a task.

use linux_raw_sys::general::{SS_AUTODISARM, SS_DISABLE, SS_ONSTACK};

use crate::errno::{Errno, Result};
use crate::mm::user::Plain;

/// The smallest stack that Linux takes.
const MINSIGSTKSZ: u64 = 2048;

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct StackT {
    /// `ss_sp`.
    pub base: u64,
    /// `ss_flags`.
    pub flags: u32,
    /// Padding.
    pub pad: u32,
    /// `ss_size`.
    pub size: u64,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for StackT {}

/// The stack on which handlers with SA_ONSTACK run; none if its size is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct AltStack {
    base: u64,
    size: u64,
    autodisarm: bool,
}

impl AltStack {
    /// True if a stack pointer lies on it.
    #[must_use]
    pub fn contains(&self, rsp: u64) -> bool {
        !self.autodisarm && self.covers(rsp)
    }

    /// As [`AltStack::contains`], whether or not it disarms itself.
    #[must_use]
    pub fn covers(&self, rsp: u64) -> bool {
        rsp > self.base && rsp - self.base <= self.size
    }

    /// Where a handler's stack starts, for code that runs at `rsp`: the
    /// stack's end, or `None` if there is no stack or the code is on it.
    #[must_use]
    pub fn top(&self, rsp: u64) -> Option<u64> {
        (self.size != 0 && !self.contains(rsp)).then(|| self.base.wrapping_add(self.size))
    }

    /// What the system call shows.
    #[must_use]
    pub fn show(&self, rsp: u64) -> StackT {
        let state = if self.size == 0 {
            SS_DISABLE
        } else if self.contains(rsp) {
            SS_ONSTACK
        } else {
            0
        };
        let autodisarm = if self.autodisarm { SS_AUTODISARM } else { 0 };
        StackT {
            base: self.base,
            flags: state | autodisarm,
            pad: 0,
            size: self.size,
        }
    }

    /// What the system call changes.
    ///
    /// # Errors
    /// EPERM on the stack itself, EINVAL for unknown flags, ENOMEM if it is
    /// too small.
    pub fn change(&mut self, new: &StackT, rsp: u64) -> Result<()> {
        if self.contains(rsp) {
            return Err(Errno::EPERM);
        }
        let autodisarm = new.flags & SS_AUTODISARM != 0;
        let changed = match new.flags & !SS_AUTODISARM {
            SS_DISABLE => AltStack {
                base: 0,
                size: 0,
                autodisarm,
            },
            0 | SS_ONSTACK => AltStack {
                base: new.base,
                size: new.size,
                autodisarm,
            },
            _ => return Err(Errno::EINVAL),
        };
        if changed.size < MINSIGSTKSZ && new.flags & SS_DISABLE == 0 {
            return Err(Errno::ENOMEM);
        }
        *self = changed;
        Ok(())
    }

    /// A handler has been given the stack: with SS_AUTODISARM nobody else is,
    /// until the handler returns.
    pub fn disarm(&mut self) {
        if self.autodisarm && !crate::mutant!("autodisarm-ignored") {
            *self = AltStack::default();
        }
    }
}
