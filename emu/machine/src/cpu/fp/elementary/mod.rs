//! The elementary functions of the x87: FSIN, FCOS, FPTAN, FPATAN, F2XM1, FYL2X and FYL2XP1, with
//! their special operands as the tables of Intel's manual (volume 2) have them.
//!
//! A result is computed to 120 bits and more and then rounded once, as RC says (PC has no say):
//! it is the exact one, correctly rounded, unless the exact one lies within 2^-50 units of the
//! last place of a number that rounding would tell apart. What the manual leaves undefined
//! is as on Intel's CPUs.

mod arctangent;
mod fixed;
mod logarithm;
#[cfg(test)]
mod tests;
mod trigonometry;

use super::arith::Exact;
use super::x87::{Control, Outcome, denormal, finish, nan_of};
use super::{F80, Flags, Kind, Unpacked, Wide};

/// Rounds a result of which only the leading bits are known.
fn inexact(mut wide: Wide, control: Control, before: Flags) -> Outcome<F80> {
    wide.sig |= 1;
    finish(Exact::Number(wide), control.in_full(), before)
}

/// Rounds a result that may be exact, and counts as inexact all the same: a small one underflows.
fn rounded(wide: Wide, control: Control, before: Flags) -> Outcome<F80> {
    let mut outcome = finish(Exact::Number(wide), control.in_full(), before);
    outcome.flags |= match outcome.value.field() {
        0 => Flags::INEXACT | Flags::UNDERFLOW,
        _ => Flags::INEXACT,
    };
    outcome
}

fn invalid() -> Outcome<F80> {
    Outcome::with(F80::INDEFINITE, Flags::INVALID)
}

/// A function of an angle; nothing if the operand is out of range, which C2 tells.
fn of_angle(
    a: F80,
    control: Control,
    of_zero: F80,
    function: impl Fn(&Unpacked) -> Wide,
) -> Option<Outcome<F80>> {
    let number = a.unpack();
    if let Some(nan) = nan_of(&number, &number) {
        return Some(nan);
    }
    match number.kind {
        Kind::Zero => Some(Outcome::exact(of_zero)),
        Kind::Finite if number.exp >= trigonometry::OUT_OF_RANGE => None,
        Kind::Finite => Some(inexact(function(&number), control, denormal(&number))),
        _ => Some(invalid()),
    }
}

/// FSIN; nothing if the operand is out of range.
#[must_use]
pub fn sin(a: F80, control: Control) -> Option<Outcome<F80>> {
    of_angle(a, control, a, |a| trigonometry::sin_cos(a).0)
}

/// FCOS; nothing if the operand is out of range.
#[must_use]
pub fn cos(a: F80, control: Control) -> Option<Outcome<F80>> {
    of_angle(a, control, F80::ONE, |a| trigonometry::sin_cos(a).1)
}

/// FPTAN without the 1 that it pushes; nothing if the operand is out of range.
#[must_use]
pub fn tan(a: F80, control: Control) -> Option<Outcome<F80>> {
    of_angle(a, control, a, trigonometry::tan)
}

/// FPATAN: the angle of the point with the abscissa `x` (ST0) and the ordinate `y` (ST1).
#[must_use]
pub fn atan2(y: F80, x: F80, control: Control) -> Outcome<F80> {
    let (y, x) = (y.unpack(), x.unpack());
    if let Some(nan) = nan_of(&y, &x) {
        return nan;
    }
    let before = denormal(&y) | denormal(&x);
    let angle = match (y.kind, x.kind) {
        (Kind::Zero, _) | (Kind::Finite, Kind::Infinity) if !x.sign => {
            return Outcome::with(F80::zero(y.sign), before);
        }
        (Kind::Zero, _) | (Kind::Finite, Kind::Infinity) => arctangent::PI,
        (Kind::Infinity, Kind::Infinity) if x.sign => arctangent::THREE_QUARTERS_PI,
        (Kind::Infinity, Kind::Infinity) => arctangent::QUARTER_PI,
        (Kind::Infinity, _) | (_, Kind::Zero) => arctangent::HALF_PI,
        _ => arctangent::angle(&y, &x),
    };
    inexact(fixed::signed(&angle, y.sign), control, before)
}

