//! Sine, cosine and tangent of finite numbers, after a reduction by Intel's pi of 66 bits.

use super::fixed::{self, ONE, mul_fraction};
use crate::cpu::fp::{Unpacked, Wide};

/// Pi cut to 66 bits, in units of 2^-64: "Approximation of Pi" in volume 1 of Intel's manual
/// writes the same digits as 4 * 0.C90FDAA2_2168C234_C.
const PI: u128 = 0x3_243F_6A88_85A3_08D3;

/// The exponent from which on an operand is out of range.
pub(super) const OUT_OF_RANGE: i32 = 63;

/// An angle: a multiple of pi/2 (its low two bits), and a rest of at most pi/4 around it.
struct Angle {
    quadrant: u8,
    rest: Wide,
}

/// Takes the nearest multiple of pi/2 away from a number below 2^63, exactly: above 1/2 it is a
/// whole number of units of 2^-65, as pi/2 is. The rest is never zero, since no multiple of a
/// number of 66 bits has 64.
fn reduce(a: &Unpacked) -> Angle {
    if a.exp < -1 {
        let rest = fixed::widened(a);
        return Angle { quadrant: 0, rest };
    }
    let (mut quotient, mut rest) = (0u8, 0u128);
    // The units of |a|, from the top bit on: 64 bits of its significand and zeros.
    for place in (0..64 + a.exp + 2).rev() {
        let bit = match place - (a.exp + 2) {
            i @ 0.. => a.sig >> i & 1,
            _ => 0,
        };
        rest = rest << 1 | u128::from(bit);
        let fits = rest >= PI;
        rest -= if fits { PI } else { 0 };
        quotient = quotient << 1 | u8::from(fits);
    }
    let above = rest << 1 > PI;
    let magnitude = if above { PI - rest } else { rest };
    quotient = quotient.wrapping_add(above.into());
    let quadrant = if a.sign {
        quotient.wrapping_neg()
    } else {
        quotient
    };
    Angle {
        quadrant: quadrant & 3,
        rest: Wide::normalised(a.sign != above, 127 - 65, magnitude),
    }
}

/// Terms of the series that matter: 35! is above 2^132.
const TERMS: u32 = 17;

/// `1 - z/(k(k+1)) * (1 - z/((k+2)(k+3)) * (...))`, from `k = first` on.
fn series(z: u128, first: u32) -> u128 {
    (0..TERMS).rev().fold(ONE, |sum, i| {
        let k = first + 2 * i;
        ONE - mul_fraction(z, sum) / u128::from(k * (k + 1))
    })
}

/// Sine and cosine of at most pi/4. Both differ from their first terms, if only by a bit that is
/// too small to matter but for the direction in which the result lies.
fn sin_cos_of_rest(rest: &Wide) -> (Wide, Wide) {
    let r = fixed::to_fraction(rest);
    let z = mul_fraction(r, r);
    let slope = series(z, 2).min(ONE - 1);
    let cos = series(z, 1).min(ONE - 3);
    let sin = fixed::mul(rest, &fixed::from_fraction(slope));
    (sin, fixed::from_fraction(cos))
}

/// Sine and cosine of a finite number below 2^63.
pub(super) fn sin_cos(a: &Unpacked) -> (Wide, Wide) {
    let Angle { quadrant, rest } = reduce(a);
    let (sin, cos) = sin_cos_of_rest(&rest);
    let minus = |a: &Wide| fixed::signed(a, !a.sign);
    match quadrant {
        0 => (sin, cos),
        1 => (cos, minus(&sin)),
        2 => (minus(&sin), minus(&cos)),
        _ => (minus(&cos), sin),
    }
}

/// Tangent of a finite number below 2^63.
pub(super) fn tan(a: &Unpacked) -> Wide {
    let (sin, cos) = sin_cos(a);
    fixed::div(&sin, &cos)
}
