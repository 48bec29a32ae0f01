//! The arithmetic flags as two words, made into bits of RFLAGS only when somebody looks.
//!
//! `res` is a result, sign-extended: ZF says that it is zero, SF that it is negative, and its low
//! byte has the parity of PF. `aux` holds what carries say: bit 63 is CF, bit 62 the carry into the
//! sign (so OF is their difference), bit 3 AF, and bit 4 turns PF round, which only a zero with
//! odd parity needs.

use machine::cpu::state::flag;

/// Bit of [`Flags::aux`]: CF.
pub(crate) const CARRY: u64 = 1 << 63;
/// Bit of [`Flags::aux`]: the carry into the sign bit.
pub(crate) const INTO_SIGN: u64 = 1 << 62;
/// Bit of [`Flags::aux`]: AF.
pub(crate) const ADJUST: u64 = 1 << 3;
/// Bit of [`Flags::aux`]: PF is not the parity of the result.
pub(crate) const ODD: u64 = 1 << 4;

/// The six status flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    /// The result that ZF, SF and PF describe.
    pub(crate) res: u64,
    /// The carries.
    pub(crate) aux: u64,
}

/// A value of `W` bytes, sign-extended.
#[inline(always)]
pub(crate) const fn extend<const W: usize>(value: u64) -> u64 {
    let unused = 64 - 8 * W as u32;
    (((value << unused) as i64) >> unused) as u64
}

/// The low `W` bytes.
#[inline(always)]
pub(crate) const fn cut<const W: usize>(value: u64) -> u64 {
    let unused = 64 - 8 * W as u32;
    value << unused >> unused
}

/// What `aux` keeps of the vector of carries out of each bit of a value of `W` bytes.
#[inline(always)]
const fn carries<const W: usize>(vector: u64) -> u64 {
    if W == 8 {
        vector & (CARRY | INTO_SIGN | ADJUST)
    } else {
        vector << (64 - 8 * W as u32) | vector & ADJUST
    }
}

impl Flags {
    /// From RFLAGS; none if ZF and SF are both set, which no arithmetic does.
    #[inline(always)]
    pub(crate) fn of(rflags: u64) -> Option<Flags> {
        let zero = rflags & flag::ZF != 0;
        if zero && rflags & flag::SF != 0 {
            return None;
        }
        // An odd number of ones below, or an even one, and the sign.
        let other = 1 | (rflags & flag::PF) >> 1 | (rflags & flag::SF) << 56;
        let res = if zero { 0 } else { other };
        // CF and OF differ where the carry into the sign is set.
        let into_sign = (rflags ^ rflags >> 11) << 62 & INTO_SIGN;
        let odd = (rflags >> 2 & !(rflags << 2)) & ODD;
        let aux = rflags << 63 | into_sign | rflags >> 1 & ADJUST | odd;
        Some(Flags { res, aux })
    }

    /// The six bits of RFLAGS.
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        let on = |holds: bool, mask: u64| if holds { mask } else { 0 };
        on(self.carry(), flag::CF)
            | on(self.parity(), flag::PF)
            | on(self.aux & ADJUST != 0, flag::AF)
            | on(self.res == 0, flag::ZF)
            | on((self.res as i64) < 0, flag::SF)
            | on(self.overflow() < 0, flag::OF)
    }

    /// RFLAGS with these in place of its own.
    #[inline(always)]
    pub(crate) fn put_into(self, rflags: u64) -> u64 {
        rflags & !flag::STATUS | self.bits()
    }

    #[inline(always)]
    pub(crate) fn carry(self) -> bool {
        (self.aux as i64) < 0
    }

    /// Negative if OF is set.
    #[inline(always)]
    fn overflow(self) -> i64 {
        (self.aux ^ self.aux << 1) as i64
    }

    #[inline(always)]
    fn parity(self) -> bool {
        let even = (self.res as u8).count_ones().is_multiple_of(2);
        even != (self.aux & ODD != 0)
    }

    /// Whether the condition `C` (in encoding order) holds.
    #[inline(always)]
    pub(crate) fn condition<const C: u8>(self) -> bool {
        let less = || (self.res as i64 ^ self.overflow()) < 0;
        let holds = match C >> 1 {
            0 => self.overflow() < 0,
            1 => self.carry(),
            2 => self.res == 0,
            3 => self.carry() || self.res == 0,
            4 => (self.res as i64) < 0,
            5 => self.parity(),
            6 => less(),
            _ => less() || self.res == 0,
        };
        holds != (C & 1 != 0)
    }

    /// The same flags with another CF and OF.
    #[inline(always)]
    pub(crate) fn with_carry_and_overflow(self, carry: bool, overflow: bool) -> Flags {
        let aux =
            self.aux & (ADJUST | ODD) | u64::from(carry) << 63 | u64::from(carry != overflow) << 62;
        Flags { aux, ..self }
    }

    /// The same flags with another CF.
    #[inline(always)]
    pub(crate) fn with_carry(self, carry: bool) -> Flags {
        self.with_carry_and_overflow(carry, self.overflow() < 0)
    }
}

