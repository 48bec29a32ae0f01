//! SSE conversions between integers, singles and doubles.

use super::sse::{LOW, merged, missing, set, settle, source};
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
        Op::Cvtss2sd => between(cx, insn, SINGLE, DOUBLE, 1),
        Op::Cvtsd2ss => between(cx, insn, DOUBLE, SINGLE, 1),
        Op::Cvtps2pd => between(cx, insn, SINGLE, DOUBLE, 2),
        Op::Cvtpd2ps => between(cx, insn, DOUBLE, SINGLE, 2),
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

/// Between the formats. One lane leaves the rest of the destination, two clear what is above.
fn between(
    cx: &mut Cx<'_>,
    insn: &Insn,
    from: Format,
    to: Format,
    count: u32,
) -> Result<(), Fault> {
    let operand = source(cx, insn, 1)?;
    let control = control(cx, false);
    let (mut value, mut flags) = (0, Flags::empty());
    for i in 0..count {
        let (result, raised) = sse::convert(from, to, lane(operand, width(from), i), control);
        value |= u128::from(result) << (width(to) * i);
        flags |= raised;
    }
    settle(cx, flags)?;
    if count == 1 {
        value = merged(source(cx, insn, FIRST)?, value, width(to));
    }
    set(cx, insn, 0, value)
}

/// From packed 32-bit integers. CVTPI2PS leaves the upper half of its destination.
fn from_ints(cx: &mut Cx<'_>, insn: &Insn, to: Format, count: u32) -> Result<(), Fault> {
    let operand = source(cx, insn, 1)?;
    let control = control(cx, false);
    let (mut value, mut flags) = (0, Flags::empty());
    for i in 0..count {
        let integer = i64::from(lane(operand, 32, i) as i32);
        let (result, raised) = sse::from_int(to, integer, control);
        value |= u128::from(result) << (width(to) * i);
        flags |= raised;
    }
    settle(cx, flags)?;
    if insn.op == Op::Cvtpi2ps {
        value = merged(source(cx, insn, FIRST)?, value, 64);
    }
    set(cx, insn, 0, value)
}

/// To packed 32-bit integers; what is above them becomes zero.
fn to_ints(
    cx: &mut Cx<'_>,
    insn: &Insn,
    from: Format,
    count: u32,
    truncate: bool,
) -> Result<(), Fault> {
    let operand = source(cx, insn, 1)?;
    let control = control(cx, truncate);
    let (mut value, mut flags) = (0, Flags::empty());
    for i in 0..count {
        let (result, raised) = sse::to_int(from, lane(operand, width(from), i), 32, control);
        value |= u128::from(result as u32) << (32 * i);
        flags |= raised;
    }
    settle(cx, flags)?;
    set(cx, insn, 0, if count == 2 { value & LOW } else { value })
}
