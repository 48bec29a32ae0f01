//! Addition, subtraction and logic.

use super::flags::{self, Flagged, add, logic, sub};
use crate::cpu::insn::{Insn, Op, Width};
use crate::cpu::state::flag;
use crate::cpu::{Cx, Fault};

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Cmp | Op::Test => compare(cx, insn),
        Op::Adcx | Op::Adox => add_in_chain(cx, insn),
        Op::Inc | Op::Dec | Op::Neg | Op::Not => unary(cx, insn),
        _ => binary(cx, insn),
    }
}

fn binary(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let place = cx.place(insn, 0)?;
    let b = cx.get(insn, 1)? & insn.size.mask();
    let a = cx.peek(place);
    let carry = cx.cpu.flag(flag::CF);
    let (result, status) = combine(insn.op, insn.size, a, b, carry)?;
    cx.put(place, result);
    flags::set(cx.cpu, status);
    Ok(())
}

#[inline]
fn combine(op: Op, width: Width, a: u64, b: u64, carry: bool) -> Result<Flagged, Fault> {
    Ok(match op {
        Op::Add => add(width, a, b, false),
        Op::Adc => add(width, a, b, carry),
        Op::Sub => sub(width, a, b, false),
        Op::Sbb => sub(width, a, b, carry),
        Op::And => logic(width, a & b),
        Op::Or => logic(width, a | b),
        Op::Xor => logic(width, a ^ b),
        _ => return Err(Fault::Missing(op.name())),
    })
}

/// ADCX and ADOX: each has one flag as its carry, and changes no other, so that two chains of
/// additions can take turns.
fn add_in_chain(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let chain = match insn.op {
        Op::Adcx => flag::CF,
        _ => flag::OF,
    };
    let a = cx.get(insn, 0)?;
    let b = cx.get(insn, 1)?;
    let (result, status) = add(insn.size, a, b, cx.cpu.flag(chain));
    cx.set(insn, 0, result)?;
    cx.cpu.set_flag(chain, status & flag::CF != 0);
    Ok(())
}

fn compare(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let a = cx.get(insn, 0)?;
    let b = cx.get(insn, 1)? & insn.size.mask();
    let (_, status) = match insn.op {
        Op::Cmp => sub(insn.size, a, b, false),
        _ => logic(insn.size, a & b),
    };
    flags::set(cx.cpu, status);
    Ok(())
}

fn unary(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let place = cx.place(insn, 0)?;
    let a = cx.peek(place);
    // INC and DEC leave CF alone; NOT leaves all flags.
    let keep_carry = flag::STATUS & !flag::CF;
    let ((result, status), changed) = match insn.op {
        Op::Inc => (add(insn.size, a, 1, false), keep_carry),
        Op::Dec => (sub(insn.size, a, 1, false), keep_carry),
        Op::Neg => (sub(insn.size, 0, a, false), flag::STATUS),
        _ => ((!a, 0), 0),
    };
    cx.put(place, result);
    flags::set_some(cx.cpu, changed, status);
    Ok(())
}
