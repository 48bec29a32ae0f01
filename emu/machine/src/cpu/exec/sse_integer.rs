//! SSE and MMX instructions that compute with whole lanes: integers and plain bits.

use super::avx;
use super::sse::{combine, immediate, is_mmx, missing, set, source};
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pand | Op::Andps | Op::Andpd => bits(cx, insn, |a, b| a & b),
        Op::Pandn | Op::Andnps | Op::Andnpd => bits(cx, insn, |a, b| !a & b),
        Op::Por | Op::Orps | Op::Orpd => bits(cx, insn, |a, b| a | b),
        Op::Pxor | Op::Xorps | Op::Xorpd => bits(cx, insn, |a, b| a ^ b),
        Op::Paddb => each8(cx, insn, u8::wrapping_add),
        Op::Paddw => each16(cx, insn, u16::wrapping_add),
        Op::Paddd => each32(cx, insn, u32::wrapping_add),
        Op::Paddq => each64(cx, insn, u64::wrapping_add),
        Op::Psubb => each8(cx, insn, u8::wrapping_sub),
        Op::Psubw => each16(cx, insn, u16::wrapping_sub),
        Op::Psubd => each32(cx, insn, u32::wrapping_sub),
        Op::Psubq => each64(cx, insn, u64::wrapping_sub),
        Op::Paddusb => each8(cx, insn, u8::saturating_add),
        Op::Paddusw => each16(cx, insn, u16::saturating_add),
        Op::Psubusb => each8(cx, insn, u8::saturating_sub),
        Op::Psubusw => each16(cx, insn, u16::saturating_sub),
        Op::Paddsb => each8(cx, insn, |a, b| (a as i8).saturating_add(b as i8) as u8),
        Op::Paddsw => each16(cx, insn, |a, b| (a as i16).saturating_add(b as i16) as u16),
        Op::Psubsb => each8(cx, insn, |a, b| (a as i8).saturating_sub(b as i8) as u8),
        Op::Psubsw => each16(cx, insn, |a, b| (a as i16).saturating_sub(b as i16) as u16),
        Op::Pavgb => each8(cx, insn, |a, b| {
            (u16::from(a) + u16::from(b)).div_ceil(2) as u8
        }),
        Op::Pavgw => each16(cx, insn, |a, b| {
            (u32::from(a) + u32::from(b)).div_ceil(2) as u16
        }),
        _ => compare(cx, insn),
    }
}

/// Comparisons, minimum and maximum.
fn compare(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pcmpeqb => each8(cx, insn, |a, b| if a == b { u8::MAX } else { 0 }),
        Op::Pcmpeqw => each16(cx, insn, |a, b| if a == b { u16::MAX } else { 0 }),
        Op::Pcmpeqd => each32(cx, insn, |a, b| if a == b { u32::MAX } else { 0 }),
        Op::Pcmpeqq => each64(cx, insn, |a, b| if a == b { u64::MAX } else { 0 }),
        Op::Pcmpgtb => each8(cx, insn, |a, b| if a as i8 > b as i8 { u8::MAX } else { 0 }),
        Op::Pcmpgtw => each16(
            cx,
            insn,
            |a, b| if a as i16 > b as i16 { u16::MAX } else { 0 },
        ),
        Op::Pcmpgtd => each32(
            cx,
            insn,
            |a, b| if a as i32 > b as i32 { u32::MAX } else { 0 },
        ),
        Op::Pcmpgtq => each64(
            cx,
            insn,
            |a, b| if a as i64 > b as i64 { u64::MAX } else { 0 },
        ),
        Op::Pminub => each8(cx, insn, u8::min),
        Op::Pmaxub => each8(cx, insn, u8::max),
        Op::Pminuw => each16(cx, insn, u16::min),
        Op::Pmaxuw => each16(cx, insn, u16::max),
        Op::Pminud => each32(cx, insn, u32::min),
        Op::Pmaxud => each32(cx, insn, u32::max),
        Op::Pminsb => each8(cx, insn, |a, b| (a as i8).min(b as i8) as u8),
        Op::Pmaxsb => each8(cx, insn, |a, b| (a as i8).max(b as i8) as u8),
        Op::Pminsw => each16(cx, insn, |a, b| (a as i16).min(b as i16) as u16),
        Op::Pmaxsw => each16(cx, insn, |a, b| (a as i16).max(b as i16) as u16),
        Op::Pminsd => each32(cx, insn, |a, b| (a as i32).min(b as i32) as u32),
        Op::Pmaxsd => each32(cx, insn, |a, b| (a as i32).max(b as i32) as u32),
        Op::Ptest => test(cx, insn),
        _ => multiply(cx, insn),
    }
}

