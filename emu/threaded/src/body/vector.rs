//! SSE instructions that carry bits about or compute with integers.

use machine::cpu::Cpu;
use machine::cpu::state::{cr0, cr4};

use super::Body;
use crate::flags::Flags;
use crate::memory::View;
use crate::op::Op;
use crate::operand::{address, cut_to, get, load, put, store};

/// Whether the kernel has switched SSE on.
#[inline(always)]
pub(crate) fn is_on(cpu: &Cpu) -> Option<()> {
    let off = cpu.cr0 & (cr0::EM | cr0::TS) | (!cpu.cr4 & cr4::OSFXSR);
    (off == 0).then_some(())
}

#[inline(always)]
pub(crate) fn xmm(view: &View<'_>, index: u8) -> u128 {
    view.cpu.xmm[usize::from(index & 15)]
}

#[inline(always)]
pub(crate) fn put_xmm(view: &mut View<'_>, index: u8, value: u128) {
    view.cpu.xmm[usize::from(index & 15)] = value;
}

/// Replaces the low `W` bytes.
#[inline(always)]
pub(crate) fn merged<const W: usize>(old: u128, new: u64) -> u128 {
    let mask = u128::from(cut_to::<W>(u64::MAX));
    old & !mask | u128::from(new) & mask
}

/// The address of 16 bytes, if it is as it must be.
#[inline(always)]
fn place<const A: u8, const ALIGNED: bool>(op: &Op, view: &View<'_>) -> Option<u64> {
    let va = address::<A>(op, view);
    (!ALIGNED || va & 15 == 0).then_some(va)
}

/// The second operand's 16 bytes: a register's, or aligned memory's.
#[inline(always)]
pub(crate) fn source<const M: u8>(op: &Op, view: &View<'_>) -> Option<u128> {
    match M {
        REGISTER => Some(xmm(view, op.src)),
        _ => view.read128(match M {
            crate::operand::NEAR => place::<{ crate::operand::NEAR }, true>(op, view)?,
            crate::operand::FAR => place::<{ crate::operand::FAR }, true>(op, view)?,
            _ => place::<{ crate::operand::BASED }, true>(op, view)?,
        }),
    }
}

/// The second operand's low `W` bytes.
#[inline(always)]
pub(crate) fn scalar<const W: usize, const M: u8>(op: &Op, view: &View<'_>) -> Option<u64> {
    match M {
        REGISTER => Some(cut_to::<W>(xmm(view, op.src) as u64)),
        crate::operand::NEAR => load::<W, { crate::operand::NEAR }>(op, view),
        crate::operand::FAR => load::<W, { crate::operand::FAR }>(op, view),
        _ => load::<W, { crate::operand::BASED }>(op, view),
    }
}

/// Instead of an addressing mode: the operand is a register.
pub(crate) const REGISTER: u8 = 3;

