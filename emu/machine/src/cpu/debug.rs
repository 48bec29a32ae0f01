//! Debug exceptions: breakpoints on code, data and ports, single steps, and the protection of the
//! debug registers (volume 3B, chapter 18).
//!
//! Nothing here is on the way of an instruction unless DR7 or TF asks for it: [`Cx::attend`] sends
//! each fetch the slow way and [`Cx::watch`] each access, and both are zero else.

use super::insn::Op;
use super::state::{Shadow, cr4, flag};
use super::{Cx, Fault, vector};
use crate::addr::VirtAddr;

/// Bit of DR6: an access to a debug register that DR7 forbade.
pub(super) const ACCESS_DETECTED: u64 = 1 << 13;

/// Bit of DR6: a single step.
const SINGLE_STEP: u64 = 1 << 14;

/// Bit of DR7: the next access to a debug register is a #DB.
pub(super) const GENERAL_DETECT: u64 = 1 << 13;

/// What a fetch's page is marked with while each boundary has to be looked at.
pub(super) const ATTEND: u64 = 1 << 3;

/// What a breakpoint waits for: the R/W field of DR7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Execute,
    Write,
    Port,
    Access,
}

/// One of the four breakpoints, if it is switched on.
#[derive(Clone, Copy, Debug)]
struct Breakpoint {
    /// Its bit in DR6.
    bit: u64,
    kind: Kind,
    /// The first byte, aligned to `len`.
    start: u64,
    len: u64,
}

impl Breakpoint {
    fn overlaps(&self, start: u64, len: u64) -> bool {
        start.wrapping_sub(self.start) < self.len || self.start.wrapping_sub(start) < len
    }
}

impl Cx<'_> {
    /// Works out again what [`Cx::attend`] and [`Cx::watch`] say: after each change of a debug
    /// register, and when an NMI may have become due.
    pub(super) fn attention_changed(&mut self) {
        let enabled = self.cpu.dr[7] & 0xFF != 0;
        let on = |cx: &Self, code: bool| {
            let mut all = cx.breakpoints();
            enabled && all.any(|point| (point.kind == Kind::Execute) == code)
        };
        let attend = self.nmi_pending() || on(self, true);
        self.attend = if attend { ATTEND } else { 0 };
        self.watch = u64::from(on(self, false));
    }

    /// The breakpoints that DR7 switches on, for this task (L) or for all (G): without hardware
    /// task switches there is no difference.
    fn breakpoints(&self) -> impl Iterator<Item = Breakpoint> {
        let dr = self.cpu.dr;
        let ports = self.cpu.cr4 & cr4::DE != 0;
        (0..4).filter_map(move |i| {
            let enabled = dr[7] >> (2 * i) & 3 != 0;
            let kind = match dr[7] >> (16 + 4 * i) & 3 {
                0 => Kind::Execute,
                1 => Kind::Write,
                // Without CR4.DE this is undefined; here it is off.
                2 if ports => Kind::Port,
                2 => return None,
                _ => Kind::Access,
            };
            let len = match dr[7] >> (18 + 4 * i) & 3 {
                0 => 1,
                1 => 2,
                2 => 8,
                _ => 4,
            };
            enabled.then_some(Breakpoint {
                bit: 1 << i,
                kind,
                start: dr[i] & !(len - 1),
                len,
            })
        })
    }

    /// What is due before the instruction at this address: an NMI, a breakpoint on code. A load of
    /// SS holds both back (volume 3A, 6.8.3), RF the breakpoint.
    #[cold]
    pub(super) fn boundary(&mut self, va: VirtAddr) -> Result<(), Fault> {
        if self.cpu.shadow == Shadow::Stack {
            return Ok(());
        }
        if self.nmi_pending() {
            return Err(self.take_nmi());
        }
        if self.cpu.flag(flag::RF) {
            return Ok(());
        }
        let hits = self.hits(|point| point.kind == Kind::Execute && point.start == va.0);
        if hits == 0 {
            return Ok(());
        }
        self.cpu.dr[6] |= hits;
        Err(Fault::plain(vector::DB))
    }

    fn hits(&self, is_met: impl Fn(&Breakpoint) -> bool) -> u64 {
        let met = self.breakpoints().filter(|point| is_met(point));
        met.fold(0, |bits, point| bits | point.bit)
    }

    /// An access to memory that breakpoints may wait for; the trap comes when the instruction has
    /// ended.
    pub(super) fn note_access(&mut self, va: VirtAddr, len: u8, write: bool) {
        let wanted = |point: &Breakpoint| match point.kind {
            Kind::Access => true,
            Kind::Write => write,
            Kind::Execute | Kind::Port => false,
        };
        let len = u64::from(len);
        self.cpu.debug_pending |= self.hits(|point| wanted(point) && point.overlaps(va.0, len));
    }

    /// The same for a port.
    pub(super) fn note_port(&mut self, port: u16, len: u8) {
        if self.watch != 0 {
            let (port, len) = (u64::from(port), u64::from(len));
            self.cpu.debug_pending |=
                self.hits(|point| point.kind == Kind::Port && point.overlaps(port, len));
        }
    }

    /// The trap behind an instruction that met a breakpoint or began with TF set (`trap` is not
    /// zero). A load of SS puts it off until the next instruction has ended, a single step for
    /// good.
    #[cold]
    pub(super) fn debug_trap(&mut self, trap: u64, op: Op) -> Result<(), Fault> {
        let mut causes = self.cpu.debug_pending;
        if trap != 0 && !self.entered_handler(op) {
            causes |= SINGLE_STEP;
        }
        if self.cpu.shadow == Shadow::Stack {
            self.cpu.debug_pending = causes & !SINGLE_STEP;
            return Ok(());
        }
        self.cpu.debug_pending = 0;
        if causes == 0 {
            return Ok(());
        }
        self.cpu.dr[6] |= causes;
        Err(Fault::plain(vector::DB))
    }

    /// The same between two iterations: RIP stays, and RF goes onto the stack.
    #[cold]
    pub(super) fn debug_trap_in_repeat(&mut self, trap: u64, op: Op) -> Result<(), Fault> {
        self.cpu.rflags |= flag::RF;
        self.debug_trap(trap, op)
    }

    /// INT clears TF on its way and is not followed by a single step (volume 3B, 18.3.1.4), nor is
    /// SYSCALL if IA32_FMASK clears TF.
    fn entered_handler(&self, op: Op) -> bool {
        match op {
            Op::Int | Op::Int1 | Op::Int3 => true,
            Op::Syscall => !self.cpu.flag(flag::TF),
            _ => false,
        }
    }
}
