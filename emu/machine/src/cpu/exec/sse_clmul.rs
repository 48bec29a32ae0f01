//! Multiplication of polynomials over GF(2).

use super::sse::{combine, immediate, missing};
use crate::cpu::insn::{Insn, Op};
use crate::cpu::{Cx, Fault};

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pclmulqdq => multiply(cx, insn),
        _ => missing(insn),
    }
}

/// PCLMULQDQ: bit 0 of the immediate picks the half of the first operand, bit 4 of the second.
fn multiply(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let half = |vector: u128, high: bool| (vector >> if high { 64 } else { 0 }) as u64;
    let picks = immediate(insn, 2)?;
    combine(cx, insn, |a, b, _| {
        let (a, b) = (half(a, picks & 1 != 0), half(b, picks & 0x10 != 0));
        let terms = (0..64).filter(|bit| b >> bit & 1 != 0);
        terms.fold(0, |sum, bit| sum ^ u128::from(a) << bit)
    })
}
