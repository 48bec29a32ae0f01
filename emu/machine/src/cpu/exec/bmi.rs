//! Bit manipulation on general-purpose registers: BMI1, BMI2, LZCNT.
//!
//! Flags that the manual leaves undefined after one of these are cleared, as Intel CPUs do.

use super::flags::{self, when};
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

const RDX: u8 = 2;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if insn.vex && cx.cpu.real_mode() {
        return Err(Fault::UD);
    }
    match insn.op {
        Op::Tzcnt | Op::Lzcnt => count_zeros(cx, insn),
        Op::Blsi | Op::Blsmsk | Op::Blsr => lowest_set_bit(cx, insn),
        Op::Andn => and_not(cx, insn),
        Op::Bextr => extract(cx, insn),
        Op::Bzhi => zero_high(cx, insn),
        Op::Mulx => multiply(cx, insn),
        Op::Pdep | Op::Pext => distribute(cx, insn),
        Op::Rorx | Op::Sarx | Op::Shlx | Op::Shrx => shift(cx, insn),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// Zero and sign of a result.
fn zero_and_sign(width: Width, result: u64) -> u64 {
    when(result == 0, flag::ZF) | when(result & width.sign() != 0, flag::SF)
}

/// TZCNT and LZCNT: of a zero source all bits are counted, and CF is set.
fn count_zeros(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let bits = insn.size.bits();
    let source = cx.get(insn, 1)?;
    let count = match insn.op {
        Op::Tzcnt => source.trailing_zeros().min(bits),
        _ => source.leading_zeros() - (64 - bits),
    };
    cx.set(insn, 0, u64::from(count))?;
    let status = when(source == 0, flag::CF) | when(count == 0, flag::ZF);
    flags::set(cx.cpu, status);
    Ok(())
}

/// BLSI isolates the lowest set bit, BLSMSK makes a mask up to it, BLSR resets it. CF says that
/// there is one (BLSI) or none (the others).
fn lowest_set_bit(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let source = cx.get(insn, 1)?;
    let below = source.wrapping_sub(1);
    let (result, carry) = match insn.op {
        Op::Blsi => (source & source.wrapping_neg(), source != 0),
        Op::Blsmsk => (source ^ below, source == 0),
        _ => (source & below, source == 0),
    };
    let result = result & width.mask();
    cx.set(insn, 0, result)?;
    // No mask is zero: what the manual says of ZF after BLSMSK is so by itself.
    let status = zero_and_sign(width, result) | when(carry, flag::CF);
    flags::set(cx.cpu, status);
    Ok(())
}

/// ANDN: the complement of the first source, and the second.
fn and_not(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let result = !cx.get(insn, 1)? & cx.get(insn, 2)?;
    cx.set(insn, 0, result)?;
    flags::set(cx.cpu, zero_and_sign(insn.size, result));
    Ok(())
}

/// BEXTR: as many bits as bits 8 to 15 of the control say, from the one that bits 0 to 7 say on.
fn extract(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    let [start, len, ..] = cx.get(insn, 2)?.to_le_bytes().map(u32::from);
    let result = low_bits(source.checked_shr(start).unwrap_or(0), len);
    cx.set(insn, 0, result)?;
    flags::set(cx.cpu, when(result == 0, flag::ZF));
    Ok(())
}

/// BZHI: only the bits below the index stay. CF says that the index is beyond the operand.
fn zero_high(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    let index = u32::from(cx.get(insn, 2)? as u8);
    let result = low_bits(source, index);
    cx.set(insn, 0, result)?;
    let beyond = when(index >= insn.size.bits(), flag::CF);
    flags::set(cx.cpu, zero_and_sign(insn.size, result) | beyond);
    Ok(())
}

/// The lowest `count` bits; all of them from 64 on.
fn low_bits(value: u64, count: u32) -> u64 {
    value & !u64::MAX.checked_shl(count).unwrap_or(0)
}

/// MULX: RDX times the source into two registers, the high half first. If both are the same, it
/// holds the high half.
fn multiply(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let product = u128::from(cx.reg(RDX, width)) * u128::from(cx.get(insn, 2)?);
    cx.set(insn, 1, product as u64 & width.mask())?;
    cx.set(insn, 0, (product >> width.bits()) as u64)
}

/// PDEP puts the low bits of the source where the mask has bits; PEXT collects them from there.
fn distribute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    let mask = cx.get(insn, 2)?;
    let places = (0..64).filter(|place| mask >> place & 1 != 0);
    let result = places.enumerate().fold(0, |result, (low, place)| {
        let (from, to) = match insn.op {
            Op::Pdep => (low, place),
            _ => (place, low),
        };
        result | (source >> from & 1) << to
    });
    cx.set(insn, 0, result)
}

/// RORX, SARX, SHLX, SHRX: the count is taken modulo the width, and no flag changes.
fn shift(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let source = cx.get(insn, 1)?;
    let count = cx.get(insn, 2)? as u32 & (width.bits() - 1);
    let result = match insn.op {
        Op::Rorx => source >> count | source << ((width.bits() - count) & 63),
        Op::Sarx => (width.extend(source) as i64 >> count) as u64,
        Op::Shlx => source << count,
        _ => source >> count,
    };
    cx.set(insn, 0, result & width.mask())
}
