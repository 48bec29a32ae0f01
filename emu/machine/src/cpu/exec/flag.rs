//! Single flags.

use super::flags;
use crate::cpu::insn::{Insn, Op};
use crate::cpu::state::{Shadow, flag};
use crate::cpu::{Cx, Fault};

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Clc => cx.cpu.set_flag(flag::CF, false),
        Op::Stc => cx.cpu.set_flag(flag::CF, true),
        Op::Cmc => cx.cpu.rflags ^= flag::CF,
        Op::Cld => cx.cpu.set_flag(flag::DF, false),
        Op::Std => cx.cpu.set_flag(flag::DF, true),
        Op::Lahf => {
            let ah = cx.cpu.rflags & 0xFF;
            cx.cpu.gpr[0] = cx.cpu.gpr[0] & !0xFF00 | ah << 8;
        }
        Op::Sahf => {
            let ah = cx.cpu.gpr[0] >> 8;
            flags::set_some(cx.cpu, flag::STATUS & !flag::OF, ah);
        }
        Op::Cli => {
            interrupt_rights(cx)?;
            cx.cpu.set_flag(flag::IF, false);
        }
        Op::Sti => {
            interrupt_rights(cx)?;
            // The instruction after STI runs before any interrupt, if they were off.
            cx.cpu.shadow = match cx.cpu.flag(flag::IF) {
                true => Shadow::None,
                false => Shadow::Interrupts,
            };
            cx.cpu.set_flag(flag::IF, true);
        }
        Op::Clac | Op::Stac if cx.cpu.cpl() != 0 => return Err(Fault::UD),
        Op::Clac => cx.cpu.set_flag(flag::AC, false),
        Op::Stac => cx.cpu.set_flag(flag::AC, true),
        _ => return Err(Fault::Missing(insn.op.name())),
    }
    Ok(())
}

fn interrupt_rights(cx: &Cx<'_>) -> Result<(), Fault> {
    let iopl = (cx.cpu.rflags & flag::IOPL) >> 12;
    if u64::from(cx.cpu.cpl()) > iopl {
        Err(Fault::GP)
    } else {
        Ok(())
    }
}
