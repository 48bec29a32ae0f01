//! What 64-bit mode has taken away: decimal arithmetic, BOUND, INTO, ARPL, SALC. (PUSHA, POPA,
//! LES and LDS stand beside their kin.) Flags that the manual leaves undefined are as after the
//! addition or logic operation that the instruction amounts to, and OF is cleared.

use super::flags::{self, set_some, when, zsp};
use crate::cpu::insn::{Insn, Op, Operand, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault, vector};

const RAX: u8 = 0;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Aaa | Op::Aas => adjust_ascii(cx, insn.op == Op::Aas),
        Op::Daa | Op::Das => adjust_decimal(cx, insn.op == Op::Das),
        Op::Aam => return split_digits(cx, insn),
        Op::Aad => join_digits(cx, insn),
        Op::Salc => {
            let value = when(cx.cpu.flag(flag::CF), 0xFF);
            cx.set_reg(RAX, Width::Byte, value);
        }
        Op::Into if cx.cpu.flag(flag::OF) => return cx.software_interrupt(vector::OF),
        Op::Into => {}
        Op::Bound => return bound(cx, insn),
        Op::Arpl => return adjust_level(cx, insn),
        _ => return Err(Fault::Missing(insn.op.name())),
    }
    Ok(())
}

/// AAA and AAS: one unpacked digit in AL, the carry into AH.
fn adjust_ascii(cx: &mut Cx<'_>, subtract: bool) {
    let ax = cx.reg(RAX, Width::Word);
    let carry = ax & 0xF > 9 || cx.cpu.flag(flag::AF);
    let adjusted = match (carry, subtract) {
        (false, _) => ax,
        (true, false) => ax.wrapping_add(0x106),
        (true, true) => ax.wrapping_sub(0x106),
    } & 0xFF0F;
    cx.set_reg(RAX, Width::Word, adjusted);
    let status = zsp(Width::Byte, adjusted) | when(carry, flag::AF | flag::CF);
    flags::set(cx.cpu, status);
}

/// DAA and DAS: two packed digits in AL.
fn adjust_decimal(cx: &mut Cx<'_>, subtract: bool) {
    let old = cx.reg(RAX, Width::Byte);
    let low = old & 0xF > 9 || cx.cpu.flag(flag::AF);
    let high = old > 0x99 || cx.cpu.flag(flag::CF);
    let by = if low { 6 } else { 0 } + if high { 0x60 } else { 0 };
    let al = match subtract {
        false => old.wrapping_add(by),
        true => old.wrapping_sub(by),
    } & 0xFF;
    // DAS alone keeps the borrow of its first step.
    let borrow = subtract && low && old < 6;
    cx.set_reg(RAX, Width::Byte, al);
    let status = zsp(Width::Byte, al) | when(low, flag::AF) | when(high || borrow, flag::CF);
    flags::set(cx.cpu, status);
}

fn base(insn: &Insn) -> u64 {
    match insn.operands[0] {
        Operand::Imm(base) => base & 0xFF,
        _ => 10,
    }
}

/// AAM: AL divided by the base, usually ten: the quotient in AH, the rest in AL.
fn split_digits(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (al, base) = (cx.reg(RAX, Width::Byte), base(insn));
    if base == 0 {
        return Err(Fault::DE);
    }
    let (tens, ones) = (al / base, al % base);
    cx.set_reg(RAX, Width::Word, tens << 8 | ones);
    flags::set(cx.cpu, zsp(Width::Byte, ones));
    Ok(())
}

/// AAD: AH times the base plus AL.
fn join_digits(cx: &mut Cx<'_>, insn: &Insn) {
    let (al, ah) = (cx.reg(RAX, Width::Byte), cx.reg(RAX, Width::Word) >> 8);
    let tens = (ah * base(insn)) & 0xFF;
    let (al, status) = flags::add(Width::Byte, al, tens, false);
    cx.set_reg(RAX, Width::Word, al);
    flags::set(cx.cpu, status);
}

/// BOUND: the first operand has to lie between the two in memory, as signed numbers.
fn bound(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let (width, len) = (insn.size, insn.size.bytes());
    let index = cx.get(insn, 0)?;
    let va = cx.address(insn, false)?;
    let lower = cx.read(va, len)?;
    let upper = cx.read(va.add(u64::from(len)), len)?;
    let signed = |value: u64| width.extend(value) as i64;
    if signed(index) < signed(lower) || signed(index) > signed(upper) {
        return Err(Fault::plain(vector::BR));
    }
    Ok(())
}

/// ARPL: raises the first selector's level to the second one's.
fn adjust_level(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if cx.cpu.real_mode() {
        return Err(Fault::UD);
    }
    let place = cx.place(insn, 0)?;
    let (selector, level) = (cx.peek(place), cx.get(insn, 1)? & 3);
    let raised = selector & 3 < level;
    if raised {
        cx.put(place, selector & !3 | level);
    }
    set_some(cx.cpu, flag::ZF, when(raised, flag::ZF));
    Ok(())
}
