//! SSE and MMX instructions that move lanes to other places or other widths.

use super::avx;
use super::sse::{LOW, combine, immediate, is_mmx, merged, missing, set, source};
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Punpcklbw => interleave(cx, insn, 8, false),
        Op::Punpcklwd => interleave(cx, insn, 16, false),
        Op::Punpckldq | Op::Unpcklps => interleave(cx, insn, 32, false),
        Op::Punpcklqdq | Op::Unpcklpd => interleave(cx, insn, 64, false),
        Op::Punpckhbw => interleave(cx, insn, 8, true),
        Op::Punpckhwd => interleave(cx, insn, 16, true),
        Op::Punpckhdq | Op::Unpckhps => interleave(cx, insn, 32, true),
        Op::Punpckhqdq | Op::Unpckhpd => interleave(cx, insn, 64, true),
        Op::Packsswb => pack(cx, insn, 16, |v| v.clamp(-0x80, 0x7f)),
        Op::Packuswb => pack(cx, insn, 16, |v| v.clamp(0, 0xff)),
        Op::Packssdw => pack(cx, insn, 32, |v| v.clamp(-0x8000, 0x7fff)),
        Op::Packusdw => pack(cx, insn, 32, |v| v.clamp(0, 0xffff)),
        Op::Pshufd => chosen(cx, insn, |_, b, i| gather(b, 32, i)),
        Op::Pshufw => chosen(cx, insn, |_, b, i| gather(b, 16, i)),
        Op::Pshuflw => chosen(cx, insn, |_, b, i| b & !LOW | gather(b & LOW, 16, i)),
        Op::Pshufhw => chosen(cx, insn, |_, b, i| b & LOW | gather(b >> 64, 16, i) << 64),
        Op::Shufps => chosen(cx, insn, |a, b, i| {
            let low = lane(a, 32, i & 3) | lane(a, 32, i >> 2 & 3) << 32;
            low | lane(b, 32, i >> 4 & 3) << 64 | lane(b, 32, i >> 6) << 96
        }),
        Op::Shufpd => chosen_apart(cx, insn, 2, |a, b, i| {
            lane(a, 64, i & 1) | lane(b, 64, i >> 1 & 1) << 64
        }),
        Op::Pshufb => shuffle_bytes(cx, insn),
        Op::Palignr => align(cx, insn),
        _ => blend(cx, insn),
    }
}

/// Choosing lanes of one operand or the other, and single lanes.
fn blend(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Blendps => chosen_apart(cx, insn, 4, |a, b, i| select(a, b, 32, |n| i >> n & 1 != 0)),
        Op::Blendpd => chosen_apart(cx, insn, 2, |a, b, i| select(a, b, 64, |n| i >> n & 1 != 0)),
        Op::Pblendw => chosen(cx, insn, |a, b, i| select(a, b, 16, |n| i >> n & 1 != 0)),
        Op::Blendvps => by_mask(cx, insn, 32),
        Op::Blendvpd => by_mask(cx, insn, 64),
        Op::Pblendvb => by_mask(cx, insn, 8),
        Op::Pextrb => extract(cx, insn, 8),
        Op::Pextrw => extract(cx, insn, 16),
        Op::Pextrd | Op::Extractps => extract(cx, insn, 32),
        Op::Pextrq => extract(cx, insn, 64),
        Op::Pinsrb => insert(cx, insn, 8),
        Op::Pinsrw => insert(cx, insn, 16),
        Op::Pinsrd => insert(cx, insn, 32),
        Op::Pinsrq => insert(cx, insn, 64),
        Op::Insertps => insert_single(cx, insn),
        _ => widen_any(cx, insn),
    }
}

fn widen_any(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pmovsxbw => widen(cx, insn, 8, 16, true),
        Op::Pmovsxbd => widen(cx, insn, 8, 32, true),
        Op::Pmovsxbq => widen(cx, insn, 8, 64, true),
        Op::Pmovsxwd => widen(cx, insn, 16, 32, true),
        Op::Pmovsxwq => widen(cx, insn, 16, 64, true),
        Op::Pmovsxdq => widen(cx, insn, 32, 64, true),
        Op::Pmovzxbw => widen(cx, insn, 8, 16, false),
        Op::Pmovzxbd => widen(cx, insn, 8, 32, false),
        Op::Pmovzxbq => widen(cx, insn, 8, 64, false),
        Op::Pmovzxwd => widen(cx, insn, 16, 32, false),
        Op::Pmovzxwq => widen(cx, insn, 16, 64, false),
        Op::Pmovzxdq => widen(cx, insn, 32, 64, false),
        _ => missing(insn),
    }
}

pub(super) fn lane(value: u128, bits: u32, index: u32) -> u128 {
    value >> (bits * index) & u128::MAX >> (128 - bits)
}

/// A lane's sign extended.
fn signed(value: u128, bits: u32, index: u32) -> i64 {
    let unused = 64 - bits;
    ((lane(value, bits, index) as i64) << unused) >> unused
}

fn register_bits(insn: &Insn) -> u32 {
    if is_mmx(insn) { 64 } else { 128 }
}

/// PUNPCK: lanes of both operands in turn, from their low or high halves.
fn interleave(cx: &mut Cx<'_>, insn: &Insn, bits: u32, high: bool) -> Result<(), Fault> {
    let half = register_bits(insn) / 2;
    let skip = if high { half } else { 0 };
    combine(cx, insn, |a, b, _| {
        let (a, b) = (a >> skip, b >> skip);
        (0..half / bits).fold(0, |value, i| {
            let pair = lane(a, bits, i) | lane(b, bits, i) << bits;
            value | pair << (2 * bits * i)
        })
    })
}

