//! Halves, as F16C converts them.

use super::Flags;
use super::sse::{Control, convert};
use super::{HALF, SINGLE};

/// VCVTPH2PS, one lane: always exact. DAZ does not reach a half, and a denormal one is no
/// exception.
#[must_use]
pub fn to_single(half: u64, control: Control) -> (u64, Flags) {
    let control = Control {
        daz: false,
        ..control
    };
    let (value, flags) = convert(HALF, SINGLE, half, control);
    (value, flags.difference(Flags::DENORMAL))
}

/// VCVTPS2PH, one lane: rounded as `control` says. FTZ does not reach a half. A denormal single is
/// far too small for a half and counts as inexact, also where underflow is not masked and another
/// number so small might be exact but for its exponent.
#[must_use]
pub fn from_single(single: u64, control: Control) -> (u64, Flags) {
    let control = Control {
        ftz: false,
        ..control
    };
    let (value, mut flags) = convert(SINGLE, HALF, single, control);
    flags.set(
        Flags::INEXACT,
        flags.intersects(Flags::INEXACT.union(Flags::DENORMAL)),
    );
    (value, flags)
}
