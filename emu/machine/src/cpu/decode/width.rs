//! Widths that only the form of an instruction tells. The decoder library knows them too, but
//! makes a table of all of its forms when it is first asked: ten times what booting decodes.

use iced_x86::{Code, Instruction, OpKind};

use crate::cpu::insn::Width;

/// The operand size of an instruction of the stack, of control, or of the descriptor tables; none
/// where it has no choice of them.
pub(super) fn control(instruction: &Instruction) -> Option<Width> {
    match instruction.op0_kind() {
        OpKind::NearBranch16 | OpKind::FarBranch16 => return Some(Width::Word),
        OpKind::NearBranch32 | OpKind::FarBranch32 => return Some(Width::Dword),
        OpKind::NearBranch64 => return Some(Width::Qword),
        _ => {}
    }
    match instruction.code() {
        code if is_qword(code) => Some(Width::Qword),
        code if is_dword(code) => Some(Width::Dword),
        code if is_word(code) => Some(Width::Word),
        _ => None,
    }
}

/// Whether it works on quadwords.
fn is_qword(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::Push_r64
            | C::Pop_r64
            | C::Pushq_imm32
            | C::Pushq_imm8
            | C::Pop_rm64
            | C::Pushfq
            | C::Popfq
            | C::Retnq_imm16
            | C::Retnq
            | C::Enterq_imm16_imm8
            | C::Leaveq
            | C::Retfq_imm16
            | C::Retfq
            | C::Iretq
            | C::Call_rm64
            | C::Call_m1664
            | C::Jmp_rm64
            | C::Jmp_m1664
            | C::Push_rm64
            | C::Sysretq
            | C::Pushq_FS
            | C::Popq_FS
            | C::Pushq_GS
            | C::Popq_GS
    )
}

/// Whether it works on doublewords.
fn is_dword(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::Pushd_ES
            | C::Popd_ES
            | C::Pushd_CS
            | C::Pushd_SS
            | C::Popd_SS
            | C::Pushd_DS
            | C::Popd_DS
            | C::Push_r32
            | C::Pop_r32
            | C::Pushad
            | C::Popad
            | C::Pushd_imm32
            | C::Pushd_imm8
            | C::Pop_rm32
            | C::Pushfd
            | C::Popfd
            | C::Retnd_imm16
            | C::Retnd
            | C::Enterd_imm16_imm8
            | C::Leaved
            | C::Retfd_imm16
            | C::Retfd
            | C::Iretd
            | C::Call_rm32
            | C::Call_m1632
            | C::Jmp_rm32
            | C::Jmp_m1632
            | C::Push_rm32
            | C::Sgdt_m1632
            | C::Sidt_m1632
            | C::Lgdt_m1632
            | C::Lidt_m1632
            | C::Pushd_FS
            | C::Popd_FS
            | C::Pushd_GS
            | C::Popd_GS
    )
}

/// Whether it works on words.
fn is_word(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::Pushw_ES
            | C::Popw_ES
            | C::Pushw_CS
            | C::Popw_CS
            | C::Pushw_SS
            | C::Popw_SS
            | C::Pushw_DS
            | C::Popw_DS
            | C::Push_r16
            | C::Pop_r16
            | C::Pushaw
            | C::Popaw
            | C::Push_imm16
            | C::Pushw_imm8
            | C::Pop_rm16
            | C::Pushfw
            | C::Popfw
            | C::Retnw_imm16
            | C::Retnw
            | C::Enterw_imm16_imm8
            | C::Leavew
            | C::Retfw_imm16
            | C::Retfw
            | C::Iretw
            | C::Call_rm16
            | C::Call_m1616
            | C::Jmp_rm16
            | C::Jmp_m1616
            | C::Push_rm16
            | C::Sgdt_m1632_16
            | C::Sidt_m1632_16
            | C::Lgdt_m1632_16
            | C::Lidt_m1632_16
            | C::Pushw_FS
            | C::Popw_FS
            | C::Pushw_GS
            | C::Popw_GS
    )
}

/// The width of the register that a loop counts in, or a jump looks at.
pub(super) fn counter(code: Code) -> Option<Width> {
    use Code as C;
    Some(match code {
        C::Loopne_rel8_16_CX
        | C::Loopne_rel8_32_CX
        | C::Loope_rel8_16_CX
        | C::Loope_rel8_32_CX
        | C::Loop_rel8_16_CX
        | C::Loop_rel8_32_CX
        | C::Jcxz_rel8_16
        | C::Jcxz_rel8_32 => Width::Word,
        C::Loopne_rel8_16_ECX
        | C::Loopne_rel8_32_ECX
        | C::Loopne_rel8_64_ECX
        | C::Loope_rel8_16_ECX
        | C::Loope_rel8_32_ECX
        | C::Loope_rel8_64_ECX
        | C::Loop_rel8_16_ECX
        | C::Loop_rel8_32_ECX
        | C::Loop_rel8_64_ECX
        | C::Jecxz_rel8_16
        | C::Jecxz_rel8_32
        | C::Jecxz_rel8_64 => Width::Dword,
        C::Loopne_rel8_16_RCX
        | C::Loopne_rel8_64_RCX
        | C::Loope_rel8_16_RCX
        | C::Loope_rel8_64_RCX
        | C::Loop_rel8_16_RCX
        | C::Loop_rel8_64_RCX
        | C::Jrcxz_rel8_16
        | C::Jrcxz_rel8_64 => Width::Qword,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use iced_x86::OpCodeOperandKind;

    use super::*;
    use crate::cpu::decode::announced::is_announced;
    use crate::cpu::decode::operation::operation;
    use crate::cpu::insn::{Family, Op};
    use crate::cpu::model::CpuModel;

    /// An instruction of this form, as far as widths go.
    fn instruction(code: Code) -> Instruction {
        use OpCodeOperandKind as K;
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        instruction.set_op0_kind(match code.op_code().op0_kind() {
            K::br16_1 | K::br16_2 => OpKind::NearBranch16,
            K::br32_1 | K::br32_4 => OpKind::NearBranch32,
            K::br64_1 | K::br64_4 => OpKind::NearBranch64,
            K::farbr2_2 => OpKind::FarBranch16,
            K::farbr4_2 => OpKind::FarBranch32,
            _ => OpKind::Register,
        });
        instruction
    }

    #[test]
    fn widths_are_those_of_the_librarys_table() {
        let width = |bits: u32| Width::from_bytes(bits as usize / 8);
        let (mut sized, mut counting) = (0, 0);
        for code in Code::values() {
            let instruction = instruction(code);
            let known = is_announced(&instruction, CpuModel::V3.features());
            let Some(op) = operation(&instruction).filter(|_| known) else {
                continue;
            };
            let table = code.op_code();
            let tables = matches!(op, Op::Lgdt | Op::Lidt | Op::Sgdt | Op::Sidt);
            if tables || matches!(op.family(), Family::Stack | Family::Control) {
                let expected = width(table.operand_size());
                assert_eq!(control(&instruction), expected, "{code:?}");
                sized += usize::from(expected.is_some());
            }
            let expected = width(table.address_size());
            assert_eq!(counter(code), expected, "{code:?}");
            counting += usize::from(expected.is_some());
            assert_eq!(code.encoding(), table.encoding(), "{code:?}");
        }
        assert!(sized > 150 && counting == 28, "{sized} and {counting}");
    }
}