/// Products.
fn multiply(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pmullw => each16(cx, insn, u16::wrapping_mul),
        Op::Pmulld => each32(cx, insn, u32::wrapping_mul),
        Op::Pmulhuw => each16(cx, insn, |a, b| {
            ((u32::from(a) * u32::from(b)) >> 16) as u16
        }),
        Op::Pmulhw => each16(cx, insn, |a, b| ((signed16(a) * signed16(b)) >> 16) as u16),
        Op::Pmulhrsw => each16(cx, insn, |a, b| {
            ((((signed16(a) * signed16(b)) >> 14) + 1) >> 1) as u16
        }),
        Op::Pmuludq => each64(cx, insn, |a, b| (a & 0xffff_ffff) * (b & 0xffff_ffff)),
        Op::Pmuldq => each64(cx, insn, |a, b| {
            (i64::from(a as i32) * i64::from(b as i32)) as u64
        }),
        Op::Pmaddwd => each32(cx, insn, |a, b| {
            let low = signed16(a as u16) * signed16(b as u16);
            let high = signed16((a >> 16) as u16) * signed16((b >> 16) as u16);
            low.wrapping_add(high) as u32
        }),
        Op::Pmaddubsw => each16(cx, insn, |a, b| {
            let low = i32::from(a as u8) * i32::from(b as i8);
            let high = i32::from(a >> 8) * i32::from((b >> 8) as i8);
            saturate16(low + high)
        }),
        Op::Psadbw => each64(cx, insn, |a, b| {
            a.to_le_bytes()
                .iter()
                .zip(b.to_le_bytes())
                .map(|(a, b)| u64::from(a.abs_diff(b)))
                .sum()
        }),
        _ => sign(cx, insn),
    }
}

/// Signs and absolute values.
fn sign(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Pabsb => each8(cx, insn, |_, b| (b as i8).unsigned_abs()),
        Op::Pabsw => each16(cx, insn, |_, b| (b as i16).unsigned_abs()),
        Op::Pabsd => each32(cx, insn, |_, b| (b as i32).unsigned_abs()),
        Op::Psignb => each8(cx, insn, |a, b| {
            (a as i8).wrapping_mul((b as i8).signum()) as u8
        }),
        Op::Psignw => each16(cx, insn, |a, b| {
            (a as i16).wrapping_mul((b as i16).signum()) as u16
        }),
        Op::Psignd => each32(cx, insn, |a, b| {
            (a as i32).wrapping_mul((b as i32).signum()) as u32
        }),
        _ => shift(cx, insn),
    }
}

/// Shifts by one count for all lanes; too large a count clears (or fills with the sign).
fn shift(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Psllw => shift16(cx, insn, |a, n| if n < 16 { a << n } else { 0 }),
        Op::Psrlw => shift16(cx, insn, |a, n| if n < 16 { a >> n } else { 0 }),
        Op::Psraw => shift16(cx, insn, |a, n| (a as i16 >> n.min(15)) as u16),
        Op::Pslld => shift32(cx, insn, |a, n| if n < 32 { a << n } else { 0 }),
        Op::Psrld => shift32(cx, insn, |a, n| if n < 32 { a >> n } else { 0 }),
        Op::Psrad => shift32(cx, insn, |a, n| (a as i32 >> n.min(31)) as u32),
        Op::Psllq => shift64(cx, insn, |a, n| if n < 64 { a << n } else { 0 }),
        Op::Psrlq => shift64(cx, insn, |a, n| if n < 64 { a >> n } else { 0 }),
        Op::Pslldq => shift_bytes(cx, insn, |a, n| if n < 16 { a << (8 * n) } else { 0 }),
        Op::Psrldq => shift_bytes(cx, insn, |a, n| if n < 16 { a >> (8 * n) } else { 0 }),
        _ => horizontal(cx, insn),
    }
}

/// Sums and differences of neighbours, and the searches of SSE4.1.
fn horizontal(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Phaddw => pairs16(cx, insn, u16::wrapping_add),
        Op::Phsubw => pairs16(cx, insn, u16::wrapping_sub),
        Op::Phaddsw => pairs16(cx, insn, |a, b| (a as i16).saturating_add(b as i16) as u16),
        Op::Phsubsw => pairs16(cx, insn, |a, b| (a as i16).saturating_sub(b as i16) as u16),
        Op::Phaddd => pairs32(cx, insn, u32::wrapping_add),
        Op::Phsubd => pairs32(cx, insn, u32::wrapping_sub),
        Op::Phminposuw => minimum_place(cx, insn),
        Op::Mpsadbw => sums_of_differences(cx, insn),
        _ => missing(insn),
    }
}

fn signed16(value: u16) -> i32 {
    i32::from(value as i16)
}

fn saturate16(value: i32) -> u16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as u16
}

fn bits(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u128, u128) -> u128) -> Result<(), Fault> {
    combine(cx, insn, |a, b, _| f(a, b))
}

