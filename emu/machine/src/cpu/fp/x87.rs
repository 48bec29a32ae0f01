//! Numbers as the x87 treats them: operands and results are 80 bits wide.

use super::arith::{self, Exact, Relation};
use super::convert;
use super::remainder::{self, Remainder};
use super::round::{Wide, round};
use super::{EXTENDED, F80, Flags, Format, Kind, Rounding, Unpacked, unpack};

/// What the control word says about computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// RC.
    pub rounding: Rounding,
    /// PC, as bits of the significand.
    pub precision: u32,
    /// The masked exceptions.
    pub masked: Flags,
}

impl Control {
    /// Reads the fields of the control word. The reserved precision counts as extended.
    #[must_use]
    pub const fn from_fcw(fcw: u16) -> Control {
        let precision = match fcw >> 8 & 3 {
            0 => 24,
            2 => 53,
            _ => 64,
        };
        Control {
            rounding: Rounding::from_rc((fcw >> 10) as u32),
            precision,
            masked: Flags::from_bits_truncate(fcw as u8),
        }
    }

    const fn format(self) -> Format {
        Format {
            precision: self.precision,
            ..EXTENDED
        }
    }

    /// The same with the full significand, for the operations that ignore PC.
    pub(super) const fn in_full(self) -> Control {
        Control {
            precision: 64,
            ..self
        }
    }
}

/// A result, the exceptions it met, and whether it was rounded up (C1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    /// What to store, if the exceptions let it.
    pub value: T,
    /// The exceptions.
    pub flags: Flags,
    /// C1.
    pub up: bool,
}

impl<T> Outcome<T> {
    pub(super) const fn exact(value: T) -> Outcome<T> {
        Outcome {
            value,
            flags: Flags::empty(),
            up: false,
        }
    }

    pub(super) const fn with(value: T, flags: Flags) -> Outcome<T> {
        Outcome {
            value,
            flags,
            up: false,
        }
    }
}

/// By how much the exponent of an unmasked overflow or underflow is shifted.
const BIAS_ADJUST: i32 = 24576;

pub(super) fn denormal(number: &Unpacked) -> Flags {
    if number.denormal {
        Flags::DENORMAL
    } else {
        Flags::empty()
    }
}

/// Rounds a result into a register.
pub(super) fn finish(exact: Exact, control: Control, before: Flags) -> Outcome<F80> {
    match exact {
        Exact::Invalid => Outcome::with(F80::INDEFINITE, Flags::INVALID),
        Exact::DivideByZero(sign) => Outcome::with(F80::infinity(sign), Flags::DIVIDE),
        Exact::Infinity(sign) => Outcome::with(F80::infinity(sign), before),
        Exact::Zero(sign) => Outcome::with(F80::zero(sign), before),
        Exact::Number(wide) => {
            let mut result = finish_number(&wide, control);
            result.flags |= before;
            result
        }
    }
}

fn finish_number(wide: &Wide, control: Control) -> Outcome<F80> {
    let format = control.format();
    let underflow_masked = control.masked.contains(Flags::UNDERFLOW);
    let r = round(wide, format, control.rounding, underflow_masked);
    let (sign, mut exp) = (wide.sign, r.exp);
    if r.flags.contains(Flags::OVERFLOW) {
        if control.masked.contains(Flags::OVERFLOW) {
            let largest = F80::finite(sign, format.emax, u64::MAX << (64 - format.precision));
            let value = if r.infinite {
                F80::infinity(sign)
            } else {
                largest
            };
            return Outcome {
                value,
                flags: r.flags | Flags::INEXACT,
                up: r.infinite,
            };
        }
        exp -= BIAS_ADJUST;
        if exp > format.emax {
            let flags = r.flags | Flags::INEXACT;
            return Outcome {
                value: F80::infinity(sign),
                flags,
                up: true,
            };
        }
    } else if r.flags.contains(Flags::UNDERFLOW) && !underflow_masked {
        exp += BIAS_ADJUST;
        if exp < format.emin {
            let flags = r.flags | Flags::INEXACT;
            return Outcome {
                value: F80::zero(sign),
                flags,
                up: false,
            };
        }
    }
    Outcome {
        value: F80::finite(sign, exp, r.sig),
        flags: r.flags,
        up: r.up,
    }
}

