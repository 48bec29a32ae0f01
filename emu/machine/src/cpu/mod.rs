//! One CPU: the plain reference interpreter, one instruction at a time.
//!
//! [`step`] takes the CPU from one instruction boundary to the next. `decode` turns bytes into
//! [`insn::Insn`], `exec` carries them out, one file for each family; both see the CPU through
//! [`Cx`]. An instruction changes nothing before its last possible fault.

mod access;
mod call_gate;
pub mod cpuid;
mod debug;
pub mod decode;
mod descriptor;
mod exception;
mod exec;
mod fast;
mod fault;
mod fetch;
pub mod fp;
pub mod insn;
pub(crate) mod interrupt;
pub mod model;
pub mod msr;
mod mtrr;
pub(crate) mod paging;
pub mod pmu;
mod protected_mode;
pub mod random;
mod real_mode;
mod segment;
pub mod state;

use alloc::borrow::ToOwned;
use alloc::string::String;

pub use access::{Place, Span};
pub use fault::{Exception, Fault, vector};
pub use fetch::CodeCache;
pub use model::CpuModel;
pub use paging::paging_of;
pub use state::Cpu;

use crate::bus::Bus;
use crate::cost::{Class, CostModel};
use crate::mmu::{Mmu, Paging};
use insn::Width;
use state::{Shadow, flag};

/// What an instruction can reach while it executes.
pub struct Cx<'a> {
    /// The CPU itself.
    pub cpu: &'a mut Cpu,
    /// Its memory management unit.
    pub mmu: &'a mut Mmu,
    /// Memory and devices.
    pub bus: &'a mut Bus,
    /// What everything costs.
    pub cost: CostModel,
    /// The cycle at which something else wants to happen: a REP instruction pauses there.
    pub deadline: u64,
    /// Where execution goes on: the following instruction, unless this one jumps.
    pub next: u64,
    /// A REP instruction has iterations left: it stays where it is and does not retire.
    again: bool,
    /// Copies of what every access asks for, kept by [`Cx::paging_changed`].
    paging: Paging,
    code64: bool,
    user: bool,
    /// Not zero while each boundary has to be looked at: see [`Cx::attention_changed`].
    attend: u64,
    /// Not zero while breakpoints wait for accesses.
    watch: u64,
}

/// Why the CPU cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Announced but not there; the name is the instruction's or the feature's.
    Missing(String),
    /// An exception while a double fault was being delivered; its vector.
    Triple(u8),
}

impl<'a> Cx<'a> {
    /// Brings the parts of a CPU together until `deadline`.
    pub fn new(
        cpu: &'a mut Cpu,
        mmu: &'a mut Mmu,
        bus: &'a mut Bus,
        cost: CostModel,
        deadline: u64,
    ) -> Self {
        let mut cx = Cx {
            cpu,
            mmu,
            bus,
            cost,
            deadline,
            next: 0,
            again: false,
            paging: Paging::default(),
            code64: false,
            user: false,
            attend: 0,
            watch: 0,
        };
        cx.mmu.attach(cx.bus);
        cx.paging_changed();
        cx.attention_changed();
        cx
    }

    /// One instruction, or the delivery of one interrupt or exception. Of a REP instruction it is
    /// as many iterations as come before the deadline, but one at least. A halted CPU stays where
    /// it is.
    #[inline]
    pub fn step(&mut self, code: &mut CodeCache) -> Result<(), Halt> {
        let result = match self.interrupt_due() {
            true => self.take_interrupt(),
            false if self.cpu.halted && !self.nmi_pending() => return Ok(()),
            false => self.instruction(code),
        };
        let result = match result {
            Ok(()) => Ok(()),
            Err(fault) => self.fail(fault),
        };
        self.charge_work();
        result
    }

    /// Whether the run loop has to look at what is due before the next instruction.
    #[inline]
    #[must_use]
    pub fn wants_attention(&self) -> bool {
        self.bus.attention() || self.cpu.halted
    }

