//! What handlers find around them besides the CPU.

use core::ptr;

use machine::cpu::{CodeCache, Cx, Halt};

use crate::flags::Flags;
use crate::jumps::Jumps;
use crate::memory::Bank;
use crate::op::{Link, Meta, Op, Packed, SHIFT};
use crate::pieces::Pieces;

/// The longest stay among the operations, in cycles: the budget has room for no more.
const LONGEST: u64 = 1 << (SHIFT - 1);

/// What handlers find around them besides the CPU. It lives for one stay among the operations.
pub(crate) struct Env<'a> {
    /// The CPU and all that it can reach; the stay has it for itself.
    pub(crate) cx: *mut Cx<'a>,
    /// The direct ways to memory that the running code may use.
    pub(crate) bank: Bank,
    /// Everything about operations that fast handlers do not ask for.
    pub(crate) metas: &'a Pieces<Meta>,
    /// Where indirect jumps have led.
    pub(crate) jumps: &'a Jumps,
    /// The epoch of the code and the rights of the CPU, as [`tag`] says.
    pub(crate) tag: u64,
    /// The cycle up to which the budget reaches.
    pub(crate) limit: u64,
    /// The reference interpreter's decoded instructions.
    pub(crate) code: &'a mut CodeCache,
    /// The link that was to be followed, to be filled by who knows where it leads.
    pub(crate) link: *const Link,
    /// Why the CPU cannot go on.
    pub(crate) halt: Option<Halt>,
    /// The CPU stands where runs are to stop.
    pub(crate) stopped: bool,
    /// Where the loop goes on; null if it is left. Only for the dispatcher that is a loop.
    #[cfg(any(threaded_loop, debug_assertions, miri))]
    pub(crate) next: *const Op,
    /// The other arguments of that handler.
    #[cfg(any(threaded_loop, debug_assertions, miri))]
    pub(crate) state: (Packed, u64, u64),
}

/// The cycle up to which a budget may reach: not beyond the deadline, and no counter of
/// instructions overflows before.
#[inline(always)]
pub(crate) fn limit(cx: &Cx<'_>) -> u64 {
    let most = cx.retire_room().min(LONGEST);
    cx.deadline.min(cx.cpu.cycle.saturating_add(most))
}

/// A number that is the same only while the same bytes stand at the same addresses, with the same
/// rights; never 0.
#[inline(always)]
pub(crate) fn tag(cx: &Cx<'_>) -> u64 {
    cx.code_epoch() << 2 | u64::from(cx.is_user()) << 1 | 1
}

impl<'a> Env<'a> {
    /// Surroundings for a stay up to this cycle.
    ///
    /// # Safety
    /// `cx` stays borrowed for the stay, during which it is used by nothing else.
    pub(crate) unsafe fn new(
        cx: *mut Cx<'a>,
        metas: &'a Pieces<Meta>,
        jumps: &'a Jumps,
        code: &'a mut CodeCache,
        limit: u64,
    ) -> Self {
        // SAFETY: the caller's promise; handlers renew the bank after each step.
        let (bank, tag) = unsafe { (Bank::of(&*cx), tag(&*cx)) };
        Env {
            cx,
            bank,
            metas,
            jumps,
            tag,
            limit,
            code,
            link: ptr::null(),
            halt: None,
            stopped: false,
            #[cfg(any(threaded_loop, debug_assertions, miri))]
            next: ptr::null(),
            #[cfg(any(threaded_loop, debug_assertions, miri))]
            state: (0, 0, 0),
        }
    }

    /// Puts what the budget says into the CPU: its cycle counter, and the instructions retired.
    #[inline(always)]
    pub(crate) fn settle(&self, cx: &mut Cx<'_>, budget: Packed) {
        cx.cpu.cycle = self.limit.wrapping_sub((budget >> SHIFT) as u64);
        cx.retire_many(budget as u64 & ((1 << SHIFT) - 1));
    }

    /// The budget from where the CPU stands now; none if the limit has been passed.
    #[inline(always)]
    pub(crate) fn budget(&self, cx: &Cx<'_>) -> Option<Packed> {
        let left = self.limit.checked_sub(cx.cpu.cycle)?;
        Some((left << SHIFT) as i64)
    }

    /// The block at the boundary where the CPU stands, its budget and the flags, if it is known
    /// and nothing unusual waits there. The surroundings are then what they would be for a new
    /// stay: rights, memory and deadline may be others than before.
    ///
    /// # Safety
    /// As for [`Env::new`]: the CPU stays borrowed, and is used by nothing but what follows.
    #[inline(always)]
    pub(crate) unsafe fn resume(&mut self, cx: &Cx<'_>) -> Option<(*const Op, Packed, Flags)> {
        if cx.wants_attention() || cx.cpu.rep_iteration != 0 || !cx.is_ordinary() {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { self.resume_ordinary(cx) }
    }

    /// The same where nothing unusual waits.
    ///
    /// # Safety
    /// As for [`Env::resume`].
    #[inline(always)]
    pub(crate) unsafe fn resume_ordinary(
        &mut self,
        cx: &Cx<'_>,
    ) -> Option<(*const Op, Packed, Flags)> {
        let tag = tag(cx);
        let (entry, cost) = self.jumps.find(cx.cpu.rip, tag)?;
        let limit = limit(cx);
        let budget = ((limit.checked_sub(cx.cpu.cycle)?) << SHIFT) as i64 - cost;
        let flags = Flags::of(cx.cpu.rflags).filter(|_| budget >= 0)?;
        // SAFETY: the caller's promise.
        self.bank = unsafe { Bank::of(cx) };
        (self.tag, self.limit) = (tag, limit);
        Some((entry, budget, flags))
    }
}
