//! Instructions on vectors, legacy or behind a VEX prefix, in one order of operands.
//!
//! `VPADDB ymm0, ymm1, [rdi]` does to two halves what `PADDB xmm0, [rdi]` does to one, so it is
//! the same operation. What tells them apart is how they reach their operands, and that is said
//! by the operands.

use alloc::format;

use iced_x86::{Instruction, Mnemonic, OpCodeOperandKind};

use super::operand::{operand, register};
use crate::cpu::insn::{FIRST, Family, Insn, Op, Operand};

/// The operation that the instruction does to each half of a register: Intel's names for the VEX
/// forms are those of the legacy forms behind a V.
pub(super) fn operation(mnemonic: Mnemonic) -> Option<Op> {
    let name = format!("{mnemonic:?}");
    let (first, rest) = name.strip_prefix('V')?.split_at_checked(1)?;
    Op::named(&format!("{}{rest}", first.to_ascii_uppercase()))
}

/// Puts the operands of an instruction on vectors where its family looks for them.
pub(super) fn arrange(insn: &mut Insn, instruction: &Instruction) {
    if !insn.vex {
        insn.operands[FIRST] = insn.operands[0];
        return;
    }
    insn.family = Family::Vex;
    insn.operands = match instruction {
        // A gather has no first source; its indices are nowhere else.
        i if i.is_vsib() => {
            let [dst, mem, mask, _] = insn.operands;
            [dst, mem, mask, register(i.memory_index())]
        }
        i if has_first_source(i) => {
            let [dst, first, last, control] = insn.operands;
            [dst, last, control, first]
        }
        i => [0, 1, 2, 0].map(|index| match index < i.op_count() {
            true => operand(i, index),
            false => Operand::None,
        }),
    };
    if let Operand::Xmm(number) = insn.operands[0] {
        insn.operands[0] = Operand::XmmZeroing(number);
    }
}

/// Whether the second operand is one that the legacy form takes from its destination. Of shifts
/// by an immediate VEX.vvvv names the destination, and ModRM.rm the source.
fn has_first_source(instruction: &Instruction) -> bool {
    use OpCodeOperandKind as K;
    let code = instruction.op_code();
    let is_vvvv = |index| matches!(code.op_kind(index), K::xmm_vvvv | K::ymm_vvvv);
    is_vvvv(0) || is_vvvv(1)
}