/// The answer if an operand is no number: the NaN with the larger significand, except that a
/// quiet one goes before a signalling one; at a tie the positive one.
pub(super) fn nan_of(a: &Unpacked, b: &Unpacked) -> Option<Outcome<F80>> {
    if a.kind == Kind::Unsupported || b.kind == Kind::Unsupported {
        return Some(Outcome::with(F80::INDEFINITE, Flags::INVALID));
    }
    let chosen = match (a.is_nan(), b.is_nan()) {
        (false, false) => return None,
        (true, false) => a,
        (false, true) => b,
        (true, true) => larger_nan(a, b),
    };
    let signalling = a.is_signalling() || b.is_signalling();
    let flags = if signalling {
        Flags::INVALID
    } else {
        Flags::empty()
    };
    Some(Outcome::with(
        F80::quiet_nan(chosen.sign, chosen.sig),
        flags,
    ))
}

fn larger_nan<'a>(a: &'a Unpacked, b: &'a Unpacked) -> &'a Unpacked {
    match (a.is_signalling(), b.is_signalling()) {
        (true, false) => return b,
        (false, true) => return a,
        _ => {}
    }
    if a.sig > b.sig || (a.sig == b.sig && !a.sign) {
        a
    } else {
        b
    }
}

fn binary(
    a: F80,
    b: F80,
    control: Control,
    operation: impl Fn(&Unpacked, &Unpacked) -> Exact,
) -> Outcome<F80> {
    let (a, b) = (a.unpack(), b.unpack());
    match nan_of(&a, &b) {
        Some(nan) => nan,
        None => finish(operation(&a, &b), control, denormal(&a) | denormal(&b)),
    }
}

/// `a + b`.
pub fn add(a: F80, b: F80, control: Control) -> Outcome<F80> {
    binary(a, b, control, |a, b| arith::add(a, b, control.rounding))
}

/// `a - b`.
pub fn sub(a: F80, b: F80, control: Control) -> Outcome<F80> {
    binary(a, b, control, |a, b| {
        arith::add(a, &b.negated(), control.rounding)
    })
}

/// `a * b`.
pub fn mul(a: F80, b: F80, control: Control) -> Outcome<F80> {
    binary(a, b, control, arith::mul)
}

/// `a / b`.
pub fn div(a: F80, b: F80, control: Control) -> Outcome<F80> {
    binary(a, b, control, arith::div)
}

/// FSQRT.
pub fn sqrt(a: F80, control: Control) -> Outcome<F80> {
    binary(a, a, control, |a, _| arith::sqrt(a))
}

/// FRNDINT.
pub fn round_to_whole(a: F80, control: Control) -> Outcome<F80> {
    let number = a.unpack();
    if let Some(nan) = nan_of(&number, &number) {
        return nan;
    }
    if number.kind != Kind::Finite {
        return Outcome::exact(a);
    }
    let (whole, inexact, up) = convert::to_whole(&number, control.rounding);
    let rounded = if inexact {
        Flags::INEXACT
    } else {
        Flags::empty()
    };
    Outcome {
        value: F80::exactly(&whole),
        flags: denormal(&number) | rounded,
        up,
    }
}

