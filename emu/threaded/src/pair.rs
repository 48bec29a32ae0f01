//! Two instructions in one operation: a copy of a register, and arithmetic on the copy. Compilers
//! write that wherever a value is used again.

use machine::cpu::insn::{Insn, Op as Name, Operand, Width};

use crate::body::{alu, shift};
use crate::op::{Handler, Op};
use crate::select::{by_wide, by_width, handler, immediate, plain, register};

/// The operation for both, if they are such a pair. `silent` says that nobody asks for the flags
/// behind them.
pub(crate) fn select(first: &Insn, second: &Insn, meta: u32, silent: bool) -> Option<Op> {
    let (dst, src) = (register(first.operands[0])?, register(first.operands[1])?);
    let on_copy = register(second.operands[0])? == dst;
    if first.op != Name::Mov || first.size != second.size || !on_copy {
        return None;
    }
    let mut op = plain(crate::dispatch::slow, meta);
    (op.dst, op.src) = (dst, src);
    op.run = match second.op {
        Name::Shl | Name::Shr | Name::Sar => {
            op.imm = count(second)?;
            shifted(second, silent)?
        }
        _ => {
            let number = immediate(second.operands[1]);
            match number {
                Some(value) => op.imm = value as i32,
                // The copy itself is still where it came from.
                None => {
                    let other = register(second.operands[1])?;
                    op.base = if other == dst { src } else { other };
                }
            }
            combined(second, number.is_some(), silent)?
        }
    };
    Some(op)
}

/// By how many bits a shift by a number shifts, unless that is none.
fn count(insn: &Insn) -> Option<i32> {
    let raw = match insn.operands[1] {
        Operand::None => 1,
        other => immediate(other)?,
    };
    let mask = if insn.size == Width::Qword { 63 } else { 31 };
    Some((raw & mask) as i32).filter(|count| *count != 0)
}

fn shifted(insn: &Insn, silent: bool) -> Option<Handler> {
    match insn.op {
        Name::Shl => shift_by::<{ shift::SHL }>(insn.size, silent),
        Name::Shr => shift_by::<{ shift::SHR }>(insn.size, silent),
        _ => shift_by::<{ shift::SAR }>(insn.size, silent),
    }
}

fn shift_by<const K: u8>(size: Width, silent: bool) -> Option<Handler> {
    by_wide!(size, W => match silent {
        true => handler::<shift::Copied<K, W, true>>(),
        false => handler::<shift::Copied<K, W, false>>(),
    })
}

fn combined(insn: &Insn, number: bool, silent: bool) -> Option<Handler> {
    match insn.op {
        Name::Add => combine_with::<{ alu::ADD }>(insn.size, number, silent),
        Name::Sub => combine_with::<{ alu::SUB }>(insn.size, number, silent),
        Name::And => combine_with::<{ alu::AND }>(insn.size, number, silent),
        Name::Or => combine_with::<{ alu::OR }>(insn.size, number, silent),
        Name::Xor => combine_with::<{ alu::XOR }>(insn.size, number, silent),
        _ => None,
    }
}

fn combine_with<const K: u8>(size: Width, number: bool, silent: bool) -> Option<Handler> {
    by_wide!(size, W => match (number, silent) {
        (true, true) => handler::<alu::Copied<K, W, true, true>>(),
        (true, false) => handler::<alu::Copied<K, W, true, false>>(),
        (false, true) => handler::<alu::Copied<K, W, false, true>>(),
        (false, false) => handler::<alu::Copied<K, W, false, false>>(),
    })
}
