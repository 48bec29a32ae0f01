//! VEX forms that only carry bits about, where they differ from the SSE ones.

use super::{avx, sse_move};
use crate::cpu::insn::{Insn, Op, Operand};
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
        | Op::Movntdqa => {
            check_alignment(cx, insn)?;
            whole(cx, insn)
        }
        Op::Movups | Op::Movupd | Op::Movdqu | Op::Lddqu => whole(cx, insn),
        Op::Movmskps => sign_mask(cx, insn, 32),
        Op::Movmskpd => sign_mask(cx, insn, 64),
        Op::Pmovmskb => sign_mask(cx, insn, 8),
        _ => sse_move::execute(cx, insn),
    }
}

/// #GP unless the memory operand is aligned to its size.
fn check_alignment(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let Some(place) = insn.operands.iter().position(|&o| o == Operand::Mem) else {
        return Ok(());
    };
    cx.address_aligned(insn, place == 0, insn.mem.bytes.into())
        .map(|_| ())
}

/// 16 or 32 bytes, to a register or to memory.
fn whole(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = avx::halves(cx, insn, 1)?;
    if insn.operands[0] != Operand::Mem {
        return avx::set(cx, insn, value);
    }
    let va = cx.address(insn, true)?;
    match insn.mem.bytes {
        32 => cx.write256(va, value),
        _ => cx.write128(va, value[0]),
    }
}

/// The top bits of all lanes, as an integer.
fn sign_mask(cx: &mut Cx<'_>, insn: &Insn, lane: u32) -> Result<(), Fault> {
    let [low, high] = avx::halves(cx, insn, 1)?.map(|half| sse_move::signs(half, lane));
    cx.set(insn, 0, low | high << (128 / lane))
}
