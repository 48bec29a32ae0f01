//! The x87's elementary functions: where operands come from and results go.

use super::x87_state::status;
use crate::cpu::Fault;
use crate::cpu::fp::elementary;
use crate::cpu::fp::x87::{Control, Outcome};
use crate::cpu::fp::{F80, Kind};
use crate::cpu::insn::Op;
use crate::cpu::state::X87;

/// Carries out one of them.
pub(super) fn execute(x87: &mut X87, op: Op) -> Result<(), Fault> {
    match op {
        Op::F2xm1 => unary(x87),
        Op::Fyl2x => binary(x87, elementary::y_log2),
        Op::Fyl2xp1 => binary(x87, elementary::y_log2_of_one_more),
        Op::Fpatan => binary(x87, elementary::atan2),
        Op::Fsin => of_angle(x87, elementary::sin),
        Op::Fcos => of_angle(x87, elementary::cos),
        Op::Fsincos => two_of_angle(x87, elementary::sin, |a, _, control| {
            elementary::cos(a, control)
        }),
        Op::Fptan => two_of_angle(x87, elementary::tan, |_, tan, _| Some(one_beside(tan))),
        _ => return Err(Fault::Missing(op.name())),
    }
    Ok(())
}

/// F2XM1.
fn unary(x87: &mut X87) {
    match x87.st(0) {
        Some(a) => {
            let outcome = elementary::exp2_minus_1(a, x87.calculation());
            x87.finish(0, outcome, false);
        }
        None => x87.underflow(0, false),
    }
}

/// `st(1) = f(st(1), st(0))`, and a pop.
fn binary(x87: &mut X87, f: impl Fn(F80, F80, Control) -> Outcome<F80>) {
    match (x87.st(1), x87.st(0)) {
        (Some(y), Some(x)) => {
            let outcome = f(y, x, x87.calculation());
            x87.finish(1, outcome, true);
        }
        _ => x87.underflow(1, true),
    }
}

/// C2 says that the operand was out of range and nothing has been done.
fn out_of_range(x87: &mut X87) {
    x87.set_c1(false);
    x87.status |= status::C2;
}

/// FSIN and FCOS.
fn of_angle(x87: &mut X87, f: impl Fn(F80, Control) -> Option<Outcome<F80>>) {
    x87.status &= !status::C2;
    let Some(a) = x87.st(0) else {
        return x87.underflow(0, false);
    };
    match f(a, x87.calculation()) {
        Some(outcome) => {
            x87.finish(0, outcome, false);
        }
        None => out_of_range(x87),
    }
}

/// FSINCOS and FPTAN: the first result replaces the operand, the second one is pushed.
fn two_of_angle(
    x87: &mut X87,
    first: impl Fn(F80, Control) -> Option<Outcome<F80>>,
    second: impl Fn(F80, &Outcome<F80>, Control) -> Option<Outcome<F80>>,
) {
    x87.status &= !status::C2;
    let operand = x87.st(0).filter(|_| x87.is_empty(7));
    let Some(a) = operand else {
        if x87.stack_fault(!x87.is_empty(0)) {
            x87.set_st(0, F80::INDEFINITE);
            x87.push_raw(F80::INDEFINITE);
        }
        return;
    };
    let control = x87.calculation();
    let results = first(a, control).and_then(|one| Some((one, second(a, &one, control)?)));
    let Some((one, mut two)) = results else {
        return out_of_range(x87);
    };
    two.flags |= one.flags;
    if x87.accept(&two) {
        x87.set_st(0, one.value);
        x87.push_raw(two.value);
    }
}

/// What FPTAN pushes: 1, or the NaN that the tangent is.
fn one_beside(tan: &Outcome<F80>) -> Outcome<F80> {
    let value = match tan.value.unpack().kind {
        Kind::Nan => tan.value,
        _ => F80::ONE,
    };
    Outcome { value, ..*tan }
}
