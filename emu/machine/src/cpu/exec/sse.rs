//! What the SSE and MMX instructions share: when they may run at all, how they reach their
//! operands, and what becomes of their floating-point exceptions.
//!
//! A vector is a `u128`; an MMX register is the low half of one, a YMM register two. What an
//! instruction computes is written once, as a function of two vectors; [`combine`] and
//! [`combine_float`] fetch them for every encoding, and apply it to both halves of YMM registers.

use super::avx;
use crate::cpu::fp::sse::Control;
use crate::cpu::fp::{F80, Flags};
use crate::cpu::insn::{FIRST, Insn, Operand};
use crate::cpu::state::{cr0, cr4};
use crate::cpu::{Cx, Fault};

/// The low half of a vector.
pub(super) const LOW: u128 = u64::MAX as u128;

/// Carries out an instruction: #UD or #NM if the kernel has not switched SSE on, and the x87
/// over to MMX if it has such operands.
#[inline]
pub(super) fn execute(
    cx: &mut Cx<'_>,
    insn: &Insn,
    family: impl Fn(&mut Cx<'_>, &Insn) -> Result<(), Fault>,
) -> Result<(), Fault> {
    const OFF: u64 = cr0::EM | cr0::TS;
    if cx.cpu.cr0 & OFF != 0 || cx.cpu.cr4 & cr4::OSFXSR == 0 || uses_mmx(insn) {
        return execute_carefully(cx, insn, family);
    }
    family(cx, insn)
}

fn execute_carefully(
    cx: &mut Cx<'_>,
    insn: &Insn,
    family: impl Fn(&mut Cx<'_>, &Insn) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let xmm = insn
        .operands
        .iter()
        .any(|operand| matches!(operand, Operand::Xmm(_)));
    let mmx = uses_mmx(insn);
    let needs_kernel = xmm || !mmx;
    if cx.cpu.cr0 & cr0::EM != 0 || (needs_kernel && cx.cpu.cr4 & cr4::OSFXSR == 0) {
        return Err(Fault::UD);
    }
    if cx.cpu.cr0 & cr0::TS != 0 {
        return Err(Fault::NM);
    }
    if !mmx {
        return family(cx, insn);
    }
    super::x87_state::check_pending(cx)?;
    let result = family(cx, insn);
    // The switch comes after the operands have been read and before anything is computed.
    if matches!(result, Ok(()) | Err(Fault::XM)) {
        super::x87_state::enter_mmx(cx);
    }
    result
}

/// Whether any operand is an MMX register.
fn uses_mmx(insn: &Insn) -> bool {
    insn.operands
        .iter()
        .any(|operand| matches!(operand, Operand::Mmx(_)))
}

/// Whether the instruction works on MMX registers: its result has 8 bytes, not 16.
pub(super) fn is_mmx(insn: &Insn) -> bool {
    matches!(insn.operands[0], Operand::Mmx(_))
}

/// A vector operand: a register of at most 16 bytes, or memory: 16 bytes must be aligned unless
/// there is a VEX prefix; fewer are zero-extended.
#[inline]
pub(super) fn source(cx: &mut Cx<'_>, insn: &Insn, index: usize) -> Result<u128, Fault> {
    match insn.operands[index] {
        Operand::Xmm(i) | Operand::XmmZeroing(i) => Ok(cx.cpu.xmm[usize::from(i & 15)]),
        Operand::Mmx(i) => Ok(mmx(cx, i).into()),
        Operand::Mem if insn.mem.bytes == 16 => {
            let align = if insn.vex { 1 } else { 16 };
            let va = cx.address_aligned(insn, false, align)?;
            cx.read128(va)
        }
        _ => Ok(cx.get(insn, index)?.into()),
    }
}

/// A vector operand whose memory form needs no alignment.
pub(super) fn source_unaligned(cx: &mut Cx<'_>, insn: &Insn, index: usize) -> Result<u128, Fault> {
    if insn.operands[index] == Operand::Mem && insn.mem.bytes == 16 {
        let va = cx.address(insn, false)?;
        return cx.read128(va);
    }
    source(cx, insn, index)
}

/// An MMX register.
pub(super) fn mmx(cx: &Cx<'_>, index: u8) -> u64 {
    cx.cpu.x87.registers[usize::from(index & 7)].sig
}

/// Writes a whole vector register; an MMX register takes the low half.
#[inline]
pub(super) fn set(cx: &mut Cx<'_>, insn: &Insn, index: usize, value: u128) -> Result<(), Fault> {
    match insn.operands[index] {
        Operand::Xmm(i) => cx.cpu.xmm[usize::from(i & 15)] = value,
        Operand::XmmZeroing(i) => {
            cx.cpu.xmm[usize::from(i & 15)] = value;
            cx.cpu.ymm_high[usize::from(i & 15)] = 0;
        }
        Operand::Mmx(i) => {
            let register = &mut cx.cpu.x87.registers[usize::from(i & 7)];
            *register = F80 {
                sig: value as u64,
                se: 0xffff,
            };
        }
        _ => return Err(Fault::Missing("a vector destination that is no register")),
    }
    Ok(())
}

/// Writes `f` of both sources to the destination; for YMM registers half by half. The third
/// argument of `f` is 0 for the low and 1 for the high half.
#[inline]
pub(super) fn combine(
    cx: &mut Cx<'_>,
    insn: &Insn,
    f: impl Fn(u128, u128, u32) -> u128,
) -> Result<(), Fault> {
    if let Operand::Ymm(_) = insn.operands[0] {
        let (b, a) = (avx::halves(cx, insn, 1)?, avx::halves(cx, insn, FIRST)?);
        return avx::set(cx, insn, [f(a[0], b[0], 0), f(a[1], b[1], 1)]);
    }
    let (b, a) = (source(cx, insn, 1)?, source(cx, insn, FIRST)?);
    set(cx, insn, 0, f(a, b, 0))
}

/// As [`combine`], for functions that raise floating-point exceptions: those of both halves are
/// settled together before anything is written.
#[inline]
pub(super) fn combine_float(
    cx: &mut Cx<'_>,
    insn: &Insn,
    f: impl Fn(u128, u128, Control) -> (u128, Flags),
) -> Result<(), Fault> {
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    if let Operand::Ymm(_) = insn.operands[0] {
        let (b, a) = (avx::halves(cx, insn, 1)?, avx::halves(cx, insn, FIRST)?);
        let (low, high) = (f(a[0], b[0], control), f(a[1], b[1], control));
        settle(cx, low.1 | high.1)?;
        return avx::set(cx, insn, [low.0, high.0]);
    }
    let (b, a) = (source(cx, insn, 1)?, source(cx, insn, FIRST)?);
    let (value, flags) = f(a, b, control);
    settle(cx, flags)?;
    set(cx, insn, 0, value)
}

/// Writes XMM0, which only the opcode names.
pub(super) fn set_xmm0(cx: &mut Cx<'_>, insn: &Insn, value: u128) {
    cx.cpu.xmm[0] = value;
    if insn.vex {
        cx.cpu.ymm_high[0] = 0;
    }
}

/// Replaces the low `bits` of a vector.
#[inline]
pub(super) fn merged(old: u128, new: u128, bits: u32) -> u128 {
    let mask = u128::MAX >> (128 - bits);
    old & !mask | new & mask
}

/// The immediate byte at an operand.
pub(super) fn immediate(insn: &Insn, index: usize) -> Result<u8, Fault> {
    match insn.operands[index] {
        Operand::Imm(value) => Ok(value as u8),
        _ => Err(Fault::Missing("an immediate that is none")),
    }
}

/// Books floating-point exceptions in MXCSR; one that is not masked is raised. If it belongs to
/// the operands, no lane was computed and the exceptions of results have not happened.
#[inline]
pub(super) fn settle(cx: &mut Cx<'_>, flags: Flags) -> Result<(), Fault> {
    if flags.is_empty() {
        return Ok(());
    }
    let masked = Flags::from_bits_truncate((cx.cpu.mxcsr >> 7) as u8);
    let unmasked = flags.difference(masked);
    let happened = if unmasked.intersects(Flags::BEFORE) {
        flags & Flags::BEFORE
    } else {
        flags
    };
    cx.cpu.mxcsr |= u32::from(happened.bits());
    if unmasked.is_empty() {
        return Ok(());
    }
    let handled = cx.cpu.cr4 & cr4::OSXMMEXCPT != 0;
    Err(if handled { Fault::XM } else { Fault::UD })
}

/// Names an operation that this machine does not have.
pub(super) fn missing(insn: &Insn) -> Result<(), Fault> {
    Err(Fault::Missing(insn.op.name()))
}
