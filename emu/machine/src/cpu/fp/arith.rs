//! The operations on numbers that are not NaNs, up to but without the rounding.

use super::round::{Wide, shift_right_jam};
use super::{Kind, Rounding, Unpacked};

/// The exact result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exact {
    /// There is none.
    Invalid,
    /// An infinity from a finite number divided by zero.
    DivideByZero(bool),
    /// Plus or minus infinity.
    Infinity(bool),
    /// Plus or minus zero.
    Zero(bool),
    /// A nonzero number.
    Number(Wide),
}

impl Exact {
    /// An operand as it is.
    #[inline(always)]
    pub(super) const fn of(a: &Unpacked) -> Exact {
        match a.kind {
            Kind::Zero => Exact::Zero(a.sign),
            Kind::Finite => Exact::Number(Wide {
                sign: a.sign,
                exp: a.exp,
                sig: (a.sig as u128) << 64,
            }),
            Kind::Infinity => Exact::Infinity(a.sign),
            Kind::Nan | Kind::Unsupported => Exact::Invalid,
        }
    }
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The first is smaller.
    Less,
    /// Equal; zeros are equal whatever their signs.
    Equal,
    /// The first is greater.
    Greater,
    /// One is not a number.
    Unordered,
}

/// `a + b`; an exact zero from unlike signs is negative only when rounding down.
#[inline(always)]
pub(super) const fn add(a: &Unpacked, b: &Unpacked, mode: Rounding) -> Exact {
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => add_finite(a, b, mode),
        (Kind::Infinity, Kind::Infinity) if a.sign != b.sign => Exact::Invalid,
        (Kind::Infinity, _) => Exact::Infinity(a.sign),
        (_, Kind::Infinity) => Exact::Infinity(b.sign),
        (Kind::Zero, Kind::Zero) if a.sign != b.sign => cancelled(mode),
        (_, Kind::Zero) => Exact::of(a),
        (Kind::Zero, _) => Exact::of(b),
        _ => Exact::Invalid,
    }
}

const fn cancelled(mode: Rounding) -> Exact {
    Exact::Zero(matches!(mode, Rounding::Down))
}

#[inline(always)]
const fn add_finite(a: &Unpacked, b: &Unpacked, mode: Rounding) -> Exact {
    let a_is_larger = a.exp > b.exp || (a.exp == b.exp && a.sig >= b.sig);
    let (large, small) = if a_is_larger { (a, b) } else { (b, a) };
    // One bit of headroom for the carry; 63 bits below are more than any rounding needs
    // to tell a jammed bit from a tie.
    let top = (large.sig as u128) << 63;
    let low = shift_right_jam((small.sig as u128) << 63, (large.exp - small.exp) as u32);
    let sum = if large.sign == small.sign {
        top + low
    } else {
        top - low
    };
    if sum == 0 {
        return cancelled(mode);
    }
    Exact::Number(Wide::normalised(large.sign, large.exp + 1, sum))
}

/// `a * b`.
#[inline(always)]
pub(super) const fn mul(a: &Unpacked, b: &Unpacked) -> Exact {
    let sign = a.sign != b.sign;
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => {
            let product = a.sig as u128 * b.sig as u128;
            Exact::Number(Wide::normalised(sign, a.exp + b.exp + 1, product))
        }
        (Kind::Infinity, Kind::Zero) | (Kind::Zero, Kind::Infinity) => Exact::Invalid,
        (Kind::Infinity, _) | (_, Kind::Infinity) => Exact::Infinity(sign),
        _ => Exact::Zero(sign),
    }
}

/// `a * b + c`, with nothing lost between the two. The significands have no more than 53 bits.
pub(super) const fn mul_add(a: &Unpacked, b: &Unpacked, c: &Unpacked, mode: Rounding) -> Exact {
    match (mul(a, b), c.kind) {
        (Exact::Number(product), Kind::Finite) => sum(&product, c, mode),
        (Exact::Infinity(sign), Kind::Infinity) if sign != c.sign => Exact::Invalid,
        (Exact::Zero(sign), Kind::Zero) if sign != c.sign => cancelled(mode),
        (Exact::Zero(_) | Exact::Number(_), Kind::Infinity) => Exact::of(c),
        (Exact::Zero(_), Kind::Finite) => Exact::of(c),
        (product, _) => product,
    }
}

