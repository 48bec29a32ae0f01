//! SSE arithmetic on singles and doubles, packed and scalar.

use super::sse::{combine_float, immediate, merged, missing, settle, source};
use super::sse_dot;
use crate::cpu::fp::sse::{self, Control};
use crate::cpu::fp::{DOUBLE, Flags, Format, Relation, Rounding, SINGLE, estimate};
use crate::cpu::insn::{Insn, Op};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

type Lane = (u64, Flags);

/// Which lanes an instruction computes.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// All of the register.
    Packed,
    /// The lowest; the others keep the destination's bits.
    Scalar,
}
use Shape::{Packed, Scalar};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Addps => add(cx, insn, SINGLE, Packed),
        Op::Addss => add(cx, insn, SINGLE, Scalar),
        Op::Addpd => add(cx, insn, DOUBLE, Packed),
        Op::Addsd => add(cx, insn, DOUBLE, Scalar),
        Op::Subps => sub(cx, insn, SINGLE, Packed),
        Op::Subss => sub(cx, insn, SINGLE, Scalar),
        Op::Subpd => sub(cx, insn, DOUBLE, Packed),
        Op::Subsd => sub(cx, insn, DOUBLE, Scalar),
        Op::Mulps => mul(cx, insn, SINGLE, Packed),
        Op::Mulss => mul(cx, insn, SINGLE, Scalar),
        Op::Mulpd => mul(cx, insn, DOUBLE, Packed),
        Op::Mulsd => mul(cx, insn, DOUBLE, Scalar),
        Op::Divps => div(cx, insn, SINGLE, Packed),
        Op::Divss => div(cx, insn, SINGLE, Scalar),
        Op::Divpd => div(cx, insn, DOUBLE, Packed),
        Op::Divsd => div(cx, insn, DOUBLE, Scalar),
        Op::Sqrtps => unary(cx, insn, SINGLE, Packed, sse::sqrt),
        Op::Sqrtss => unary(cx, insn, SINGLE, Scalar, sse::sqrt),
        Op::Sqrtpd => unary(cx, insn, DOUBLE, Packed, sse::sqrt),
        Op::Sqrtsd => unary(cx, insn, DOUBLE, Scalar, sse::sqrt),
        _ => choices(cx, insn),
    }
}

/// Minimum, maximum, comparisons and estimates.
fn choices(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Minps => binary(cx, insn, SINGLE, Packed, sse::min),
        Op::Minss => binary(cx, insn, SINGLE, Scalar, sse::min),
        Op::Minpd => binary(cx, insn, DOUBLE, Packed, sse::min),
        Op::Minsd => binary(cx, insn, DOUBLE, Scalar, sse::min),
        Op::Maxps => binary(cx, insn, SINGLE, Packed, sse::max),
        Op::Maxss => binary(cx, insn, SINGLE, Scalar, sse::max),
        Op::Maxpd => binary(cx, insn, DOUBLE, Packed, sse::max),
        Op::Maxsd => binary(cx, insn, DOUBLE, Scalar, sse::max),
        Op::Cmpps => predicate(cx, insn, SINGLE, Packed),
        Op::Cmpss => predicate(cx, insn, SINGLE, Scalar),
        Op::Cmppd => predicate(cx, insn, DOUBLE, Packed),
        Op::Cmpsd => predicate(cx, insn, DOUBLE, Scalar),
        Op::Comiss => compare(cx, insn, SINGLE, false),
        Op::Comisd => compare(cx, insn, DOUBLE, false),
        Op::Ucomiss => compare(cx, insn, SINGLE, true),
        Op::Ucomisd => compare(cx, insn, DOUBLE, true),
        Op::Rcpps => unary(cx, insn, SINGLE, Packed, |_, a, _| {
            (estimate::reciprocal(a), NONE)
        }),
        Op::Rcpss => unary(cx, insn, SINGLE, Scalar, |_, a, _| {
            (estimate::reciprocal(a), NONE)
        }),
        Op::Rsqrtps => unary(cx, insn, SINGLE, Packed, |_, a, _| {
            (estimate::reciprocal_root(a), NONE)
        }),
        Op::Rsqrtss => unary(cx, insn, SINGLE, Scalar, |_, a, _| {
            (estimate::reciprocal_root(a), NONE)
        }),
        _ => later(cx, insn),
    }
}

