//! The four formats, and numbers taken apart.

use serde::{Deserialize, Serialize};

/// A binary floating-point format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bits of the significand, the leading one included.
    pub precision: u32,
    /// Exponent of the smallest normal number (for a significand in [1, 2)).
    pub emin: i32,
    /// Exponent of the largest numbers.
    pub emax: i32,
}

/// binary16, which only the conversions of F16C know.
pub const HALF: Format = Format {
    precision: 11,
    emin: -14,
    emax: 15,
};
/// binary32.
pub const SINGLE: Format = Format {
    precision: 24,
    emin: -126,
    emax: 127,
};
/// binary64.
pub const DOUBLE: Format = Format {
    precision: 53,
    emin: -1022,
    emax: 1023,
};
/// The x87's 80-bit format.
pub const EXTENDED: Format = Format {
    precision: 64,
    emin: -16382,
    emax: 16383,
};

impl Format {
    /// Width of an interchange format's stored fraction.
    #[inline(always)]
    const fn fraction_bits(self) -> u32 {
        self.precision - 1
    }

    /// The exponent field that means infinity or NaN.
    #[inline(always)]
    const fn top_field(self) -> u64 {
        (self.emax as u64) * 2 + 1
    }

    /// The sign's bit position in an interchange format.
    #[inline(always)]
    pub(crate) const fn sign_bit(self) -> u32 {
        match self.precision {
            11 => 15,
            24 => 31,
            _ => 63,
        }
    }

    /// Puts an interchange format (half, single, double) together.
    #[inline(always)]
    const fn assemble(self, sign: bool, field: u64, fraction: u64) -> u64 {
        ((sign as u64) << self.sign_bit()) | (field << self.fraction_bits()) | fraction
    }

    /// Plus or minus infinity.
    #[inline(always)]
    #[must_use]
    pub const fn infinity(self, sign: bool) -> u64 {
        self.assemble(sign, self.top_field(), 0)
    }

    /// Plus or minus zero.
    #[inline(always)]
    #[must_use]
    pub const fn zero(self, sign: bool) -> u64 {
        self.assemble(sign, 0, 0)
    }

    /// x86's answer to an invalid operation: a quiet NaN with its sign set ("indefinite").
    #[inline(always)]
    #[must_use]
    pub const fn indefinite(self) -> u64 {
        self.assemble(true, self.top_field(), 1 << (self.fraction_bits() - 1))
    }

    /// A NaN with a payload that is aligned as in [`Unpacked::sig`], made quiet.
    #[inline(always)]
    #[must_use]
    pub const fn quiet_nan(self, sign: bool, sig: u64) -> u64 {
        let fraction = ((sig | 1 << 62) << 1) >> (64 - self.fraction_bits());
        self.assemble(sign, self.top_field(), fraction)
    }

    /// A finite number whose significand is aligned to bit 63 and already fits; a
    /// significand without bit 63 is a denormal.
    #[inline(always)]
    #[must_use]
    pub const fn finite(self, sign: bool, exp: i32, sig: u64) -> u64 {
        let field = if sig >> 63 == 0 {
            0
        } else {
            (exp + self.emax) as u64
        };
        self.assemble(sign, field, (sig << 1) >> (64 - self.fraction_bits()))
    }
}

/// What sort of thing a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plus or minus zero.
    Zero,
    /// A nonzero number.
    Finite,
    /// Plus or minus infinity.
    Infinity,
    /// Not a number; quiet if bit 62 of the significand is set.
    Nan,
    /// An 80-bit encoding that no x87 since the 387 accepts.
    Unsupported,
}

/// A number taken apart. A finite one is `sig * 2^(exp - 63)` with bit 63 of `sig` set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// What it is.
    pub kind: Kind,
    /// Negative?
    pub sign: bool,
    /// It was encoded as a denormal (and is normalised here).
    pub denormal: bool,
    /// Exponent of the leading bit.
    pub exp: i32,
    /// Significand, or a NaN's payload with its quiet bit at 62.
    pub sig: u64,
}

impl Unpacked {
    const fn special(kind: Kind, sign: bool, sig: u64) -> Unpacked {
        Unpacked {
            kind,
            sign,
            denormal: false,
            exp: 0,
            sig,
        }
    }

    /// A finite nonzero number from a significand that still has leading zeros.
    #[inline(always)]
    const fn normalised(sign: bool, denormal: bool, exp: i32, sig: u64) -> Unpacked {
        let shift = sig.leading_zeros();
        Unpacked {
            kind: Kind::Finite,
            sign,
            denormal,
            exp: exp - shift as i32,
            sig: sig << shift,
        }
    }

    /// Is it a NaN?
    #[inline(always)]
    #[must_use]
    pub const fn is_nan(&self) -> bool {
        matches!(self.kind, Kind::Nan)
    }

    /// Is it a signalling NaN?
    #[inline(always)]
    #[must_use]
    pub const fn is_signalling(&self) -> bool {
        self.is_nan() && self.sig & 1 << 62 == 0
    }

    /// The same number with its sign turned.
    #[inline(always)]
    #[must_use]
    pub const fn negated(self) -> Unpacked {
        Unpacked {
            sign: !self.sign,
            ..self
        }
    }

    /// The integer `value` (`sign` applied), exactly.
    #[must_use]
    pub const fn from_magnitude(sign: bool, value: u64) -> Unpacked {
        if value == 0 {
            return Unpacked::special(Kind::Zero, sign, 0);
        }
        Unpacked::normalised(sign, false, 63, value)
    }

