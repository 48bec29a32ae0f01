//! What the VEX forms of instructions on vectors share: when they may run at all, and how they
//! reach both halves of the YMM registers.

use super::{
    avx_fused, avx_half, avx_lane, avx_memory, avx_move, sse, sse_aes, sse_clmul, sse_convert,
    sse_float, sse_integer, sse_shuffle, sse_text,
};
use crate::cpu::insn::{Family, Insn, Operand};
use crate::cpu::state::{cr0, cr4, flag, xcr0};
use crate::cpu::{Cx, Fault};

/// The low and the high half of a YMM register.
pub(super) type Halves = [u128; 2];

/// Carries out an instruction: #UD if the kernel has not switched AVX on, and in real mode; #NM
/// if the state is another task's. CR0.EM has no say.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    const STATE: u64 = xcr0::SSE | xcr0::AVX;
    let off = cx.cpu.cr4 & cr4::OSXSAVE == 0 || cx.cpu.xcr0 & STATE != STATE;
    if off || cx.cpu.real_mode() {
        return Err(Fault::UD);
    }
    if cx.cpu.cr0 & cr0::TS != 0 {
        return Err(Fault::NM);
    }
    match insn.op.family() {
        Family::SseMove => avx_move::execute(cx, insn),
        Family::SseFloat => sse_float::execute(cx, insn),
        Family::SseConvert => sse_convert::execute(cx, insn),
        Family::SseInteger => sse_integer::execute(cx, insn),
        Family::SseShuffle => sse_shuffle::execute(cx, insn),
        Family::SseText => sse_text::execute(cx, insn),
        Family::SseAes => sse_aes::execute(cx, insn),
        Family::SseClmul => sse_clmul::execute(cx, insn),
        Family::AvxLane => avx_lane::execute(cx, insn),
        Family::AvxFused => avx_fused::execute(cx, insn),
        Family::AvxHalf => avx_half::execute(cx, insn),
        Family::AvxMemory => avx_memory::execute(cx, insn),
        _ => sse::missing(insn),
    }
}

/// Both halves of an operand; what has no high half has zeros there.
pub(super) fn halves(cx: &mut Cx<'_>, insn: &Insn, index: usize) -> Result<Halves, Fault> {
    match insn.operands[index] {
        Operand::Ymm(i) => {
            let i = usize::from(i & 15);
            Ok([cx.cpu.xmm[i], cx.cpu.ymm_high[i]])
        }
        Operand::Mem if insn.mem.bytes == 32 => {
            let va = cx.address(insn, false)?;
            cx.read256(va)
        }
        _ => Ok([sse::source(cx, insn, index)?, 0]),
    }
}

/// Writes the destination; a register of 16 bytes takes the low half.
pub(super) fn set(cx: &mut Cx<'_>, insn: &Insn, value: Halves) -> Result<(), Fault> {
    match insn.operands[0] {
        Operand::Ymm(i) => {
            let i = usize::from(i & 15);
            [cx.cpu.xmm[i], cx.cpu.ymm_high[i]] = value;
            Ok(())
        }
        _ => sse::set(cx, insn, 0, value[0]),
    }
}

/// What the instructions that only test leave in the flags: ZF and CF, the others clear.
pub(super) fn set_test_flags(cx: &mut Cx<'_>, zero: bool, carry: bool) {
    cx.cpu.rflags &= !flag::STATUS;
    cx.cpu.set_flag(flag::ZF, zero);
    cx.cpu.set_flag(flag::CF, carry);
}
