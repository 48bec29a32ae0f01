//! x87 arithmetic and comparisons.

use super::sse_float::relation_flags;
use super::x87_functions;
use super::x87_state::{check_pending, enter, status};
use crate::cpu::fp::x87::{self, Control, Outcome, Step};
use crate::cpu::fp::{DOUBLE, F80, Flags, Kind, Relation, SINGLE};
use crate::cpu::insn::{Insn, Op, Operand};
use crate::cpu::state::{X87, cr0, flag};
use crate::cpu::{Cx, Fault};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    if insn.op == Op::Wait {
        return wait(cx);
    }
    enter(cx, true)?;
    match insn.op {
        Op::Fadd | Op::Faddp | Op::Fiadd => binary(cx, insn, x87::add),
        Op::Fmul | Op::Fmulp | Op::Fimul => binary(cx, insn, x87::mul),
        Op::Fsub | Op::Fsubp | Op::Fisub => binary(cx, insn, x87::sub),
        Op::Fdiv | Op::Fdivp | Op::Fidiv => binary(cx, insn, x87::div),
        Op::Fsubr | Op::Fsubrp | Op::Fisubr => binary(cx, insn, |a, b, c| x87::sub(b, a, c)),
        Op::Fdivr | Op::Fdivrp | Op::Fidivr => binary(cx, insn, |a, b, c| x87::div(b, a, c)),
        Op::Fcom | Op::Ficom => compare(cx, insn, false, 0),
        Op::Fcomp | Op::Ficomp => compare(cx, insn, false, 1),
        Op::Fcompp => compare(cx, insn, false, 2),
        Op::Fucom => compare(cx, insn, true, 0),
        Op::Fucomp => compare(cx, insn, true, 1),
        Op::Fucompp => compare(cx, insn, true, 2),
        Op::Fcomi => compare_flags(cx, insn, false, false),
        Op::Fcomip => compare_flags(cx, insn, false, true),
        Op::Fucomi => compare_flags(cx, insn, true, false),
        Op::Fucomip => compare_flags(cx, insn, true, true),
        _ => unary_operation(cx, insn),
    }
}

fn unary_operation(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let x87 = &mut cx.cpu.x87;
    match insn.op {
        Op::Fsqrt => unary(x87, x87::sqrt),
        Op::Frndint => unary(x87, x87::round_to_whole),
        Op::Fchs => sign(x87, |se| se ^ 0x8000),
        Op::Fabs => sign(x87, |se| se & 0x7fff),
        Op::Fscale => scale(x87),
        Op::Fxtract => extract(x87),
        Op::Fprem => remainder(x87, false),
        Op::Fprem1 => remainder(x87, true),
        Op::Ftst => test(x87),
        Op::Fxam => examine(x87),
        op => return x87_functions::execute(x87, op),
    }
    Ok(())
}

/// WAIT has a rule of its own for #NM, and then only looks for exceptions.
fn wait(cx: &mut Cx<'_>) -> Result<(), Fault> {
    if cx.cpu.cr0 & cr0::MP != 0 && cx.cpu.cr0 & cr0::TS != 0 {
        return Err(Fault::NM);
    }
    check_pending(cx)
}

/// A memory operand in the wide format with a signalling NaN still signalling, and whether it
/// was a denormal.
fn memory_operand(cx: &mut Cx<'_>, insn: &Insn) -> Result<(F80, bool), Fault> {
    let bits = cx.get(insn, 0)?;
    let integer = matches!(
        insn.op,
        Op::Fiadd
            | Op::Fimul
            | Op::Fisub
            | Op::Fisubr
            | Op::Fidiv
            | Op::Fidivr
            | Op::Ficom
            | Op::Ficomp
    );
    Ok(match (integer, insn.mem.bytes) {
        (true, 2) => (x87::from_int((bits as i16).into()), false),
        (true, _) => (x87::from_int((bits as i32).into()), false),
        (false, 4) => x87::widen(SINGLE, bits),
        (false, _) => x87::widen(DOUBLE, bits),
    })
}

/// Adds the denormal exception of a memory operand that the wide format can normalise.
fn with_denormal(outcome: Outcome<F80>, denormal: bool) -> Outcome<F80> {
    let precluded = outcome.flags.intersects(Flags::DIVIDE | Flags::INVALID)
        || outcome.value.unpack().kind == Kind::Nan;
    let flags = match denormal && !precluded {
        true => outcome.flags | Flags::DENORMAL,
        false => outcome.flags,
    };
    Outcome { flags, ..outcome }
}

/// `st(i) = f(st(i), operand)`.
fn binary(
    cx: &mut Cx<'_>,
    insn: &Insn,
    f: impl Fn(F80, F80, Control) -> Outcome<F80>,
) -> Result<(), Fault> {
    let pop = matches!(
        insn.op,
        Op::Faddp | Op::Fmulp | Op::Fsubp | Op::Fsubrp | Op::Fdivp | Op::Fdivrp
    );
    if let (Operand::St(a), Operand::St(b)) = (insn.operands[0], insn.operands[1]) {
        let x87 = &mut cx.cpu.x87;
        match (x87.st(a), x87.st(b)) {
            (Some(x), Some(y)) => {
                x87.finish(a, f(x, y, x87.calculation()), pop);
            }
            _ => x87.underflow(a, pop),
        }
        return Ok(());
    }
    let (operand, denormal) = memory_operand(cx, insn)?;
    let x87 = &mut cx.cpu.x87;
    match x87.st(0) {
        Some(x) => {
            let outcome = f(x, operand, x87.calculation());
            x87.finish(0, with_denormal(outcome, denormal), false);
        }
        None => x87.underflow(0, false),
    }
    Ok(())
}