/// A product of 106 bits and a number of 53: the sum has room for a carry above them, and
/// below for telling a jammed bit from a tie.
const fn sum(product: &Wide, c: &Unpacked, mode: Rounding) -> Exact {
    let (p, q) = (product.sig >> 1, (c.sig as u128) << 63);
    let distance = product.exp - c.exp;
    let (p, q) = if distance >= 0 {
        (p, shift_right_jam(q, distance as u32))
    } else {
        (shift_right_jam(p, distance.unsigned_abs()), q)
    };
    let (sign, sum) = match (product.sign == c.sign, p >= q) {
        (true, _) => (c.sign, p + q),
        (false, true) => (product.sign, p - q),
        (false, false) => (c.sign, q - p),
    };
    if sum == 0 {
        return cancelled(mode);
    }
    let larger = if distance >= 0 { product.exp } else { c.exp };
    Exact::Number(Wide::normalised(sign, larger + 1, sum))
}

/// `a / b`.
#[inline(always)]
pub(super) const fn div(a: &Unpacked, b: &Unpacked) -> Exact {
    let sign = a.sign != b.sign;
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => div_finite(sign, a, b),
        (Kind::Infinity, Kind::Infinity) | (Kind::Zero, Kind::Zero) => Exact::Invalid,
        (Kind::Infinity, _) => Exact::Infinity(sign),
        (Kind::Finite, Kind::Zero) => Exact::DivideByZero(sign),
        _ => Exact::Zero(sign),
    }
}

const fn div_finite(sign: bool, a: &Unpacked, b: &Unpacked) -> Exact {
    let (over, under) = ((a.sig as u128) << 63, b.sig as u128);
    // The first quotient has 63 or 64 significant bits, the next digit gives 64 more.
    let first = over / under;
    let rest = (over - first * under) << 64;
    let second = rest / under;
    let rest = rest - second * under;
    let sig = first << 64 | second | (rest != 0) as u128;
    Exact::Number(Wide::normalised(sign, a.exp - b.exp, sig))
}

/// The square root of `a`; minus zero has itself.
pub(super) const fn sqrt(a: &Unpacked) -> Exact {
    match (a.kind, a.sign) {
        (Kind::Zero, sign) => Exact::Zero(sign),
        (Kind::Infinity, false) => Exact::Infinity(false),
        (Kind::Finite, false) => sqrt_finite(a),
        _ => Exact::Invalid,
    }
}

const fn sqrt_finite(a: &Unpacked) -> Exact {
    // radicand = a * 2^(126 - exp) or twice that, whichever makes the exponent even.
    let odd = a.exp & 1 != 0;
    let radicand = (a.sig as u128) << if odd { 64 } else { 63 };
    let root = radicand.isqrt();
    let rest = radicand - root * root;
    // The next bit of the root is set exactly if (root + 1/2)^2 <= radicand; it never is a tie.
    let below = ((rest > root) as u128) << 63 | (rest != 0) as u128;
    Exact::Number(Wide::normalised(
        false,
        (a.exp - odd as i32) / 2,
        root << 64 | below,
    ))
}

/// Compares; NaNs and unsupported encodings are unordered.
#[inline(always)]
pub(super) const fn compare(a: &Unpacked, b: &Unpacked) -> Relation {
    let (x, y) = (order_key(a), order_key(b));
    match (x, y) {
        (Some(x), Some(y)) if x < y => Relation::Less,
        (Some(x), Some(y)) if x > y => Relation::Greater,
        (Some(_), Some(_)) => Relation::Equal,
        _ => Relation::Unordered,
    }
}

/// A number's place in the order of all numbers.
#[inline(always)]
const fn order_key(a: &Unpacked) -> Option<i128> {
    let magnitude = match a.kind {
        Kind::Zero => 0,
        // The smallest exponent of all is about -16445, so the offset keeps it positive.
        Kind::Finite => ((a.exp + 0x8000) as i128) << 64 | a.sig as i128,
        Kind::Infinity => 1 << 100,
        Kind::Nan | Kind::Unsupported => return None,
    };
    Some(if a.sign { -magnitude } else { magnitude })
}
