//! To integers and to whole numbers.

use super::round::rounds_up;
use super::{Flags, Kind, Rounding, Unpacked};

/// The parts of a finite number: integer magnitude rounded by `mode`, whether that is more
/// than the exact one, and whether it differs. `None` if it has more than 64 bits.
const fn whole(a: &Unpacked, mode: Rounding) -> Option<(u64, bool, bool)> {
    if a.exp > 63 {
        return None;
    }
    let (kept, rest) = match a.exp {
        63 => (a.sig, 0),
        // Aligned so that the bit worth one half is bit 127.
        0..=62 => (a.sig >> (63 - a.exp), (a.sig as u128) << (65 + a.exp)),
        -1 => (0, (a.sig as u128) << 64),
        _ => (0, 1),
    };
    let up = rounds_up(mode, a.sign, kept & 1 != 0, rest);
    match kept.checked_add(up as u64) {
        Some(value) => Some((value, up, rest != 0)),
        None => None,
    }
}

/// A number as a signed integer of `bits` bits: the integer (or the indefinite one, whose top
/// bit alone is set), the flags, and whether the magnitude was rounded up.
#[must_use]
pub(super) const fn to_int(a: &Unpacked, bits: u32, mode: Rounding) -> (i64, Flags, bool) {
    let indefinite = i64::MIN >> (64 - bits);
    let invalid = (indefinite, Flags::INVALID, false);
    let (value, up, inexact) = match a.kind {
        Kind::Zero => return (0, Flags::empty(), false),
        Kind::Finite => match whole(a, mode) {
            Some(parts) => parts,
            None => return invalid,
        },
        _ => return invalid,
    };
    let limit = indefinite.unsigned_abs();
    if value > limit || (value == limit && !a.sign) {
        return invalid;
    }
    let flags = if inexact {
        Flags::INEXACT
    } else {
        Flags::empty()
    };
    let value = value as i64;
    (if a.sign { value.wrapping_neg() } else { value }, flags, up)
}

/// A finite number rounded to a whole one that keeps its sign, exactly representable in the
/// operand's own format: (number, inexact, up).
#[must_use]
pub(super) const fn to_whole(a: &Unpacked, mode: Rounding) -> (Unpacked, bool, bool) {
    if a.exp >= 63 {
        return (*a, false, false);
    }
    match whole(a, mode) {
        Some((value, up, inexact)) => (Unpacked::from_magnitude(a.sign, value), inexact, up),
        None => (*a, false, false),
    }
}
