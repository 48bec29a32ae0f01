//! What the manual leaves open, and is therefore not compared.

use iced_x86::{Instruction, Mnemonic, OpKind, RflagsBits};

use crate::state::{FLAGS, STATUS, State, place};

const CF: u64 = 1;
const AF: u64 = 1 << 4;
const DF: u64 = 1 << 10;
const OF: u64 = 1 << 11;

/// The flags that are defined after this instruction with these operands.
pub fn defined_flags(instruction: &Instruction, before: &State) -> u64 {
    FLAGS & !undefined_flags(instruction, before)
}

fn undefined_flags(instruction: &Instruction, state: &State) -> u64 {
    use Mnemonic as M;
    let bits = width(instruction);
    let count = count(instruction, state) & if bits == 64 { 63 } else { 31 };
    let rare = if count > 1 { OF } else { 0 };
    match instruction.mnemonic() {
        M::Rol | M::Ror | M::Rcl | M::Rcr => rare,
        M::Shl | M::Sal | M::Shr | M::Sar if count > 0 => {
            let beyond = count >= bits && instruction.mnemonic() != M::Sar;
            AF | rare | if beyond { CF } else { 0 }
        }
        M::Shld | M::Shrd if count > bits => STATUS & !DF,
        M::Shld | M::Shrd if count > 0 => AF | rare,
        M::Shl | M::Sal | M::Shr | M::Sar | M::Shld | M::Shrd => 0,
        _ => by_table(instruction),
    }
}

/// Bits of the first operand.
fn width(instruction: &Instruction) -> u64 {
    8 * match instruction.op0_kind() {
        OpKind::Memory => instruction.memory_size().size() as u64,
        _ => instruction.op0_register().size() as u64,
    }
}

/// By how much a shift shifts.
fn count(instruction: &Instruction, state: &State) -> u64 {
    let last = instruction.op_count().saturating_sub(1);
    match instruction.op_kind(last) {
        OpKind::Register => state.gpr[1],
        OpKind::Immediate8 => u64::from(instruction.immediate8()),
        _ => 1,
    }
}

/// The decoder library's table, in the positions of RFLAGS.
fn by_table(instruction: &Instruction) -> u64 {
    use RflagsBits as R;
    let bits = instruction.rflags_undefined();
    let pairs = [
        (R::CF, 0),
        (R::PF, 2),
        (R::AF, 4),
        (R::ZF, 6),
        (R::SF, 7),
        (R::OF, 11),
    ];
    let undefined = pairs.iter().filter(|(bit, _)| bits & bit != 0);
    undefined.map(|(_, place)| 1 << place).sum()
}

/// What this host's CPU changes although the instruction faults, where the manual has it restart
/// as if nothing had happened: the first of the two stores of a number of 10 bytes and of a state
/// that crosses a page, and the top of the stack by a store of an MMX register.
pub fn forget_half_done(instruction: &Instruction, before: &State, host: &mut State, vector: u8) {
    const XM: u8 = 19;
    let parts = matches!(
        instruction.memory_size().size(),
        10 | 14 | 28 | 94 | 108 | 512..
    );
    if parts {
        host.memory = before.memory;
    }
    let mmx = (0..instruction.op_count()).any(|i| instruction.op_register(i).is_mm());
    if mmx && vector != XM {
        host.image[..place::OPCODE].copy_from_slice(&before.image[..place::OPCODE]);
        host.image[place::ST..place::XMM].copy_from_slice(&before.image[place::ST..place::XMM]);
    }
}
