//! x87 loads, stores, constants and register moves.

use super::x87_state::enter;
use crate::addr::VirtAddr;
use crate::cpu::fp::x87::{self, Outcome};
use crate::cpu::fp::{DOUBLE, F80, Flags, Rounding, SINGLE};
use crate::cpu::insn::{Insn, Op, Operand};
use crate::cpu::state::{X87, flag};
use crate::cpu::{Cx, Fault, Span};

/// Carries out one instruction of the family.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    enter(cx, true)?;
    match insn.op {
        Op::Fld | Op::Fild | Op::Fbld => load(cx, insn),
        Op::Fst | Op::Fist => store(cx, insn, false),
        Op::Fstp | Op::Fistp | Op::Fisttp | Op::Fbstp => store(cx, insn, true),
        Op::Fstpnce => store_if_any(cx, insn),
        Op::Fxch => with_register(cx, insn, exchange),
        Op::Fcmovb => conditional(cx, insn, flag::CF, true),
        Op::Fcmovnb => conditional(cx, insn, flag::CF, false),
        Op::Fcmove => conditional(cx, insn, flag::ZF, true),
        Op::Fcmovne => conditional(cx, insn, flag::ZF, false),
        Op::Fcmovbe => conditional(cx, insn, flag::CF | flag::ZF, true),
        Op::Fcmovnbe => conditional(cx, insn, flag::CF | flag::ZF, false),
        Op::Fcmovu => conditional(cx, insn, flag::PF, true),
        Op::Fcmovnu => conditional(cx, insn, flag::PF, false),
        Op::Ffree => with_register(cx, insn, |x87, i| {
            x87.set_c1(false);
            x87.set_empty(i, true);
        }),
        Op::Ffreep => with_register(cx, insn, |x87, i| {
            x87.set_c1(false);
            x87.set_empty(i, true);
            x87.pop();
        }),
        Op::Fincstp => stack_pointer(cx, 1),
        Op::Fdecstp => stack_pointer(cx, 7),
        Op::Fnop => Ok(()),
        _ => constant(cx, insn),
    }
}

fn constant(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    // Exponent, and 66 bits of the significand: the last two and a half say how to round.
    let (exp, sig, rest) = match insn.op {
        Op::Fldz => return push(cx, F80::zero(false)),
        Op::Fld1 => return push(cx, F80::ONE),
        Op::Fldl2t => (1, 0xd49a_784b_cd1b_8afe, 0x492b),
        Op::Fldl2e => (0, 0xb8aa_3b29_5c17_f0bb, 0xbe87),
        Op::Fldpi => (1, 0xc90f_daa2_2168_c234, 0xc4c6),
        Op::Fldlg2 => (-2, 0x9a20_9a84_fbcf_f798, 0x8f89),
        Op::Fldln2 => (-1, 0xb172_17f7_d1cf_79ab, 0xc9e3),
        _ => return Err(Fault::Missing(insn.op.name())),
    };
    let up = match cx.cpu.x87.calculation().rounding {
        Rounding::Nearest => rest >= 0x8000,
        Rounding::Up => true,
        Rounding::Down | Rounding::Zero => false,
    };
    push(cx, F80::finite(false, exp, sig + u64::from(up)))
}

fn push(cx: &mut Cx<'_>, value: F80) -> Result<(), Fault> {
    cx.cpu.x87.push(Outcome {
        value,
        flags: Flags::empty(),
        up: false,
    });
    Ok(())
}

fn with_register(cx: &mut Cx<'_>, insn: &Insn, f: impl Fn(&mut X87, u8)) -> Result<(), Fault> {
    let i = match insn.operands {
        [_, Operand::St(i), ..] | [Operand::St(i), ..] => i,
        _ => return Err(Fault::Missing(insn.op.name())),
    };
    f(&mut cx.cpu.x87, i);
    Ok(())
}