    /// A signed integer, exactly. Zero is plus zero.
    #[must_use]
    pub const fn from_int(value: i64) -> Unpacked {
        Unpacked::from_magnitude(value < 0, value.unsigned_abs())
    }
}

/// Takes a half, single or double apart. With `daz` a denormal is a zero of its sign.
#[inline(always)]
#[must_use]
pub const fn unpack(bits: u64, format: Format, daz: bool) -> Unpacked {
    let sign = bits >> format.sign_bit() & 1 != 0;
    let field = bits >> format.fraction_bits() & format.top_field();
    let fraction = bits << (64 - format.fraction_bits());
    if field == 0 {
        return match (fraction, daz) {
            (0, _) | (_, true) => Unpacked::special(Kind::Zero, sign, 0),
            _ => Unpacked::normalised(sign, true, format.emin - 1, fraction),
        };
    }
    let sig = 1 << 63 | fraction >> 1;
    if field == format.top_field() {
        let kind = if fraction == 0 {
            Kind::Infinity
        } else {
            Kind::Nan
        };
        return Unpacked::special(kind, sign, sig);
    }
    let exp = field as i32 - format.emax;
    Unpacked {
        kind: Kind::Finite,
        sign,
        denormal: false,
        exp,
        sig,
    }
}

/// An 80-bit number as it lies in a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct F80 {
    /// The significand with its explicit leading bit.
    pub sig: u64,
    /// Sign (bit 15) and biased exponent.
    pub se: u16,
}

impl F80 {
    /// The answer to an invalid operation.
    pub const INDEFINITE: F80 = F80 {
        sig: 3 << 62,
        se: 0xffff,
    };
    /// Plus one.
    pub const ONE: F80 = F80 {
        sig: 1 << 63,
        se: 0x3fff,
    };

    /// Negative?
    #[must_use]
    pub const fn sign(self) -> bool {
        self.se >> 15 != 0
    }

    /// The biased exponent.
    #[must_use]
    pub const fn field(self) -> u16 {
        self.se & 0x7fff
    }

    /// Plus or minus zero.
    #[must_use]
    pub const fn zero(sign: bool) -> F80 {
        F80 {
            sig: 0,
            se: (sign as u16) << 15,
        }
    }

    /// Plus or minus infinity.
    #[must_use]
    pub const fn infinity(sign: bool) -> F80 {
        F80 {
            sig: 1 << 63,
            se: (sign as u16) << 15 | 0x7fff,
        }
    }

    /// A NaN with this payload, made quiet.
    #[must_use]
    pub const fn quiet_nan(sign: bool, sig: u64) -> F80 {
        F80 {
            sig: sig | 3 << 62,
            se: (sign as u16) << 15 | 0x7fff,
        }
    }

    /// A finite number whose exponent is in range; without bit 63 it is a denormal.
    #[must_use]
    pub const fn finite(sign: bool, exp: i32, sig: u64) -> F80 {
        let field = if sig >> 63 == 0 {
            0
        } else {
            (exp + EXTENDED.emax) as u16
        };
        F80 {
            sig,
            se: (sign as u16) << 15 | field,
        }
    }

    /// The ten bytes in memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.sig.to_le_bytes());
        bytes[8..].copy_from_slice(&self.se.to_le_bytes());
        bytes
    }

    /// The number in ten bytes of memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 10]) -> F80 {
        let [a, b, c, d, e, f, g, h, low, high] = bytes;
        let sig = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        F80 {
            sig,
            se: u16::from_le_bytes([low, high]),
        }
    }

    /// A pseudo-denormal in the encoding that results have; any other number as it is.
    #[must_use]
    pub const fn canonical(self) -> F80 {
        let pseudo = self.field() == 0 && self.sig >> 63 != 0;
        F80 {
            sig: self.sig,
            se: self.se | pseudo as u16,
        }
    }

    /// Takes the number apart. A pseudo-denormal counts as a denormal; the other encodings
    /// whose leading bit contradicts their exponent are unsupported.
    #[must_use]
    pub const fn unpack(self) -> Unpacked {
        let sign = self.sign();
        let leading = self.sig >> 63 != 0;
        match (self.field(), leading) {
            (0, _) if self.sig == 0 => Unpacked::special(Kind::Zero, sign, 0),
            (0, _) => Unpacked::normalised(sign, true, EXTENDED.emin, self.sig),
            (_, false) => Unpacked::special(Kind::Unsupported, sign, self.sig),
            (0x7fff, true) if self.sig << 1 == 0 => {
                Unpacked::special(Kind::Infinity, sign, self.sig)
            }
            (0x7fff, true) => Unpacked::special(Kind::Nan, sign, self.sig),
            (field, true) => {
                let exp = field as i32 - EXTENDED.emax;
                Unpacked {
                    kind: Kind::Finite,
                    sign,
                    denormal: false,
                    exp,
                    sig: self.sig,
                }
            }
        }
    }

    /// An unpacked number in this format, which holds every single, double and 64-bit
    /// integer exactly; a NaN becomes quiet.
    #[must_use]
    pub const fn exactly(number: &Unpacked) -> F80 {
        match number.kind {
            Kind::Zero => F80::zero(number.sign),
            Kind::Finite => F80::finite(number.sign, number.exp, number.sig),
            Kind::Infinity => F80::infinity(number.sign),
            Kind::Nan => F80::quiet_nan(number.sign, number.sig),
            Kind::Unsupported => F80::INDEFINITE,
        }
    }
}
