//! Shifts and rotates of registers; the formulas of the reference interpreter's `shift.rs`.

use super::Body;
use crate::flags::{CARRY, Flags, INTO_SIGN, cut, extend};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{get, load, put, store};

pub(crate) const SHL: u8 = 0;
pub(crate) const SHR: u8 = 1;
pub(crate) const SAR: u8 = 2;
pub(crate) const ROL: u8 = 3;
pub(crate) const ROR: u8 = 4;

#[inline(always)]
const fn bits<const W: usize>() -> u32 {
    8 * W as u32
}

#[inline(always)]
const fn negative<const W: usize>(value: u64) -> bool {
    value >> (bits::<W>() - 1) & 1 != 0
}

/// CF and OF as `aux` has them.
#[inline(always)]
const fn aux(carry: bool, overflow: bool) -> u64 {
    (carry as u64) << 63 | ((carry != overflow) as u64) << 62
}

/// Result and flags for a count that is not zero and has been cut.
#[inline(always)]
fn turn<const K: u8, const W: usize>(a: u64, count: u32, old: Flags) -> (u64, Flags) {
    match K {
        SHL => {
            let result = cut::<W>(a << count);
            let carry = match bits::<W>().checked_sub(count) {
                Some(from) => a >> from & 1 != 0,
                None => false,
            };
            let res = extend::<W>(result);
            // OF is the sign's difference from CF: the carry into the sign is the sign itself.
            let sign = res & CARRY;
            let aux = u64::from(carry) << 63 | sign >> 1;
            (result, Flags { res, aux })
        }
        SHR => {
            let carry = a >> (count - 1) & 1 != 0;
            let result = a >> count;
            let overflow = negative::<W>(result << 1 ^ result);
            let res = extend::<W>(result);
            let aux = aux(carry, overflow);
            (result, Flags { res, aux })
        }
        SAR => {
            let extended = extend::<W>(a) as i64;
            let carry = extended >> (count - 1) & 1 != 0;
            let res = (extended >> count) as u64;
            let aux = if carry { CARRY | INTO_SIGN } else { 0 };
            (cut::<W>(res), Flags { res, aux })
        }
        ROL => {
            let result = rotate::<W>(a, count % bits::<W>());
            let carry = result & 1 != 0;
            let overflow = negative::<W>(result) != carry;
            (result, old.with_carry_and_overflow(carry, overflow))
        }
        _ => {
            let result = rotate::<W>(a, bits::<W>() - count % bits::<W>());
            let carry = negative::<W>(result);
            let overflow = negative::<W>(result << 1 ^ result);
            (result, old.with_carry_and_overflow(carry, overflow))
        }
    }
}

/// To the left, by at most all bits.
#[inline(always)]
fn rotate<const W: usize>(a: u64, count: u32) -> u64 {
    match W {
        8 => a.rotate_left(count),
        4 => u64::from((a as u32).rotate_left(count)),
        2 => u64::from((a as u16).rotate_left(count)),
        _ => u64::from((a as u8).rotate_left(count)),
    }
}

/// By an immediate, which is not zero and has been cut.
pub(crate) struct ByImm<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for ByImm<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let count = op.imm as u32 & if W == 8 { 63 } else { 31 };
        let (result, new) = turn::<K, W>(get::<W>(cx, op.dst), count, old);
        put::<W>(cx, op.dst, result);
        Some(new)
    }
}

/// The same where nobody asks for the flags.
pub(crate) struct Silent<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for Silent<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let count = op.imm as u32 & if W == 8 { 63 } else { 31 };
        let (result, _) = turn::<K, W>(get::<W>(cx, op.dst), count, old);
        put::<W>(cx, op.dst, result);
        Some(old)
    }
}

/// A register is copied into another one, which is shifted; perhaps nobody asks for the flags.
pub(crate) struct Copied<const K: u8, const W: usize, const SILENT: bool>;

impl<const K: u8, const W: usize, const SILENT: bool> Body for Copied<K, W, SILENT> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let count = op.imm as u32 & if W == 8 { 63 } else { 31 };
        let (result, new) = turn::<K, W>(get::<W>(cx, op.src), count, old);
        put::<W>(cx, op.dst, result);
        Some(if SILENT { old } else { new })
    }
}

/// By CL.
pub(crate) struct ByCl<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for ByCl<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let count = get::<1>(cx, 1) as u32 & if W == 8 { 63 } else { 31 };
        let a = get::<W>(cx, op.dst);
        let (result, new) = match count {
            0 => (a, old),
            _ => turn::<K, W>(a, count, old),
        };
        put::<W>(cx, op.dst, result);
        Some(new)
    }
}

/// Memory by an immediate.
pub(crate) struct Mem<const K: u8, const W: usize, const A: u8>;

impl<const K: u8, const W: usize, const A: u8> Body for Mem<K, W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let count = op.imm as u32 & if W == 8 { 63 } else { 31 };
        let a = load::<W, A>(op, cx)?;
        let (result, new) = turn::<K, W>(a, count, old);
        store::<W, A>(op, cx, result)?;
        Some(new)
    }
}

/// SHLX, SHRX, SARX (a register, shifted by another) and RORX (by an immediate): no flags.
pub(crate) struct Quiet<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for Quiet<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let a = get::<W>(cx, op.src);
        let by = match K {
            ROR => op.imm as u32,
            _ => full_count(cx, op.index),
        } & (bits::<W>() - 1);
        let result = match K {
            SHL => a << by,
            SHR => a >> by,
            SAR => (extend::<W>(a) as i64 >> by) as u64,
            _ => rotate::<W>(a, bits::<W>() - by),
        };
        put::<W>(cx, op.dst, cut::<W>(result));
        Some(flags)
    }
}

#[inline(always)]
fn full_count(cx: &View<'_>, index: u8) -> u32 {
    get::<1>(cx, index) as u32
}