/// FXCH: an empty register takes part as the indefinite number, if that exception is masked.
fn exchange(x87: &mut X87, i: u8) {
    let (a, b) = (x87.st(0), x87.st(i));
    x87.set_c1(false);
    if (a.is_none() || b.is_none()) && !x87.stack_fault(false) {
        return;
    }
    x87.set_st(0, b.unwrap_or(F80::INDEFINITE));
    x87.set_st(i, a.unwrap_or(F80::INDEFINITE));
}

fn conditional(cx: &mut Cx<'_>, insn: &Insn, flags: u64, wanted: bool) -> Result<(), Fault> {
    let holds = cx.cpu.flag(flags) == wanted;
    with_register(cx, insn, |x87, i| match (x87.st(0), x87.st(i)) {
        (Some(_), Some(b)) => {
            if holds {
                x87.set_st(0, b);
            }
        }
        _ => x87.underflow(0, false),
    })
}

fn stack_pointer(cx: &mut Cx<'_>, by: u16) -> Result<(), Fault> {
    cx.cpu.x87.rotate(by);
    cx.cpu.x87.set_c1(false);
    Ok(())
}

/// Ten bytes of memory.
fn read_ten(cx: &mut Cx<'_>, insn: &Insn) -> Result<F80, Fault> {
    let va = cx.address(insn, false)?;
    let (low, high) = prepare(cx, insn, va, false)?;
    let sig = cx.load(low);
    let se = high.map_or(0, |high| cx.load(high));
    Ok(F80 { sig, se: se as u16 })
}

fn load(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let exactly = |value| Outcome {
        value,
        flags: Flags::empty(),
        up: false,
    };
    let outcome = match (insn.op, insn.operands[0], insn.mem.bytes) {
        (Op::Fld, Operand::St(i), _) => {
            match cx.cpu.x87.st(i) {
                Some(value) => cx.cpu.x87.push(exactly(value)),
                None => underflowing_load(&mut cx.cpu.x87),
            }
            return Ok(());
        }
        (Op::Fld, _, 4) => x87::load(SINGLE, cx.get(insn, 0)?),
        (Op::Fld, _, 8) => x87::load(DOUBLE, cx.get(insn, 0)?),
        (Op::Fld, _, _) => exactly(read_ten(cx, insn)?),
        (Op::Fbld, _, _) => {
            let ten = read_ten(cx, insn)?;
            exactly(x87::from_bcd(ten.to_bytes()))
        }
        (_, _, 2) => exactly(x87::from_int((cx.get(insn, 0)? as i16).into())),
        (_, _, 4) => exactly(x87::from_int((cx.get(insn, 0)? as i32).into())),
        _ => exactly(x87::from_int(cx.get(insn, 0)? as i64)),
    };
    cx.cpu.x87.push(outcome);
    Ok(())
}

/// FLD of an empty register.
fn underflowing_load(x87: &mut X87) {
    if x87.stack_fault(false) {
        x87.push_raw(F80::INDEFINITE);
    }
}

/// The value that a store to memory writes, and how that went.
fn stored(insn: &Insn, a: F80, x87: &X87) -> Outcome<F80> {
    let control = x87.calculation();
    let bytes = insn.mem.bytes;
    let bits = 8 * u32::from(bytes.min(8));
    let narrow = |o: Outcome<u64>| Outcome {
        value: F80 {
            sig: o.value,
            se: 0,
        },
        flags: o.flags,
        up: o.up,
    };
    let integer = |o: Outcome<i64>| Outcome {
        value: F80 {
            sig: o.value as u64 & u64::MAX >> (64 - bits),
            se: 0,
        },
        flags: o.flags,
        up: o.up,
    };
    match (insn.op, bytes) {
        (Op::Fst | Op::Fstp, 4) => narrow(x87::store(SINGLE, a, control)),
        (Op::Fst | Op::Fstp, 8) => narrow(x87::store(DOUBLE, a, control)),
        (Op::Fst | Op::Fstp, _) => Outcome {
            value: a,
            flags: Flags::empty(),
            up: false,
        },
        (Op::Fisttp, _) => integer(x87::to_int(a, bits, Rounding::Zero)),
        (Op::Fbstp, _) => {
            let o = x87::to_bcd(a, control.rounding);
            Outcome {
                value: F80::from_bytes(o.value),
                flags: o.flags,
                up: o.up,
            }
        }
        _ => integer(x87::to_int(a, bits, control.rounding)),
    }
}

