//! The x87's registers as a stack, its exceptions, and when it may run.

use crate::cpu::fp::x87::{Control, Outcome};
use crate::cpu::fp::{F80, Flags};
use crate::cpu::insn::{Insn, Op, Operand};
use crate::cpu::state::{X87, cr0};
use crate::cpu::{Cx, Fault};

/// Bits of the status word.
pub(super) mod status {
    pub(in crate::cpu::exec) const SF: u16 = 1 << 6;
    /// ES and, its shadow, B.
    pub(in crate::cpu::exec) const PENDING: u16 = 1 << 7 | 1 << 15;
    pub(in crate::cpu::exec) const C0: u16 = 1 << 8;
    pub(in crate::cpu::exec) const C1: u16 = 1 << 9;
    pub(in crate::cpu::exec) const C2: u16 = 1 << 10;
    pub(in crate::cpu::exec) const C3: u16 = 1 << 14;
    pub(in crate::cpu::exec) const TOP: u16 = 7 << 11;
}
use status::{C0, C1, C2, C3, PENDING, SF, TOP};

/// #NM if the kernel has not given the x87 to this task; #MF if an earlier instruction left an
/// exception and this one does not ignore it.
pub(super) fn enter(cx: &mut Cx<'_>, waiting: bool) -> Result<(), Fault> {
    if cx.cpu.cr0 & (cr0::EM | cr0::TS) != 0 {
        return Err(Fault::NM);
    }
    if waiting { check_pending(cx) } else { Ok(()) }
}

/// #MF for an exception that an earlier instruction left.
pub(super) fn check_pending(cx: &Cx<'_>) -> Result<(), Fault> {
    if cx.cpu.x87.status & PENDING == 0 {
        return Ok(());
    }
    match cx.cpu.cr0 & cr0::NE {
        0 => Err(Fault::Missing("x87 errors reported through FERR#")),
        _ => Err(Fault::MF),
    }
}

/// An MMX instruction makes all registers valid and R0 the top.
pub(super) fn enter_mmx(cx: &mut Cx<'_>) {
    cx.cpu.x87.status &= !TOP;
    cx.cpu.x87.tag = 0;
}

