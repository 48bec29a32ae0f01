//! Moves, extensions, addresses and conditional moves.

use super::Body;
use crate::flags::{Flags, cut, extend};
use crate::memory::View;
use crate::op::Op;
use crate::operand::{address, full, get, immediate, load, put, put_full, store};

/// A value of `FROM` bytes as one of `TO` bytes.
#[inline(always)]
fn widen<const FROM: usize, const TO: usize, const SIGNED: bool>(value: u64) -> u64 {
    match SIGNED {
        true => cut::<TO>(extend::<FROM>(value)),
        false => value,
    }
}

/// Register to register: MOV, MOVZX, MOVSX.
pub(crate) struct RegReg<const FROM: usize, const TO: usize, const SIGNED: bool>;

impl<const FROM: usize, const TO: usize, const SIGNED: bool> Body for RegReg<FROM, TO, SIGNED> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = widen::<FROM, TO, SIGNED>(get::<FROM>(cx, op.src));
        put::<TO>(cx, op.dst, value);
        Some(flags)
    }
}

/// AH to BH to a register: MOV, MOVZX, MOVSX.
pub(crate) struct FromHigh<const TO: usize, const SIGNED: bool>;

impl<const TO: usize, const SIGNED: bool> Body for FromHigh<TO, SIGNED> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let byte = full(cx, op.src) >> 8 & 0xFF;
        put::<TO>(cx, op.dst, widen::<1, TO, SIGNED>(byte));
        Some(flags)
    }
}

/// Memory to register.
pub(crate) struct Load<const FROM: usize, const TO: usize, const SIGNED: bool, const A: u8>;

impl<const FROM: usize, const TO: usize, const SIGNED: bool, const A: u8> Body
    for Load<FROM, TO, SIGNED, A>
{
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = load::<FROM, A>(op, cx)?;
        put::<TO>(cx, op.dst, widen::<FROM, TO, SIGNED>(value));
        Some(flags)
    }
}

/// Register to memory.
pub(crate) struct Store<const W: usize, const A: u8>;

impl<const W: usize, const A: u8> Body for Store<W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = get::<W>(cx, op.src);
        store::<W, A>(op, cx, value)?;
        Some(flags)
    }
}

/// Immediate to memory.
pub(crate) struct StoreImm<const W: usize, const A: u8>;

impl<const W: usize, const A: u8> Body for StoreImm<W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        store::<W, A>(op, cx, immediate::<W>(op))?;
        Some(flags)
    }
}

/// Immediate to register.
pub(crate) struct Imm<const W: usize>;

impl<const W: usize> Body for Imm<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        put::<W>(cx, op.dst, op.wide);
        Some(flags)
    }
}

/// LEA.
pub(crate) struct Lea<const W: usize, const A: u8>;

impl<const W: usize, const A: u8> Body for Lea<W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = address::<A>(op, cx);
        put::<W>(cx, op.dst, value);
        Some(flags)
    }
}

/// CMOVcc from a register.
pub(crate) struct Cmov<const C: u8, const W: usize>;

impl<const C: u8, const W: usize> Body for Cmov<C, W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let (old, new) = (get::<W>(cx, op.dst), get::<W>(cx, op.src));
        let value = core::hint::select_unpredictable(flags.condition::<C>(), new, old);
        put::<W>(cx, op.dst, value);
        Some(flags)
    }
}

/// CMOVcc from memory, which is read in any case.
pub(crate) struct CmovMem<const C: u8, const W: usize, const A: u8>;

impl<const C: u8, const W: usize, const A: u8> Body for CmovMem<C, W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let new = load::<W, A>(op, cx)?;
        let old = get::<W>(cx, op.dst);
        let value = core::hint::select_unpredictable(flags.condition::<C>(), new, old);
        put::<W>(cx, op.dst, value);
        Some(flags)
    }
}

/// SETcc of a register.
pub(crate) struct Set<const C: u8>;

impl<const C: u8> Body for Set<C> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        put::<1>(cx, op.dst, u64::from(flags.condition::<C>()));
        Some(flags)
    }
}

/// SETcc of memory.
pub(crate) struct SetMem<const C: u8, const A: u8>;

impl<const C: u8, const A: u8> Body for SetMem<C, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        store::<1, A>(op, cx, u64::from(flags.condition::<C>()))?;
        Some(flags)
    }
}

/// XCHG of registers.
pub(crate) struct Xchg<const W: usize>;

impl<const W: usize> Body for Xchg<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let (a, b) = (get::<W>(cx, op.dst), get::<W>(cx, op.src));
        put::<W>(cx, op.dst, b);
        put::<W>(cx, op.src, a);
        Some(flags)
    }
}

/// XCHG of memory and a register.
pub(crate) struct XchgMem<const W: usize, const A: u8>;

impl<const W: usize, const A: u8> Body for XchgMem<W, A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let old = load::<W, A>(op, cx)?;
        let new = get::<W>(cx, op.src);
        store::<W, A>(op, cx, new)?;
        put::<W>(cx, op.src, old);
        Some(flags)
    }
}

/// CBW, CWDE, CDQE.
pub(crate) struct Extend<const FROM: usize, const TO: usize>;

impl<const FROM: usize, const TO: usize> Body for Extend<FROM, TO> {
    #[inline(always)]
    fn run(_: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = extend::<FROM>(full(cx, 0));
        put::<TO>(cx, 0, value);
        Some(flags)
    }
}

/// CWD, CDQ, CQO.
pub(crate) struct Sign<const W: usize>;

impl<const W: usize> Body for Sign<W> {
    #[inline(always)]
    fn run(_: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = (extend::<W>(full(cx, 0)) as i64 >> 63) as u64;
        put::<W>(cx, 2, value);
        Some(flags)
    }
}

/// Nothing at all.
pub(crate) struct Nop;

impl Body for Nop {
    #[inline(always)]
    fn run(_: &Op, _: &mut View<'_>, flags: Flags) -> Option<Flags> {
        Some(flags)
    }
}

/// BSWAP of 8 or 4 bytes.
pub(crate) struct Swap<const W: usize>;

impl<const W: usize> Body for Swap<W> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let swapped = full(cx, op.dst).swap_bytes() >> (64 - 8 * W as u32);
        put_full(cx, op.dst, swapped);
        Some(flags)
    }
}