/// PACK: the lanes of both operands saturated to half their width.
fn pack(
    cx: &mut Cx<'_>,
    insn: &Insn,
    bits: u32,
    saturate: impl Fn(i64) -> i64,
) -> Result<(), Fault> {
    let (count, half) = (register_bits(insn) / bits, bits / 2);
    let packed = |from: u128| {
        (0..count).fold(0, |value, i| {
            let narrow = saturate(signed(from, bits, i)) as u128 & u128::MAX >> (128 - half);
            value | narrow << (half * i)
        })
    };
    combine(cx, insn, |a, b, _| packed(a) | packed(b) << (half * count))
}

/// Two operands and the immediate that says what to take.
fn chosen(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u128, u128, u32) -> u128) -> Result<(), Fault> {
    let select = immediate(insn, 2)?.into();
    combine(cx, insn, |a, b, _| f(a, b, select))
}

/// As [`chosen`], but each half of a YMM register has `bits` of the immediate for itself.
fn chosen_apart(
    cx: &mut Cx<'_>,
    insn: &Insn,
    bits: u32,
    f: impl Fn(u128, u128, u32) -> u128,
) -> Result<(), Fault> {
    let select = u32::from(immediate(insn, 2)?);
    combine(cx, insn, |a, b, half| f(a, b, select >> (bits * half)))
}

/// Four lanes, each named by two bits.
pub(super) fn gather(value: u128, bits: u32, select: u32) -> u128 {
    (0..4).fold(0, |sum, i| {
        sum | lane(value, bits, select >> (2 * i) & 3) << (bits * i)
    })
}

/// The lanes of `b` for which `take` says so, else those of `a`.
pub(super) fn select(a: u128, b: u128, bits: u32, take: impl Fn(u32) -> bool) -> u128 {
    (0..128 / bits).fold(0, |sum, i| {
        sum | lane(if take(i) { b } else { a }, bits, i) << (bits * i)
    })
}

/// BLENDV: the signs of the lanes of XMM0 decide, or of the register that a VEX form names.
fn by_mask(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let mask = match insn.operands[2] {
        Operand::None => [cx.cpu.xmm[0], 0],
        _ => avx::halves(cx, insn, 2)?,
    };
    combine(cx, insn, |a, b, half| {
        let mask = mask[half as usize];
        select(a, b, bits, |i| mask >> (bits * (i + 1) - 1) & 1 != 0)
    })
}

fn shuffle_bytes(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let last = register_bits(insn) as usize / 8 - 1;
    combine(cx, insn, |a, b, _| {
        let a = a.to_le_bytes();
        let bytes = b.to_le_bytes().map(|pick| {
            if pick >> 7 != 0 {
                0
            } else {
                a[usize::from(pick) & last]
            }
        });
        u128::from_le_bytes(bytes)
    })
}

/// PALIGNR: both operands side by side, shifted right by bytes.
fn align(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (by, width) = (8 * u32::from(immediate(insn, 2)?), register_bits(insn));
    combine(cx, insn, |a, b, _| match by {
        0 => b,
        _ if by < width => b >> by | a << (width - by),
        _ if by < 2 * width => a >> (by - width),
        _ => 0,
    })
}

/// PEXTR: one lane to an integer register or memory.
fn extract(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let from = source(cx, insn, 1)?;
    let count = if matches!(insn.operands[1], Operand::Mmx(_)) {
        64
    } else {
        128
    } / bits;
    let index = u32::from(immediate(insn, 2)?) & (count - 1);
    cx.set(insn, 0, lane(from, bits, index) as u64)
}

/// PINSR: an integer into one lane.
fn insert(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let value = cx.get(insn, 1)?;
    let index = u32::from(immediate(insn, 2)?) & (register_bits(insn) / bits - 1);
    let old = source(cx, insn, FIRST)?;
    let place = merged(old >> (bits * index), value.into(), bits) << (bits * index);
    let below = old & !(u128::MAX << (bits * index));
    set(cx, insn, 0, place | below)
}

/// INSERTPS: one single of a register (or memory) into one lane; others may be cleared.
fn insert_single(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (b, a) = (source(cx, insn, 1)?, source(cx, insn, FIRST)?);
    let control = u32::from(immediate(insn, 2)?);
    let from = if insn.operands[1] == Operand::Mem {
        0
    } else {
        control >> 6
    };
    let single = lane(b, 32, from);
    let replaced = select(a, single << (32 * (control >> 4 & 3)), 32, |i| {
        i == control >> 4 & 3
    });
    set(
        cx,
        insn,
        0,
        select(replaced, 0, 32, |i| control >> i & 1 != 0),
    )
}

/// PMOVSX and PMOVZX: as many lanes as the destination has room for.
fn widen(cx: &mut Cx<'_>, insn: &Insn, from: u32, to: u32, sign: bool) -> Result<(), Fault> {
    let b = source(cx, insn, 1)?;
    let (mask, count) = (u128::MAX >> (128 - to), 128 / to);
    let wide = |b: u128| {
        (0..count).fold(0, |value, i| {
            let wide = if sign {
                signed(b, from, i) as u128 & mask
            } else {
                lane(b, from, i)
            };
            value | wide << (to * i)
        })
    };
    match insn.operands[0] {
        Operand::Ymm(_) => avx::set(cx, insn, [wide(b), wide(b >> (from * count))]),
        _ => set(cx, insn, 0, wide(b)),
    }
}
