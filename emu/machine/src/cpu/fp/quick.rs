//! Short ways for the common case: normal operands and a normal result.
//!
//! Each gives the same bits and flags as the general way, in 64-bit steps, or `None`.
//! DAZ and FTZ do not matter to normal numbers, so only the rounding mode is asked for.

use super::{Flags, Format, Relation, Rounding};

/// Width of the stored fraction.
#[inline(always)]
const fn fraction_bits(format: Format) -> u32 {
    format.precision - 1
}

/// The exponent field of infinities and NaNs.
#[inline(always)]
const fn top(format: Format) -> i32 {
    2 * format.emax + 1
}

/// Sign, exponent field and significand (leading bit at 63) of a normal number.
#[inline(always)]
const fn normal(bits: u64, format: Format) -> Option<(bool, i32, u64)> {
    let field = (bits >> fraction_bits(format)) as i32 & top(format);
    if field == 0 || field == top(format) {
        return None;
    }
    let sig = bits << (64 - format.precision) | 1 << 63;
    Some((bits >> format.sign_bit() & 1 != 0, field, sig))
}

/// Rounds a significand with its leading bit at 63 (and a sticky bit 0), if the result is
/// surely normal.
#[inline(always)]
const fn finish(
    sign: bool,
    field: i32,
    sig: u64,
    format: Format,
    mode: Rounding,
) -> Option<(u64, Flags)> {
    if field < 1 || field > top(format) - 2 {
        return None;
    }
    const HALF: u64 = 1 << 63;
    let kept = sig >> (64 - format.precision);
    let rest = sig << format.precision;
    let up = match mode {
        // Without branches: half of all roundings go up, and no predictor knows which.
        Rounding::Nearest => (rest > HALF) | ((rest == HALF) & (kept & 1 != 0)),
        Rounding::Down => sign && rest != 0,
        Rounding::Up => !sign && rest != 0,
        Rounding::Zero => false,
    };
    // The leading bit, and a carry out of the fraction, count up the exponent.
    let magnitude = ((field as u64 - 1) << fraction_bits(format)) + kept + up as u64;
    let flags = if rest != 0 {
        Flags::INEXACT
    } else {
        Flags::empty()
    };
    Some((magnitude | (sign as u64) << format.sign_bit(), flags))
}

/// Shifts right by less than 64 and keeps what falls out as a sticky bit.
#[inline(always)]
const fn jam(sig: u64, by: u32) -> u64 {
    sig >> by | (sig & ((1 << by) - 1) != 0) as u64
}

/// `a + b`.
#[inline(always)]
pub(super) const fn add(a: u64, b: u64, format: Format, mode: Rounding) -> Option<(u64, Flags)> {
    let (Some(a), Some(b)) = (normal(a, format), normal(b, format)) else {
        return None;
    };
    let (large, small) = if a.1 >= b.1 { (a, b) } else { (b, a) };
    let distance = (large.1 - small.1) as u32;
    if distance > 62 {
        return None;
    }
    let (x, y) = (large.2 >> 1, jam(small.2 >> 1, distance));
    let (sign, sum) = match (large.0 == small.0, x >= y) {
        (true, _) => (large.0, x + y),
        (false, true) => (large.0, x - y),
        (false, false) => (small.0, y - x),
    };
    if sum == 0 {
        return None;
    }
    let shift = sum.leading_zeros();
    finish(sign, large.1 + 1 - shift as i32, sum << shift, format, mode)
}

/// `a * b`.
#[inline(always)]
pub(super) const fn mul(a: u64, b: u64, format: Format, mode: Rounding) -> Option<(u64, Flags)> {
    let (Some(a), Some(b)) = (normal(a, format), normal(b, format)) else {
        return None;
    };
    let product = a.2 as u128 * b.2 as u128;
    let sig = (product >> 64) as u64 | (product as u64 != 0) as u64;
    let shift = sig.leading_zeros();
    let field = a.1 + b.1 - format.emax + 1 - shift as i32;
    finish(a.0 != b.0, field, sig << shift, format, mode)
}

/// `a / b`.
#[inline(always)]
pub(super) const fn div(a: u64, b: u64, format: Format, mode: Rounding) -> Option<(u64, Flags)> {
    let (Some(a), Some(b)) = (normal(a, format), normal(b, format)) else {
        return None;
    };
    let over = (a.2 as u128) << 63;
    let quotient = (over / b.2 as u128) as u64;
    let exact = quotient as u128 * b.2 as u128 == over;
    let shift = quotient.leading_zeros();
    let field = a.1 - b.1 + format.emax - shift as i32;
    finish(
        a.0 != b.0,
        field,
        (quotient | !exact as u64) << shift,
        format,
        mode,
    )
}

/// How `a` and `b` compare.
#[inline(always)]
pub(super) const fn compare(a: u64, b: u64, format: Format) -> Option<Relation> {
    let (Some(x), Some(y)) = (key(a, format), key(b, format)) else {
        return None;
    };
    Some(if x < y {
        Relation::Less
    } else if x > y {
        Relation::Greater
    } else {
        Relation::Equal
    })
}

/// The place of a normal number or zero in the order of all.
#[inline(always)]
const fn key(bits: u64, format: Format) -> Option<i64> {
    let magnitude = (bits & ((1 << format.sign_bit()) - 1)) as i64;
    if magnitude != 0 && normal(bits, format).is_none() {
        return None;
    }
    Some(if bits >> format.sign_bit() & 1 != 0 {
        -magnitude
    } else {
        magnitude
    })
}

/// An integer that is not zero.
#[inline(always)]
pub(super) const fn from_int(value: i64, format: Format, mode: Rounding) -> Option<(u64, Flags)> {
    let magnitude = value.unsigned_abs();
    if magnitude == 0 {
        return None;
    }
    let shift = magnitude.leading_zeros();
    finish(
        value < 0,
        format.emax + 63 - shift as i32,
        magnitude << shift,
        format,
        mode,
    )
}

/// A number cut to an integer of `bits` bits, if it is between one and the limit.
#[inline(always)]
pub(super) const fn truncate(a: u64, bits: u32, format: Format) -> Option<(i64, Flags)> {
    let Some((sign, field, sig)) = normal(a, format) else {
        return None;
    };
    let exp = field - format.emax;
    if exp < 0 || exp > bits as i32 - 2 {
        return None;
    }
    let value = (sig >> (63 - exp)) as i64;
    let flags = if sig << (exp + 1) != 0 {
        Flags::INEXACT
    } else {
        Flags::empty()
    };
    Some((if sign { -value } else { value }, flags))
}
