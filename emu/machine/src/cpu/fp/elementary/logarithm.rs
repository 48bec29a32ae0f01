//! `log2(x)`, `log2(1 + x)` and `2^x - 1`.

use super::fixed::{self, ONE, constant, mul_fraction, reciprocal};
use crate::cpu::fp::{Unpacked, Wide};

const LN_2: Wide = constant(-1, 0xB172_17F7_D1CF_79AB_C9E3_B398_03F2_F6AF);
const LOG2_E: Wide = constant(0, 0xB8AA_3B29_5C17_F0BB_BE87_FED0_691D_3E88);

/// The square root of two, rounded up, as a significand.
const SQRT_2: u128 = 0xB504_F333_F9DE_6485 << 64;

/// Terms of the series for arguments up to (sqrt(2) - 1) / (sqrt(2) + 1), whose square is below
/// 2^-5.
const TERMS: u32 = 26;

/// `2 / ln 2 * artanh(s)`, the base-2 logarithm of `(1 + s) / (1 - s)`, for `|s|` below 0.1716:
/// s (1 + s²/3 + s⁴/5 + ...).
fn log2_of_ratio(s: &Wide) -> Wide {
    let f = fixed::to_fraction(s);
    let z = mul_fraction(f, f);
    let series = (0..TERMS)
        .rev()
        .fold(0, |sum, n| reciprocal(2 * n + 1) + mul_fraction(z, sum));
    let artanh = fixed::mul(s, &fixed::from_fraction(series));
    let log = fixed::mul(&artanh, &LOG2_E);
    Wide {
        exp: log.exp + 1,
        ..log
    }
}

/// `log2(a)` of a positive number other than 1.
pub(super) fn log2(a: &Wide) -> Wide {
    // a = m * 2^e with m around 1.
    let above = a.sig >= SQRT_2;
    let e = a.exp + i32::from(above);
    let m = Wide {
        exp: -i32::from(above),
        ..*a
    };
    let one = constant(0, ONE);
    let less = match above {
        // Halved: 1 - m = 2^128 - sig in units of 2^-128.
        true => Wide::normalised(true, -1, m.sig.wrapping_neg()),
        false if m.sig == ONE => return fixed::whole(e),
        false => Wide::normalised(false, 0, m.sig - ONE),
    };
    let s = fixed::div(&less, &fixed::add(&m, &one));
    let log = log2_of_ratio(&s);
    match e {
        0 => log,
        _ => fixed::add(&fixed::whole(e), &log),
    }
}

/// `log2(1 + a)` of a number above -1 other than 0. Around 0 the sum is not formed, so that
/// nothing of a small number is lost.
pub(super) fn log2_of_one_more(a: &Unpacked) -> Wide {
    let (a, one, two) = (fixed::widened(a), constant(0, ONE), constant(1, ONE));
    if a.exp < -2 {
        return log2_of_ratio(&fixed::div(&a, &fixed::add(&two, &a)));
    }
    log2(&fixed::add(&one, &a))
}

/// Factors of the series: 33! is above 2^122, and the argument is below 0.7.
const LAST: u32 = 34;

/// `2^a - 1` of a number between -1 and 1: with y = a ln 2,
/// y (1 + y/2 (1 + y/3 (1 + ...))).
pub(super) fn exp2_minus_1(a: &Unpacked) -> Wide {
    let y = fixed::mul(&fixed::widened(a), &LN_2);
    let f = fixed::to_fraction(&y);
    let series = (2..=LAST).rev().fold(ONE, |sum, k| {
        let term = mul_fraction(f, sum) / u128::from(k);
        if a.sign { ONE - term } else { ONE + term }
    });
    fixed::mul(&y, &fixed::from_fraction(series))
}
