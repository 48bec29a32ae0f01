//! PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: comparisons of two short strings.
//!
//! The immediate says what the elements are (bits 0 and 1), how they are compared (2 and 3),
//! what is turned round (4 and 5), and which form the answer has (6).

use super::sse::{immediate, missing, set_xmm0, source, source_unaligned};
use crate::cpu::insn::{Gpr, Insn, Op, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let control = immediate(insn, 2)?;
    let (b, a) = (source_unaligned(cx, insn, 1)?, source(cx, insn, 0)?);
    let [a, b] = match insn.op {
        Op::Pcmpistri | Op::Pcmpistrm => [a, b].map(|text| Text::terminated(text, control)),
        Op::Pcmpestri | Op::Pcmpestrm => [(a, 0), (b, 2)].map(|(text, register)| {
            Text::counted(text, control, length(cx, register, Width::Dword))
        }),
        Op::Pcmpestri64 | Op::Pcmpestrm64 => [(a, 0), (b, 2)].map(|(text, register)| {
            Text::counted(text, control, length(cx, register, Width::Qword))
        }),
        _ => return missing(insn),
    };
    let bits = turned(compare(&a, &b, control), &b, control);
    match insn.op {
        Op::Pcmpistri | Op::Pcmpestri | Op::Pcmpestri64 => {
            let index = place(bits, a.count, control & 0x40 != 0);
            cx.cpu.set_gpr(
                Gpr {
                    index: 1,
                    width: Width::Dword,
                    high: false,
                },
                index,
            );
        }
        _ => set_xmm0(cx, insn, mask(bits, a.count, control & 0x40 != 0)),
    }
    let on = |condition: bool, bit: u64| if condition { bit } else { 0 };
    let flags = on(bits != 0, flag::CF)
        | on(b.len < b.count, flag::ZF)
        | on(a.len < a.count, flag::SF)
        | on(bits & 1 != 0, flag::OF);
    cx.cpu.rflags = cx.cpu.rflags & !flag::STATUS | flags;
    Ok(())
}

/// One operand: its elements as numbers, and how many of them are valid.
struct Text {
    elements: [i32; 16],
    count: usize,
    len: usize,
}

impl Text {
    fn elements(text: u128, control: u8) -> ([i32; 16], usize) {
        let words = control & 1 != 0;
        let signed = control & 2 != 0;
        let (bits, count) = if words { (16, 8) } else { (8, 16) };
        let mut elements = [0; 16];
        for (i, element) in elements[..count].iter_mut().enumerate() {
            let value = (text >> (bits * i)) as u16;
            *element = match (words, signed) {
                (true, true) => (value as i16).into(),
                (true, false) => value.into(),
                (false, true) => (value as i8).into(),
                (false, false) => (value as u8).into(),
            };
        }
        (elements, count)
    }

    /// Ends before its first zero.
    fn terminated(text: u128, control: u8) -> Text {
        let (elements, count) = Text::elements(text, control);
        let len = elements[..count]
            .iter()
            .position(|&e| e == 0)
            .unwrap_or(count);
        Text {
            elements,
            count,
            len,
        }
    }

    fn counted(text: u128, control: u8, len: u64) -> Text {
        let (elements, count) = Text::elements(text, control);
        Text {
            elements,
            count,
            len: len.min(count as u64) as usize,
        }
    }
}

/// The absolute value of rax or rdx, or of their lower halves.
fn length(cx: &Cx<'_>, register: usize, width: Width) -> u64 {
    (width.extend(cx.cpu.gpr[register]) as i64).unsigned_abs()
}

/// One bit for each element of the second operand.
fn compare(a: &Text, b: &Text, control: u8) -> u32 {
    let holds = |j: usize| match control >> 2 & 3 {
        0 => j < b.len && a.elements[..a.len].contains(&b.elements[j]),
        1 => j < b.len && in_ranges(a, b.elements[j]),
        2 if j < a.len && j < b.len => a.elements[j] == b.elements[j],
        2 => j >= a.len && j >= b.len,
        _ => begins_at(a, b, j),
    };
    (0..a.count).fold(0, |bits, j| bits | u32::from(holds(j)) << j)
}

/// The first operand holds pairs of a lower and an upper bound.
fn in_ranges(a: &Text, element: i32) -> bool {
    let pairs = a.elements[..a.len].as_chunks::<2>().0;
    pairs
        .iter()
        .any(|[low, high]| (low..=high).contains(&&element))
}

/// Does the first operand stand in the second at `j`, as far as the register reaches?
fn begins_at(a: &Text, b: &Text, j: usize) -> bool {
    (0..a.len.min(a.count - j)).all(|i| j + i < b.len && a.elements[i] == b.elements[j + i])
}

/// Applies the polarity.
fn turned(bits: u32, b: &Text, control: u8) -> u32 {
    let all = (1u32 << b.count) - 1;
    let valid = (1u32 << b.len) - 1;
    match control >> 4 & 3 {
        1 => bits ^ all,
        3 => bits ^ valid,
        _ => bits,
    }
}

/// The first or last bit that is set, or the number of elements.
fn place(bits: u32, count: usize, last: bool) -> u64 {
    match (bits, last) {
        (0, _) => count as u64,
        (_, true) => bits.ilog2().into(),
        (_, false) => bits.trailing_zeros().into(),
    }
}

/// The bits as they are, or each one as wide as an element.
fn mask(bits: u32, count: usize, wide: bool) -> u128 {
    if !wide {
        return bits.into();
    }
    let width = 128 / count;
    (0..count)
        .filter(|i| bits >> i & 1 != 0)
        .fold(0, |mask, i| {
            mask | (u128::MAX >> (128 - width)) << (width * i)
        })
}
