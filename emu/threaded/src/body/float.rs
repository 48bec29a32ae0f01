//! SSE2 arithmetic on doubles, by the host's, where that cannot differ.
//!
//! IEEE 754 leaves no choice for `+`, `-`, `*` and `/` of numbers that are normal or zero, rounded to
//! nearest, if the result is a normal number away from the least one: every host computes the same
//! bits. The one thing that the host does not tell is whether the result is inexact, and that does
//! not matter once MXCSR says so already. Everything else (NaNs, infinities, subnormals, other
//! rounding modes, exceptions that are not masked, the first inexact result) is the reference
//! interpreter's.

use super::Body;
use super::vector::{bodies, is_on, merged, put_xmm, scalar, source, xmm};
use crate::flags::{CARRY, Flags, INTO_SIGN, ODD};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{full, put};

pub(crate) const ADD: u8 = 0;
pub(crate) const SUB: u8 = 1;
pub(crate) const MUL: u8 = 2;
pub(crate) const DIV: u8 = 3;

/// Rounding to nearest, all exceptions masked, and an inexact result has been noted.
#[inline(always)]
fn is_plain(mxcsr: u32) -> Option<()> {
    const CONTROL: u32 = 0x6000 | 0x1F80 | 0x20;
    (mxcsr & CONTROL == 0x1F80 | 0x20).then_some(())
}

const SIGN: u64 = 1 << 63;
/// Lowest bit of the exponent.
const UNIT: u64 = 1 << 52;

/// Whether a number is normal.
#[inline(always)]
fn is_normal(bits: u64) -> bool {
    (bits & !SIGN).wrapping_sub(UNIT) < 0x7FE * UNIT
}

/// Whether it is normal, and not by having been rounded up to the least normal number.
#[inline(always)]
fn is_surely_normal(bits: u64) -> bool {
    (bits & !SIGN).wrapping_sub(2 * UNIT) < 0x7FD * UNIT
}

#[inline(always)]
fn is_normal_or_zero(bits: u64) -> bool {
    is_normal(bits) || bits & !SIGN == 0
}

/// One operation, if every host agrees on it.
#[inline(always)]
fn compute<const K: u8>(a: u64, b: u64) -> Option<u64> {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    let result = match K {
        ADD => x + y,
        SUB => x - y,
        MUL => x * y,
        _ => x / y,
    };
    let result = result.to_bits();
    if is_normal(a) && is_normal(b) && is_surely_normal(result) {
        return Some(result);
    }
    rarely::<K>(a, b, result)
}

/// Zeros: sums and differences of them are exact, and so is a sum that is zero; so is a product
/// with a zero, and a zero divided by a normal number.
#[inline(always)]
fn rarely<const K: u8>(a: u64, b: u64, result: u64) -> Option<u64> {
    let zero = |bits: u64| bits & !SIGN == 0;
    let operands = is_normal_or_zero(a) && is_normal_or_zero(b);
    let exact = match K {
        ADD | SUB => zero(result) || is_normal(result) && (zero(a) || zero(b)),
        MUL => zero(a) || zero(b),
        _ => zero(a) && !zero(b),
    };
    (operands && exact).then_some(result)
}

/// Flags of a comparison: ZF, CF; PF, AF, SF and OF are clear.
#[inline(always)]
fn compared(equal: bool, less: bool) -> Flags {
    match (equal, less) {
        (true, _) => Flags { res: 0, aux: ODD },
        (_, true) => Flags {
            res: 1,
            aux: CARRY | INTO_SIGN,
        },
        _ => Flags { res: 1, aux: 0 },
    }
}

bodies! {
    /// ADDSD, SUBSD, MULSD, DIVSD.
    Scalar<const K: u8, const M: u8>(op, view) {
        is_plain(view.cpu.mxcsr)?;
        let b = scalar::<8, M>(op, view)?;
        let old = xmm(view, op.dst);
        let result = compute::<K>(old as u64, b)?;
        put_xmm(view, op.dst, merged::<8>(old, result));
    }

    /// ADDPD, SUBPD, MULPD, DIVPD.
    Packed<const K: u8, const M: u8>(op, view) {
        is_plain(view.cpu.mxcsr)?;
        let b = source::<M>(op, view)?;
        let a = xmm(view, op.dst);
        let low = compute::<K>(a as u64, b as u64)?;
        let high = compute::<K>((a >> 64) as u64, (b >> 64) as u64)?;
        put_xmm(view, op.dst, u128::from(high) << 64 | u128::from(low));
    }

    /// CVTSI2SD from a register.
    FromInteger<const W: usize>(op, view) {
        is_plain(view.cpu.mxcsr)?;
        let value = crate::flags::extend::<W>(full(view, op.src)) as i64;
        let result = (value as f64).to_bits();
        let old = xmm(view, op.dst);
        put_xmm(view, op.dst, merged::<8>(old, result));
    }

    /// CVTTSD2SI of a number that fits.
    ToInteger<const W: usize, const M: u8>(op, view) {
        is_plain(view.cpu.mxcsr)?;
        let bits = scalar::<8, M>(op, view)?;
        let number = f64::from_bits(bits);
        let most = if W == 8 { 9.0e18 } else { 2.0e9 };
        if !is_normal_or_zero(bits) || !(-most..most).contains(&number) {
            return None;
        }
        put::<W>(view, op.dst, number as i64 as u64);
    }
}

/// COMISD and UCOMISD.
pub(crate) struct Compare<const M: u8>;

impl<const M: u8> Body for Compare<M> {
    #[inline(always)]
    fn run(op: &Op, view: &mut View<'_>, _: Flags) -> Option<Flags> {
        is_on(view.cpu)?;
        let (a, b) = (xmm(view, op.dst) as u64, scalar::<8, M>(op, view)?);
        if !is_normal_or_zero(a) || !is_normal_or_zero(b) {
            return None;
        }
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        Some(compared(a == b, a < b))
    }
}