/// `a + b + carry` of `W` bytes; the operands have no bits above.
#[inline(always)]
pub(crate) fn add<const W: usize>(a: u64, b: u64, carry: u64) -> (u64, Flags) {
    let sum = a.wrapping_add(b).wrapping_add(carry);
    let aux = carries::<W>(a & b | (a | b) & !sum);
    (
        cut::<W>(sum),
        Flags {
            res: extend::<W>(sum),
            aux,
        },
    )
}

/// `a - b - borrow`.
#[inline(always)]
pub(crate) fn sub<const W: usize>(a: u64, b: u64, borrow: u64) -> (u64, Flags) {
    let difference = a.wrapping_sub(b).wrapping_sub(borrow);
    let aux = carries::<W>(!a & b | (!a | b) & difference);
    (
        cut::<W>(difference),
        Flags {
            res: extend::<W>(difference),
            aux,
        },
    )
}

/// AND, OR, XOR, TEST.
#[inline(always)]
pub(crate) fn logic<const W: usize>(result: u64) -> (u64, Flags) {
    let res = extend::<W>(result);
    (result, Flags { res, aux: 0 })
}

/// INC, which leaves CF alone.
#[inline(always)]
pub(crate) fn increment<const W: usize>(a: u64, old: Flags) -> (u64, Flags) {
    let result = cut::<W>(a.wrapping_add(1));
    let overflow = result == 1 << (8 * W as u32 - 1);
    one_step::<W>(result, result & 15 == 0, overflow, old)
}

/// DEC, which leaves CF alone.
#[inline(always)]
pub(crate) fn decrement<const W: usize>(a: u64, old: Flags) -> (u64, Flags) {
    let result = cut::<W>(a.wrapping_sub(1));
    let overflow = a == 1 << (8 * W as u32 - 1);
    one_step::<W>(result, a & 15 == 0, overflow, old)
}

#[inline(always)]
fn one_step<const W: usize>(result: u64, adjust: bool, overflow: bool, old: Flags) -> (u64, Flags) {
    let carry = old.aux & CARRY;
    let aux = carry | (carry >> 1 ^ u64::from(overflow) << 62) | u64::from(adjust) << 3;
    let res = extend::<W>(result);
    (result, Flags { res, aux })
}

/// After a multiplication: SF and PF of the low half, ZF and AF clear.
#[inline(always)]
pub(crate) fn product<const W: usize>(low: u64, lost: bool) -> Flags {
    let res = match extend::<W>(low) {
        // Not zero, positive, and of even parity.
        0 => 3,
        res => res,
    };
    let aux = if lost { CARRY } else { 0 };
    Flags { res, aux }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_that_arithmetic_leaves_goes_there_and_back() {
        const BITS: [u64; 6] = [flag::CF, flag::PF, flag::AF, flag::ZF, flag::SF, flag::OF];
        for number in 0..64_u64 {
            let chosen = BITS.iter().enumerate();
            let bits = chosen
                .filter(|(i, _)| number >> i & 1 != 0)
                .fold(0, |sum, (_, bit)| sum | bit);
            match Flags::of(bits) {
                Some(flags) => assert_eq!(flags.bits(), bits, "{bits:#x} as {flags:x?}"),
                None => assert_eq!(bits & (flag::ZF | flag::SF), flag::ZF | flag::SF),
            }
        }
    }
}