/// Carries out an instruction of the x87 and keeps its address (FIP); if it leaves an unmasked
/// exception, its opcode and its operand's offset as well (FOP, FDP), as `Feature::FdpExceptions`
/// announces.
pub(super) fn tracked(
    cx: &mut Cx<'_>,
    insn: &Insn,
    execute: fn(&mut Cx<'_>, &Insn) -> Result<(), Fault>,
) -> Result<(), Fault> {
    execute(cx, insn)?;
    if insn.op == Op::Wait {
        return Ok(());
    }
    cx.cpu.x87.instruction = cx.cpu.rip;
    // An earlier exception would have kept this instruction from running.
    if cx.cpu.x87.status & PENDING != 0 {
        cx.cpu.x87.opcode = insn.fop;
        if insn.operands.contains(&Operand::Mem) {
            cx.cpu.x87.data = cx.offset(&insn.mem);
        }
    }
    Ok(())
}

impl X87 {
    pub(super) fn top(&self) -> u16 {
        (self.status & TOP) >> 11
    }

    fn set_top(&mut self, top: u16) {
        self.status = self.status & !TOP | (top & 7) << 11;
    }

    pub(super) fn physical(&self, i: u8) -> usize {
        usize::from((self.top() + u16::from(i)) & 7)
    }

    pub(super) fn is_empty(&self, i: u8) -> bool {
        self.tag >> (2 * self.physical(i)) & 3 == 3
    }

    pub(super) fn set_empty(&mut self, i: u8, empty: bool) {
        let mask = 3 << (2 * self.physical(i));
        self.tag = if empty {
            self.tag | mask
        } else {
            self.tag & !mask
        };
    }

    /// The number in a register, empty or not.
    pub(super) fn raw(&self, i: u8) -> F80 {
        self.registers[self.physical(i)]
    }

    /// The number in a register that is not empty.
    pub(super) fn st(&self, i: u8) -> Option<F80> {
        if self.is_empty(i) {
            None
        } else {
            Some(self.raw(i))
        }
    }

    pub(super) fn set_st(&mut self, i: u8, value: F80) {
        let place = self.physical(i);
        self.registers[place] = value;
        self.set_empty(i, false);
    }

    pub(super) fn pop(&mut self) {
        self.set_empty(0, true);
        self.set_top(self.top() + 1);
    }

    pub(super) fn rotate(&mut self, by: u16) {
        self.set_top(self.top().wrapping_add(by));
    }

    pub(super) fn push_raw(&mut self, value: F80) {
        self.set_top(self.top().wrapping_sub(1));
        self.set_st(0, value);
    }

    pub(super) fn calculation(&self) -> Control {
        Control::from_fcw(self.control)
    }

    pub(super) fn masked(&self) -> Flags {
        Flags::from_bits_truncate(self.control as u8)
    }

    pub(super) fn set_c1(&mut self, on: bool) {
        self.status = if on {
            self.status | C1
        } else {
            self.status & !C1
        };
    }

    /// C3, C2 and C0 at once; C1 is cleared.
    pub(super) fn set_conditions(&mut self, conditions: u16) {
        self.status = self.status & !(C0 | C1 | C2 | C3) | conditions;
    }

    /// Whether exceptions are waiting, after the masks or flags have been loaded.
    pub(super) fn update_pending(&mut self) {
        let unmasked = self.status & !self.control & 0x3f != 0;
        self.status = self.status & !PENDING | if unmasked { PENDING } else { 0 };
    }

    /// Books exceptions. False if one of them keeps the operation from taking place.
    #[must_use]
    pub(super) fn raise(&mut self, flags: Flags) -> bool {
        let unmasked = flags.difference(self.masked());
        let stopped = unmasked.intersects(Flags::BEFORE);
        let happened = if stopped {
            flags & Flags::BEFORE
        } else {
            flags
        };
        self.status |= u16::from(happened.bits());
        if !unmasked.is_empty() {
            self.status |= PENDING;
        }
        !stopped
    }

    /// A register was empty or, on a push, not. False if the operation does not take place.
    #[must_use]
    pub(super) fn stack_fault(&mut self, overflow: bool) -> bool {
        self.set_c1(overflow);
        self.status |= SF;
        self.raise(Flags::INVALID)
    }

    /// Books what an operation met. False if it does not take place.
    #[must_use]
    pub(super) fn accept<T>(&mut self, outcome: &Outcome<T>) -> bool {
        let proceeds = self.raise(outcome.flags);
        self.set_c1(outcome.up && proceeds);
        proceeds
    }

    /// Pushes a number that was loaded.
    pub(super) fn push(&mut self, outcome: Outcome<F80>) {
        if !self.is_empty(7) {
            if self.stack_fault(true) {
                self.push_raw(F80::INDEFINITE);
            }
            return;
        }
        // A denormal is loaded even if that exception is not masked.
        let stopped = outcome.flags.contains(Flags::INVALID);
        if self.accept(&outcome) || !stopped {
            self.push_raw(outcome.value);
        }
    }

    /// Puts a result into `st(i)` and pops. False if an exception forbids it.
    pub(super) fn finish(&mut self, i: u8, outcome: Outcome<F80>, pop: bool) -> bool {
        let proceeds = self.accept(&outcome);
        if proceeds {
            self.set_st(i, outcome.value);
            if pop {
                self.pop();
            }
        }
        proceeds
    }

    /// An operand of an operation with the result in `st(i)` was empty.
    pub(super) fn underflow(&mut self, i: u8, pop: bool) {
        if self.stack_fault(false) {
            self.set_st(i, F80::INDEFINITE);
            if pop {
                self.pop();
            }
        }
    }
}
