//! SSE and MMX instructions that only carry bits about.

use alloc::vec::Vec;

use super::sse::{LOW, combine, merged, missing, set, source, source_unaligned};
use super::x87_control::MXCSR_MASK;
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Movaps
        | Op::Movapd
        | Op::Movdqa
        | Op::Movntps
        | Op::Movntpd
        | Op::Movntdq
        | Op::Movntdqa => whole(cx, insn, true),
        Op::Movups | Op::Movupd | Op::Movdqu | Op::Lddqu => whole(cx, insn, false),
        Op::Movss => scalar(cx, insn, 32),
        Op::Movsd => scalar(cx, insn, 64),
        Op::Movd | Op::Movq | Op::Movntq | Op::Movdq2q | Op::Movq2dq => integer(cx, insn),
        Op::Movlps | Op::Movlpd => low_half(cx, insn),
        Op::Movhps | Op::Movhpd => high_half(cx, insn),
        Op::Movhlps => with_sources(cx, insn, |a, b| a & !LOW | b >> 64),
        Op::Movlhps => with_sources(cx, insn, |a, b| a & LOW | b << 64),
        Op::Movddup => with_sources(cx, insn, |_, b| b & LOW | b << 64),
        Op::Movshdup => with_sources(cx, insn, |_, b| {
            let high = b >> 32 & (0xffff_ffff << 64 | 0xffff_ffff);
            high | high << 32
        }),
        Op::Movsldup => with_sources(cx, insn, |_, b| {
            let low = b & (0xffff_ffff << 64 | 0xffff_ffff);
            low | low << 32
        }),
        Op::Movmskps => sign_mask(cx, insn, 32),
        Op::Movmskpd => sign_mask(cx, insn, 64),
        Op::Pmovmskb => sign_mask(cx, insn, 8),
        Op::Maskmovdqu | Op::Maskmovq => masked_store(cx, insn),
        Op::Ldmxcsr => load_mxcsr(cx, insn),
        Op::Stmxcsr => {
            let value = u64::from(cx.cpu.mxcsr);
            cx.set(insn, 0, value)
        }
        _ => missing(insn),
    }
}

fn with_sources(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u128, u128) -> u128) -> Result<(), Fault> {
    combine(cx, insn, |a, b, _| f(a, b))
}

/// 16 bytes, to a register or to memory.
fn whole(cx: &mut Cx<'_>, insn: &Insn, aligned: bool) -> Result<(), Fault> {
    let value = match aligned {
        true => source(cx, insn, 1)?,
        false => source_unaligned(cx, insn, 1)?,
    };
    if insn.operands[0] != Operand::Mem {
        return set(cx, insn, 0, value);
    }
    let align = if aligned { 16 } else { 1 };
    let va = cx.address_aligned(insn, true, align)?;
    cx.write128(va, value)
}

/// MOVSS and MOVSD: a load clears what is above, a register move keeps it.
fn scalar(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let value = source(cx, insn, 1)?;
    match (insn.operands[0], insn.operands[1]) {
        (Operand::Mem, _) => cx.set(insn, 0, value as u64 & u64::MAX >> (64 - bits)),
        (_, Operand::Mem) => set(cx, insn, 0, value),
        _ => {
            let old = source(cx, insn, FIRST)?;
            set(cx, insn, 0, merged(old, value, bits))
        }
    }
}

/// MOVD and MOVQ between vectors, integer registers and memory.
fn integer(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = source(cx, insn, 1)? as u64;
    match insn.operands[0] {
        Operand::Xmm(_) | Operand::XmmZeroing(_) | Operand::Mmx(_) => {
            set(cx, insn, 0, value.into())
        }
        Operand::Gpr(reg) => {
            cx.cpu.set_gpr(reg, value & reg.width.mask());
            Ok(())
        }
        _ => cx.set(
            insn,
            0,
            value & u64::MAX >> (64 - 8 * u32::from(insn.mem.bytes.clamp(1, 8))),
        ),
    }
}

fn low_half(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = source(cx, insn, 1)?;
    if insn.operands[0] == Operand::Mem {
        return cx.set(insn, 0, value as u64);
    }
    let old = source(cx, insn, FIRST)?;
    set(cx, insn, 0, merged(old, value, 64))
}

fn high_half(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = source(cx, insn, 1)?;
    if insn.operands[0] == Operand::Mem {
        return cx.set(insn, 0, (value >> 64) as u64);
    }
    let old = source(cx, insn, FIRST)?;
    set(cx, insn, 0, old & LOW | value << 64)
}

/// The top bits of all lanes, as an integer.
fn sign_mask(cx: &mut Cx<'_>, insn: &Insn, lane: u32) -> Result<(), Fault> {
    let value = source(cx, insn, 1)?;
    cx.set(insn, 0, signs(value, lane))
}

/// The top bit of each lane.
pub(super) fn signs(value: u128, lane: u32) -> u64 {
    (0..128 / lane).fold(0, |sum, i| {
        sum | ((value >> (lane * (i + 1) - 1)) as u64 & 1) << i
    })
}

/// MASKMOVDQU and MASKMOVQ: the bytes whose mask byte is negative, to where rDI points.
fn masked_store(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    // The first operand is the memory that only the opcode names.
    let value = source(cx, insn, 1)?.to_le_bytes();
    let mask = source(cx, insn, 2)?.to_le_bytes();
    let len = if matches!(insn.operands[1], Operand::Mmx(_)) {
        8
    } else {
        16
    };
    let start = cx.cpu.gpr[7];
    let rights = cx.rights(true);
    // Pages fault whatever the mask is; of 16 bytes the upper half comes first.
    let at = start & insn.mem.address.mask();
    let va = cx.linear(insn.mem.seg, at, len as u64, true)?;
    for half in (0..len).step_by(8).rev() {
        cx.span(va.add(half as u64), 8, rights)?;
    }
    let mut stores = Vec::with_capacity(len);
    for i in (0..len).filter(|&i| mask[i] >> 7 != 0) {
        let offset = start.wrapping_add(i as u64) & insn.mem.address.mask();
        let va = cx.linear(insn.mem.seg, offset, 1, true)?;
        stores.push((cx.span(va, 1, rights)?, value[i]));
    }
    for (span, byte) in stores {
        cx.store(span, byte.into());
    }
    Ok(())
}

fn load_mxcsr(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = cx.get(insn, 0)? as u32;
    if value & !MXCSR_MASK != 0 {
        return Err(Fault::GP);
    }
    cx.cpu.mxcsr = value;
    Ok(())
}
