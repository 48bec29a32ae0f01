//! Moves, extensions, addresses and conditional moves.

use crate::cpu::insn::{Insn, Op, Operand, Width};
use crate::cpu::{Cx, Fault};

const RAX: u8 = 0;
const RDX: u8 = 2;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Mov | Op::Movzx | Op::Movnti => {
            let value = cx.get(insn, 1)?;
            cx.set(insn, 0, value)
        }
        Op::Movsx | Op::Movsxd => {
            let value = cx.get(insn, 1)?;
            let value = source_width(insn).extend(value);
            cx.set(insn, 0, value)
        }
        Op::Movbe => byte_swapped(cx, insn),
        Op::Lea => {
            let value = cx.offset(&insn.mem);
            cx.set(insn, 0, value)
        }
        Op::Cmovcc => conditional(cx, insn),
        Op::Setcc => {
            let value = u64::from(cx.cpu.condition(insn.condition));
            cx.set(insn, 0, value)
        }
        Op::Xlatb => translate(cx, insn),
        _ => {
            convert(cx, insn.op);
            Ok(())
        }
    }
}

fn source_width(insn: &Insn) -> Width {
    match insn.operands[1] {
        Operand::Gpr(reg) => reg.width,
        _ => Width::from_bytes(usize::from(insn.mem.bytes)).unwrap_or(Width::Dword),
    }
}

/// MOVBE: with the bytes in the opposite order.
fn byte_swapped(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = cx.get(insn, 1)?;
    let unused = 64 - insn.size.bits();
    cx.set(insn, 0, value.swap_bytes() >> unused)
}

/// CMOVcc reads its source in any case, and clears a 32-bit destination's upper half in any case.
fn conditional(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = cx.get(insn, 1)?;
    let old = cx.get(insn, 0)?;
    let value = if cx.cpu.condition(insn.condition) {
        source
    } else {
        old
    };
    cx.set(insn, 0, value)
}

/// CLFLUSH: there is no cache, but the byte must be one that could be read.
pub(super) fn flush(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let va = cx.address(insn, false)?;
    cx.translate(va, cx.rights(false)).map(|_| ())
}

/// XLATB: al = [rbx + al].
fn translate(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let al = cx.reg(RAX, Width::Byte);
    let base = cx.reg(3, insn.mem.address);
    let offset = base.wrapping_add(al) & insn.mem.address.mask();
    let va = cx.linear(insn.mem.seg, offset, 1, false)?;
    let value = cx.read(va, 1)?;
    cx.set_reg(RAX, Width::Byte, value);
    Ok(())
}

/// CBW … CQO: the sign of the accumulator into its upper half or into rdx.
fn convert(cx: &mut Cx<'_>, op: Op) {
    let (from, to, into_rdx) = match op {
        Op::Cbw => (Width::Byte, Width::Word, false),
        Op::Cwde => (Width::Word, Width::Dword, false),
        Op::Cdqe => (Width::Dword, Width::Qword, false),
        Op::Cwd => (Width::Word, Width::Word, true),
        Op::Cdq => (Width::Dword, Width::Dword, true),
        _ => (Width::Qword, Width::Qword, true),
    };
    let extended = from.extend(cx.reg(RAX, from));
    if into_rdx {
        cx.set_reg(RDX, to, ((extended as i64) >> 63) as u64);
    } else {
        cx.set_reg(RAX, to, extended);
    }
}
