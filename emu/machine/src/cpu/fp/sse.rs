//! Scalars as SSE treats them; a packed instruction is one call for each lane.
//!
//! Operands and results are the bits of a single or double in a `u64`.

use super::arith::{self, Exact, Relation};
use super::round::round;
use super::{Flags, Format, Kind, Rounding, Unpacked, unpack};
use super::{convert, quick};

/// What MXCSR says about computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// RC.
    pub rounding: Rounding,
    /// Denormal operands count as zeros.
    pub daz: bool,
    /// Tiny results become zeros; only while underflow is masked.
    pub ftz: bool,
    /// UM.
    pub underflow_masked: bool,
    /// OM.
    pub overflow_masked: bool,
}

impl Control {
    /// Reads the fields of MXCSR.
    #[inline(always)]
    #[must_use]
    pub const fn from_mxcsr(mxcsr: u32) -> Control {
        let underflow_masked = mxcsr & 1 << 11 != 0;
        Control {
            rounding: Rounding::from_rc(mxcsr >> 13),
            daz: mxcsr & 1 << 6 != 0,
            ftz: mxcsr & 1 << 15 != 0 && underflow_masked,
            underflow_masked,
            overflow_masked: mxcsr & 1 << 10 != 0,
        }
    }

    /// The same with another rounding mode.
    #[must_use]
    pub const fn with_rounding(self, rounding: Rounding) -> Control {
        Control { rounding, ..self }
    }
}

/// Rounds and encodes a result whose operands were numbers.
#[inline(always)]
pub(super) fn finish(
    exact: Exact,
    format: Format,
    control: Control,
    denormal: bool,
) -> (u64, Flags) {
    let before = if denormal {
        Flags::DENORMAL
    } else {
        Flags::empty()
    };
    match exact {
        Exact::Invalid => (format.indefinite(), Flags::INVALID),
        Exact::DivideByZero(sign) => (format.infinity(sign), Flags::DIVIDE),
        Exact::Infinity(sign) => (format.infinity(sign), before),
        Exact::Zero(sign) => (format.zero(sign), before),
        Exact::Number(wide) => {
            let keep_tiny = control.underflow_masked && !control.ftz;
            let r = round(&wide, format, control.rounding, keep_tiny);
            let sign = wide.sign;
            if r.flags.contains(Flags::OVERFLOW) {
                let inexact = match control.overflow_masked {
                    true => Flags::INEXACT,
                    false => Flags::empty(),
                };
                return (
                    overflowed(format, sign, r.infinite),
                    before | r.flags | inexact,
                );
            }
            if control.ftz && r.flags.contains(Flags::UNDERFLOW) {
                return (
                    format.zero(sign),
                    before | Flags::UNDERFLOW | Flags::INEXACT,
                );
            }
            (format.finite(sign, r.exp, r.sig), before | r.flags)
        }
    }
}

/// The masked answer to an overflow.
fn overflowed(format: Format, sign: bool, infinite: bool) -> u64 {
    if infinite {
        return format.infinity(sign);
    }
    format.finite(sign, format.emax, u64::MAX << (64 - format.precision))
}

/// The first operand that is a NaN, made quiet.
#[inline(always)]
fn nan_of(a: &Unpacked, b: &Unpacked, format: Format) -> Option<(u64, Flags)> {
    let chosen = match (a.is_nan(), b.is_nan()) {
        (true, _) => a,
        (false, true) => b,
        _ => return None,
    };
    Some((format.quiet_nan(chosen.sign, chosen.sig), signalling(a, b)))
}

#[inline(always)]
fn signalling(a: &Unpacked, b: &Unpacked) -> Flags {
    if a.is_signalling() || b.is_signalling() {
        Flags::INVALID
    } else {
        Flags::empty()
    }
}

#[inline(always)]
fn binary(
    format: Format,
    a: u64,
    b: u64,
    control: Control,
    operation: impl Fn(&Unpacked, &Unpacked) -> Exact,
) -> (u64, Flags) {
    let (a, b) = (
        unpack(a, format, control.daz),
        unpack(b, format, control.daz),
    );
    if let Some(nan) = nan_of(&a, &b, format) {
        return nan;
    }
    finish(operation(&a, &b), format, control, a.denormal || b.denormal)
}

/// `a + b`.
#[inline(always)]
pub fn add(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    if let Some(result) = quick::add(a, b, format, control.rounding) {
        return result;
    }
    binary(format, a, b, control, |a, b| {
        arith::add(a, b, control.rounding)
    })
}

/// `a - b`.
#[inline(always)]
pub fn sub(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    if let Some(result) = quick::add(a, b ^ 1 << format.sign_bit(), format, control.rounding) {
        return result;
    }
    binary(format, a, b, control, |a, b| {
        arith::add(a, &b.negated(), control.rounding)
    })
}

/// `a * b`.
#[inline(always)]
pub fn mul(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    if let Some(result) = quick::mul(a, b, format, control.rounding) {
        return result;
    }
    binary(format, a, b, control, arith::mul)
}

/// `a / b`.
#[inline(always)]
pub fn div(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    if let Some(result) = quick::div(a, b, format, control.rounding) {
        return result;
    }
    binary(format, a, b, control, arith::div)
}

/// The square root of `a`.
pub fn sqrt(format: Format, a: u64, control: Control) -> (u64, Flags) {
    let a = unpack(a, format, control.daz);
    if let Some(nan) = nan_of(&a, &a, format) {
        return nan;
    }
    finish(arith::sqrt(&a), format, control, a.denormal)
}

