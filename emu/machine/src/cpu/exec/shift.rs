//! Shifts and rotates. Where the manual leaves OF undefined (counts other than one) it follows
//! the formula of count one, as current Intel CPUs do.

use super::flags::{self, Flagged, when, zsp};
use crate::cpu::insn::{Insn, Op, Operand, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Shld | Op::Shrd => double(cx, insn),
        _ => single(cx, insn),
    }
}

/// The count, cut to five bits, or six for 64-bit operands.
fn count(cx: &mut Cx<'_>, insn: &Insn, index: usize) -> Result<u32, Fault> {
    let raw = match insn.operands[index] {
        Operand::None => 1,
        _ => cx.get(insn, index)?,
    };
    let mask = if insn.size == Width::Qword { 63 } else { 31 };
    Ok((raw & mask) as u32)
}

fn single(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let place = cx.place(insn, 0)?;
    let count = count(cx, insn, 1)?;
    let a = cx.peek(place);
    if count == 0 {
        // No flag changes, but a 32-bit register still loses its upper half.
        cx.put(place, a);
        return Ok(());
    }
    let width = insn.size;
    let carry = cx.cpu.flag(flag::CF);
    let rotates = flag::CF | flag::OF;
    let ((result, status), changed) = match insn.op {
        Op::Rol => (rol(width, a, count), rotates),
        Op::Ror => (ror(width, a, count), rotates),
        Op::Rcl => (rcl(width, a, count, carry), rotates),
        Op::Rcr => (rcr(width, a, count, carry), rotates),
        Op::Shl => (shl(width, a, count), flag::STATUS),
        Op::Shr => (shr(width, a, count), flag::STATUS),
        Op::Sar => (sar(width, a, count), flag::STATUS),
        _ => return Err(Fault::Missing(insn.op.name())),
    };
    // A rotate through carry by a multiple of its period changes nothing.
    let whole = matches!(insn.op, Op::Rcl | Op::Rcr) && count % (width.bits() + 1) == 0;
    cx.put(place, result);
    flags::set_some(cx.cpu, if whole { 0 } else { changed }, status);
    Ok(())
}

fn msb(width: Width, value: u64) -> bool {
    value & width.sign() != 0
}

fn shl(width: Width, a: u64, count: u32) -> Flagged {
    let wide = u128::from(a) << count;
    let result = wide as u64 & width.mask();
    let carry = wide >> width.bits() & 1 != 0;
    let overflow = msb(width, result) != carry;
    (
        result,
        zsp(width, result) | when(carry, flag::CF) | when(overflow, flag::OF),
    )
}

fn shr(width: Width, a: u64, count: u32) -> Flagged {
    let carry = a >> (count - 1) & 1 != 0;
    let result = a >> count;
    let overflow = msb(width, result << 1 ^ result);
    (
        result,
        zsp(width, result) | when(carry, flag::CF) | when(overflow, flag::OF),
    )
}

fn sar(width: Width, a: u64, count: u32) -> Flagged {
    let extended = width.extend(a) as i64;
    let carry = extended >> (count - 1) & 1 != 0;
    let result = (extended >> count) as u64 & width.mask();
    (result, zsp(width, result) | when(carry, flag::CF))
}

fn rol(width: Width, a: u64, count: u32) -> Flagged {
    let result = rotate_left(width, a, count % width.bits());
    let carry = result & 1 != 0;
    (
        result,
        when(carry, flag::CF) | when(msb(width, result) != carry, flag::OF),
    )
}

fn ror(width: Width, a: u64, count: u32) -> Flagged {
    let result = rotate_left(width, a, width.bits() - count % width.bits());
    let overflow = msb(width, result << 1 ^ result);
    (
        result,
        when(msb(width, result), flag::CF) | when(overflow, flag::OF),
    )
}

fn rotate_left(width: Width, a: u64, count: u32) -> u64 {
    let wide = u128::from(a) << count;
    (wide as u64 | (wide >> width.bits()) as u64) & width.mask()
}

/// A rotate of `bits + 1` bits with the carry on top.
fn rcl(width: Width, a: u64, count: u32, carry: bool) -> Flagged {
    let period = width.bits() + 1;
    let (result, carry) = through_carry(width, a, carry, count % period);
    let overflow = msb(width, result) != carry;
    (result, when(carry, flag::CF) | when(overflow, flag::OF))
}

fn rcr(width: Width, a: u64, count: u32, carry: bool) -> Flagged {
    let period = width.bits() + 1;
    let (result, carry) = through_carry(width, a, carry, period - count % period);
    let overflow = msb(width, result << 1 ^ result);
    (result, when(carry, flag::CF) | when(overflow, flag::OF))
}

fn through_carry(width: Width, a: u64, carry: bool, left: u32) -> (u64, bool) {
    let period = width.bits() + 1;
    let left = left % period;
    let all = u128::from(a) | u128::from(carry) << width.bits();
    let turned = all << left | all >> (period - left);
    (
        turned as u64 & width.mask(),
        turned >> width.bits() & 1 != 0,
    )
}

/// SHLD and SHRD: bits come in from the second operand.
fn double(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let place = cx.place(insn, 0)?;
    let b = cx.get(insn, 1)?;
    let count = count(cx, insn, 2)?;
    let a = cx.peek(place);
    if count == 0 {
        cx.put(place, a);
        return Ok(());
    }
    let width = insn.size;
    let (result, carry) = match insn.op {
        Op::Shld => shift_in_left(width, a, b, count),
        _ => shift_in_right(width, a, b, count),
    };
    let overflow = msb(width, a ^ result);
    cx.put(place, result);
    let status = zsp(width, result) | when(carry, flag::CF) | when(overflow, flag::OF);
    flags::set(cx.cpu, status);
    Ok(())
}

/// 16-bit operands with counts above 16 are undefined; Intel CPUs go on with the first operand.
fn shift_in_left(width: Width, a: u64, b: u64, count: u32) -> (u64, bool) {
    let bits = width.bits();
    if width == Width::Word {
        let all = a << 32 | b << 16 | a;
        let wide = u128::from(all) << count;
        return ((wide >> 32) as u64 & 0xFFFF, wide >> 48 & 1 != 0);
    }
    let result = a << count | b >> (bits - count);
    (result & width.mask(), a >> (bits - count) & 1 != 0)
}

fn shift_in_right(width: Width, a: u64, b: u64, count: u32) -> (u64, bool) {
    if width == Width::Word {
        let all = a << 32 | b << 16 | a;
        return (all >> count & 0xFFFF, all >> (count - 1) & 1 != 0);
    }
    let result = a >> count | b << (width.bits() - count);
    (result & width.mask(), a >> (count - 1) & 1 != 0)
}