/// What SSE3 and SSE4.1 added.
fn later(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Addsubps => alternate(cx, insn, SINGLE),
        Op::Addsubpd => alternate(cx, insn, DOUBLE),
        Op::Haddps => horizontal(cx, insn, SINGLE, sse::add),
        Op::Haddpd => horizontal(cx, insn, DOUBLE, sse::add),
        Op::Hsubps => horizontal(cx, insn, SINGLE, sse::sub),
        Op::Hsubpd => horizontal(cx, insn, DOUBLE, sse::sub),
        Op::Roundps => round(cx, insn, SINGLE, Packed),
        Op::Roundss => round(cx, insn, SINGLE, Scalar),
        Op::Roundpd => round(cx, insn, DOUBLE, Packed),
        Op::Roundsd => round(cx, insn, DOUBLE, Scalar),
        Op::Dpps => sse_dot::dot(cx, insn, SINGLE),
        Op::Dppd => sse_dot::dot(cx, insn, DOUBLE),
        _ => missing(insn),
    }
}

const NONE: Flags = Flags::empty();

fn add(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    match format {
        SINGLE => binary(cx, insn, SINGLE, shape, |_, a, b, c| {
            sse::add(SINGLE, a, b, c)
        }),
        _ => binary(cx, insn, DOUBLE, shape, |_, a, b, c| {
            sse::add(DOUBLE, a, b, c)
        }),
    }
}

fn sub(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    match format {
        SINGLE => binary(cx, insn, SINGLE, shape, |_, a, b, c| {
            sse::sub(SINGLE, a, b, c)
        }),
        _ => binary(cx, insn, DOUBLE, shape, |_, a, b, c| {
            sse::sub(DOUBLE, a, b, c)
        }),
    }
}

fn mul(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    match format {
        SINGLE => binary(cx, insn, SINGLE, shape, |_, a, b, c| {
            sse::mul(SINGLE, a, b, c)
        }),
        _ => binary(cx, insn, DOUBLE, shape, |_, a, b, c| {
            sse::mul(DOUBLE, a, b, c)
        }),
    }
}

fn div(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    match format {
        SINGLE => binary(cx, insn, SINGLE, shape, |_, a, b, c| {
            sse::div(SINGLE, a, b, c)
        }),
        _ => binary(cx, insn, DOUBLE, shape, |_, a, b, c| {
            sse::div(DOUBLE, a, b, c)
        }),
    }
}

/// Width of a format's lane.
pub(super) const fn width(format: Format) -> u32 {
    if format.precision == SINGLE.precision {
        32
    } else {
        64
    }
}

pub(super) const fn lane(value: u128, format: Format, index: u32) -> u64 {
    (value >> (width(format) * index)) as u64 & u64::MAX >> (64 - width(format))
}

pub(super) const fn place(lane: u64, format: Format, index: u32) -> u128 {
    (lane as u128) << (width(format) * index)
}

/// Applies `f` to the lanes of two vectors.
#[inline]
fn lanes(
    format: Format,
    shape: Shape,
    a: u128,
    b: u128,
    f: impl Fn(u64, u64) -> Lane,
) -> (u128, Flags) {
    let count = match shape {
        Packed => 128 / width(format),
        Scalar => 1,
    };
    let (mut value, mut flags) = (0, NONE);
    for i in 0..count {
        let (result, raised) = f(lane(a, format, i), lane(b, format, i));
        value |= place(result, format, i);
        flags |= raised;
    }
    (merged(a, value, width(format) * count), flags)
}

