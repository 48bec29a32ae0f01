//! The arithmetic flags: one formula each.

use crate::cpu::Cpu;
use crate::cpu::insn::Width;
use crate::cpu::state::flag;

/// A result with its status flags.
pub(super) type Flagged = (u64, u64);

/// `mask` if the condition holds.
pub(super) const fn when(on: bool, mask: u64) -> u64 {
    if on { mask } else { 0 }
}

/// Zero, sign and parity of a result.
#[inline]
pub(super) fn zsp(width: Width, result: u64) -> u64 {
    let result = result & width.mask();
    when(result == 0, flag::ZF)
        | when(result & width.sign() != 0, flag::SF)
        | when((result as u8).count_ones().is_multiple_of(2), flag::PF)
}

/// Replaces all status flags.
#[inline]
pub(super) fn set(cpu: &mut Cpu, status: u64) {
    cpu.rflags = cpu.rflags & !flag::STATUS | status;
}

/// Replaces the status flags in `mask`.
pub(super) fn set_some(cpu: &mut Cpu, mask: u64, status: u64) {
    cpu.rflags = cpu.rflags & !mask | status & mask;
}

/// a + b + carry.
#[inline]
pub(super) fn add(width: Width, a: u64, b: u64, carry: bool) -> Flagged {
    let result = a.wrapping_add(b).wrapping_add(u64::from(carry)) & width.mask();
    let carries = a & b | (a | b) & !result;
    let overflow = (a ^ result) & (b ^ result);
    (
        result,
        zsp(width, result) | carry_flags(width, carries, overflow),
    )
}

/// a - b - borrow.
#[inline]
pub(super) fn sub(width: Width, a: u64, b: u64, borrow: bool) -> Flagged {
    let result = a.wrapping_sub(b).wrapping_sub(u64::from(borrow)) & width.mask();
    let borrows = !a & b | (!a | b) & result;
    let overflow = (a ^ b) & (a ^ result);
    (
        result,
        zsp(width, result) | carry_flags(width, borrows, overflow),
    )
}

/// CF, AF and OF from the vectors of carries out of each bit and of sign changes.
#[inline]
fn carry_flags(width: Width, carries: u64, overflow: u64) -> u64 {
    when(carries & width.sign() != 0, flag::CF)
        | when(carries & 8 != 0, flag::AF)
        | when(overflow & width.sign() != 0, flag::OF)
}

/// AND, OR, XOR, TEST: CF and OF cleared; AF, which the manual leaves undefined, too.
#[inline]
pub(super) fn logic(width: Width, result: u64) -> Flagged {
    let result = result & width.mask();
    (result, zsp(width, result))
}
