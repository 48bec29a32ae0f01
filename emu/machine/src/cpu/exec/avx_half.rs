//! F16C: between halves and singles. Four halves in memory need not be aligned even if the
//! program asks for #AC, as on processors.

use super::avx::{self, Halves, halves};
use super::sse::{immediate, missing, settle};
use crate::cpu::fp::sse::Control;
use crate::cpu::fp::{Flags, Rounding, half};
use crate::cpu::insn::{Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vcvtph2ps => to_singles(cx, insn),
        Op::Vcvtps2ph => from_singles(cx, insn),
        _ => missing(insn),
    }
}

/// Four halves to the low half of the destination, four more to that of a YMM register.
fn to_singles(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = match insn.operands[1] {
        Operand::Mem if insn.mem.bytes == 8 => {
            let va = cx.address(insn, false)?;
            let span = cx.span(va, 8, cx.rights_unaligned(false))?;
            cx.load(span).into()
        }
        _ => halves(cx, insn, 1)?[0],
    };
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    let (mut value, mut flags): (Halves, _) = ([0; 2], Flags::empty());
    for i in 0..lanes(insn.operands[0]) {
        let (result, raised) = half::to_single((source >> (16 * i)) as u64 & 0xFFFF, control);
        value[i / 4] |= u128::from(result) << (32 * (i % 4));
        flags |= raised;
    }
    settle(cx, flags)?;
    avx::set(cx, insn, value)
}

/// Singles to halves, rounded as the immediate says or leaves to MXCSR. As on hardware the
/// exceptions of the numbers come before those of the destination's address, and stay in MXCSR
/// when that faults.
fn from_singles(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = halves(cx, insn, 1)?;
    let mode = immediate(insn, 2)?;
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    let control = match mode & 4 {
        0 => control.with_rounding(Rounding::from_rc(mode.into())),
        _ => control,
    };
    let (mut value, mut flags) = (0, Flags::empty());
    for i in 0..lanes(insn.operands[1]) {
        let single = (source[i / 4] >> (32 * (i % 4))) as u64 & 0xFFFF_FFFF;
        let (result, raised) = half::from_single(single, control);
        value |= u128::from(result) << (16 * i);
        flags |= raised;
    }
    settle(cx, flags)?;
    if insn.operands[0] != Operand::Mem {
        return avx::set(cx, insn, [value, 0]);
    }
    let va = cx.address(insn, true)?;
    match insn.mem.bytes {
        16 => cx.write128(va, value),
        _ => {
            let span = cx.span(va, 8, cx.rights_unaligned(true))?;
            cx.store(span, value as u64);
            Ok(())
        }
    }
}

/// How many singles the operand has.
fn lanes(operand: Operand) -> usize {
    match operand {
        Operand::Ymm(_) => 8,
        _ => 4,
    }
}
