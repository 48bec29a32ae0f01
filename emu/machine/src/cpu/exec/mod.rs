//! What instructions do, one file for each family.
//!
//! Every function here reads its operands, prepares its destinations (which may fault), and only
//! then changes anything.

mod alu;
mod atomic;
mod avx;
mod avx_fused;
mod avx_half;
mod avx_lane;
mod avx_memory;
mod avx_move;
mod bit;
mod bmi;
mod control;
mod flag;
mod flags;
mod io;
mod legacy;
mod mov;
mod mul_div;
mod random;
mod segment_base;
mod shift;
mod sse;
mod sse_aes;
mod sse_clmul;
mod sse_convert;
mod sse_dot;
mod sse_float;
mod sse_integer;
mod sse_move;
mod sse_sha;
mod sse_shuffle;
mod sse_text;
mod stack;
mod string;
mod system;
mod x87;
mod x87_control;
mod x87_environment;
mod x87_functions;
mod x87_move;
mod x87_state;
mod xsave;
mod xsave_area;

pub(super) use control::{
    call_system, may_call_system, may_return_from_system, return_from_system,
};

use super::decode::UNNAMED;
use super::insn::{Family, Insn, Op};
use super::{Cx, Fault};

/// Carries out one instruction.
#[inline]
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.family {
        Family::Alu => alu::execute(cx, insn),
        Family::MulDiv => mul_div::execute(cx, insn),
        Family::Shift => shift::execute(cx, insn),
        Family::Bit => bit::execute(cx, insn),
        Family::Bmi => bmi::execute(cx, insn),
        Family::Mov => mov::execute(cx, insn),
        Family::Atomic => atomic::execute(cx, insn),
        Family::Stack => stack::execute(cx, insn),
        Family::Control => control::execute(cx, insn),
        Family::Flag => flag::execute(cx, insn),
        Family::String => string::execute(cx, insn),
        Family::Legacy => legacy::execute(cx, insn),
        Family::Io => io::execute(cx, insn),
        Family::System => system::execute(cx, insn),
        Family::Random => random::execute(cx, insn),
        Family::SegmentBase => segment_base::execute(cx, insn),
        Family::Nop if insn.op == Op::Clflush => mov::flush(cx, insn),
        Family::Nop => Ok(()),
        Family::SseMove => sse::execute(cx, insn, sse_move::execute),
        Family::SseFloat => sse::execute(cx, insn, sse_float::execute),
        Family::SseConvert => sse::execute(cx, insn, sse_convert::execute),
        Family::SseInteger => sse::execute(cx, insn, sse_integer::execute),
        Family::SseShuffle => sse::execute(cx, insn, sse_shuffle::execute),
        Family::SseAes => sse::execute(cx, insn, sse_aes::execute),
        Family::SseClmul => sse::execute(cx, insn, sse_clmul::execute),
        Family::SseSha => sse::execute(cx, insn, sse_sha::execute),
        Family::X87 => x87_state::tracked(cx, insn, x87::execute),
        Family::X87Move => x87_state::tracked(cx, insn, x87_move::execute),
        Family::X87Control => x87_control::execute(cx, insn),
        Family::SseText => sse::execute(cx, insn, sse_text::execute),
        Family::Xsave => xsave::execute(cx, insn),
        Family::Vex | Family::AvxLane | Family::AvxFused | Family::AvxHalf | Family::AvxMemory => {
            avx::execute(cx, insn)
        }
        Family::Special if insn.op == Op::Undefined => Err(Fault::UD),
        Family::Special => Err(Fault::Missing(UNNAMED)),
    }
}
