//! Numbers between 0 and 2 with 127 bits after the point, and [`Wide`] ones with 128 significant
//! bits: what the series of the elementary functions are summed in. Both lose what lies below
//! their last bit, so a product or quotient is low by less than two units of that bit.

use crate::cpu::fp::round::shift_right_jam;
use crate::cpu::fp::{Unpacked, Wide};

/// One, as a fraction.
pub(super) const ONE: u128 = 1 << 127;

/// The upper half of a 256-bit product.
pub(super) const fn mul_high(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let middle = a1 * b0 + ((a0 * b0) >> 64);
    let other = a0 * b1 + (middle & LOW);
    a1 * b1 + (middle >> 64) + (other >> 64)
}

/// A product of fractions.
pub(super) const fn mul_fraction(a: u128, b: u128) -> u128 {
    mul_high(a, b) << 1
}

/// `1 / n` as a fraction.
pub(super) const fn reciprocal(n: u32) -> u128 {
    ONE / n as u128
}

/// A constant `sig * 2^(exp - 127)`.
pub(super) const fn constant(exp: i32, sig: u128) -> Wide {
    Wide {
        sign: false,
        exp,
        sig,
    }
}

/// A fraction that is not zero as a number.
pub(super) const fn from_fraction(fraction: u128) -> Wide {
    Wide::normalised(false, 0, fraction)
}

/// The fraction nearest below the magnitude of a number below 2.
pub(super) const fn to_fraction(a: &Wide) -> u128 {
    match a.exp {
        0 => a.sig,
        -127..0 => a.sig >> -a.exp,
        _ => 0,
    }
}

/// A finite number with room below.
pub(super) const fn widened(a: &Unpacked) -> Wide {
    Wide {
        sign: a.sign,
        exp: a.exp,
        sig: (a.sig as u128) << 64,
    }
}

/// `a * b`.
pub(super) const fn mul(a: &Wide, b: &Wide) -> Wide {
    Wide::normalised(a.sign != b.sign, a.exp + b.exp + 1, mul_high(a.sig, b.sig))
}

/// `a / b`, one bit of the quotient after the other; its last bit is set if there are more.
pub(super) const fn div(a: &Wide, b: &Wide) -> Wide {
    let below = a.sig < b.sig;
    // The rest is kept below b; where doubling it loses the top bit, b fits once more.
    let mut rest = if below { a.sig } else { a.sig - b.sig };
    let mut sig = !below as u128;
    while sig >> 127 == 0 {
        let fits = rest >> 127 != 0 || rest << 1 >= b.sig;
        rest = (rest << 1).wrapping_sub(if fits { b.sig } else { 0 });
        sig = sig << 1 | fits as u128;
    }
    Wide {
        sign: a.sign != b.sign,
        exp: a.exp - b.exp - below as i32,
        sig: sig | (rest != 0) as u128,
    }
}

/// `a + b`; its last bit is set if more has been cut off. Unlike signs must not cancel.
pub(super) const fn add(a: &Wide, b: &Wide) -> Wide {
    let a_is_larger = a.exp > b.exp || (a.exp == b.exp && a.sig >= b.sig);
    let (large, small) = if a_is_larger { (a, b) } else { (b, a) };
    let distance = (large.exp - small.exp) as u32;
    // A bit of headroom for the carry.
    let top = shift_right_jam(large.sig, 1);
    let low = shift_right_jam(small.sig, distance + 1);
    let sum = if large.sign == small.sign {
        top + low
    } else {
        top - low
    };
    Wide::normalised(large.sign, large.exp + 1, sum)
}

/// A whole number that is not zero.
pub(super) const fn whole(value: i32) -> Wide {
    Wide::normalised(value < 0, 127, value.unsigned_abs() as u128)
}

/// The same magnitude with this sign.
pub(super) const fn signed(a: &Wide, sign: bool) -> Wide {
    Wide { sign, ..*a }
}
