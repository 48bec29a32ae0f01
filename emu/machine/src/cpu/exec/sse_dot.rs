//! DPPS and DPPD: dot products.

use super::avx::{self, Halves, halves};
use super::sse::{immediate, settle};
use super::sse_float::{lane, place, width};
use crate::cpu::fp::sse::{self, Control};
use crate::cpu::fp::{Flags, Format};
use crate::cpu::insn::{FIRST, Insn, Operand};
use crate::cpu::{Cx, Fault};

/// What is to be summed in one half of a register.
type Terms = [u64; 4];

/// The products that bits 4 to 7 of the immediate choose, summed in pairs, to the lanes that bits
/// 0 to 3 choose, in each half. Each lane of the result adds in an order of its own, which shows
/// when several products are NaNs. The exceptions of the products come first.
pub(super) fn dot(cx: &mut Cx<'_>, insn: &Insn, format: Format) -> Result<(), Fault> {
    let (b, a) = (halves(cx, insn, 1)?, halves(cx, insn, FIRST)?);
    let select = immediate(insn, 2)?;
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    let mut terms = [[0; 4]; 2];
    let parts = match insn.operands[0] {
        Operand::Ymm(_) => &mut terms[..],
        _ => &mut terms[..1],
    };
    let mut flags = Flags::empty();
    for (half, terms) in parts.iter_mut().enumerate() {
        flags |= multiply(terms, [a[half], b[half]], select >> 4, format, control);
    }
    settle(cx, flags)?;
    if width(format) == 32 {
        add_pairs(cx, parts, format, control, |i| (i ^ 1, i))?;
        add_pairs(cx, parts, format, control, |i| (i, i ^ 2))?;
    } else {
        add_pairs(cx, parts, format, control, |i| (i & 1, i & 1 ^ 1))?;
    }
    let value: Halves = terms.map(|terms| {
        let chosen = (0..lanes(format)).filter(|i| select >> i & 1 != 0);
        chosen.fold(0, |value, i| value | place(terms[i], format, i as u32))
    });
    avx::set(cx, insn, value)
}

const fn lanes(format: Format) -> usize {
    (128 / width(format)) as usize
}

/// The products of the lanes that `select` chooses; the others stay zero.
fn multiply(
    terms: &mut Terms,
    [a, b]: [u128; 2],
    select: u8,
    format: Format,
    control: Control,
) -> Flags {
    let mut flags = Flags::empty();
    for i in (0..lanes(format)).filter(|i| select >> i & 1 != 0) {
        let (x, y) = (lane(a, format, i as u32), lane(b, format, i as u32));
        let (product, raised) = sse::mul(format, x, y, control);
        terms[i] = product;
        flags |= raised;
    }
    flags
}

/// Adds pairs of terms; each lane says which.
fn add_pairs(
    cx: &mut Cx<'_>,
    parts: &mut [Terms],
    format: Format,
    control: Control,
    pair: impl Fn(usize) -> (usize, usize),
) -> Result<(), Fault> {
    let mut flags = Flags::empty();
    for terms in parts {
        let before = *terms;
        for (i, sum) in terms.iter_mut().enumerate() {
            let (a, b) = pair(i);
            let (value, raised) = sse::add(format, before[a], before[b], control);
            *sum = value;
            flags |= raised;
        }
    }
    settle(cx, flags)
}
