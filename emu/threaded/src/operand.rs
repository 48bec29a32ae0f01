//! How handlers reach registers and memory.

pub(crate) use crate::flags::cut as cut_to;
use crate::flags::cut;
use crate::memory::View;
use crate::op::Op;

/// Base and displacement.
pub(crate) const NEAR: u8 = 0;
/// Base, index and displacement, each of them perhaps absent.
pub(crate) const FAR: u8 = 1;
/// The same with the base of FS or GS.
pub(crate) const BASED: u8 = 2;

/// All of a register.
#[inline(always)]
pub(crate) fn full(cx: &View<'_>, index: u8) -> u64 {
    debug_assert!(index < 16);
    // SAFETY: the registers of an operation are less than 16, see `Op`; and there are 16.
    unsafe { *cx.cpu.gpr.get_unchecked(usize::from(index)) }
}

#[inline(always)]
pub(crate) fn put_full(cx: &mut View<'_>, index: u8, value: u64) {
    debug_assert!(index < 16);
    // SAFETY: as above.
    unsafe { *cx.cpu.gpr.get_unchecked_mut(usize::from(index)) = value }
}

/// The low `W` bytes of a register.
#[inline(always)]
pub(crate) fn get<const W: usize>(cx: &View<'_>, index: u8) -> u64 {
    cut::<W>(full(cx, index))
}

/// Writes the low `W` bytes of a register; four clear the upper half. The whole register is
/// written, so that reading it need not wait for the parts to be put together.
#[inline(always)]
pub(crate) fn put<const W: usize>(cx: &mut View<'_>, index: u8, value: u64) {
    let value = match W {
        8 => value,
        4 => cut::<4>(value),
        _ => {
            let old = full(cx, index);
            old & !cut::<W>(u64::MAX) | cut::<W>(value)
        }
    };
    put_full(cx, index, value);
}

/// The immediate, `W` bytes of it.
#[inline(always)]
pub(crate) fn immediate<const W: usize>(op: &Op) -> u64 {
    cut::<W>(i64::from(op.imm) as u64)
}

/// The address of the memory operand.
#[inline(always)]
pub(crate) fn address<const A: u8>(op: &Op, cx: &View<'_>) -> u64 {
    if A == NEAR {
        return full(cx, op.base).wrapping_add(op.wide);
    }
    let base = full(cx, op.base) & i64::from(op.base_mask) as u64;
    let index = (full(cx, op.index) & i64::from(op.index_mask) as u64) << (op.scale & 3);
    let offset = base.wrapping_add(index).wrapping_add(op.wide);
    if A == BASED {
        let segment = &cx.cpu.seg[if op.seg == 4 { 4 } else { 5 }];
        return offset.wrapping_add(segment.base);
    }
    offset
}

/// Reads the memory operand; none, and nothing done, if that is not known to pass.
#[inline(always)]
pub(crate) fn load<const W: usize, const A: u8>(op: &Op, cx: &View<'_>) -> Option<u64> {
    cx.read::<W>(address::<A>(op, cx))
}

/// Writes the memory operand; none, and nothing done, if that is not known to pass.
#[inline(always)]
pub(crate) fn store<const W: usize, const A: u8>(
    op: &Op,
    cx: &mut View<'_>,
    value: u64,
) -> Option<()> {
    cx.write::<W>(address::<A>(op, cx), value)
}