/// What is stored for an empty register.
fn indefinite(insn: &Insn) -> F80 {
    let bytes = insn.mem.bytes;
    let low = |sig| F80 { sig, se: 0 };
    match (insn.op, bytes) {
        (Op::Fst | Op::Fstp, 4) => low(SINGLE.indefinite()),
        (Op::Fst | Op::Fstp, 8) => low(DOUBLE.indefinite()),
        (Op::Fst | Op::Fstp | Op::Fbstp, _) => F80::INDEFINITE,
        _ => low(1 << (8 * u32::from(bytes) - 1)),
    }
}

fn store(cx: &mut Cx<'_>, insn: &Insn, pop: bool) -> Result<(), Fault> {
    if let Operand::St(i) = insn.operands[0] {
        return store_register(cx, i, pop);
    }
    let number = cx.cpu.x87.st(0);
    let outcome = match number {
        Some(a) => stored(insn, a, &cx.cpu.x87),
        None => Outcome {
            value: indefinite(insn),
            flags: Flags::INVALID,
            up: false,
        },
    };
    // An unmasked overflow or underflow has no scaled form in memory.
    let unmasked = outcome.flags.difference(cx.cpu.x87.masked());
    let lost = unmasked.intersects(Flags::BEFORE | Flags::OVERFLOW | Flags::UNDERFLOW);
    let place = match lost {
        true => None,
        false => {
            let va = cx.address(insn, true)?;
            Some(prepare(cx, insn, va, true)?)
        }
    };
    let x87 = &mut cx.cpu.x87;
    match number {
        Some(_) => _ = x87.accept(&outcome),
        None => _ = x87.stack_fault(false),
    }
    let Some((low, high)) = place else {
        return Ok(());
    };
    if pop {
        x87.pop();
    }
    cx.store(low, outcome.value.sig);
    if let Some(high) = high {
        cx.store(high, outcome.value.se.into());
    }
    Ok(())
}

/// Translates a number in memory: up to 8 bytes, and two more of an 80-bit number.
fn prepare(
    cx: &mut Cx<'_>,
    insn: &Insn,
    va: VirtAddr,
    write: bool,
) -> Result<(Span, Option<Span>), Fault> {
    let rights = cx.rights(write);
    let low = cx.span(va, insn.mem.bytes.min(8) as u8, rights)?;
    let high = match insn.mem.bytes {
        10 => Some(cx.span(VirtAddr(va.0.wrapping_add(8)), 2, rights)?),
        _ => None,
    };
    Ok((low, high))
}

/// D9 D8+i, an alias of FSTP that no manual lists: an empty register is popped without a word.
fn store_if_any(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.operands[0] {
        Operand::St(i) if !cx.cpu.x87.is_empty(0) => store_register(cx, i, true),
        _ => {
            cx.cpu.x87.set_c1(false);
            cx.cpu.x87.pop();
            Ok(())
        }
    }
}

fn store_register(cx: &mut Cx<'_>, i: u8, pop: bool) -> Result<(), Fault> {
    let x87 = &mut cx.cpu.x87;
    match x87.st(0) {
        Some(a) => {
            x87.finish(
                i,
                Outcome {
                    value: a,
                    flags: Flags::empty(),
                    up: false,
                },
                pop,
            );
        }
        None => x87.underflow(i, pop),
    }
    Ok(())
}