/// FSCALE: `a * 2^trunc(b)`.
pub fn scale(a: F80, b: F80, control: Control) -> Outcome<F80> {
    if a.unpack().kind == Kind::Finite && b.unpack().kind == Kind::Zero {
        return Outcome::with(a.canonical(), denormal(&a.unpack()));
    }
    binary(a, b, control.in_full(), |a, b| match (a.kind, b.kind) {
        (Kind::Zero, Kind::Infinity) if !b.sign => Exact::Invalid,
        (Kind::Infinity, Kind::Infinity) if b.sign => Exact::Invalid,
        (Kind::Finite, Kind::Infinity) if b.sign => Exact::Zero(a.sign),
        (Kind::Finite, Kind::Infinity) => Exact::Infinity(a.sign),
        (Kind::Finite, Kind::Finite) => {
            // Beyond 2^17 every result is out of range, masked or not.
            let (by, _, _) = convert::to_int(b, 18, Rounding::Zero);
            let far = b.exp >= 17;
            let by = if far {
                if b.sign { -0x2_0000 } else { 0x2_0000 }
            } else {
                by as i32
            };
            Exact::of(&Unpacked {
                exp: a.exp + by,
                ..*a
            })
        }
        _ => Exact::of(a),
    })
}

/// FXTRACT: the exponent as a number, and the significand with its exponent zero.
pub fn extract(a: F80) -> (F80, Outcome<F80>) {
    let number = a.unpack();
    if let Some(nan) = nan_of(&number, &number) {
        return (nan.value, nan);
    }
    match number.kind {
        Kind::Zero => (F80::infinity(true), Outcome::with(a, Flags::DIVIDE)),
        Kind::Infinity => (F80::infinity(false), Outcome::exact(a)),
        _ => {
            let exponent = F80::exactly(&Unpacked::from_int(i64::from(number.exp)));
            let significand = F80::finite(number.sign, 0, number.sig);
            (exponent, Outcome::with(significand, denormal(&number)))
        }
    }
}

/// How far a remainder got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is none.
    None,
    /// The dividend is smaller, but not yet the remainder.
    Partial,
    /// The remainder, and the quotient's low three bits.
    Whole(u8),
}

/// FPREM (`nearest` false) and FPREM1: one step.
pub fn remainder(a: F80, b: F80, nearest: bool, control: Control) -> (Outcome<F80>, Step) {
    let (x, y) = (a.unpack(), b.unpack());
    if let Some(nan) = nan_of(&x, &y) {
        return (nan, Step::None);
    }
    let before = denormal(&x) | denormal(&y);
    let control = control.in_full();
    match (x.kind, y.kind) {
        (Kind::Infinity, _) | (_, Kind::Zero) => {
            (Outcome::with(F80::INDEFINITE, Flags::INVALID), Step::None)
        }
        (Kind::Zero, _) => (Outcome::with(a, before), Step::Whole(0)),
        (_, Kind::Infinity) => (Outcome::with(a.canonical(), before), Step::Whole(0)),
        _ => match remainder::step(&x, &y, nearest) {
            Remainder::Partial(rest) => (finish(Exact::of(&rest), control, before), Step::Partial),
            Remainder::Whole(rest, quotient) => (
                finish(Exact::of(&rest), control, before),
                Step::Whole(quotient),
            ),
        },
    }
}

/// FCOM (`quiet` false) and FUCOM.
pub fn compare(a: F80, b: F80, quiet: bool) -> (Relation, Flags) {
    let (a, b) = (a.unpack(), b.unpack());
    let unsupported = a.kind == Kind::Unsupported || b.kind == Kind::Unsupported;
    let signalling = a.is_signalling() || b.is_signalling();
    let flags = if unsupported || signalling || (!quiet && (a.is_nan() || b.is_nan())) {
        Flags::INVALID
    } else if a.is_nan() || b.is_nan() {
        Flags::empty()
    } else {
        denormal(&a) | denormal(&b)
    };
    (arith::compare(&a, &b), flags)
}

/// FLD of a single or double.
pub fn load(format: Format, bits: u64) -> Outcome<F80> {
    let number = unpack(bits, format, false);
    let invalid = if number.is_signalling() {
        Flags::INVALID
    } else {
        Flags::empty()
    };
    Outcome::with(F80::exactly(&number), invalid | denormal(&number))
}

