//! SSE conversions between integers, singles and doubles.

use super::avx::{self, Halves, halves};
use super::sse::{merged, missing, set, settle, source};
use crate::cpu::fp::sse::{self, Control};
use crate::cpu::fp::{DOUBLE, Flags, Format, Rounding, SINGLE};
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Cvtsi2ss => from_gpr(cx, insn, SINGLE),
        Op::Cvtsi2sd => from_gpr(cx, insn, DOUBLE),
        Op::Cvtss2si => to_gpr(cx, insn, SINGLE, false),
        Op::Cvtsd2si => to_gpr(cx, insn, DOUBLE, false),
        Op::Cvttss2si => to_gpr(cx, insn, SINGLE, true),
        Op::Cvttsd2si => to_gpr(cx, insn, DOUBLE, true),
        Op::Cvtss2sd => between(cx, insn, SINGLE, DOUBLE),
        Op::Cvtsd2ss => between(cx, insn, DOUBLE, SINGLE),
        Op::Cvtps2pd => all_between(cx, insn, SINGLE, DOUBLE),
        Op::Cvtpd2ps => all_between(cx, insn, DOUBLE, SINGLE),
        Op::Cvtdq2ps => from_ints(cx, insn, SINGLE, 4),
        Op::Cvtdq2pd | Op::Cvtpi2pd => from_ints(cx, insn, DOUBLE, 2),
        Op::Cvtpi2ps => from_ints(cx, insn, SINGLE, 2),
        Op::Cvtps2dq => to_ints(cx, insn, SINGLE, 4, false),
        Op::Cvttps2dq => to_ints(cx, insn, SINGLE, 4, true),
        Op::Cvtpd2dq | Op::Cvtpd2pi => to_ints(cx, insn, DOUBLE, 2, false),
        Op::Cvttpd2dq | Op::Cvttpd2pi => to_ints(cx, insn, DOUBLE, 2, true),
        Op::Cvtps2pi => to_ints(cx, insn, SINGLE, 2, false),
        Op::Cvttps2pi => to_ints(cx, insn, SINGLE, 2, true),
        _ => missing(insn),
    }
}

const fn width(format: Format) -> u32 {
    if format.precision == SINGLE.precision {
        32
    } else {
        64
    }
}

fn lane(value: u128, bits: u32, index: u32) -> u64 {
    (value >> (bits * index)) as u64 & u64::MAX >> (64 - bits)
}

fn control(cx: &Cx<'_>, truncate: bool) -> Control {
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    if truncate {
        control.with_rounding(Rounding::Zero)
    } else {
        control
    }
}

fn from_gpr(cx: &mut Cx<'_>, insn: &Insn, format: Format) -> Result<(), Fault> {
    let value = cx.get(insn, 1)?;
    let wide = match insn.operands[1] {
        Operand::Gpr(reg) => reg.width.bits() == 64,
        _ => insn.mem.bytes == 8,
    };
    let value = if wide {
        value as i64
    } else {
        i64::from(value as i32)
    };
    let (result, flags) = sse::from_int(format, value, control(cx, false));
    settle(cx, flags)?;
    let old = source(cx, insn, FIRST)?;
    set(cx, insn, 0, merged(old, result.into(), width(format)))
}

fn to_gpr(cx: &mut Cx<'_>, insn: &Insn, format: Format, truncate: bool) -> Result<(), Fault> {
    let value = lane(source(cx, insn, 1)?, width(format), 0);
    let bits = match insn.operands[0] {
        Operand::Gpr(reg) => reg.width.bits(),
        _ => return missing(insn),
    };
    let (result, flags) = sse::to_int(format, value, bits, control(cx, truncate));
    settle(cx, flags)?;
    cx.set(insn, 0, result as u64 & u64::MAX >> (64 - bits))
}

/// One number between the formats; the rest of the first source stays beside it.
fn between(cx: &mut Cx<'_>, insn: &Insn, from: Format, to: Format) -> Result<(), Fault> {
    let operand = lane(source(cx, insn, 1)?, width(from), 0);
    let (value, flags) = sse::convert(from, to, operand, control(cx, false));
    settle(cx, flags)?;
    let old = source(cx, insn, FIRST)?;
    set(cx, insn, 0, merged(old, value.into(), width(to)))
}

/// Packed numbers between the formats.
fn all_between(cx: &mut Cx<'_>, insn: &Insn, from: Format, to: Format) -> Result<(), Fault> {
    let control = control(cx, false);
    let convert = |value| sse::convert(from, to, value, control);
    let value = each(cx, insn, (width(from), width(to)), 2, convert)?;
    avx::set(cx, insn, value)
}

/// From packed 32-bit integers. CVTPI2PS leaves the upper half of its destination.
fn from_ints(cx: &mut Cx<'_>, insn: &Insn, to: Format, count: u32) -> Result<(), Fault> {
    let control = control(cx, false);
    let convert = |value| sse::from_int(to, i64::from(value as i32), control);
    let mut value = each(cx, insn, (32, width(to)), count, convert)?;
    if insn.op == Op::Cvtpi2ps {
        value[0] = merged(source(cx, insn, FIRST)?, value[0], 64);
    }
    avx::set(cx, insn, value)
}

/// To packed 32-bit integers; what is above them becomes zero.
fn to_ints(
    cx: &mut Cx<'_>,
    insn: &Insn,
    from: Format,
    count: u32,
    truncate: bool,
) -> Result<(), Fault> {
    let control = control(cx, truncate);
    let convert = |value| {
        let (result, flags) = sse::to_int(from, value, 32, control);
        (u64::from(result as u32), flags)
    };
    let value = each(cx, insn, (width(from), 32), count, convert)?;
    avx::set(cx, insn, value)
}

/// Converts the lowest `count` lanes of a vector, or twice as many if there is a YMM register;
/// `widths` are those of a lane before and after. What is above the results is zero.
fn each(
    cx: &mut Cx<'_>,
    insn: &Insn,
    widths: (u32, u32),
    count: u32,
    f: impl Fn(u64) -> (u64, Flags),
) -> Result<Halves, Fault> {
    let operand = halves(cx, insn, 1)?;
    let place = |bits: u32, i: u32| ((i / (128 / bits)) as usize, bits * (i % (128 / bits)));
    let (mut value, mut flags): (Halves, _) = ([0; 2], Flags::empty());
    for i in 0..count << u32::from(is_wide(insn)) {
        let (half, shift) = place(widths.0, i);
        let (result, raised) = f(lane(operand[half] >> shift, widths.0, 0));
        let (half, shift) = place(widths.1, i);
        value[half] |= u128::from(result) << shift;
        flags |= raised;
    }
    settle(cx, flags)?;
    Ok(value)
}

/// Whether the longer of both operands has 32 bytes.
fn is_wide(insn: &Insn) -> bool {
    let [to, from, ..] = insn.operands;
    matches!(to, Operand::Ymm(_))
        || matches!(from, Operand::Ymm(_))
        || (from == Operand::Mem && insn.mem.bytes == 32)
}