/// F2XM1: `2^a - 1`. An operand outside -1 to 1 stays as it is.
#[must_use]
pub fn exp2_minus_1(a: F80, control: Control) -> Outcome<F80> {
    let number = a.unpack();
    if let Some(nan) = nan_of(&number, &number) {
        return nan;
    }
    let before = denormal(&number);
    match number.kind {
        Kind::Infinity if number.sign => Outcome::exact(F80 {
            se: F80::ONE.se | 0x8000,
            ..F80::ONE
        }),
        Kind::Zero | Kind::Infinity => Outcome::exact(a),
        _ if number.exp == 0 && number.sig == 1 << 63 && number.sign => {
            Outcome::with(F80::finite(true, -1, 1 << 63), Flags::INEXACT)
        }
        _ if number.exp >= 0 => Outcome::with(a, Flags::INEXACT),
        _ => inexact(logarithm::exp2_minus_1(&number), control, before),
    }
}

/// FYL2X: `y * log2(x)`.
#[must_use]
pub fn y_log2(y: F80, x: F80, control: Control) -> Outcome<F80> {
    let (y, x) = (y.unpack(), x.unpack());
    if let Some(nan) = nan_of(&y, &x) {
        return nan;
    }
    let one = x.kind == Kind::Finite && x.exp == 0 && x.sig == 1 << 63;
    let log = match x.kind {
        Kind::Zero => Log::Infinity { negative: true },
        _ if x.sign => return invalid(),
        Kind::Infinity => Log::Infinity { negative: false },
        _ if one => Log::Zero { negative: false },
        _ => Log::Number(logarithm::log2(&fixed::widened(&x))),
    };
    if x.kind == Kind::Zero && y.kind == Kind::Finite {
        return Outcome::with(F80::infinity(!y.sign), Flags::DIVIDE);
    }
    let power = x.sig == 1 << 63;
    product(&y, log, power, control, denormal(&y) | denormal(&x))
}

/// FYL2XP1: `y * log2(x + 1)`. The manual defines it for `x` around 0; here as far as there is a
/// logarithm. Where there is none the result is `x`.
#[must_use]
pub fn y_log2_of_one_more(y: F80, x: F80, control: Control) -> Outcome<F80> {
    let (operand, y, x) = (x, y.unpack(), x.unpack());
    if let Some(nan) = nan_of(&y, &x) {
        return nan;
    }
    let before = denormal(&y) | denormal(&x);
    let no_logarithm = x.kind == Kind::Finite && x.sign && x.exp >= 0;
    let log = match x.kind {
        Kind::Infinity if x.sign => return invalid(),
        Kind::Infinity => Log::Infinity { negative: false },
        Kind::Zero => Log::Zero { negative: x.sign },
        _ if no_logarithm && y.kind == Kind::Finite => {
            return Outcome::with(operand, before | Flags::INEXACT);
        }
        // Only its sign counts.
        _ if no_logarithm => Log::Number(fixed::whole(-1)),
        _ => Log::Number(logarithm::log2_of_one_more(&x)),
    };
    // One more than a number is a power of two if that has few bits: the logarithm is whole.
    let whole = matches!(log, Log::Number(wide) if wide.exp >= 0 && wide.sig << 16 == 0);
    product(&y, log, whole, control, before)
}

/// A logarithm.
enum Log {
    /// Of 1.
    Zero { negative: bool },
    /// Of 0 or infinity.
    Infinity { negative: bool },
    /// Of anything else.
    Number(Wide),
}

/// `y * log`. The logarithm of a power of two is exact.
fn product(y: &Unpacked, log: Log, exact: bool, control: Control, before: Flags) -> Outcome<F80> {
    let negative = match &log {
        Log::Zero { negative } | Log::Infinity { negative } => *negative,
        Log::Number(wide) => wide.sign,
    };
    let sign = y.sign != negative;
    match (y.kind, log) {
        (Kind::Zero, Log::Infinity { .. }) | (Kind::Infinity, Log::Zero { .. }) => invalid(),
        (Kind::Zero, _) | (_, Log::Zero { .. }) => Outcome::with(F80::zero(sign), before),
        (Kind::Infinity, _) | (_, Log::Infinity { .. }) => {
            Outcome::with(F80::infinity(sign), before)
        }
        (_, Log::Number(wide)) => {
            let wide = fixed::mul(&fixed::widened(y), &wide);
            match exact {
                true => rounded(wide, control, before),
                false => inexact(wide, control, before),
            }
        }
    }
}
