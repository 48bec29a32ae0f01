//! Addition, subtraction and logic.

use super::Body;
use crate::flags::{self, Flags};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{full, get, immediate, load, put, put_full, store};

pub(crate) const ADD: u8 = 0;
pub(crate) const OR: u8 = 1;
pub(crate) const ADC: u8 = 2;
pub(crate) const SBB: u8 = 3;
pub(crate) const AND: u8 = 4;
pub(crate) const SUB: u8 = 5;
pub(crate) const XOR: u8 = 6;
pub(crate) const CMP: u8 = 7;
pub(crate) const TEST: u8 = 8;

pub(crate) const INC: u8 = 0;
pub(crate) const DEC: u8 = 1;
pub(crate) const NEG: u8 = 2;
pub(crate) const NOT: u8 = 3;

/// Result and flags of the operation `K` on two values of `W` bytes.
#[inline(always)]
pub(crate) fn combine<const K: u8, const W: usize>(a: u64, b: u64, old: Flags) -> (u64, Flags) {
    let carry = u64::from(old.carry());
    match K {
        ADD => flags::add::<W>(a, b, 0),
        ADC => flags::add::<W>(a, b, carry),
        SBB => flags::sub::<W>(a, b, carry),
        SUB | CMP => flags::sub::<W>(a, b, 0),
        OR => flags::logic::<W>(a | b),
        XOR => flags::logic::<W>(a ^ b),
        _ => flags::logic::<W>(a & b),
    }
}

#[inline(always)]
fn keeps_result<const K: u8>() -> bool {
    K != CMP && K != TEST
}

#[inline(always)]
fn one<const K: u8, const W: usize>(a: u64, old: Flags) -> (u64, Flags) {
    match K {
        INC => flags::increment::<W>(a, old),
        DEC => flags::decrement::<W>(a, old),
        NEG => flags::sub::<W>(0, a, 0),
        _ => (!a, old),
    }
}

/// Register and register.
pub(crate) struct RegReg<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for RegReg<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let (result, new) = combine::<K, W>(get::<W>(cx, op.dst), get::<W>(cx, op.src), old);
        if keeps_result::<K>() {
            put::<W>(cx, op.dst, result);
        }
        Some(new)
    }
}

/// Register and immediate.
pub(crate) struct RegImm<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for RegImm<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let (result, new) = combine::<K, W>(get::<W>(cx, op.dst), immediate::<W>(op), old);
        if keeps_result::<K>() {
            put::<W>(cx, op.dst, result);
        }
        Some(new)
    }
}

/// Register and register or immediate, where nobody asks for the flags.
pub(crate) struct Silent<const K: u8, const W: usize, const IMM: bool>;

impl<const K: u8, const W: usize, const IMM: bool> Body for Silent<K, W, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let b = match IMM {
            true => i64::from(op.imm) as u64,
            false => get::<W>(cx, op.src),
        };
        let (result, _) = combine::<K, W>(get::<W>(cx, op.dst), b, old);
        put::<W>(cx, op.dst, result);
        Some(old)
    }
}

/// Bytes of registers, AH to BH among them, or an immediate: `scale` and `seg` say by how many bits
/// each register is shifted.
pub(crate) struct Bytes<const K: u8, const IMM: bool>;

impl<const K: u8, const IMM: bool> Body for Bytes<K, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let b = match IMM {
            true => immediate::<1>(op),
            false => full(cx, op.src) >> (op.seg & 8) & 0xFF,
        };
        let (whole, shift) = (full(cx, op.dst), op.scale & 8);
        let (result, new) = combine::<K, 1>(whole >> shift & 0xFF, b, old);
        if keeps_result::<K>() {
            put_full(
                cx,
                op.dst,
                whole & !(0xFF << shift) | (result & 0xFF) << shift,
            );
        }
        Some(new)
    }
}

/// A register is copied into another one, which is combined with an immediate or with a third one
/// (`base`); perhaps nobody asks for the flags.
pub(crate) struct Copied<const K: u8, const W: usize, const IMM: bool, const SILENT: bool>;

impl<const K: u8, const W: usize, const IMM: bool, const SILENT: bool> Body
    for Copied<K, W, IMM, SILENT>
{
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let b = match IMM {
            true => immediate::<W>(op),
            false => get::<W>(cx, op.base),
        };
        let (result, new) = combine::<K, W>(get::<W>(cx, op.src), b, old);
        put::<W>(cx, op.dst, result);
        Some(if SILENT { old } else { new })
    }
}

/// Register and memory.
pub(crate) struct RegMem<const K: u8, const W: usize, const A: u8>;

impl<const K: u8, const W: usize, const A: u8> Body for RegMem<K, W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let b = load::<W, A>(op, cx)?;
        let (result, new) = combine::<K, W>(get::<W>(cx, op.dst), b, old);
        if keeps_result::<K>() {
            put::<W>(cx, op.dst, result);
        }
        Some(new)
    }
}

/// Memory and register or immediate.
pub(crate) struct Mem<const K: u8, const W: usize, const A: u8, const IMM: bool>;

impl<const K: u8, const W: usize, const A: u8, const IMM: bool> Body for Mem<K, W, A, IMM> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let b = match IMM {
            true => immediate::<W>(op),
            false => get::<W>(cx, op.src),
        };
        let a = load::<W, A>(op, cx)?;
        let (result, new) = combine::<K, W>(a, b, old);
        if keeps_result::<K>() {
            store::<W, A>(op, cx, result)?;
        }
        Some(new)
    }
}

/// INC, DEC, NEG, NOT of a register.
pub(crate) struct OneReg<const K: u8, const W: usize>;

impl<const K: u8, const W: usize> Body for OneReg<K, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let (result, new) = one::<K, W>(get::<W>(cx, op.dst), old);
        put::<W>(cx, op.dst, result);
        Some(new)
    }
}

/// The same of memory.
pub(crate) struct OneMem<const K: u8, const W: usize, const A: u8>;

impl<const K: u8, const W: usize, const A: u8> Body for OneMem<K, W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, old: Flags) -> Option<Flags> {
        let a = load::<W, A>(op, cx)?;
        let (result, new) = one::<K, W>(a, old);
        store::<W, A>(op, cx, result)?;
        Some(new)
    }
}
