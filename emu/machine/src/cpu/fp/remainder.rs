//! FPREM and FPREM1: the exact remainder, or a step towards it.

use super::Unpacked;

/// What is left of a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remainder {
    /// The exponents are too far apart for one step: a smaller dividend with the same remainder.
    Partial(Unpacked),
    /// The remainder, and the low three bits of the quotient.
    Whole(Unpacked, u8),
}

/// One step of the remainder of two finite nonzero numbers. `nearest` rounds the quotient to
/// the nearest even (FPREM1), otherwise it is cut (FPREM).
pub(super) const fn step(a: &Unpacked, b: &Unpacked, nearest: bool) -> Remainder {
    let distance = a.exp - b.exp;
    if distance >= 64 {
        // The manual leaves the size of a step open (32 to 63); this is what Intel's do.
        let by = (distance as u32 & 31) | 32;
        let (_, rest) = divide(a.sig, b.sig, by);
        return Remainder::Partial(scaled(a.sign, a.exp - by as i32, rest));
    }
    if distance < -1 || (distance < 0 && !nearest) {
        return Remainder::Whole(*a, 0);
    }
    if distance == -1 {
        return near_half(a, b);
    }
    let (quotient, rest) = divide(a.sig, b.sig, distance as u32);
    let twice = (rest as u128) << 1;
    let round_up =
        nearest && (twice > b.sig as u128 || (twice == b.sig as u128 && quotient & 1 != 0));
    if round_up {
        let low = (quotient as u8).wrapping_add(1) & 7;
        return Remainder::Whole(scaled(!a.sign, b.exp, b.sig - rest), low);
    }
    Remainder::Whole(scaled(a.sign, b.exp, rest), quotient as u8 & 7)
}

/// Exponent one below the divisor's: the quotient is 0 or, nearer than half, 1.
const fn near_half(a: &Unpacked, b: &Unpacked) -> Remainder {
    if a.sig <= b.sig {
        return Remainder::Whole(*a, 0);
    }
    let rest = ((b.sig as u128) << 1) - a.sig as u128;
    let number = match rest >> 64 {
        0 => scaled(!a.sign, a.exp, rest as u64),
        // Cannot be: a.sig > b.sig, so the difference is below b.sig.
        _ => *a,
    };
    Remainder::Whole(number, 1)
}

/// `a * 2^by` divided by `b` for `by` below 64: the quotient's low bits and the rest.
const fn divide(a: u64, b: u64, by: u32) -> (u64, u64) {
    let over = (a as u128) << by;
    ((over / b as u128) as u64, (over % b as u128) as u64)
}

/// `sig * 2^(exp - 63)`, which may be zero.
const fn scaled(sign: bool, exp: i32, sig: u64) -> Unpacked {
    let mut number = Unpacked::from_magnitude(sign, sig);
    number.exp += exp - 63;
    number
}
