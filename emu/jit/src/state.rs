//! What compiled code and the engine share, and what the one asks of the other.

use machine::cpu::insn::Insn;
use machine::cpu::state::flag;
use machine::cpu::{Cx, Halt};

use crate::code::functions;
use crate::emit::cost::{COUNT_BITS, packed};
use crate::lazy;
use crate::memory;
use crate::places::{Places, tag};
use crate::region::Region;

/// Bit of the kind of an access: it writes.
pub(crate) const WRITE: u64 = 1 << 8;

/// The most cycles, and instructions, of one stay: what the budget has room for.
const MOST: u64 = (1 << COUNT_BITS) - 1;

/// Cycles that are kept back for TLB misses, which the budget does not know of.
const RESERVE: u64 = 4096;

/// The most that one miss may cost.
const DEAREST: u64 = 256;

/// Why compiled code has been left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Reason {
    /// Execution goes on elsewhere.
    Next = 0,
    /// The budget may not last to the next check.
    Budget = 1,
    /// The instruction at RIP, which has been fetched, is one for the reference
    /// interpreter this time.
    Aside = 2,
    /// The instruction at RIP is not one that is compiled.
    Foreign = 3,
    /// Something happened in a step of the reference interpreter; all of the
    /// state is where it belongs.
    Settled = 4,
}

impl Reason {
    pub(crate) fn from_number(number: u64) -> Reason {
        match number {
            0 => Reason::Next,
            1 => Reason::Budget,
            2 => Reason::Aside,
            3 => Reason::Foreign,
            _ => Reason::Settled,
        }
    }
}

/// Where a region is left before an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aside {
    /// The instruction's address.
    pub(crate) rip: u64,
    /// What has been taken from the budget for it and those behind it.
    pub(crate) rest: i64,
    /// Of what kind the flags are there, unless the state says it.
    pub(crate) kind: Option<u64>,
}

/// What compiled code finds behind its first argument.
#[repr(C)]
pub(crate) struct State<'a, 'c> {
    /// Cycles and instructions left.
    pub(crate) budget: i64,
    /// The flags: see [`lazy`].
    pub(crate) kind: u64,
    pub(crate) x: u64,
    pub(crate) y: u64,
    /// The bank of direct ways to memory.
    pub(crate) bank: u64,
    /// What the last call of `fill` found.
    pub(crate) host: u64,
    /// Addresses of functions.
    pub(crate) fill: u64,
    pub(crate) fill_host: u64,
    pub(crate) step: u64,
    pub(crate) settle: u64,
    /// The table of places, and the tag of those that are good now.
    pub(crate) places: u64,
    pub(crate) tag: u64,
    /// Number of the running region.
    pub(crate) region: u64,
    /// Number of the way out, for [`Reason::Aside`].
    pub(crate) aside: u64,
    /// All below is not for compiled code.
    pub(crate) cx: &'a mut Cx<'c>,
    regions: &'a [Region],
    /// The budget when the CPU's own counters were right.
    start: i64,
    /// Cycles of TLB misses since then.
    debt: u64,
    reserve: u64,
    pub(crate) epoch: u64,
    pub(crate) halt: Option<Halt>,
}

impl<'a, 'c> State<'a, 'c> {
    pub(crate) fn new(
        cx: &'a mut Cx<'c>,
        regions: &'a [Region],
        places: &Places,
        fill: u64,
    ) -> Self {
        let [fill_host, step, settle] = functions();
        let epoch = cx.code_epoch();
        let mut state = State {
            budget: 0,
            kind: u64::from(lazy::BITS),
            x: cx.cpu.rflags & flag::STATUS,
            y: 0,
            bank: memory::bank(cx),
            host: 0,
            fill,
            fill_host,
            step,
            settle,
            places: places.address(),
            tag: tag(epoch, cx),
            region: 0,
            aside: 0,
            cx,
            regions,
            start: 0,
            debt: 0,
            reserve: 0,
            epoch,
            halt: None,
        };
        state.allow();
        state
    }

