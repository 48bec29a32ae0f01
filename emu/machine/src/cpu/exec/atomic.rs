//! Exchanges. With one CPU running at a time an access is atomic by itself; LOCK only costs.

use super::flags::{self, add, sub, when};
use crate::cost::Class;
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault, Place};

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RBX: u8 = 3;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Xchg => exchange(cx, insn),
        Op::Xadd => exchange_add(cx, insn),
        Op::Cmpxchg => compare_exchange(cx, insn),
        _ => compare_exchange_pair(cx, insn),
    }
}

fn exchange(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let first = cx.place(insn, 0)?;
    let second = cx.place(insn, 1)?;
    let (a, b) = (cx.peek(first), cx.peek(second));
    cx.put(first, b);
    cx.put(second, a);
    Ok(())
}

fn exchange_add(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let first = cx.place(insn, 0)?;
    let second = cx.place(insn, 1)?;
    let (a, b) = (cx.peek(first), cx.peek(second));
    let (sum, status) = add(insn.size, a, b, false);
    cx.put(second, a);
    cx.put(first, sum);
    flags::set(cx.cpu, status);
    Ok(())
}

/// CMPXCHG writes memory in either case, if only with what it held; a register that is not equal
/// stays whole.
fn compare_exchange(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let place = cx.place(insn, 0)?;
    let new = cx.get(insn, 1)?;
    let old = cx.peek(place);
    let expected = cx.reg(RAX, insn.size);
    let (_, status) = sub(insn.size, expected, old, false);
    if expected == old {
        cx.put(place, new);
    } else {
        if let Place::Mem(span) = place {
            cx.store(span, old);
        }
        cx.set_reg(RAX, insn.size, old);
    }
    flags::set(cx.cpu, status);
    Ok(())
}

/// CMPXCHG8B and CMPXCHG16B: rdx:rax against memory, rcx:rbx into it.
fn compare_exchange_pair(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let wide = insn.op == Op::Cmpxchg16b;
    let width = if wide { Width::Qword } else { Width::Dword };
    let va = cx.address_aligned(insn, true, if wide { 16 } else { 1 })?;
    let span = cx.span(va, 2 * width.bytes(), cx.rights(true))?;
    if insn.lock {
        cx.charge(Class::Locked);
    }
    let old = if wide {
        cx.load128(span)
    } else {
        u128::from(cx.load(span))
    };
    let pair = |high: u64, low: u64| u128::from(high) << width.bits() | u128::from(low);
    let equal = old == pair(cx.reg(RDX, width), cx.reg(RAX, width));
    let new = if equal {
        pair(cx.reg(RCX, width), cx.reg(RBX, width))
    } else {
        old
    };
    if wide {
        cx.store128(span, new);
    } else {
        cx.store(span, new as u64);
    }
    if !equal {
        cx.set_reg(RAX, width, old as u64 & width.mask());
        cx.set_reg(RDX, width, (old >> width.bits()) as u64);
    }
    flags::set_some(cx.cpu, flag::ZF, when(equal, flag::ZF));
    Ok(())
}