#[inline]
fn binary(
    cx: &mut Cx<'_>,
    insn: &Insn,
    format: Format,
    shape: Shape,
    f: impl Fn(Format, u64, u64, Control) -> Lane,
) -> Result<(), Fault> {
    combine_float(cx, insn, |a, b, control| {
        lanes(format, shape, a, b, |a, b| f(format, a, b, control))
    })
}

fn unary(
    cx: &mut Cx<'_>,
    insn: &Insn,
    format: Format,
    shape: Shape,
    f: impl Fn(Format, u64, Control) -> Lane,
) -> Result<(), Fault> {
    binary(cx, insn, format, shape, |format, _, b, control| {
        f(format, b, control)
    })
}

fn predicate(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    // The legacy forms have the first eight.
    let number = immediate(insn, 2)? & if insn.vex { 31 } else { 7 };
    binary(cx, insn, format, shape, |format, a, b, control| {
        let (holds, flags) = sse::predicate(format, a, b, control, number);
        (
            if holds {
                u64::MAX >> (64 - width(format))
            } else {
                0
            },
            flags,
        )
    })
}

/// ZF, PF and CF of a comparison.
pub(super) const fn relation_flags(relation: Relation) -> u64 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => flag::CF,
        Relation::Equal => flag::ZF,
        Relation::Unordered => flag::ZF | flag::PF | flag::CF,
    }
}

fn compare(cx: &mut Cx<'_>, insn: &Insn, format: Format, quiet: bool) -> Result<(), Fault> {
    let (b, a) = (source(cx, insn, 1)?, source(cx, insn, 0)?);
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    let (a, b) = (lane(a, format, 0), lane(b, format, 0));
    let (relation, flags) = sse::compare(format, a, b, control, quiet);
    settle(cx, flags)?;
    cx.cpu.rflags = cx.cpu.rflags & !flag::STATUS | relation_flags(relation);
    Ok(())
}

/// ADDSUB: even lanes subtract, odd ones add.
fn alternate(cx: &mut Cx<'_>, insn: &Insn, format: Format) -> Result<(), Fault> {
    combine_float(cx, insn, |a, b, control| {
        let (mut value, mut flags) = (0, NONE);
        for i in 0..128 / width(format) {
            let f = if i & 1 == 0 { sse::sub } else { sse::add };
            let (result, raised) = f(format, lane(a, format, i), lane(b, format, i), control);
            value |= place(result, format, i);
            flags |= raised;
        }
        (value, flags)
    })
}

/// HADD and HSUB: neighbours of the destination, then neighbours of the source.
fn horizontal(
    cx: &mut Cx<'_>,
    insn: &Insn,
    format: Format,
    f: impl Fn(Format, u64, u64, Control) -> Lane,
) -> Result<(), Fault> {
    let half = 64 / width(format);
    combine_float(cx, insn, |a, b, control| {
        let (mut value, mut flags) = (0, NONE);
        for i in 0..2 * half {
            let (from, at) = match i {
                _ if i < half => (a, 2 * i),
                _ => (b, 2 * (i - half)),
            };
            let (x, y) = (lane(from, format, at), lane(from, format, at + 1));
            let (result, raised) = f(format, x, y, control);
            value |= place(result, format, i);
            flags |= raised;
        }
        (value, flags)
    })
}

/// ROUND: the immediate names the mode, or leaves it to MXCSR.
fn round(cx: &mut Cx<'_>, insn: &Insn, format: Format, shape: Shape) -> Result<(), Fault> {
    let mode = immediate(insn, 2)?;
    unary(cx, insn, format, shape, |format, a, control| {
        let control = match mode & 4 {
            0 => control.with_rounding(Rounding::from_rc(mode.into())),
            _ => control,
        };
        sse::round_to_whole(format, a, control, mode & 8 != 0)
    })
}
