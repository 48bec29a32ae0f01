//! Multiplication and division.

use super::Body;
use crate::flags::{Flags, cut, extend, product};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{full, get, immediate, load, put};

/// The low half of a product of signed values, and whether that is not all of it.
#[inline(always)]
fn signed<const W: usize>(a: u64, b: u64) -> (u64, bool) {
    let (a, b) = (extend::<W>(a) as i64, extend::<W>(b) as i64);
    if W == 8 {
        let (low, lost) = a.overflowing_mul(b);
        return (low as u64, lost);
    }
    let all = a.wrapping_mul(b) as u64;
    (cut::<W>(all), extend::<W>(all) != all)
}

/// IMUL with two or three registers, or an immediate.
pub(crate) struct Imul<const W: usize, const IMM: bool>;

impl<const W: usize, const IMM: bool> Body for Imul<W, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let (a, b) = match IMM {
            true => (get::<W>(cx, op.src), immediate::<W>(op)),
            false => (get::<W>(cx, op.dst), get::<W>(cx, op.src)),
        };
        let (low, lost) = signed::<W>(a, b);
        put::<W>(cx, op.dst, low);
        Some(product::<W>(low, lost))
    }
}

/// IMUL of memory.
pub(crate) struct ImulMem<const W: usize, const A: u8, const IMM: bool>;

impl<const W: usize, const A: u8, const IMM: bool> Body for ImulMem<W, A, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let a = load::<W, A>(op, cx)?;
        let b = match IMM {
            true => immediate::<W>(op),
            false => get::<W>(cx, op.dst),
        };
        let (low, lost) = signed::<W>(a, b);
        put::<W>(cx, op.dst, low);
        Some(product::<W>(low, lost))
    }
}

/// MUL and IMUL of rax (4 or 8 bytes of it) and a register.
pub(crate) struct Wide<const W: usize, const SIGNED: bool>;

impl<const W: usize, const SIGNED: bool> Body for Wide<W, SIGNED> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let (a, b) = (get::<W>(cx, 0), get::<W>(cx, op.src));
        let all = match SIGNED {
            true => {
                let wide = |value: u64| i128::from(extend::<W>(value) as i64);
                (wide(a) * wide(b)) as u128
            }
            false => u128::from(a) * u128::from(b),
        };
        let (low, high) = (cut::<W>(all as u64), cut::<W>((all >> (8 * W)) as u64));
        let lost = match SIGNED {
            true => high != cut::<W>((extend::<W>(low) as i64 >> 63) as u64),
            false => high != 0,
        };
        put::<W>(cx, 0, low);
        put::<W>(cx, 2, high);
        Some(product::<W>(low, lost))
    }
}

/// DIV of 4 or 8 bytes by a register, unless it faults.
pub(crate) struct Div<const W: usize>;

impl<const W: usize> Body for Div<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let divisor = get::<W>(cx, op.src);
        let (high, low) = (get::<W>(cx, 2), get::<W>(cx, 0));
        // The quotient fits if and only if the high half is less than the divisor.
        if high >= divisor {
            return None;
        }
        let (quotient, remainder) = if W == 4 || high == 0 {
            let dividend = if W == 4 { high << 32 | low } else { low };
            (dividend / divisor, dividend % divisor)
        } else {
            let dividend = u128::from(high) << 64 | u128::from(low);
            let divisor = u128::from(divisor);
            ((dividend / divisor) as u64, (dividend % divisor) as u64)
        };
        put::<W>(cx, 0, quotient);
        put::<W>(cx, 2, remainder);
        Some(flags)
    }
}

/// IDIV of 4 or 8 bytes by a register, if the dividend is an extended one and nothing faults.
pub(crate) struct Idiv<const W: usize>;

impl<const W: usize> Body for Idiv<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let divisor = extend::<W>(full(cx, op.src)) as i64;
        let dividend = extend::<W>(full(cx, 0)) as i64;
        let extended = get::<W>(cx, 2) == cut::<W>((dividend >> 63) as u64);
        let least = extend::<W>(1 << (8 * W as u32 - 1)) as i64;
        if !extended || divisor == 0 || dividend == least && divisor == -1 {
            return None;
        }
        let (quotient, remainder) = (
            dividend.wrapping_div(divisor),
            dividend.wrapping_rem(divisor),
        );
        put::<W>(cx, 0, quotient as u64);
        put::<W>(cx, 2, remainder as u64);
        Some(flags)
    }
}
