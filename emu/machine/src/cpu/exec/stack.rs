//! The stack.

use crate::cpu::insn::{Insn, Op, Operand, Seg, Width};
use crate::cpu::state::{Shadow, flag};
use crate::cpu::{Cx, Fault};

pub(super) const RSP: u8 = 4;
const RBP: u8 = 5;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Push => push_operand(cx, insn),
        Op::Pop => pop_operand(cx, insn),
        Op::Pushf => {
            let value = cx.cpu.rflags & !(flag::VM | flag::RF);
            push(cx, insn.size, value)
        }
        Op::Popf => {
            let value = pop(cx, insn.size)?;
            let cpl = cx.cpu.cpl();
            cx.load_flags(value, insn.size, cpl, false);
            Ok(())
        }
        Op::Pusha => push_all(cx, insn),
        Op::Popa => pop_all(cx, insn),
        Op::Enter => enter(cx, insn),
        Op::Leave => leave(cx, insn),
        _ => Err(Fault::Missing(insn.op.name())),
    }
}

/// Pushes; RSP moves only when the store can no longer fault.
pub(super) fn push(cx: &mut Cx<'_>, size: Width, value: u64) -> Result<(), Fault> {
    let width = cx.stack_width();
    let sp = cx.reg(RSP, width).wrapping_sub(u64::from(size.bytes())) & width.mask();
    let va = cx.linear(Seg::Ss, sp, u64::from(size.bytes()), true)?;
    cx.write(va, size.bytes(), value)?;
    cx.set_reg(RSP, width, sp);
    Ok(())
}

pub(super) fn pop(cx: &mut Cx<'_>, size: Width) -> Result<u64, Fault> {
    let value = cx.stack_word(0, size)?;
    cx.release_stack(u64::from(size.bytes()));
    Ok(value)
}

fn push_operand(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let value = match insn.operands[0] {
        Operand::Seg(seg) => u64::from(cx.cpu.seg[seg as usize].selector),
        _ => cx.get(insn, 0)?,
    };
    push(cx, insn.size, value)
}

/// POP computes a memory operand's address with RSP already moved, and POP RSP keeps the value.
fn pop_operand(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let before = cx.cpu.gpr[usize::from(RSP)];
    let value = pop(cx, insn.size)?;
    let written = match insn.operands[0] {
        Operand::Seg(seg) => pop_segment(cx, seg, value as u16),
        _ => cx.set(insn, 0, value),
    };
    if written.is_err() {
        cx.cpu.gpr[usize::from(RSP)] = before;
    }
    written
}

fn pop_segment(cx: &mut Cx<'_>, seg: Seg, selector: u16) -> Result<(), Fault> {
    cx.load_segment(seg, selector)?;
    cx.cpu.shadow = Shadow::of_load(seg);
    Ok(())
}

/// PUSHA: all registers with SP as it was, or none of them.
fn push_all(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let before = cx.cpu.gpr[usize::from(RSP)];
    for index in 0..8 {
        let value = match index {
            RSP => before,
            _ => cx.reg(index, insn.size),
        };
        if let Err(fault) = push(cx, insn.size, value) {
            cx.cpu.gpr[usize::from(RSP)] = before;
            return Err(fault);
        }
    }
    Ok(())
}

/// POPA: all registers but SP, whose place is skipped.
fn pop_all(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let step = u64::from(insn.size.bytes());
    let mut values = [0; 8];
    for (index, value) in (0..8).rev().zip(&mut values) {
        *value = cx.stack_word((7 - index) * step, insn.size)?;
    }
    for (index, value) in (0..8).rev().zip(values) {
        if index != RSP {
            cx.set_reg(index, insn.size, value);
        }
    }
    cx.release_stack(8 * step);
    Ok(())
}

fn leave(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = cx.stack_width();
    let frame = cx.reg(RBP, width);
    let va = cx.linear(Seg::Ss, frame, u64::from(insn.size.bytes()), false)?;
    let value = cx.read(va, insn.size.bytes())?;
    cx.set_reg(RSP, width, frame);
    cx.release_stack(u64::from(insn.size.bytes()));
    cx.set_reg(RBP, insn.size, value);
    Ok(())
}

fn enter(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (Operand::Imm(locals), Operand::Imm(level)) = (insn.operands[0], insn.operands[1]) else {
        return Err(Fault::UD);
    };
    let before = cx.cpu.gpr[usize::from(RSP)];
    let built = build_frame(cx, insn.size, locals, level & 31);
    if built.is_err() {
        cx.cpu.gpr[usize::from(RSP)] = before;
    }
    built
}

fn build_frame(cx: &mut Cx<'_>, size: Width, locals: u64, level: u64) -> Result<(), Fault> {
    let width = cx.stack_width();
    let step = u64::from(size.bytes());
    let outer = cx.reg(RBP, size);
    push(cx, size, outer)?;
    let frame = cx.reg(RSP, width);
    for i in 1..level {
        let at = cx.reg(RBP, width).wrapping_sub(i * step) & width.mask();
        let va = cx.linear(Seg::Ss, at, step, false)?;
        let value = cx.read(va, size.bytes())?;
        push(cx, size, value)?;
    }
    if level > 0 {
        push(cx, size, frame)?;
    }
    let sp = cx.reg(RSP, width).wrapping_sub(locals) & width.mask();
    // The last word of the frame is probed for writing, so that a missing page faults here.
    let va = cx.linear(Seg::Ss, sp, step, true)?;
    cx.span(va, size.bytes(), cx.rights(true))?;
    cx.set_reg(RSP, width, sp);
    cx.set_reg(RBP, size, frame);
    Ok(())
}
