//! Which handler an instruction on vectors gets.

use machine::cost::Class;
use machine::cpu::insn::{Insn, Op as Name, Operand, Width};

use crate::body::{float, vector};
use crate::op::{Handler, Op};
use crate::operand::{BASED, FAR, NEAR};
use crate::select::{Choice, handler, memory, register};

const LOAD: &[Class] = &[Class::Load];
const STORE: &[Class] = &[Class::Store];
const NOTHING: &[Class] = &[];

/// Chooses by addressing mode or register.
macro_rules! by_source {
    ($mode:expr, $name:ident => $chosen:expr) => {
        match $mode {
            NEAR => {
                const $name: u8 = NEAR;
                $chosen
            }
            FAR => {
                const $name: u8 = FAR;
                $chosen
            }
            BASED => {
                const $name: u8 = BASED;
                $chosen
            }
            _ => {
                const $name: u8 = vector::REGISTER;
                $chosen
            }
        }
    };
}

/// An SSE register whose upper half is left alone.
fn xmm(operand: Operand) -> Option<u8> {
    match operand {
        Operand::Xmm(index) => Some(index & 15),
        _ => None,
    }
}

/// The handler of an instruction of one of the families of SSE, if it has one of its own. `op` has
/// no operands yet.
pub(crate) fn select(insn: &Insn, op: Op, next: u64) -> Option<Choice> {
    let (run, op, extras) = moves(insn, op, next)
        .or_else(|| integers(insn, op, next))
        .or_else(|| floats(insn, op, next))?;
    let op = Op { run, ..op };
    Some(Choice { op, extras })
}

