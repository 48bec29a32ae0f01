//! The one place where a result loses bits.

use super::{Flags, Format, Rounding};

/// An exact nonzero magnitude `sig * 2^(exp - 127)` with bit 127 set; bit 0 also stands for
/// everything below it (sticky).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide {
    /// Negative?
    pub sign: bool,
    /// Exponent of the leading bit.
    pub exp: i32,
    /// Significand.
    pub sig: u128,
}

impl Wide {
    /// Moves the leading bit of a nonzero significand to bit 127.
    #[inline(always)]
    #[must_use]
    pub const fn normalised(sign: bool, exp: i32, sig: u128) -> Wide {
        let shift = sig.leading_zeros();
        Wide {
            sign,
            exp: exp - shift as i32,
            sig: sig << shift,
        }
    }
}

/// A rounded magnitude. The significand is aligned to bit 63 and has no more than the
/// format's precision; without bit 63 it is a denormal (or zero), with `exp` the format's
/// smallest. `exp` above the format's largest means: overflow, nothing stored in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounded {
    /// Exponent of bit 63.
    pub exp: i32,
    /// Significand.
    pub sig: u64,
    /// Overflow, underflow, inexact.
    pub flags: Flags,
    /// The magnitude became larger: C1 of the x87.
    pub up: bool,
    /// Overflow whose masked answer is infinity (otherwise the largest number).
    pub infinite: bool,
}

/// Shifts right and keeps what falls out as a sticky bit.
#[inline(always)]
pub(super) const fn shift_right_jam(sig: u128, by: u32) -> u128 {
    match by {
        0 => sig,
        1..=127 => sig >> by | (sig << (128 - by) != 0) as u128,
        _ => (sig != 0) as u128,
    }
}

/// Does a magnitude whose cut-off part is `rest` (aligned to bit 127) round away from zero?
#[inline(always)]
pub(super) const fn rounds_up(mode: Rounding, sign: bool, odd: bool, rest: u128) -> bool {
    const HALF: u128 = 1 << 127;
    match mode {
        Rounding::Nearest => rest > HALF || (rest == HALF && odd),
        Rounding::Down => sign && rest != 0,
        Rounding::Up => !sign && rest != 0,
        Rounding::Zero => false,
    }
}

/// Cuts a significand to `precision` bits: (significand at bit 63, carried out, up, inexact).
#[inline(always)]
const fn cut(sig: u128, precision: u32, mode: Rounding, sign: bool) -> (u64, bool, bool, bool) {
    let kept = (sig >> (128 - precision)) as u64;
    let rest = sig << precision;
    let up = rounds_up(mode, sign, kept & 1 != 0, rest);
    let (sum, carry) = (kept << (64 - precision)).overflowing_add((up as u64) << (64 - precision));
    (
        if carry { sum | 1 << 63 } else { sum },
        carry,
        up,
        rest != 0,
    )
}

/// Rounds to `format` with x86's rules: a result is tiny if it would be below the smallest
/// normal number after rounding with an unbounded exponent. A tiny result is denormalised
/// if `underflow_masked`, otherwise it is reported with its true exponent.
#[inline(always)]
#[must_use]
pub const fn round(wide: &Wide, format: Format, mode: Rounding, underflow_masked: bool) -> Rounded {
    let (sig, carry, up, inexact) = cut(wide.sig, format.precision, mode, wide.sign);
    let exp = wide.exp + carry as i32;
    let flags = if inexact {
        Flags::INEXACT
    } else {
        Flags::empty()
    };
    if exp > format.emax {
        return overflow(exp, sig, flags, up, mode, wide.sign);
    }
    if exp >= format.emin {
        return Rounded {
            exp,
            sig,
            flags,
            up,
            infinite: false,
        };
    }
    if !underflow_masked {
        let flags = flags.union(Flags::UNDERFLOW);
        return Rounded {
            exp,
            sig,
            flags,
            up,
            infinite: false,
        };
    }
    denormalised(wide, format, mode)
}

const fn overflow(
    exp: i32,
    sig: u64,
    flags: Flags,
    up: bool,
    mode: Rounding,
    sign: bool,
) -> Rounded {
    let infinite = match mode {
        Rounding::Nearest => true,
        Rounding::Down => sign,
        Rounding::Up => !sign,
        Rounding::Zero => false,
    };
    Rounded {
        exp,
        sig,
        flags: flags.union(Flags::OVERFLOW),
        up,
        infinite,
    }
}

const fn denormalised(wide: &Wide, format: Format, mode: Rounding) -> Rounded {
    let shifted = shift_right_jam(wide.sig, (format.emin - wide.exp) as u32);
    let (sig, _, up, inexact) = cut(shifted, format.precision, mode, wide.sign);
    let flags = if inexact {
        Flags::UNDERFLOW.union(Flags::INEXACT)
    } else {
        Flags::empty()
    };
    Rounded {
        exp: format.emin,
        sig,
        flags,
        up,
        infinite: false,
    }
}