    /// Whether the next instruction is an ordinary one of 64-bit code: no interrupt comes before
    /// it, no breakpoint or single step watches it, and nothing holds anything back. It stays so
    /// behind a straight instruction ([`is_straight`](crate::engine::block::is_straight)) that
    /// does not fault and reaches no device.
    #[inline]
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.code64
            && self.attend | self.watch == 0
            && self.cpu.rflags & (flag::TF | flag::RF) == 0
            && self.cpu.shadow == Shadow::None
            && self.cpu.debug_pending == 0
            && !self.interrupt_due()
    }

    /// Whether the running code has the rights of CPL 3.
    #[inline]
    #[must_use]
    pub fn is_user(&self) -> bool {
        self.user
    }

    /// How many instructions may retire at this level before a performance counter overflows.
    #[inline]
    #[must_use]
    pub fn retire_room(&self) -> u64 {
        self.cpu.pmu.room(self.user)
    }

    /// Counts instructions that were completed at this level, no more than [`Cx::retire_room`] and
    /// no part of [`Cx::step`].
    #[inline]
    pub fn retire_many(&mut self, count: u64) {
        self.cpu.retired += count;
        if self.user {
            self.cpu.retired_user += count;
        }
        self.cpu.pmu.retire_many(self.user, count);
    }

    /// As [`Cx::step`] for an ordinary, straight instruction at RIP that is known, and whose fetch
    /// is known to need no page walk.
    ///
    /// # Errors
    /// If the CPU cannot go on.
    pub fn step_known(&mut self, insn: &insn::Insn) -> Result<(), Halt> {
        let user = self.user;
        self.next = self.cpu.rip.wrapping_add(u64::from(insn.len));
        let result = match self.carry_out(insn) {
            Ok(()) => {
                self.cpu.rip = self.next;
                self.retire(user);
                Ok(())
            }
            Err(fault) => self.fail(fault),
        };
        self.charge_work();
        result
    }

    /// Whether SYSCALL passes, at an ordinary boundary.
    #[inline(always)]
    #[must_use]
    pub fn may_call_system(&self) -> bool {
        exec::may_call_system(self)
    }

    /// SYSCALL where it [`may`](Cx::may_call_system) be carried out; the instruction behind it
    /// stands at `next`. It has been charged and counted already. The next boundary is as ordinary
    /// as this one.
    #[inline(always)]
    pub fn call_system(&mut self, next: u64) {
        self.next = next;
        exec::call_system(self);
        self.cpu.rip = self.next;
    }

    /// Whether SYSRET to 64-bit code passes, at an ordinary boundary.
    #[inline(always)]
    #[must_use]
    pub fn may_return_from_system(&self) -> bool {
        exec::may_return_from_system(self, Width::Qword)
    }

    /// The same for SYSRET; but the next boundary may be less ordinary.
    #[inline(always)]
    pub fn return_from_system(&mut self) {
        exec::return_from_system(self, Width::Qword);
        self.cpu.rip = self.next;
    }

    /// An instruction did not complete: the guest handles that, or the machine stops.
    #[cold]
    fn fail(&mut self, fault: Fault) -> Result<(), Halt> {
        // Breakpoints that an instruction met before it faulted are met again.
        self.cpu.debug_pending = 0;
        let result = match fault {
            Fault::Exception(exception) => self.raise(exception),
            other => Err(other),
        };
        match result {
            Ok(()) => Ok(()),
            Err(Fault::Triple(vector)) => Err(Halt::Triple(vector)),
            Err(Fault::Missing(what)) => Err(Halt::Missing(what.to_owned())),
            Err(Fault::Exception(exception)) => Err(Halt::Triple(exception.vector)),
        }
    }

    /// Fetches, decodes and carries out one instruction.
    #[inline]
    fn instruction(&mut self, code: &mut CodeCache) -> Result<(), Fault> {
        let user = self.user;
        let trap = self.cpu.rflags & flag::TF;
        let insn = self.fetch(code)?;
        self.next = self.cpu.rip.wrapping_add(u64::from(insn.len));
        let epoch = self.code_epoch();
        self.carry_out(insn)?;
        if self.again && self.iterate(insn, epoch, trap)? {
            return match trap | self.cpu.debug_pending {
                0 => Ok(()),
                _ => self.debug_trap_in_repeat(trap, insn.op),
            };
        }
        self.cpu.rip = if self.code64 {
            self.next
        } else {
            self.next & 0xFFFF_FFFF
        };
        self.retire(user);
        if trap | self.cpu.debug_pending == 0 {
            return Ok(());
        }
        self.debug_trap(trap, insn.op)
    }

    /// Carries out an instruction, or one iteration of it.
    #[inline]
    fn carry_out(&mut self, insn: &insn::Insn) -> Result<(), Fault> {
        self.again = false;
        let shadow = core::mem::take(&mut self.cpu.shadow);
        self.charge(insn.class);
        let rf = self.cpu.rflags & flag::RF;
        self.cpu.rflags &= !flag::RF;
        exec::execute(self, insn).inspect_err(|_| {
            self.cpu.shadow = shadow;
            self.cpu.rflags |= rf;
        })
    }

    /// Goes on with a REP instruction that has iterations left. Each of their boundaries is one
    /// like any other; only the way back to the same instruction is spared while nothing has
    /// happened since `epoch` that could make it another one. True if it pauses with iterations
    /// left.
    #[inline(never)]
    fn iterate(&mut self, insn: &insn::Insn, epoch: u64, trap: u64) -> Result<bool, Fault> {
        loop {
            self.cpu.rep_iteration += 1;
            self.cpu.rflags |= flag::RF;
            self.charge_work();
            let pause = self.cpu.cycle >= self.deadline
                || self.code_epoch() != epoch
                || self.bus.attention()
                || trap | self.cpu.debug_pending != 0
                || self.interrupt_due();
            if pause {
                return Ok(true);
            }
            self.carry_out(insn)?;
            if !self.again {
                return Ok(false);
            }
        }
    }

    /// A REP instruction has iterations left.
    fn repeat(&mut self) {
        self.again = true;
    }

    #[inline(always)]
    fn retire(&mut self, user: bool) {
        self.cpu.rep_iteration = 0;
        self.cpu.retired += 1;
        self.cpu.retired_user += u64::from(user);
        if self.cpu.pmu.retire(user) {
            self.counter_overflowed();
        }
    }

    #[cold]
    fn counter_overflowed(&mut self) {
        self.bus.performance_interrupt();
        self.attention_changed();
    }

    /// Charges the TLB misses and walk steps since the last boundary.
    #[inline]
    fn charge_work(&mut self) {
        let work = self.mmu.take_work();
        if work.misses != 0 {
            self.cpu.cycle += u64::from(work.misses) * self.cost.cycles(Class::TlbMiss)
                + u64::from(work.steps) * self.cost.cycles(Class::WalkStep);
        }
    }
}
