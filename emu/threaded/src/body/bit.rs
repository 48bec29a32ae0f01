//! Single bits, scans and counts, of registers.

use super::Body;
use crate::flags::{CARRY, Flags, ODD};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{get, put};

pub(crate) const BT: u8 = 0;
pub(crate) const BTS: u8 = 1;
pub(crate) const BTR: u8 = 2;
pub(crate) const BTC: u8 = 3;

/// BT, BTS, BTR, BTC of a register: only CF changes.
pub(crate) struct Test<const K: u8, const W: usize, const IMM: bool>;

impl<const K: u8, const W: usize, const IMM: bool> Body for Test<K, W, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let number = match IMM {
            true => op.imm as u64,
            false => get::<W>(cx, op.src),
        };
        let mask = 1 << (number & (8 * W as u64 - 1));
        let a = get::<W>(cx, op.dst);
        match K {
            BTS => put::<W>(cx, op.dst, a | mask),
            BTR => put::<W>(cx, op.dst, a & !mask),
            BTC => put::<W>(cx, op.dst, a ^ mask),
            _ => {}
        }
        Some(old.with_carry(a & mask != 0))
    }
}

/// Only ZF, with PF for scans.
const ZERO: Flags = Flags { res: 0, aux: 0 };

/// BSF and BSR.
pub(crate) struct Scan<const W: usize, const REVERSE: bool>;

impl<const W: usize, const REVERSE: bool> Body for Scan<W, REVERSE> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let source = get::<W>(cx, op.src);
        if source == 0 {
            return Some(ZERO);
        }
        let found = u64::from(match REVERSE {
            true => 63 - source.leading_zeros(),
            false => source.trailing_zeros(),
        });
        put::<W>(cx, op.dst, found);
        // The parity of the number, but neither zero nor negative.
        let res = found | 0x100;
        Some(Flags { res, aux: 0 })
    }
}

/// POPCNT.
pub(crate) struct Count<const W: usize>;

impl<const W: usize> Body for Count<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let source = get::<W>(cx, op.src);
        put::<W>(cx, op.dst, u64::from(source.count_ones()));
        Some(only_zero(source == 0, false))
    }
}

/// TZCNT and LZCNT.
pub(crate) struct Zeros<const W: usize, const LEADING: bool>;

impl<const W: usize, const LEADING: bool> Body for Zeros<W, LEADING> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, _: Flags) -> Option<Flags> {
        let bits = 8 * W as u32;
        let source = get::<W>(cx, op.src);
        let count = match LEADING {
            true => source.leading_zeros() - (64 - bits),
            false => source.trailing_zeros().min(bits),
        };
        put::<W>(cx, op.dst, u64::from(count));
        Some(only_zero(count == 0, source == 0))
    }
}

/// ZF and CF as told, PF and all others clear.
#[inline(always)]
fn only_zero(zero: bool, carry: bool) -> Flags {
    let aux = if carry {
        CARRY | crate::flags::INTO_SIGN
    } else {
        0
    };
    match zero {
        true => Flags {
            res: 0,
            aux: aux | ODD,
        },
        false => Flags { res: 1, aux },
    }
}