/// A single or double as an operand of arithmetic: in the wide format with a signalling NaN
/// still signalling, and whether it was a denormal (which the wide format can normalise).
#[must_use]
pub fn widen(format: Format, bits: u64) -> (F80, bool) {
    let number = unpack(bits, format, false);
    let mut value = F80::exactly(&number);
    if number.is_nan() {
        value.sig = number.sig;
    }
    (value, number.denormal)
}

/// FILD.
#[must_use]
pub fn from_int(value: i64) -> F80 {
    F80::exactly(&Unpacked::from_int(value))
}

/// FST to a single or double.
pub fn store(format: Format, a: F80, control: Control) -> Outcome<u64> {
    let number = a.unpack();
    let wide = match number.kind {
        Kind::Unsupported => return Outcome::with(format.indefinite(), Flags::INVALID),
        Kind::Zero => return Outcome::exact(format.zero(number.sign)),
        Kind::Infinity => return Outcome::exact(format.infinity(number.sign)),
        Kind::Nan => {
            let invalid = if number.is_signalling() {
                Flags::INVALID
            } else {
                Flags::empty()
            };
            return Outcome::with(format.quiet_nan(number.sign, number.sig), invalid);
        }
        Kind::Finite => Wide {
            sign: number.sign,
            exp: number.exp,
            sig: u128::from(number.sig) << 64,
        },
    };
    let r = round(
        &wide,
        format,
        control.rounding,
        control.masked.contains(Flags::UNDERFLOW),
    );
    // Nothing is stored for an unmasked overflow or underflow, so nothing was rounded.
    let range = r.flags & (Flags::OVERFLOW | Flags::UNDERFLOW);
    if !control.masked.contains(range) {
        return Outcome::with(0, range);
    }
    if r.flags.contains(Flags::OVERFLOW) {
        let largest = format.finite(wide.sign, format.emax, u64::MAX << (64 - format.precision));
        let value = if r.infinite {
            format.infinity(wide.sign)
        } else {
            largest
        };
        return Outcome {
            value,
            flags: r.flags | Flags::INEXACT,
            up: r.infinite,
        };
    }
    Outcome {
        value: format.finite(wide.sign, r.exp, r.sig),
        flags: r.flags,
        up: r.up,
    }
}

/// FIST and FISTTP to `bits` bits.
pub fn to_int(a: F80, bits: u32, rounding: Rounding) -> Outcome<i64> {
    let (value, flags, up) = convert::to_int(&a.unpack(), bits, rounding);
    Outcome { value, flags, up }
}

/// FBLD: 18 decimal digits and a sign.
#[must_use]
pub fn from_bcd(bytes: [u8; 10]) -> F80 {
    let magnitude = bytes[..9].iter().rev().fold(0u64, |value, byte| {
        value.wrapping_mul(100) + u64::from(byte >> 4) * 10 + u64::from(byte & 15)
    });
    F80::exactly(&Unpacked::from_magnitude(bytes[9] >> 7 != 0, magnitude))
}

/// FBSTP: to 18 decimal digits and a sign, or the indefinite ones.
pub fn to_bcd(a: F80, rounding: Rounding) -> Outcome<[u8; 10]> {
    const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];
    let integer = to_int(a, 64, rounding);
    let mut magnitude = integer.value.unsigned_abs();
    if integer.flags.contains(Flags::INVALID) || magnitude >= 1_000_000_000_000_000_000 {
        return Outcome::with(INDEFINITE, Flags::INVALID);
    }
    let mut value = [0; 10];
    for byte in &mut value[..9] {
        let pair = (magnitude % 100) as u8;
        *byte = ((pair / 10) << 4) | (pair % 10);
        magnitude /= 100;
    }
    value[9] = u8::from(a.sign()) << 7;
    Outcome {
        value,
        flags: integer.flags,
        up: integer.up,
    }
}
