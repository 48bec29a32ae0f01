//! Floating-point arithmetic in integers: IEEE binary32 and binary64 as SSE and AVX have them,
//! binary16 as F16C converts it, and the 80-bit format of the x87.
//!
//! Nothing here asks the host's floating-point unit, so each host gives the same bits.
//! Every operation goes the same way: [`unpack`] the operands, form the [`Exact`] result
//! (with a sticky bit for what lies below 128 bits), and [`round`] it once. The rounding
//! reports what x86 wants to know and general libraries do not tell: tininess after
//! rounding, C1 ("rounded up"), precision control and the scaled results of unmasked
//! overflow and underflow.
//!
//! [`sse`] (with [`fused`] and [`half`] for what FMA and F16C add) and [`x87`] put the two
//! sets of NaN rules around that common core; `quick` spares
//! normal numbers the detour.

mod arith;
mod convert;
mod format;
mod quick;
mod remainder;
mod round;

pub mod elementary;
pub mod estimate;
pub mod fused;
pub mod half;
pub mod sse;
pub mod x87;

pub use arith::{Exact, Relation};
pub use format::{DOUBLE, EXTENDED, F80, Format, HALF, Kind, SINGLE, Unpacked, unpack};
pub use round::{Rounded, Wide, round};

bitflags::bitflags! {
    /// The exception flags, in the bit positions that MXCSR and the x87 status word share.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// IE: no meaningful result.
        const INVALID = 1;
        /// DE: an operand was denormal.
        const DENORMAL = 2;
        /// ZE: a finite number divided by zero.
        const DIVIDE = 4;
        /// OE: too large for the format.
        const OVERFLOW = 8;
        /// UE: too small for the format.
        const UNDERFLOW = 16;
        /// PE: rounded.
        const INEXACT = 32;
    }
}

impl Flags {
    /// The exceptions that are found before a result is computed.
    pub const BEFORE: Flags = Flags::INVALID.union(Flags::DENORMAL).union(Flags::DIVIDE);
}

/// Where inexact results go; the numbering is that of the RC fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties to even.
    Nearest,
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
    /// Towards zero.
    Zero,
}

impl Rounding {
    /// The mode that the low two bits of `rc` select.
    #[must_use]
    pub const fn from_rc(rc: u32) -> Rounding {
        match rc & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Down,
            2 => Rounding::Up,
            _ => Rounding::Zero,
        }
    }
}