fn unary(x87: &mut X87, f: impl Fn(F80, Control) -> Outcome<F80>) {
    match x87.st(0) {
        Some(a) => {
            x87.finish(0, f(a, x87.calculation()), false);
        }
        None => x87.underflow(0, false),
    }
}

fn sign(x87: &mut X87, f: impl Fn(u16) -> u16) {
    match x87.st(0) {
        Some(a) => {
            x87.set_c1(false);
            x87.set_st(0, F80 { se: f(a.se), ..a });
        }
        None => x87.underflow(0, false),
    }
}

fn scale(x87: &mut X87) {
    match (x87.st(0), x87.st(1)) {
        (Some(a), Some(b)) => {
            x87.finish(0, x87::scale(a, b, x87.calculation()), false);
        }
        _ => x87.underflow(0, false),
    }
}

/// FXTRACT: the exponent replaces the operand, the significand is pushed.
fn extract(x87: &mut X87) {
    let Some(a) = x87.st(0) else {
        if x87.stack_fault(false) {
            x87.set_st(0, F80::INDEFINITE);
            x87.push_raw(F80::INDEFINITE);
        }
        return;
    };
    if !x87.is_empty(7) {
        if x87.stack_fault(true) {
            x87.set_st(0, F80::INDEFINITE);
            x87.push_raw(F80::INDEFINITE);
        }
        return;
    }
    let (exponent, significand) = x87::extract(a);
    if x87.accept(&significand) {
        x87.set_st(0, exponent);
        x87.push_raw(significand.value);
    }
}

/// FPREM and FPREM1. C0, C3 and C1 are bits of a quotient that there is; C2 says that the
/// reduction is not complete.
fn remainder(x87: &mut X87, nearest: bool) {
    x87.status &= !status::C2;
    let (Some(a), Some(b)) = (x87.st(0), x87.st(1)) else {
        return x87.underflow(0, false);
    };
    let (outcome, step) = x87::remainder(a, b, nearest, x87.calculation());
    if !x87.finish(0, outcome, false) {
        return;
    }
    match step {
        Step::None => {}
        Step::Partial => x87.set_conditions(status::C2),
        Step::Whole(quotient) => {
            let bit = |n: u8, condition: u16| if quotient >> n & 1 != 0 { condition } else { 0 };
            x87.set_conditions(bit(2, status::C0) | bit(1, status::C3) | bit(0, status::C1));
        }
    }
}

const fn conditions(relation: Relation) -> u16 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => status::C0,
        Relation::Equal => status::C3,
        Relation::Unordered => status::C3 | status::C2 | status::C0,
    }
}

/// FCOM and FUCOM: the result in C3, C2 and C0.
fn compare(cx: &mut Cx<'_>, insn: &Insn, quiet: bool, pops: u32) -> Result<(), Fault> {
    let (other, denormal) = match insn.operands {
        [Operand::Mem, ..] => {
            let (value, denormal) = memory_operand(cx, insn)?;
            (Some(value), denormal)
        }
        [_, Operand::St(i), ..] | [Operand::St(i), Operand::None, ..] => (cx.cpu.x87.st(i), false),
        _ => (cx.cpu.x87.st(1), false),
    };
    compare_with(&mut cx.cpu.x87, other, denormal, quiet, pops);
    Ok(())
}

fn compare_with(x87: &mut X87, other: Option<F80>, denormal: bool, quiet: bool, pops: u32) {
    let (relation, proceeds) = match (x87.st(0), other) {
        (Some(a), Some(b)) => {
            let (relation, mut flags) = x87::compare(a, b, quiet);
            if denormal && relation != Relation::Unordered {
                flags |= Flags::DENORMAL;
            }
            (relation, x87.raise(flags))
        }
        _ => (Relation::Unordered, x87.stack_fault(false)),
    };
    // The conditions are set even if an unmasked exception keeps the operands on the stack.
    x87.set_conditions(conditions(relation));
    if proceeds {
        (0..pops).for_each(|_| x87.pop());
    }
}

fn test(x87: &mut X87) {
    compare_with(x87, Some(F80::zero(false)), false, false, 0);
}

/// FCOMI and FUCOMI: the result in RFLAGS.
fn compare_flags(cx: &mut Cx<'_>, insn: &Insn, quiet: bool, pop: bool) -> Result<(), Fault> {
    let Operand::St(i) = insn.operands[1] else {
        return Err(Fault::Missing(insn.op.name()));
    };
    let x87 = &mut cx.cpu.x87;
    let (relation, proceeds) = match (x87.st(0), x87.st(i)) {
        (Some(a), Some(b)) => {
            let (relation, flags) = x87::compare(a, b, quiet);
            (relation, x87.raise(flags))
        }
        _ => (Relation::Unordered, x87.stack_fault(false)),
    };
    if proceeds && pop {
        x87.pop();
    }
    cx.cpu.rflags = cx.cpu.rflags & !flag::STATUS | relation_flags(relation);
    Ok(())
}

/// FXAM: what sort of thing is in st(0), even if it is empty.
fn examine(x87: &mut X87) {
    let a = x87.raw(0);
    let number = a.unpack();
    let class = match number.kind {
        _ if x87.is_empty(0) => status::C3 | status::C0,
        Kind::Unsupported => 0,
        Kind::Nan => status::C0,
        Kind::Finite if number.denormal => status::C3 | status::C2,
        Kind::Finite => status::C2,
        Kind::Infinity => status::C2 | status::C0,
        Kind::Zero => status::C3,
    };
    x87.set_conditions(class);
    x87.set_c1(a.sign());
}