type Chosen = (Handler, Op, &'static [Class]);

/// Destination register and source, of this many bytes if it is memory.
fn operands(insn: &Insn, mut op: Op, next: u64, bytes: u16) -> Option<(Op, u8, &'static [Class])> {
    op.dst = xmm(insn.operands[0])?;
    if insn.operands[1] == Operand::Mem {
        let mode = memory(&mut op, &insn.mem, next).filter(|_| insn.mem.bytes == bytes)?;
        return Some((op, mode, LOAD));
    }
    op.src = xmm(insn.operands[1])?;
    Some((op, vector::REGISTER, NOTHING))
}

fn moves(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    match insn.op {
        Name::Movaps | Name::Movapd | Name::Movdqa => whole::<true>(insn, op, next),
        Name::Movups | Name::Movupd | Name::Movdqu => whole::<false>(insn, op, next),
        Name::Movss => low::<4>(insn, op, next),
        Name::Movsd => low::<8>(insn, op, next),
        Name::Movd | Name::Movq => integer(insn, op, next),
        Name::Movhpd | Name::Movhps if insn.operands[1] == Operand::Mem => {
            let (op, mode, extras) = operands(insn, op, next, 8)?;
            let run = by_source!(mode, A => handler::<vector::LoadHigh<A>>());
            Some((run, op, extras))
        }
        Name::Pmovmskb => {
            let mut op = op;
            op.dst = register(insn.operands[0])?;
            op.src = xmm(insn.operands[1])?;
            Some((handler::<vector::Signs<0>>(), op, NOTHING))
        }
        _ => None,
    }
}

fn whole<const ALIGNED: bool>(insn: &Insn, mut op: Op, next: u64) -> Option<Chosen> {
    if insn.operands[0] == Operand::Mem {
        op.src = xmm(insn.operands[1])?;
        let mode = memory(&mut op, &insn.mem, next)?;
        let run = by_source!(mode, A => handler::<vector::Store<A, ALIGNED>>());
        return Some((run, op, STORE));
    }
    let (op, mode, extras) = operands(insn, op, next, 16)?;
    if mode == vector::REGISTER {
        return Some((handler::<vector::Move<0>>(), op, extras));
    }
    let run = by_source!(mode, A => handler::<vector::Load<A, ALIGNED>>());
    Some((run, op, extras))
}

/// MOVSS and MOVSD.
fn low<const W: usize>(insn: &Insn, mut op: Op, next: u64) -> Option<Chosen> {
    if insn.operands[0] == Operand::Mem {
        op.src = xmm(insn.operands[1])?;
        let mode = memory(&mut op, &insn.mem, next)?;
        let run = by_source!(mode, A => handler::<vector::StoreLow<W, A>>());
        return Some((run, op, STORE));
    }
    let (op, mode, extras) = operands(insn, op, next, W as u16)?;
    if mode == vector::REGISTER {
        return Some((handler::<vector::Merge<W>>(), op, extras));
    }
    let run = by_source!(mode, M => handler::<vector::LoadLow<W, M>>());
    Some((run, op, extras))
}

/// MOVD and MOVQ.
fn integer(insn: &Insn, mut op: Op, next: u64) -> Option<Chosen> {
    let [first, second, ..] = insn.operands;
    if let (Some(to), Operand::Gpr(from)) = (xmm(first), second) {
        (op.dst, op.src) = (to, register(second)?);
        let run = match from.width {
            Width::Qword => handler::<vector::FromInteger<8>>(),
            Width::Dword => handler::<vector::FromInteger<4>>(),
            _ => return None,
        };
        return Some((run, op, NOTHING));
    }
    if let (Operand::Gpr(to), Some(from)) = (first, xmm(second)) {
        (op.dst, op.src) = (register(first)?, from);
        let run = match to.width {
            Width::Qword => handler::<vector::ToInteger<8>>(),
            Width::Dword => handler::<vector::ToInteger<4>>(),
            _ => return None,
        };
        return Some((run, op, NOTHING));
    }
    let eight = insn.op == Name::Movq;
    if first == Operand::Mem {
        op.src = xmm(second)?;
        let mode = memory(&mut op, &insn.mem, next)?;
        let run = by_source!(mode, A => match insn.mem.bytes {
            8 => handler::<vector::StoreLow<8, A>>(),
            4 => handler::<vector::StoreLow<4, A>>(),
            _ => return None,
        });
        return Some((run, op, STORE));
    }
    let (op, mode, extras) = operands(insn, op, next, insn.mem.bytes)?;
    let run = by_source!(mode, M => match insn.mem.bytes {
        4 if second == Operand::Mem => handler::<vector::LoadLow<4, M>>(),
        8 if second == Operand::Mem => handler::<vector::LoadLow<8, M>>(),
        _ if eight && second != Operand::Mem => handler::<vector::LoadLow<8, M>>(),
        _ => return None,
    });
    Some((run, op, extras))
}

fn integers(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    match insn.op {
        Name::Pand | Name::Andps | Name::Andpd => combined::<{ vector::AND }>(insn, op, next),
        Name::Pandn | Name::Andnps | Name::Andnpd => combined::<{ vector::ANDN }>(insn, op, next),
        Name::Por | Name::Orps | Name::Orpd => combined::<{ vector::OR }>(insn, op, next),
        Name::Pxor | Name::Xorps | Name::Xorpd => combined::<{ vector::XOR }>(insn, op, next),
        Name::Paddb => combined::<{ vector::ADD_8 }>(insn, op, next),
        Name::Paddd => combined::<{ vector::ADD_32 }>(insn, op, next),
        Name::Paddq => combined::<{ vector::ADD_64 }>(insn, op, next),
        Name::Psubb => combined::<{ vector::SUB_8 }>(insn, op, next),
        Name::Psubd => combined::<{ vector::SUB_32 }>(insn, op, next),
        Name::Psubq => combined::<{ vector::SUB_64 }>(insn, op, next),
        Name::Pcmpeqb => combined::<{ vector::EQUAL_8 }>(insn, op, next),
        Name::Pcmpeqd => combined::<{ vector::EQUAL_32 }>(insn, op, next),
        Name::Punpcklqdq | Name::Unpcklpd => combined::<{ vector::UNPACK_LOW_64 }>(insn, op, next),
        Name::Punpckhqdq | Name::Unpckhpd => combined::<{ vector::UNPACK_HIGH_64 }>(insn, op, next),
        Name::Pminub => combined::<{ vector::MIN_U8 }>(insn, op, next),
        _ => None,
    }
}

fn combined<const K: u8>(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    let (op, mode, extras) = operands(insn, op, next, 16)?;
    let run = by_source!(mode, M => handler::<vector::Whole<K, M>>());
    Some((run, op, extras))
}

fn floats(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    match insn.op {
        Name::Addsd => lowest::<{ float::ADD }>(insn, op, next),
        Name::Subsd => lowest::<{ float::SUB }>(insn, op, next),
        Name::Mulsd => lowest::<{ float::MUL }>(insn, op, next),
        Name::Divsd => lowest::<{ float::DIV }>(insn, op, next),
        Name::Addpd => packed::<{ float::ADD }>(insn, op, next),
        Name::Subpd => packed::<{ float::SUB }>(insn, op, next),
        Name::Mulpd => packed::<{ float::MUL }>(insn, op, next),
        Name::Divpd => packed::<{ float::DIV }>(insn, op, next),
        Name::Comisd | Name::Ucomisd => {
            let (op, mode, extras) = operands(insn, op, next, 8)?;
            let run = by_source!(mode, M => handler::<float::Compare<M>>());
            Some((run, op, extras))
        }
        Name::Cvtsi2sd => {
            let Operand::Gpr(from) = insn.operands[1] else {
                return None;
            };
            let mut op = op;
            (op.dst, op.src) = (xmm(insn.operands[0])?, register(insn.operands[1])?);
            let run = match from.width {
                Width::Qword => handler::<float::FromInteger<8>>(),
                _ => handler::<float::FromInteger<4>>(),
            };
            Some((run, op, NOTHING))
        }
        Name::Cvttsd2si => to_integer(insn, op, next),
        _ => None,
    }
}

fn lowest<const K: u8>(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    let (op, mode, extras) = operands(insn, op, next, 8)?;
    let run = by_source!(mode, M => handler::<float::Scalar<K, M>>());
    Some((run, op, extras))
}

fn packed<const K: u8>(insn: &Insn, op: Op, next: u64) -> Option<Chosen> {
    let (op, mode, extras) = operands(insn, op, next, 16)?;
    let run = by_source!(mode, M => handler::<float::Packed<K, M>>());
    Some((run, op, extras))
}

fn to_integer(insn: &Insn, mut op: Op, next: u64) -> Option<Chosen> {
    let [first, second, ..] = insn.operands;
    let Operand::Gpr(to) = first else {
        return None;
    };
    op.dst = register(first)?;
    let (mode, extras) = match second {
        Operand::Mem => (memory(&mut op, &insn.mem, next)?, LOAD),
        _ => {
            op.src = xmm(second)?;
            (vector::REGISTER, NOTHING)
        }
    };
    let run = by_source!(mode, M => match to.width {
        Width::Qword => handler::<float::ToInteger<8, M>>(),
        _ => handler::<float::ToInteger<4, M>>(),
    });
    Some((run, op, extras))
}