macro_rules! lanes {
    ($($(#[$doc:meta])* $each:ident $map:ident $shift:ident $lane:ty;)*) => { $(
        fn $map(a: u128, b: u128, f: impl Fn($lane, $lane) -> $lane) -> u128 {
            const BYTES: usize = size_of::<$lane>();
            let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
            let mut result = [0; 16];
            for ((result, a), b) in result
                .as_chunks_mut::<BYTES>().0.iter_mut()
                .zip(a.as_chunks::<BYTES>().0)
                .zip(b.as_chunks::<BYTES>().0)
            {
                *result = f(<$lane>::from_le_bytes(*a), <$lane>::from_le_bytes(*b)).to_le_bytes();
            }
            u128::from_le_bytes(result)
        }

        $(#[$doc])*
        pub(super) fn $each(
            cx: &mut Cx<'_>,
            insn: &Insn,
            f: impl Fn($lane, $lane) -> $lane,
        ) -> Result<(), Fault> {
            bits(cx, insn, |a, b| $map(a, b, &f))
        }

        #[allow(dead_code)]
        fn $shift(
            cx: &mut Cx<'_>,
            insn: &Insn,
            f: impl Fn($lane, u32) -> $lane,
        ) -> Result<(), Fault> {
            let count = count(cx, insn)?;
            transform(cx, insn, |a| $map(a, 0, |a, _| f(a, count)))
        }
    )* };
}

lanes! {
    each8 map8 shift8 u8;
    each16 map16 shift16 u16;
    each32 map32 shift32 u32;
    each64 map64 shift64 u64;
}

/// Writes `f` of the first source to the destination; for YMM registers half by half.
fn transform(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u128) -> u128) -> Result<(), Fault> {
    if let Operand::Ymm(_) = insn.operands[0] {
        let a = avx::halves(cx, insn, FIRST)?;
        return avx::set(cx, insn, a.map(f));
    }
    let a = source(cx, insn, FIRST)?;
    set(cx, insn, 0, f(a))
}

/// A shift count: an immediate, or the low 64 bits of a vector.
fn count(cx: &mut Cx<'_>, insn: &Insn) -> Result<u32, Fault> {
    let count = match insn.operands[1] {
        Operand::Imm(value) => value & 0xff,
        _ => source(cx, insn, 1)? as u64,
    };
    Ok(count.min(255) as u32)
}

fn shift_bytes(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u128, u32) -> u128) -> Result<(), Fault> {
    let count = immediate(insn, 1)?;
    transform(cx, insn, |a| f(a, count.into()))
}

/// PTEST: ZF if no bit is common, CF if the source has none outside the destination.
fn test(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (b, a) = (avx::halves(cx, insn, 1)?, avx::halves(cx, insn, 0)?);
    let common = a[0] & b[0] | a[1] & b[1];
    let outside = !a[0] & b[0] | !a[1] & b[1];
    avx::set_test_flags(cx, common == 0, outside == 0);
    Ok(())
}

/// The lanes of both operands, those of `a` first; each operand has `width` bytes.
fn both<const BYTES: usize>(a: u128, b: u128, width: usize) -> [[u8; BYTES]; 16] {
    let mut lanes = [[0; BYTES]; 16];
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let all = a[..width]
        .as_chunks()
        .0
        .iter()
        .chain(b[..width].as_chunks().0);
    for (lane, value) in lanes.iter_mut().zip(all) {
        *lane = *value;
    }
    lanes
}

/// Bytes in an operand, or in half of a YMM register.
fn width(insn: &Insn) -> usize {
    if is_mmx(insn) { 8 } else { 16 }
}

fn pairs16(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u16, u16) -> u16) -> Result<(), Fault> {
    let width = width(insn);
    bits(cx, insn, |a, b| {
        let lanes = both::<2>(a, b, width);
        let pairs = lanes[..width].as_chunks::<2>().0;
        pairs.iter().rev().fold(0, |sum, [a, b]| {
            sum << 16 | u128::from(f(u16::from_le_bytes(*a), u16::from_le_bytes(*b)))
        })
    })
}

fn pairs32(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(u32, u32) -> u32) -> Result<(), Fault> {
    let width = width(insn);
    bits(cx, insn, |a, b| {
        let lanes = both::<4>(a, b, width);
        let pairs = lanes[..width / 2].as_chunks::<2>().0;
        pairs.iter().rev().fold(0, |sum, [a, b]| {
            sum << 32 | u128::from(f(u32::from_le_bytes(*a), u32::from_le_bytes(*b)))
        })
    })
}

/// PHMINPOSUW: the smallest of eight words, and where it first is.
fn minimum_place(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let b = source(cx, insn, 1)?;
    let words = (0..8u128).map(|i| ((b >> (16 * i)) & 0xffff, i));
    let (value, place) = words.min().unwrap_or((0, 0));
    set(cx, insn, 0, value | place << 16)
}

/// MPSADBW: one group of four source bytes against eight neighbouring groups of the destination.
/// The high half of a YMM register has bits 3 to 5 of the immediate.
fn sums_of_differences(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let select = usize::from(immediate(insn, 2)?);
    combine(cx, insn, |a, b, half| {
        let select = select >> (3 * half);
        let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
        let group = &b[(select & 3) * 4..][..4];
        let start = (select >> 2 & 1) * 4;
        (0..8).rev().fold(0, |sum, i| {
            let window = &a[start + i..][..4];
            let total: u128 = window
                .iter()
                .zip(group)
                .map(|(a, b)| u128::from(a.abs_diff(*b)))
                .sum();
            sum << 16 | total
        })
    })
}
