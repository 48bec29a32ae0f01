//! Flags as compiled code leaves them: what the last operation was, and two
//! words from which its flags follow.
//!
//! The formulas are those of the reference interpreter, "undefined" flags
//! included.

use machine::cpu::insn::Width;
use machine::cpu::state::flag;

/// `x` is the status word.
pub(crate) const BITS: u8 = 1;
/// `x` is the result; CF, OF and AF are clear.
pub(crate) const LOGIC: u8 = 2;
/// `x` is the sum, `y` the second operand.
pub(crate) const ADD: u8 = 3;
/// `x` is the difference, `y` the second operand.
pub(crate) const SUB: u8 = 4;
/// `x` and `y` are the operands of a comparison.
pub(crate) const CMP: u8 = 5;
/// `x` is the result, `y` the carry of before.
pub(crate) const INC: u8 = 6;
/// The same for DEC.
pub(crate) const DEC: u8 = 7;
/// `x` is the result, `y` are the flags that do not follow from it.
pub(crate) const RESULT: u8 = 8;
/// The same, but ZF is clear.
pub(crate) const PRODUCT: u8 = 9;

/// The number that stands for one of these at this width.
pub(crate) const fn kind(operation: u8, width: Width) -> u64 {
    operation as u64 | (width as u64) << 8
}

/// The status flags in full.
pub(crate) fn status(kind: u64, x: u64, y: u64) -> u64 {
    let Some(width) = Width::from_bytes((kind >> 8) as usize & 15) else {
        // Only `BITS` has no width.
        return x & flag::STATUS;
    };
    match kind as u8 {
        LOGIC => of_result(width, x),
        ADD => of_sum(width, x.wrapping_sub(y), y, x),
        SUB => of_difference(width, x.wrapping_add(y), y, x),
        CMP => of_difference(width, x, y, x.wrapping_sub(y)),
        INC => of_sum(width, x.wrapping_sub(1), 1, x) & !flag::CF | y & flag::CF,
        DEC => of_difference(width, x.wrapping_add(1), 1, x) & !flag::CF | y & flag::CF,
        PRODUCT => of_result(width, x) & !flag::ZF | y & (flag::CF | flag::AF | flag::OF),
        _ => of_result(width, x) | y & (flag::CF | flag::AF | flag::OF),
    }
}

const fn when(on: bool, mask: u64) -> u64 {
    if on { mask } else { 0 }
}

/// Zero, sign and parity.
const fn of_result(width: Width, result: u64) -> u64 {
    let result = result & width.mask();
    when(result == 0, flag::ZF)
        | when(result & width.sign() != 0, flag::SF)
        | when((result as u8).count_ones() & 1 == 0, flag::PF)
}

const fn of_sum(width: Width, a: u64, b: u64, result: u64) -> u64 {
    let carries = a & b | (a | b) & !result;
    let overflow = (a ^ result) & (b ^ result);
    of_result(width, result) | of_carries(width, carries, overflow)
}

const fn of_difference(width: Width, a: u64, b: u64, result: u64) -> u64 {
    let borrows = !a & b | (!a | b) & result;
    let overflow = (a ^ b) & (a ^ result);
    of_result(width, result) | of_carries(width, borrows, overflow)
}

const fn of_carries(width: Width, carries: u64, overflow: u64) -> u64 {
    when(carries & width.sign() != 0, flag::CF)
        | when(carries & 8 != 0, flag::AF)
        | when(overflow & width.sign() != 0, flag::OF)
}