    /// Works out a new budget.
    fn allow(&mut self) {
        let left = self.cx.deadline.saturating_sub(self.cx.cpu.cycle);
        let left = left.min(self.cx.retire_room()).min(MOST);
        self.reserve = RESERVE.min(left / 4);
        self.start = packed(left - self.reserve, MOST);
        self.budget = self.start;
    }

    /// Brings the CPU's counters and flags up to where the budget and the flags
    /// stand.
    pub(crate) fn settle(&mut self) {
        let used = (self.start - self.budget) as u64;
        let (cycles, count) = (used >> COUNT_BITS, used & MOST);
        self.cx.cpu.cycle += cycles + self.debt;
        self.debt = 0;
        self.start = self.budget;
        if count != 0 {
            self.cx.cpu.rep_iteration = 0;
            self.cx.retire_many(count);
        }
        self.settle_flags();
    }

    /// Completes what [`Reason::Aside`] left open.
    pub(crate) fn note_aside(&mut self) {
        let aside = self.region().asides[self.aside as usize];
        self.cx.cpu.rip = aside.rip;
        self.budget += aside.rest;
        self.kind = aside.kind.unwrap_or(self.kind);
    }

    fn settle_flags(&mut self) {
        self.settle_word();
        self.cx.cpu.rflags = self.cx.cpu.rflags & !flag::STATUS | self.x;
    }

    /// Brings the flags into one word.
    pub(crate) fn settle_word(&mut self) {
        self.x = lazy::status(self.kind, self.x, self.y);
        self.kind = u64::from(lazy::BITS);
    }

    /// The region that runs.
    fn region(&self) -> &'a Region {
        &self.regions[self.region as usize]
    }

    /// Its instruction at this address.
    pub(crate) fn insn(&self, va: u64) -> Option<Insn> {
        self.region().insn(va)
    }

    /// Whether the region's code is still what stands where it ran, after
    /// something that may have changed that.
    fn is_current(&mut self) -> bool {
        let epoch = self.cx.code_epoch();
        if epoch != self.epoch && !self.region().is_valid(self.cx) {
            return false;
        }
        self.epoch = epoch;
        self.tag = tag(epoch, self.cx);
        true
    }

    /// The host's address of memory that the fast path did not have; zero if
    /// there is none.
    pub(crate) fn fill(&mut self, va: u64, kind: u64) -> u64 {
        if self.debt + DEAREST > self.reserve {
            return 0;
        }
        let write = kind & WRITE != 0;
        let bytes = kind & 0xFF;
        if va & 0xFFF > 0x1000 - bytes {
            return 0;
        }
        let Some(cost) = memory::make(self.cx, va, write) else {
            return 0;
        };
        self.debt += cost;
        if !self.is_current() {
            return 0;
        }
        memory::host(self.cx, va, bytes, write).unwrap_or(0)
    }

    /// Carries out the instruction at `at`, with `budget` left before it; the
    /// budget behind it, or less than zero if the region is to be left.
    pub(crate) fn step(&mut self, at: u64, budget: i64, need: i64) -> i64 {
        self.budget = budget;
        self.settle();
        self.cx.cpu.rip = at;
        let Some(insn) = self.insn(at) else {
            return -1;
        };
        // Nothing has been paid for this instruction.
        if self.cx.cpu.cycle >= self.cx.deadline {
            return -1;
        }
        if let Err(halt) = self.cx.step_known(&insn) {
            self.halt = Some(halt);
            return -1;
        }
        if !self.goes_on(at, &insn) {
            return -1;
        }
        self.allow();
        match self.budget >= need {
            true => self.budget,
            false => -1,
        }
    }

    fn goes_on(&mut self, at: u64, insn: &Insn) -> bool {
        self.cx.cpu.rip == at.wrapping_add(u64::from(insn.len))
            && !self.cx.wants_attention()
            && self.cx.is_ordinary()
            && self.is_current()
    }
}
