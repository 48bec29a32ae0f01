//! What a compiled instruction costs: as the reference interpreter charges it.

use machine::CostModel;
use machine::cost::Class;
use machine::cpu::insn::{Family, Insn, Op, Operand};

/// Bits of a count of instructions: see [`packed`].
pub(crate) const COUNT_BITS: u32 = 20;

/// Cycles and instructions in one number, so that one subtraction takes both.
pub(crate) const fn packed(cycles: u64, count: u64) -> i64 {
    (cycles << COUNT_BITS | count) as i64
}

/// Cycles of an instruction that misses nothing.
pub(crate) fn cost(insn: &Insn, model: CostModel) -> u64 {
    let (loads, stores) = accesses(insn);
    let locked = u64::from(insn.lock && stores != 0);
    model.cycles(insn.class)
        + loads * model.cycles(Class::Load)
        + stores * model.cycles(Class::Store)
        + locked * model.cycles(Class::Locked)
}

/// How often it reads and writes memory.
pub(super) fn accesses(insn: &Insn) -> (u64, u64) {
    let memory = |index: usize| u64::from(insn.operands[index] == Operand::Mem);
    let (first, others) = (memory(0), memory(1) | memory(2));
    match insn.op {
        Op::Lea | Op::Nop => (0, 0),
        Op::Push => (first, 1),
        Op::Pop | Op::Leave | Op::Ret => (1, first),
        Op::Call => (first, 1),
        Op::Jmp | Op::Cmp | Op::Test | Op::Bt => (first | others, 0),
        Op::Mov | Op::Setcc | Op::Movnti => (others, first),
        _ if insn.family.is_vector() => vector_accesses(insn, first, others),
        _ if matches!(insn.family, Family::MulDiv) => (first | others, 0),
        _ => (first | others, first),
    }
}

/// Vector instructions write their first operand, or compare it.
fn vector_accesses(insn: &Insn, first: u64, others: u64) -> (u64, u64) {
    match insn.op {
        Op::Comisd | Op::Comiss | Op::Ucomisd | Op::Ucomiss => (others, 0),
        _ => (others, first),
    }
}