/// MIN and MAX: the second operand unless the first is `wanted` relative to it.
fn choose(format: Format, a: u64, b: u64, control: Control, wanted: Relation) -> (u64, Flags) {
    let (x, y) = (
        unpack(a, format, control.daz),
        unpack(b, format, control.daz),
    );
    let relation = arith::compare(&x, &y);
    let flags = match relation {
        Relation::Unordered => Flags::INVALID,
        _ if x.denormal || y.denormal => Flags::DENORMAL,
        _ => Flags::empty(),
    };
    let (chosen, bits) = if relation == wanted { (x, a) } else { (y, b) };
    // With DAZ the operand itself is a zero.
    let bits = if chosen.kind == Kind::Zero {
        format.zero(chosen.sign)
    } else {
        bits
    };
    (bits, flags)
}

/// MINSS and its kin.
pub fn min(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    choose(format, a, b, control, Relation::Less)
}

/// MAXSS and its kin.
pub fn max(format: Format, a: u64, b: u64, control: Control) -> (u64, Flags) {
    choose(format, a, b, control, Relation::Greater)
}

/// Compares; with `quiet` only signalling NaNs are invalid.
#[inline(always)]
pub fn compare(format: Format, a: u64, b: u64, control: Control, quiet: bool) -> (Relation, Flags) {
    if let Some(relation) = quick::compare(a, b, format) {
        return (relation, Flags::empty());
    }
    let (a, b) = (
        unpack(a, format, control.daz),
        unpack(b, format, control.daz),
    );
    let flags = if a.is_nan() || b.is_nan() {
        if quiet {
            signalling(&a, &b)
        } else {
            Flags::INVALID
        }
    } else if a.denormal || b.denormal {
        Flags::DENORMAL
    } else {
        Flags::empty()
    };
    (arith::compare(&a, &b), flags)
}

/// The relations for which a comparison predicate holds.
const LT: u8 = 1 << Relation::Less as u8;
const EQ: u8 = 1 << Relation::Equal as u8;
const GT: u8 = 1 << Relation::Greater as u8;
const UN: u8 = 1 << Relation::Unordered as u8;

/// Bits 0 to 3 of a predicate (volume 2A, table 3-1): the first eight are SSE's.
const PREDICATES: [u8; 16] = [
    EQ,                // EQ
    LT,                // LT
    LT | EQ,           // LE
    UN,                // UNORD
    LT | GT | UN,      // NEQ
    EQ | GT | UN,      // NLT
    GT | UN,           // NLE
    LT | EQ | GT,      // ORD
    EQ | UN,           // EQ, unordered too
    LT | UN,           // NGE
    LT | EQ | UN,      // NGT
    0,                 // FALSE
    LT | GT,           // NEQ, ordered only
    EQ | GT,           // GE
    GT,                // GT
    LT | EQ | GT | UN, // TRUE
];

/// The 32 predicates of VCMPPS and so on; CMPPS has the first eight. Bit 4 exchanges those that
/// signal at a quiet NaN and those that do not.
#[must_use]
pub fn predicate(format: Format, a: u64, b: u64, control: Control, number: u8) -> (bool, Flags) {
    let quiet = matches!(number & 3, 0 | 3) != (number & 16 != 0);
    let (relation, flags) = compare(format, a, b, control, quiet);
    let holds = PREDICATES[usize::from(number & 15)] >> relation as u8 & 1 != 0;
    (holds, flags)
}

/// From one format to the other.
pub fn convert(from: Format, to: Format, a: u64, control: Control) -> (u64, Flags) {
    let a = unpack(a, from, control.daz);
    if let Some(nan) = nan_of(&a, &a, to) {
        return nan;
    }
    finish(Exact::of(&a), to, control, a.denormal)
}

/// A signed integer as a number.
pub fn from_int(format: Format, value: i64, control: Control) -> (u64, Flags) {
    if let Some(result) = quick::from_int(value, format, control.rounding) {
        return result;
    }
    finish(
        Exact::of(&Unpacked::from_int(value)),
        format,
        control,
        false,
    )
}

/// A number as a signed integer of `bits` bits, or the indefinite integer.
pub fn to_int(format: Format, a: u64, bits: u32, control: Control) -> (i64, Flags) {
    if control.rounding == Rounding::Zero
        && let Some(result) = quick::truncate(a, bits, format)
    {
        return result;
    }
    let (value, flags, _) =
        convert::to_int(&unpack(a, format, control.daz), bits, control.rounding);
    (value, flags)
}

/// ROUNDSS and its kin: to a whole number. `exact` suppresses the inexact flag.
pub fn round_to_whole(format: Format, a: u64, control: Control, exact: bool) -> (u64, Flags) {
    let number = unpack(a, format, control.daz);
    match number.kind {
        Kind::Nan => (
            format.quiet_nan(number.sign, number.sig),
            signalling(&number, &number),
        ),
        Kind::Finite => {
            let (whole, inexact, _) = convert::to_whole(&number, control.rounding);
            let flags = if inexact && !exact {
                Flags::INEXACT
            } else {
                Flags::empty()
            };
            match whole.kind {
                Kind::Finite => (format.finite(whole.sign, whole.exp, whole.sig), flags),
                _ => (format.zero(whole.sign), flags),
            }
        }
        Kind::Zero => (format.zero(number.sign), Flags::empty()),
        _ => (a, Flags::empty()),
    }
}
