//! Multiplication and division.

use super::flags::{self, when, zsp};
use crate::cpu::insn::{Insn, Op, Operand, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

const RAX: u8 = 0;
const RDX: u8 = 2;

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Imul if insn.operands[1] != Operand::None => multiply_into(cx, insn),
        Op::Mul | Op::Imul => multiply_wide(cx, insn),
        _ => divide(cx, insn),
    }
}

/// Status after a multiplication: SF and PF of the low half, ZF and AF clear; only CF and OF are
/// promised by the manual.
fn status(width: Width, low: u64, lost: bool) -> u64 {
    zsp(width, low) & !flag::ZF | when(lost, flag::CF | flag::OF)
}

/// IMUL with two or three operands.
fn multiply_into(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let three = insn.operands[2] != Operand::None;
    let a = cx.get(insn, usize::from(three))?;
    let b = cx.get(insn, 1 + usize::from(three))?;
    let product = signed(width, a) * signed(width, b);
    let low = product as u64 & width.mask();
    cx.set(insn, 0, low)?;
    flags::set(cx.cpu, status(width, low, signed(width, low) != product));
    Ok(())
}

fn signed(width: Width, value: u64) -> i128 {
    i128::from(width.extend(value) as i64)
}

/// MUL and IMUL with one operand: the product fills rdx:rax, or ax.
fn multiply_wide(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let b = cx.get(insn, 0)?;
    let a = cx.reg(RAX, width);
    let (product, lost) = match insn.op {
        Op::Mul => {
            let product = u128::from(a) * u128::from(b);
            (product, product >> width.bits() != 0)
        }
        _ => {
            let product = signed(width, a) * signed(width, b);
            (product as u128, signed(width, product as u64) != product)
        }
    };
    let low = product as u64 & width.mask();
    let high = (product >> width.bits()) as u64 & width.mask();
    if width == Width::Byte {
        cx.set_reg(RAX, Width::Word, high << 8 | low);
    } else {
        cx.set_reg(RAX, width, low);
        cx.set_reg(RDX, width, high);
    }
    flags::set(cx.cpu, status(width, low, lost));
    Ok(())
}

/// DIV and IDIV. Flags are undefined; they stay as they were.
fn divide(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let width = insn.size;
    let divisor = cx.get(insn, 0)?;
    if divisor == 0 {
        return Err(Fault::DE);
    }
    let dividend = match width {
        Width::Byte => u128::from(cx.reg(RAX, Width::Word)),
        _ => u128::from(cx.reg(RDX, width)) << width.bits() | u128::from(cx.reg(RAX, width)),
    };
    let (quotient, remainder) = match insn.op {
        Op::Div => divide_unsigned(width, dividend, divisor)?,
        _ => divide_signed(width, dividend, divisor)?,
    };
    if width == Width::Byte {
        cx.set_reg(RAX, Width::Word, remainder << 8 | quotient);
    } else {
        cx.set_reg(RAX, width, quotient);
        cx.set_reg(RDX, width, remainder);
    }
    Ok(())
}

fn divide_unsigned(width: Width, dividend: u128, divisor: u64) -> Result<(u64, u64), Fault> {
    let quotient = dividend / u128::from(divisor);
    if quotient > u128::from(width.mask()) {
        return Err(Fault::DE);
    }
    Ok((quotient as u64, (dividend % u128::from(divisor)) as u64))
}

fn divide_signed(width: Width, dividend: u128, divisor: u64) -> Result<(u64, u64), Fault> {
    let unused = 128 - 2 * width.bits();
    let dividend = ((dividend << unused) as i128) >> unused;
    let divisor = signed(width, divisor);
    // The one quotient that i128 cannot hold is far outside the range, too.
    let quotient = dividend.checked_div(divisor).ok_or(Fault::DE)?;
    let low = quotient as u64 & width.mask();
    if signed(width, low) != quotient {
        return Err(Fault::DE);
    }
    Ok((low, (dividend % divisor) as u64 & width.mask()))
}
