//! Which handler an instruction gets.

mod integers;
mod moves;
mod rest;

use machine::cost::Class;
use machine::cpu::insn::{Family, Gpr, Insn, Mem, NO_REGISTER, Operand, RIP, Seg, Width};

use crate::body::{Body, mov};
use crate::dispatch::{slow, straight};
use crate::op::{Handler, Op};
use crate::operand::{BASED, FAR, NEAR};
use crate::select_vector;

/// A handler and the accesses that it makes when it does everything itself.
pub(crate) struct Choice {
    pub(crate) op: Op,
    /// What the instruction costs besides its own class.
    pub(crate) extras: &'static [Class],
}

const LOAD: &[Class] = &[Class::Load];
const STORE: &[Class] = &[Class::Store];
const BOTH: &[Class] = &[Class::Load, Class::Store];
const LOCKED: &[Class] = &[Class::Load, Class::Store, Class::Locked];

/// What a read-modify-write access costs.
fn update(insn: &Insn) -> &'static [Class] {
    if insn.lock { LOCKED } else { BOTH }
}

/// The handler of a straight operation.
pub(crate) fn handler<B: Body>() -> Handler {
    straight::<B>
}

/// Chooses by width: `by_width!(width, W => expression with the constant W)`.
macro_rules! by_width {
    ($width:expr, $name:ident => $chosen:expr) => {
        match $width {
            Width::Byte => by_width!(@1 $name => $chosen),
            Width::Word => by_width!(@2 $name => $chosen),
            Width::Dword => by_width!(@4 $name => $chosen),
            Width::Qword => by_width!(@8 $name => $chosen),
        }
    };
    (@$value:literal $name:ident => $chosen:expr) => {{
        const $name: usize = $value;
        $chosen
    }};
}
pub(crate) use by_width;

/// Chooses among the widths of 4 and 8 bytes; none for the others.
macro_rules! by_wide {
    ($width:expr, $name:ident => $chosen:expr) => {
        match $width {
            Width::Dword => by_width!(@4 $name => Some($chosen)),
            Width::Qword => by_width!(@8 $name => Some($chosen)),
            _ => None,
        }
    };
}
pub(crate) use by_wide;

/// Chooses by addressing mode.
macro_rules! by_mode {
    ($mode:expr, $name:ident => $chosen:expr) => {
        match $mode {
            $crate::operand::NEAR => {
                const $name: u8 = $crate::operand::NEAR;
                $chosen
            }
            $crate::operand::FAR => {
                const $name: u8 = $crate::operand::FAR;
                $chosen
            }
            _ => {
                const $name: u8 = $crate::operand::BASED;
                $chosen
            }
        }
    };
}
pub(crate) use by_mode;

/// Chooses by condition code.
macro_rules! by_condition {
    ($code:expr, $name:ident => $chosen:expr) => {
        by_condition!(@ $code, $name => $chosen, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $code:expr, $name:ident => $chosen:expr, $($value:literal)*) => {
        match $code {
            $($value => {
                const $name: u8 = $value;
                $chosen
            })*
            _ => {
                const $name: u8 = 15;
                $chosen
            }
        }
    };
}
pub(crate) use by_condition;

/// A register that is not one of AH to BH.
pub(crate) fn register(operand: Operand) -> Option<u8> {
    match operand {
        Operand::Gpr(Gpr { index, high, .. }) if !high => Some(index & 15),
        _ => None,
    }
}

/// A register, and whether it is one of AH to BH.
fn byte_register(operand: Operand) -> Option<(u8, bool)> {
    match operand {
        Operand::Gpr(Gpr { index, high, .. }) => Some((index & 15, high)),
        _ => None,
    }
}

/// Whether it is one of AH to BH.
fn is_high(operand: &Operand) -> bool {
    byte_register(*operand).is_some_and(|(_, high)| high)
}

pub(crate) fn immediate(operand: Operand) -> Option<u64> {
    match operand {
        Operand::Imm(value) => Some(value),
        _ => None,
    }
}

/// An operation without operands yet.
pub(crate) fn plain(run: Handler, meta: u32) -> Op {
    Op {
        run,
        wide: 0,
        imm: 0,
        meta,
        dst: 0,
        src: 0,
        base: 0,
        index: 0,
        scale: 0,
        base_mask: 0,
        index_mask: 0,
        seg: 0,
    }
}

/// Writes a memory operand into the operation; its addressing mode, if there is one for it.
pub(crate) fn memory(op: &mut Op, mem: &Mem, next: u64) -> Option<u8> {
    if mem.address != Width::Qword {
        return None;
    }
    op.wide = mem.disp;
    if mem.base == RIP {
        op.wide = mem.disp.wrapping_add(next);
    } else if mem.base != NO_REGISTER {
        op.base = mem.base & 15;
        op.base_mask = -1;
    }
    if mem.index != NO_REGISTER {
        op.index = mem.index & 15;
        op.index_mask = -1;
        op.scale = mem.scale.trailing_zeros() as u8;
    }
    if matches!(mem.seg, Seg::Fs | Seg::Gs) {
        op.seg = mem.seg as u8;
        return Some(BASED);
    }
    let near = op.base_mask != 0 && op.index_mask == 0;
    Some(if near { NEAR } else { FAR })
}

/// The way by the reference interpreter, which is open to all straight instructions.
fn by_reference(meta: u32) -> Choice {
    Choice {
        op: plain(slow, meta),
        extras: &[],
    }
}

/// Chooses a straight instruction's handler. `silent` says that nobody asks for its flags; `next`
/// is the address of the following instruction.
pub(crate) fn select(insn: &Insn, meta: u32, next: u64, silent: bool) -> Choice {
    let chooser = Chooser {
        insn,
        next,
        silent,
        op: plain(slow, meta),
    };
    let choice = match insn.family {
        Family::Alu => chooser.arithmetic(),
        Family::Mov => chooser.moves(),
        Family::Shift => chooser.shifts(),
        Family::MulDiv => chooser.products(),
        Family::Stack => chooser.stack(),
        Family::Bit => chooser.bits(),
        Family::Bmi => chooser.bmi(),
        Family::Atomic => chooser.exchanges(),
        Family::SseMove
        | Family::SseFloat
        | Family::SseConvert
        | Family::SseInteger
        | Family::SseShuffle => select_vector::select(insn, chooser.op, next),
        Family::Nop => chooser.finish(handler::<mov::Nop>(), &[]),
        _ => None,
    };
    choice.unwrap_or_else(|| by_reference(meta))
}

/// One choice in the making.
#[derive(Clone, Copy)]
struct Chooser<'a> {
    insn: &'a Insn,
    next: u64,
    silent: bool,
    op: Op,
}

impl Chooser<'_> {
    fn finish(mut self, run: Handler, extras: &'static [Class]) -> Option<Choice> {
        self.op.run = run;
        Some(Choice {
            op: self.op,
            extras,
        })
    }

    fn mode(&mut self) -> Option<u8> {
        memory(&mut self.op, &self.insn.mem, self.next)
    }

    /// Takes an immediate that the handler extends.
    fn set_immediate(&mut self, value: u64) {
        self.op.imm = value as i32;
    }
}
