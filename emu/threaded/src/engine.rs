//! The engine: from block to block, with the reference interpreter in between.

use alloc::boxed::Box;
use core::fmt;
use core::ptr;

use machine::cpu::state::flag;
use machine::cpu::{CodeCache, Cx, Halt};
use machine::engine::Engine;

use crate::cache::Cache;
use crate::dispatch::enter;
use crate::env::{Env, limit, tag};
use crate::flags::Flags;
use crate::op::{Link, Op, Packed, SHIFT};

/// The threaded-code interpreter.
#[derive(Default)]
pub struct Threaded {
    state: Exclusive<State>,
}

/// What can be reached only by who has the whole of it to himself.
#[derive(Default)]
struct Exclusive<T>(T);

// SAFETY: a shared reference gives no way to what is inside.
unsafe impl<T> Sync for Exclusive<T> {}
// SAFETY: the pointers inside lead to memory that moves along, and to nothing else.
unsafe impl Send for Exclusive<State> {}

#[derive(Default)]
struct State {
    cache: Cache,
    /// The reference interpreter's.
    code: CodeCache,
}

impl fmt::Debug for Threaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threaded").finish_non_exhaustive()
    }
}

impl Threaded {
    /// Has [`Threaded::run_to_stop`] (and runs) end before code at this address,
    /// with these rights, is carried out as the beginning of a block; or no
    /// longer. For engines that know a better way from there.
    pub fn set_stop(&mut self, rip: u64, user: bool, on: bool) {
        self.state.0.cache.set_stop(rip, user, on);
    }

    /// As [`Engine::run`]; true if it ended at such an address, perhaps before
    /// anything was carried out. It goes no further than to this cycle, and ends
    /// before the block that would lead beyond, unless that is the first one.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_to_stop(&mut self, cx: &mut Cx<'_>, until: u64) -> Result<bool, Halt> {
        let early = (until < cx.deadline).then_some(cx.cpu.cycle);
        let deadline = cx.deadline;
        cx.deadline = deadline.min(until);
        let result = self.state.0.run(cx, early);
        cx.deadline = deadline;
        result
    }
}

impl Engine for Threaded {
    fn name(&self) -> &'static str {
        "threaded"
    }

    fn fresh(&self) -> Box<dyn Engine> {
        Box::new(Threaded::default())
    }

    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        while self.state.0.run(cx, None)? {
            cx.step(&mut self.state.0.code)?;
            if cx.wants_attention() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.step(&mut self.state.0.code)
    }
}

/// Whether the run goes on.
enum After {
    /// At the next instruction.
    On,
    /// At the block that this link leads to, which has to be looked up.
    Along(*const Link),
    /// The run is over.
    Over,
    /// The run is over: here it was to stop.
    Stop,
}

impl State {
    /// True if it ended where runs are to stop. Where the deadline falls into a block, the run
    /// ends before it if it has gone on from cycle `early`.
    fn run(&mut self, cx: &mut Cx<'_>, early: Option<u64>) -> Result<bool, Halt> {
        self.cache.check_kind(cx);
        let mut pending: *const Link = ptr::null();
        while cx.cpu.cycle < cx.deadline {
            let after = match self.next_block(cx, pending) {
                Some((entry, cost)) => self.stay(cx, entry, cost, early)?,
                None => self.exactly(cx, 0)?,
            };
            pending = match after {
                After::On => ptr::null(),
                After::Along(link) => link,
                After::Over => break,
                After::Stop => return Ok(true),
            };
        }
        Ok(false)
    }

    /// The block that comes next, if nothing unusual does.
    fn next_block(&mut self, cx: &mut Cx<'_>, pending: *const Link) -> Option<(*const Op, Packed)> {
        let paused = cx.cpu.rep_iteration != 0;
        if cx.wants_attention() || !is_ordinary(cx, paused) {
            return None;
        }
        let known = self.cache.jumps.find(cx.cpu.rip, tag(cx));
        if known.is_some() && pending.is_null() && !paused {
            return known;
        }
        let drops = self.cache.drops;
        let found = self
            .cache
            .find(cx)
            .filter(|found| found.resumes || !paused)?;
        if !pending.is_null() && self.cache.drops == drops {
            // SAFETY: the link is one of a block that has not been dropped.
            unsafe { found.put_into(pending, tag(cx)) };
        }
        Some((found.entry, found.cost))
    }

    /// Carries out blocks, from this one on.
    fn stay(
        &mut self,
        cx: &mut Cx<'_>,
        entry: *const Op,
        cost: Packed,
        early: Option<u64>,
    ) -> Result<After, Halt> {
        let limit = limit(cx);
        let budget: Packed = ((limit - cx.cpu.cycle) << SHIFT) as i64 - cost;
        let flags = match Flags::of(cx.cpu.rflags) {
            Some(flags) if budget >= 0 => flags,
            // Flags that no operation has: the next instruction may change that.
            None => return self.exactly(cx, 0),
            Some(_) if early.is_some_and(|since| cx.cpu.cycle > since) => return Ok(After::Over),
            Some(_) => return self.exactly(cx, limit),
        };
        let (metas, jumps) = (&self.cache.metas, &self.cache.jumps);
        let around = ptr::from_mut(cx).cast();
        // SAFETY: the CPU is not used but through its surroundings until they are left; the block
        // was found under this tag, and nothing is dropped during the stay.
        let (halt, link, stopped) = unsafe {
            let mut env = Env::new(around, metas, jumps, &mut self.code, limit);
            enter(entry, &mut env, budget, flags);
            (env.halt.take(), env.link, env.stopped)
        };
        match halt {
            Some(halt) => Err(halt),
            None if cx.wants_attention() => Ok(After::Over),
            None if stopped => Ok(After::Stop),
            None if link.is_null() => Ok(After::On),
            None => Ok(After::Along(link)),
        }
    }

    /// Steps by the reference interpreter: once, and then up to this cycle.
    fn exactly(&mut self, cx: &mut Cx<'_>, limit: u64) -> Result<After, Halt> {
        loop {
            cx.step(&mut self.code)?;
            if cx.wants_attention() {
                return Ok(After::Over);
            }
            if cx.cpu.cycle >= limit {
                return Ok(After::On);
            }
        }
    }
}

/// Whether nothing unusual waits at this boundary. Within a string instruction RF is set: it would
/// hold back a breakpoint, and there is none.
fn is_ordinary(cx: &mut Cx<'_>, paused: bool) -> bool {
    let rf = cx.cpu.rflags & if paused { flag::RF } else { 0 };
    cx.cpu.rflags &= !rf;
    let ordinary = cx.is_ordinary();
    cx.cpu.rflags |= rf;
    ordinary
}
