//! The stack, in 8-byte words.

use super::Body;
use crate::flags::Flags;
use crate::memory::View;
use crate::op::Op;
use crate::operand::{full, load, put_full};

const RSP: u8 = 4;
const RBP: u8 = 5;

/// Pushes a word; nothing has changed if that is not known to pass.
#[inline(always)]
pub(crate) fn push(cx: &mut View<'_>, value: u64) -> Option<()> {
    let sp = full(cx, RSP).wrapping_sub(8);
    cx.write::<8>(sp, value)?;
    put_full(cx, RSP, sp);
    Some(())
}

/// PUSH of a register.
pub(crate) struct Push;

impl Body for Push {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = full(cx, op.src);
        push(cx, value)?;
        Some(flags)
    }
}

/// PUSH of an immediate.
pub(crate) struct PushImm;

impl Body for PushImm {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        push(cx, op.wide)?;
        Some(flags)
    }
}

/// PUSH of memory.
pub(crate) struct PushMem<const A: u8>;

impl<const A: u8> Body for PushMem<A> {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let value = load::<8, A>(op, cx)?;
        push(cx, value)?;
        Some(flags)
    }
}

/// POP of a register; POP RSP keeps the value.
pub(crate) struct Pop;

impl Body for Pop {
    #[inline(always)]
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let sp = full(cx, RSP);
        let value = cx.read::<8>(sp)?;
        put_full(cx, RSP, sp.wrapping_add(8));
        put_full(cx, op.dst, value);
        Some(flags)
    }
}

/// LEAVE.
pub(crate) struct Leave;

impl Body for Leave {
    #[inline(always)]
    fn run(_: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags> {
        let frame = full(cx, RBP);
        let value = cx.read::<8>(frame)?;
        put_full(cx, RSP, frame.wrapping_add(8));
        put_full(cx, RBP, value);
        Some(flags)
    }
}
