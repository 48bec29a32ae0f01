//! RCPSS and RSQRTSS: estimates of 12 bits, without exceptions.
//!
//! The manual only bounds the error, so a deterministic machine has to choose. These are the
//! results of Intel's tables, which are the reciprocal (square root) of the middle of the
//! operand's interval, rounded to 13 bits.

use super::{Kind, SINGLE, Unpacked, unpack};

/// Operands of an estimate: denormals count as zeros whatever DAZ says.
fn operand(a: u64) -> Unpacked {
    unpack(a, SINGLE, true)
}

/// `q / 2^13` for 13 significant bits `q`, times `2^exp`; too small becomes zero.
fn estimate(sign: bool, exp: i32, q: u64) -> u64 {
    if exp - 1 < SINGLE.emin {
        return SINGLE.zero(sign);
    }
    SINGLE.finite(sign, exp - 1, q << 51)
}

/// About `1 / a`.
#[must_use]
pub fn reciprocal(a: u64) -> u64 {
    let a = operand(a);
    match a.kind {
        Kind::Nan => SINGLE.quiet_nan(a.sign, a.sig),
        Kind::Zero => SINGLE.infinity(a.sign),
        Kind::Finite => {
            // The leading one and eleven bits, and a half below them.
            let middle = a.sig >> 52 << 1 | 1;
            estimate(a.sign, -a.exp, ((1 << 26) / middle).div_ceil(2))
        }
        _ => SINGLE.zero(a.sign),
    }
}

/// About `1 / sqrt(a)`.
#[must_use]
pub fn reciprocal_root(a: u64) -> u64 {
    let a = operand(a);
    match (a.kind, a.sign) {
        (Kind::Nan, sign) => SINGLE.quiet_nan(sign, a.sig),
        (Kind::Zero, sign) => SINGLE.infinity(sign),
        (_, true) => SINGLE.indefinite(),
        (Kind::Finite, false) => {
            // The leading one and ten bits, a half below them, times two for odd exponents.
            let middle = (a.sig >> 53 << 1 | 1) << (a.exp & 1);
            let twice: u64 = ((1u64 << 39) / middle).isqrt();
            estimate(false, -(a.exp >> 1), twice.div_ceil(2))
        }
        _ => SINGLE.zero(false),
    }
}
