//! Multiplication and addition in one rounding, as FMA has them.

use super::arith;
use super::sse::{Control, finish};
use super::{Flags, Format, Unpacked, unpack};

/// The four instructions that FMA has for each format: which of the product and the addend
/// change their signs. A NaN never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// VFMADD: `a * b + c`.
    Add,
    /// VFMSUB: `a * b - c`.
    Sub,
    /// VFNMADD: `-(a * b) + c`.
    NegatedAdd,
    /// VFNMSUB: `-(a * b) - c`.
    NegatedSub,
}

/// One lane: `a * b + c` with the signs that `kind` says, rounded once. Of several NaNs the
/// first in the order of the arguments is the result.
#[must_use]
pub fn multiply_add(
    kind: Kind,
    format: Format,
    [a, b, c]: [u64; 3],
    control: Control,
) -> (u64, Flags) {
    let [a, b, c] = [a, b, c].map(|bits| unpack(bits, format, control.daz));
    if let Some(nan) = nan_of([&a, &b, &c], format) {
        return nan;
    }
    let product = if matches!(kind, Kind::NegatedAdd | Kind::NegatedSub) {
        a.negated()
    } else {
        a
    };
    let addend = if matches!(kind, Kind::Sub | Kind::NegatedSub) {
        c.negated()
    } else {
        c
    };
    let exact = arith::mul_add(&product, &b, &addend, control.rounding);
    let denormal = a.denormal || b.denormal || c.denormal;
    finish(exact, format, control, denormal)
}

/// The first operand that is a NaN, made quiet. Infinity times zero beside a quiet NaN is not
/// invalid.
fn nan_of(operands: [&Unpacked; 3], format: Format) -> Option<(u64, Flags)> {
    let chosen = operands.iter().find(|operand| operand.is_nan())?;
    let signalling = operands.iter().any(|operand| operand.is_signalling());
    let flags = if signalling {
        Flags::INVALID
    } else {
        Flags::empty()
    };
    Some((format.quiet_nan(chosen.sign, chosen.sig), flags))
}
