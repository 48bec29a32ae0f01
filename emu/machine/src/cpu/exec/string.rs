//! String instructions on memory: one iteration at a time.
//!
//! A REP instruction with iterations left stays at its place and does not retire, so each
//! iteration boundary is an instruction boundary like any other.

use super::flags::{self, sub};
use crate::cpu::insn::{Insn, Op, Rep, Seg, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

const RAX: u8 = 0;
const RCX: u8 = 1;
pub(super) const RSI: u8 = 6;
pub(super) const RDI: u8 = 7;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    repeat(cx, insn, iteration)
}

/// Does one iteration and, under REP, counts it.
pub(super) fn repeat(
    cx: &mut Cx<'_>,
    insn: &Insn,
    iteration: fn(&mut Cx<'_>, &Insn) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if insn.rep == Rep::None {
        return iteration(cx, insn);
    }
    let width = insn.mem.address;
    let count = cx.reg(RCX, width);
    if width == Width::Dword {
        write_back(cx, insn);
    }
    if count == 0 {
        return Ok(());
    }
    let rflags = cx.cpu.rflags;
    iteration(cx, insn)?;
    cx.set_reg(RCX, width, count - 1);
    let zero = cx.cpu.flag(flag::ZF);
    let matched = match insn.op {
        Op::Cmps | Op::Scas => zero == (insn.rep == Rep::Repe),
        _ => true,
    };
    if count != 1 && matched {
        // The flags are those of the last comparison, and nobody sees the ones before it.
        cx.cpu.rflags = rflags;
        cx.repeat();
    }
    Ok(())
}

/// With 32-bit addresses the count, and the indices of the forms that CPUs have a fast way for, are
/// written back even if there is nothing to do, or a fault.
fn write_back(cx: &mut Cx<'_>, insn: &Insn) {
    let registers: &[u8] = match insn.op {
        Op::Movs => &[RCX, RSI, RDI],
        Op::Stos => &[RCX, RDI],
        _ => &[RCX],
    };
    for &index in registers {
        let value = cx.reg(index, Width::Dword);
        cx.set_reg(index, Width::Dword, value);
    }
}

fn iteration(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let size = insn.size;
    match insn.op {
        Op::Movs => {
            let value = source(cx, insn)?;
            store(cx, insn, value)?;
            advance(cx, insn, RSI);
            advance(cx, insn, RDI);
        }
        Op::Stos => {
            let value = cx.reg(RAX, size);
            store(cx, insn, value)?;
            advance(cx, insn, RDI);
        }
        Op::Lods => {
            let value = source(cx, insn)?;
            cx.set_reg(RAX, size, value);
            advance(cx, insn, RSI);
        }
        Op::Cmps => {
            // If both fault, CPUs tell of the second one.
            let b = destination(cx, insn)?;
            let a = source(cx, insn)?;
            compare(cx, size, a, b);
            advance(cx, insn, RSI);
            advance(cx, insn, RDI);
        }
        Op::Scas => {
            let a = cx.reg(RAX, size);
            let b = destination(cx, insn)?;
            compare(cx, size, a, b);
            advance(cx, insn, RDI);
        }
        _ => return Err(Fault::Missing(insn.op.name())),
    }
    Ok(())
}

fn compare(cx: &mut Cx<'_>, size: Width, a: u64, b: u64) {
    let (_, status) = sub(size, a, b, false);
    flags::set(cx.cpu, status);
}

/// Reads from the source: DS or the segment of the prefix.
pub(super) fn source(cx: &mut Cx<'_>, insn: &Insn) -> Result<u64, Fault> {
    let len = insn.size.bytes();
    let offset = cx.reg(RSI, insn.mem.address);
    let va = cx.linear(insn.mem.seg, offset, u64::from(len), false)?;
    cx.read(va, len)
}

/// Reads from the destination, which is always in ES.
fn destination(cx: &mut Cx<'_>, insn: &Insn) -> Result<u64, Fault> {
    let len = insn.size.bytes();
    let offset = cx.reg(RDI, insn.mem.address);
    let va = cx.linear(Seg::Es, offset, u64::from(len), false)?;
    cx.read(va, len)
}

pub(super) fn store(cx: &mut Cx<'_>, insn: &Insn, value: u64) -> Result<(), Fault> {
    let len = insn.size.bytes();
    let offset = cx.reg(RDI, insn.mem.address);
    let va = cx.linear(Seg::Es, offset, u64::from(len), true)?;
    cx.write(va, len, value)
}

/// Moves an index register by one element, in the direction of DF.
pub(super) fn advance(cx: &mut Cx<'_>, insn: &Insn, index: u8) {
    let width = insn.mem.address;
    let step = u64::from(insn.size.bytes());
    let step = if cx.cpu.flag(flag::DF) {
        step.wrapping_neg()
    } else {
        step
    };
    let moved = cx.reg(index, width).wrapping_add(step);
    cx.set_reg(index, width, moved);
}
