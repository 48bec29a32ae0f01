//! RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: the bases of FS and GS for programs.

use crate::addr::VirtAddr;
use crate::cpu::insn::{Insn, Op, Seg};
use crate::cpu::state::cr4;
use crate::cpu::{Cx, Fault};

/// #UD unless the kernel has switched them on. They exist in 64-bit mode only, which the decoder
/// sees to.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if cx.cpu.cr4 & cr4::FSGSBASE == 0 {
        return Err(Fault::UD);
    }
    let seg = match insn.op {
        Op::Rdfsbase | Op::Wrfsbase => Seg::Fs,
        _ => Seg::Gs,
    };
    if matches!(insn.op, Op::Rdfsbase | Op::Rdgsbase) {
        let base = cx.cpu.seg[seg as usize].base & insn.size.mask();
        return cx.set(insn, 0, base);
    }
    let base = cx.get(insn, 0)?;
    if !VirtAddr(base).is_canonical() {
        return Err(Fault::GP);
    }
    cx.cpu.seg[seg as usize].base = base;
    Ok(())
}
