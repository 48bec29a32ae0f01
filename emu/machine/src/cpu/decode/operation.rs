//! What an instruction does, in our words.

use iced_x86::{Instruction, Mnemonic};

use super::operand::operand;
use super::vex;
use crate::cpu::insn::{Op, Operand, for_each_operation};

/// Our name for what the instruction does; `None` if we have none.
pub(super) fn operation(instruction: &Instruction) -> Option<Op> {
    use Mnemonic as M;
    if instruction.is_string_instruction() {
        return string_operation(instruction.mnemonic());
    }
    if let Some(op) = far_operation(instruction) {
        return Some(op);
    }
    let kinds = || (0..instruction.op_count()).map(|i| operand(instruction, i));
    Some(match instruction.mnemonic() {
        M::Mov if kinds().any(|k| matches!(k, Operand::Cr(_))) => Op::MovCr,
        M::Mov if kinds().any(|k| matches!(k, Operand::Dr(_))) => Op::MovDr,
        M::Mov if kinds().any(|k| matches!(k, Operand::Seg(_))) => Op::MovSeg,
        M::Sal => Op::Shl,
        M::Pushfd | M::Pushfq => Op::Pushf,
        M::Popfd | M::Popfq => Op::Popf,
        M::Pushad => Op::Pusha,
        M::Popad => Op::Popa,
        M::Iretd | M::Iretq => Op::Iret,
        M::Sysretq => Op::Sysret,
        M::Jcxz | M::Jecxz => Op::Jrcxz,
        M::Reservednop => Op::Nop,
        // No-operations since the 387.
        M::Fneni | M::Fndisi => Op::Fnsetpm,
        M::Ud0 | M::Ud1 | M::Ud2 => Op::Undefined,
        _ if instruction.is_jcc_short_or_near() => Op::Jcc,
        _ if is_setcc(instruction.mnemonic()) => Op::Setcc,
        _ if is_cmovcc(instruction.mnemonic()) => Op::Cmovcc,
        mnemonic => return plain_operation(mnemonic).or_else(|| vex::operation(mnemonic)),
    })
}

fn is_setcc(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Seto
            | M::Setno
            | M::Setb
            | M::Setae
            | M::Sete
            | M::Setne
            | M::Setbe
            | M::Seta
            | M::Sets
            | M::Setns
            | M::Setp
            | M::Setnp
            | M::Setl
            | M::Setge
            | M::Setle
            | M::Setg
    )
}

fn is_cmovcc(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmovo
            | M::Cmovno
            | M::Cmovb
            | M::Cmovae
            | M::Cmove
            | M::Cmovne
            | M::Cmovbe
            | M::Cmova
            | M::Cmovs
            | M::Cmovns
            | M::Cmovp
            | M::Cmovnp
            | M::Cmovl
            | M::Cmovge
            | M::Cmovle
            | M::Cmovg
    )
}

fn string_operation(mnemonic: Mnemonic) -> Option<Op> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Movsb | M::Movsw | M::Movsd | M::Movsq => Op::Movs,
        M::Cmpsb | M::Cmpsw | M::Cmpsd | M::Cmpsq => Op::Cmps,
        M::Stosb | M::Stosw | M::Stosd | M::Stosq => Op::Stos,
        M::Lodsb | M::Lodsw | M::Lodsd | M::Lodsq => Op::Lods,
        M::Scasb | M::Scasw | M::Scasd | M::Scasq => Op::Scas,
        M::Insb | M::Insw | M::Insd => Op::Ins,
        M::Outsb | M::Outsw | M::Outsd => Op::Outs,
        _ => return None,
    })
}

fn far_operation(instruction: &Instruction) -> Option<Op> {
    let i = instruction;
    if i.is_jmp_far() || i.is_jmp_far_indirect() {
        return Some(Op::JmpFar);
    }
    if i.is_call_far() || i.is_call_far_indirect() {
        return Some(Op::CallFar);
    }
    (i.mnemonic() == Mnemonic::Retf).then_some(Op::RetFar)
}

macro_rules! by_mnemonic {
    ($($(#[$meta:meta])* $family:ident { $($op:ident),* $(,)? } + { $($own:ident),* $(,)? })*) => {
        /// Operations whose name is also the decoder's.
        fn plain_operation(mnemonic: Mnemonic) -> Option<Op> {
            Some(match mnemonic {
                $($(Mnemonic::$op => Op::$op,)*)*
                _ => return None,
            })
        }
    };
}
for_each_operation!(by_mnemonic);