/// Declares a body that runs only while SSE is on.
macro_rules! bodies {
    ($($(#[$meta:meta])* $name:ident <$(const $param:ident: $kind:ty),*>
        ($op:ident, $view:ident) $body:block)*) => {$(
        $(#[$meta])*
        pub(crate) struct $name<$(const $param: $kind),*>;

        impl<$(const $param: $kind),*> Body for $name<$($param),*> {
            #[inline(always)]
            fn run($op: &Op, $view: &mut View<'_>, flags: Flags) -> Option<Flags> {
                is_on($view.cpu)?;
                $body
                Some(flags)
            }
        }
    )*};
}
pub(crate) use bodies;

bodies! {
    /// MOVAPS and its like between registers.
    Move<const N: u8>(op, view) {
        let value = xmm(view, op.src);
        put_xmm(view, op.dst, value);
    }

    /// 16 bytes from memory.
    Load<const A: u8, const ALIGNED: bool>(op, view) {
        let va = place::<A, ALIGNED>(op, view)?;
        let value = view.read128(va)?;
        put_xmm(view, op.dst, value);
    }

    /// 16 bytes to memory.
    Store<const A: u8, const ALIGNED: bool>(op, view) {
        let va = place::<A, ALIGNED>(op, view)?;
        let value = xmm(view, op.src);
        view.write128(va, value)?;
    }

    /// MOVSS and MOVSD between registers: what is above stays.
    Merge<const W: usize>(op, view) {
        let value = merged::<W>(xmm(view, op.dst), xmm(view, op.src) as u64);
        put_xmm(view, op.dst, value);
    }

    /// MOVSS, MOVSD, MOVD, MOVQ from memory, or MOVQ between registers: what is above is cleared.
    LoadLow<const W: usize, const M: u8>(op, view) {
        let value = scalar::<W, M>(op, view)?;
        put_xmm(view, op.dst, u128::from(value));
    }

    /// MOVSS, MOVSD, MOVD, MOVQ to memory.
    StoreLow<const W: usize, const A: u8>(op, view) {
        let value = xmm(view, op.src) as u64;
        store::<W, A>(op, view, value)?;
    }

    /// MOVD and MOVQ from an integer register.
    FromInteger<const W: usize>(op, view) {
        let value = get::<W>(view, op.src);
        put_xmm(view, op.dst, u128::from(value));
    }

    /// MOVD and MOVQ to an integer register.
    ToInteger<const W: usize>(op, view) {
        let value = xmm(view, op.src) as u64;
        put::<W>(view, op.dst, value);
    }

    /// MOVHPD and MOVHPS from memory.
    LoadHigh<const A: u8>(op, view) {
        let high = load::<8, A>(op, view)?;
        let low = xmm(view, op.dst) as u64;
        put_xmm(view, op.dst, u128::from(high) << 64 | u128::from(low));
    }

    /// PMOVMSKB.
    Signs<const N: u8>(op, view) {
        let bytes = xmm(view, op.src).to_le_bytes();
        let signs = bytes.iter().rev().fold(0, |sum, byte| sum << 1 | u64::from(byte >> 7));
        put::<4>(view, op.dst, signs);
    }

    /// An operation on all of both operands.
    Whole<const K: u8, const M: u8>(op, view) {
        let b = source::<M>(op, view)?;
        let value = combine::<K>(xmm(view, op.dst), b);
        put_xmm(view, op.dst, value);
    }
}

pub(crate) const AND: u8 = 0;
pub(crate) const ANDN: u8 = 1;
pub(crate) const OR: u8 = 2;
pub(crate) const XOR: u8 = 3;
pub(crate) const ADD_8: u8 = 4;
pub(crate) const ADD_32: u8 = 5;
pub(crate) const ADD_64: u8 = 6;
pub(crate) const SUB_8: u8 = 7;
pub(crate) const SUB_32: u8 = 8;
pub(crate) const SUB_64: u8 = 9;
pub(crate) const EQUAL_8: u8 = 10;
pub(crate) const EQUAL_32: u8 = 11;
pub(crate) const UNPACK_LOW_64: u8 = 12;
pub(crate) const UNPACK_HIGH_64: u8 = 13;
pub(crate) const MIN_U8: u8 = 14;

#[inline(always)]
fn combine<const K: u8>(a: u128, b: u128) -> u128 {
    match K {
        AND => a & b,
        ANDN => !a & b,
        OR => a | b,
        XOR => a ^ b,
        ADD_8 => bytes(a, b, u8::wrapping_add),
        ADD_32 => words(a, b, u32::wrapping_add),
        ADD_64 => halves(a, b, u64::wrapping_add),
        SUB_8 => bytes(a, b, u8::wrapping_sub),
        SUB_32 => words(a, b, u32::wrapping_sub),
        SUB_64 => halves(a, b, u64::wrapping_sub),
        EQUAL_8 => bytes(a, b, |a, b| if a == b { u8::MAX } else { 0 }),
        EQUAL_32 => words(a, b, |a, b| if a == b { u32::MAX } else { 0 }),
        UNPACK_LOW_64 => a as u64 as u128 | b << 64,
        UNPACK_HIGH_64 => a >> 64 | b & !u128::from(u64::MAX),
        _ => bytes(a, b, u8::min),
    }
}

#[inline(always)]
fn bytes(a: u128, b: u128, f: impl Fn(u8, u8) -> u8) -> u128 {
    let (mut a, b) = (a.to_le_bytes(), b.to_le_bytes());
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
    u128::from_le_bytes(a)
}

#[inline(always)]
fn words(a: u128, b: u128, f: impl Fn(u32, u32) -> u32) -> u128 {
    (0..4).fold(0, |sum, i| {
        let lane = |value: u128| (value >> (32 * i)) as u32;
        sum | u128::from(f(lane(a), lane(b))) << (32 * i)
    })
}

#[inline(always)]
fn halves(a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    let high = f((a >> 64) as u64, (b >> 64) as u64);
    u128::from(f(a as u64, b as u64)) | u128::from(high) << 64
}
