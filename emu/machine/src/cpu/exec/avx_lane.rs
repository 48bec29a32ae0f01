//! AVX and AVX2 instructions that have no SSE form: lanes across the halves of a register,
//! broadcasts, shifts by a count for each lane, tests of signs.

use super::avx::{self, Halves, halves};
use super::sse::{combine, immediate, missing, source};
use super::sse_integer::{each32, each64};
use super::sse_shuffle::{gather, lane, select};
use super::x87_control::vector_registers;
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vbroadcastss | Op::Vpbroadcastd => broadcast(cx, insn, 32),
        Op::Vbroadcastsd | Op::Vpbroadcastq => broadcast(cx, insn, 64),
        Op::Vpbroadcastb => broadcast(cx, insn, 8),
        Op::Vpbroadcastw => broadcast(cx, insn, 16),
        Op::Vbroadcastf128 | Op::Vbroadcasti128 => broadcast(cx, insn, 128),
        Op::Vextractf128 | Op::Vextracti128 => extract_half(cx, insn),
        Op::Vinsertf128 | Op::Vinserti128 => insert_half(cx, insn),
        Op::Vperm2f128 | Op::Vperm2i128 => choose_halves(cx, insn),
        Op::Vpermd | Op::Vpermps => permute_by_register(cx, insn),
        Op::Vpermq | Op::Vpermpd => permute_by_immediate(cx, insn),
        Op::Vpermilps => permute_singles(cx, insn),
        Op::Vpermilpd => permute_doubles(cx, insn),
        Op::Vpblendd => blend(cx, insn),
        Op::Vtestps => test(cx, insn, 32),
        Op::Vtestpd => test(cx, insn, 64),
        Op::Vzeroall => zero(cx, true),
        Op::Vzeroupper => zero(cx, false),
        _ => shift(cx, insn),
    }
}

/// Shifts with a count for each lane; too large a count clears (or fills with the sign).
fn shift(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vpsllvd => each32(cx, insn, |a, n| if n < 32 { a << n } else { 0 }),
        Op::Vpsrlvd => each32(cx, insn, |a, n| if n < 32 { a >> n } else { 0 }),
        Op::Vpsravd => each32(cx, insn, |a, n| (a as i32 >> n.min(31)) as u32),
        Op::Vpsllvq => each64(cx, insn, |a, n| if n < 64 { a << n } else { 0 }),
        Op::Vpsrlvq => each64(cx, insn, |a, n| if n < 64 { a >> n } else { 0 }),
        _ => missing(insn),
    }
}

/// The lowest lane of the source to all lanes.
fn broadcast(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let low = lane(source(cx, insn, 1)?, bits, 0);
    let value = (0..128 / bits).fold(0, |value, i| value | low << (bits * i));
    avx::set(cx, insn, [value; 2])
}

/// VEXTRACTF128 and VEXTRACTI128: one half to a register or to memory.
fn extract_half(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let half = usize::from(immediate(insn, 2)? & 1);
    let value = halves(cx, insn, 1)?[half];
    if insn.operands[0] != Operand::Mem {
        return avx::set(cx, insn, [value, 0]);
    }
    let va = cx.address(insn, true)?;
    cx.write128(va, value)
}

/// VINSERTF128 and VINSERTI128: 16 bytes in the place of one half.
fn insert_half(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let new = source(cx, insn, 1)?;
    let mut value = halves(cx, insn, FIRST)?;
    value[usize::from(immediate(insn, 2)? & 1)] = new;
    avx::set(cx, insn, value)
}

/// VPERM2F128 and VPERM2I128: each half is one of four, or zero.
fn choose_halves(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let ([b0, b1], [a0, a1]) = (halves(cx, insn, 1)?, halves(cx, insn, FIRST)?);
    let control = immediate(insn, 2)?;
    let choose = |control: u8| match control & 8 {
        0 => [a0, a1, b0, b1][usize::from(control & 3)],
        _ => 0,
    };
    avx::set(cx, insn, [choose(control), choose(control >> 4)])
}

/// A lane of both halves together.
fn lane_of(value: Halves, bits: u32, index: u32) -> u128 {
    let count = 128 / bits;
    lane(value[((index / count) & 1) as usize], bits, index % count)
}

/// Two halves whose lanes `f` tells one by one.
fn from_lanes(bits: u32, f: impl Fn(u32) -> u128) -> Halves {
    let count = 128 / bits;
    [0, count].map(|start| (0..count).fold(0, |value, i| value | f(start + i) << (bits * i)))
}

/// VPERMD and VPERMPS: the first source names the lanes of the second.
fn permute_by_register(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (b, a) = (halves(cx, insn, 1)?, halves(cx, insn, FIRST)?);
    let value = from_lanes(32, |i| lane_of(b, 32, lane_of(a, 32, i) as u32 & 7));
    avx::set(cx, insn, value)
}

/// VPERMQ and VPERMPD: two bits of the immediate name each lane.
fn permute_by_immediate(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let b = halves(cx, insn, 1)?;
    let control = u32::from(immediate(insn, 2)?);
    let value = from_lanes(64, |i| lane_of(b, 64, control >> (2 * i) & 3));
    avx::set(cx, insn, value)
}

/// VPERMILPS: within a half, two bits name each single. They come from the immediate, or from
/// the lanes of the last source.
fn permute_singles(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if let Operand::Imm(control) = insn.operands[2] {
        return combine(cx, insn, |_, b, _| gather(b, 32, control as u32));
    }
    combine(cx, insn, |a, b, _| {
        (0..4).fold(0, |value, i| {
            value | lane(a, 32, lane(b, 32, i) as u32 & 3) << (32 * i)
        })
    })
}

/// VPERMILPD: within a half, one bit names each double: of the immediate, or bit 1 of the lanes
/// of the last source.
fn permute_doubles(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let pair =
        |from: u128, low: u32, high: u32| lane(from, 64, low & 1) | lane(from, 64, high & 1) << 64;
    if let Operand::Imm(control) = insn.operands[2] {
        let control = control as u32;
        return combine(cx, insn, |_, b, half| {
            let control = control >> (2 * half);
            pair(b, control, control >> 1)
        });
    }
    combine(cx, insn, |a, b, _| {
        pair(a, (b >> 1) as u32, (b >> 65) as u32)
    })
}

/// VPBLENDD: a bit of the immediate for each lane.
fn blend(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let control = immediate(insn, 2)?;
    combine(cx, insn, |a, b, half| {
        select(a, b, 32, |i| control >> (4 * half + i) & 1 != 0)
    })
}

/// VTESTPS and VTESTPD: PTEST with nothing but the signs.
fn test(cx: &mut Cx<'_>, insn: &Insn, bits: u32) -> Result<(), Fault> {
    let (b, a) = (halves(cx, insn, 1)?, halves(cx, insn, 0)?);
    let signs = (0..128 / bits).fold(0, |mask, i| mask | 1_u128 << (bits * (i + 1) - 1));
    let common = (a[0] & b[0] | a[1] & b[1]) & signs;
    let outside = (!a[0] & b[0] | !a[1] & b[1]) & signs;
    avx::set_test_flags(cx, common == 0, outside == 0);
    Ok(())
}

/// VZEROALL, and VZEROUPPER for the high halves only. Outside 64-bit code there are 8 registers.
fn zero(cx: &mut Cx<'_>, all: bool) -> Result<(), Fault> {
    let count = vector_registers(cx);
    cx.cpu.ymm_high[..count].fill(0);
    if all {
        cx.cpu.xmm[..count].fill(0);
    }
    Ok(())
}
