//! What the SSE and MMX instructions share: when they may run at all, how they reach their
//! operands, and what becomes of their floating-point exceptions.
//!
//! A vector is a `u128`; an MMX register is the low half of one.

use crate::cpu::fp::{F80, Flags};
use crate::cpu::insn::{Insn, Operand};
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

/// A vector operand: a register, or memory (16 bytes must be aligned; fewer are zero-extended).
#[inline]
pub(super) fn source(cx: &mut Cx<'_>, insn: &Insn, index: usize) -> Result<u128, Fault> {
    match insn.operands[index] {
        Operand::Xmm(i) => Ok(cx.cpu.xmm[usize::from(i & 15)]),
        Operand::Mmx(i) => Ok(mmx(cx, i).into()),
        Operand::Mem if insn.mem.bytes == 16 => {
            let va = cx.address(insn, false)?;
            if va.0 & 15 != 0 {
                return Err(Fault::GP);
            }
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

/// Writes a register that only the opcode names.
pub(super) fn set_xmm(cx: &mut Cx<'_>, index: usize, value: u128) {
    cx.cpu.xmm[index] = value;
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
