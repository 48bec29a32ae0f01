//! FMA: a multiplication and an addition in one rounding.

use super::avx::{self, halves};
use super::sse::{merged, missing, settle};
use super::sse_float::Shape::{self, Packed, Scalar};
use super::sse_float::{lane, place, width};
use crate::cpu::fp::fused::{Kind, multiply_add};
use crate::cpu::fp::sse::Control;
use crate::cpu::fp::{DOUBLE, Flags, Format, SINGLE};
use crate::cpu::insn::{FIRST, Insn, Op, Operand};
use crate::cpu::{Cx, Fault};

/// Which operands (counted from 0) are multiplied, and which is added.
type Form = [usize; 3];
const FORM_132: Form = [0, 2, 1];
const FORM_213: Form = [1, 0, 2];
const FORM_231: Form = [1, 2, 0];

/// What the even and the odd lanes do.
type Kinds = [Kind; 2];
const ADD: Kinds = [Kind::Add; 2];
const SUB: Kinds = [Kind::Sub; 2];
const NEGATED_ADD: Kinds = [Kind::NegatedAdd; 2];
const NEGATED_SUB: Kinds = [Kind::NegatedSub; 2];
const ADD_SUB: Kinds = [Kind::Sub, Kind::Add];
const SUB_ADD: Kinds = [Kind::Add, Kind::Sub];

/// Carries out one instruction of the family: those whose product is of the first and the third
/// operand here, the other forms below.
pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vfmadd132ps => fused(cx, insn, FORM_132, ADD, SINGLE, Packed),
        Op::Vfmadd132ss => fused(cx, insn, FORM_132, ADD, SINGLE, Scalar),
        Op::Vfmadd132pd => fused(cx, insn, FORM_132, ADD, DOUBLE, Packed),
        Op::Vfmadd132sd => fused(cx, insn, FORM_132, ADD, DOUBLE, Scalar),
        Op::Vfmsub132ps => fused(cx, insn, FORM_132, SUB, SINGLE, Packed),
        Op::Vfmsub132ss => fused(cx, insn, FORM_132, SUB, SINGLE, Scalar),
        Op::Vfmsub132pd => fused(cx, insn, FORM_132, SUB, DOUBLE, Packed),
        Op::Vfmsub132sd => fused(cx, insn, FORM_132, SUB, DOUBLE, Scalar),
        Op::Vfnmadd132ps => fused(cx, insn, FORM_132, NEGATED_ADD, SINGLE, Packed),
        Op::Vfnmadd132ss => fused(cx, insn, FORM_132, NEGATED_ADD, SINGLE, Scalar),
        Op::Vfnmadd132pd => fused(cx, insn, FORM_132, NEGATED_ADD, DOUBLE, Packed),
        Op::Vfnmadd132sd => fused(cx, insn, FORM_132, NEGATED_ADD, DOUBLE, Scalar),
        Op::Vfnmsub132ps => fused(cx, insn, FORM_132, NEGATED_SUB, SINGLE, Packed),
        Op::Vfnmsub132ss => fused(cx, insn, FORM_132, NEGATED_SUB, SINGLE, Scalar),
        Op::Vfnmsub132pd => fused(cx, insn, FORM_132, NEGATED_SUB, DOUBLE, Packed),
        Op::Vfnmsub132sd => fused(cx, insn, FORM_132, NEGATED_SUB, DOUBLE, Scalar),
        Op::Vfmaddsub132ps => fused(cx, insn, FORM_132, ADD_SUB, SINGLE, Packed),
        Op::Vfmaddsub132pd => fused(cx, insn, FORM_132, ADD_SUB, DOUBLE, Packed),
        Op::Vfmsubadd132ps => fused(cx, insn, FORM_132, SUB_ADD, SINGLE, Packed),
        Op::Vfmsubadd132pd => fused(cx, insn, FORM_132, SUB_ADD, DOUBLE, Packed),
        _ => form_213(cx, insn),
    }
}

/// The product is of the first two operands.
fn form_213(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vfmadd213ps => fused(cx, insn, FORM_213, ADD, SINGLE, Packed),
        Op::Vfmadd213ss => fused(cx, insn, FORM_213, ADD, SINGLE, Scalar),
        Op::Vfmadd213pd => fused(cx, insn, FORM_213, ADD, DOUBLE, Packed),
        Op::Vfmadd213sd => fused(cx, insn, FORM_213, ADD, DOUBLE, Scalar),
        Op::Vfmsub213ps => fused(cx, insn, FORM_213, SUB, SINGLE, Packed),
        Op::Vfmsub213ss => fused(cx, insn, FORM_213, SUB, SINGLE, Scalar),
        Op::Vfmsub213pd => fused(cx, insn, FORM_213, SUB, DOUBLE, Packed),
        Op::Vfmsub213sd => fused(cx, insn, FORM_213, SUB, DOUBLE, Scalar),
        Op::Vfnmadd213ps => fused(cx, insn, FORM_213, NEGATED_ADD, SINGLE, Packed),
        Op::Vfnmadd213ss => fused(cx, insn, FORM_213, NEGATED_ADD, SINGLE, Scalar),
        Op::Vfnmadd213pd => fused(cx, insn, FORM_213, NEGATED_ADD, DOUBLE, Packed),
        Op::Vfnmadd213sd => fused(cx, insn, FORM_213, NEGATED_ADD, DOUBLE, Scalar),
        Op::Vfnmsub213ps => fused(cx, insn, FORM_213, NEGATED_SUB, SINGLE, Packed),
        Op::Vfnmsub213ss => fused(cx, insn, FORM_213, NEGATED_SUB, SINGLE, Scalar),
        Op::Vfnmsub213pd => fused(cx, insn, FORM_213, NEGATED_SUB, DOUBLE, Packed),
        Op::Vfnmsub213sd => fused(cx, insn, FORM_213, NEGATED_SUB, DOUBLE, Scalar),
        Op::Vfmaddsub213ps => fused(cx, insn, FORM_213, ADD_SUB, SINGLE, Packed),
        Op::Vfmaddsub213pd => fused(cx, insn, FORM_213, ADD_SUB, DOUBLE, Packed),
        Op::Vfmsubadd213ps => fused(cx, insn, FORM_213, SUB_ADD, SINGLE, Packed),
        Op::Vfmsubadd213pd => fused(cx, insn, FORM_213, SUB_ADD, DOUBLE, Packed),
        _ => form_231(cx, insn),
    }
}

/// The product is of the last two operands.
fn form_231(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Vfmadd231ps => fused(cx, insn, FORM_231, ADD, SINGLE, Packed),
        Op::Vfmadd231ss => fused(cx, insn, FORM_231, ADD, SINGLE, Scalar),
        Op::Vfmadd231pd => fused(cx, insn, FORM_231, ADD, DOUBLE, Packed),
        Op::Vfmadd231sd => fused(cx, insn, FORM_231, ADD, DOUBLE, Scalar),
        Op::Vfmsub231ps => fused(cx, insn, FORM_231, SUB, SINGLE, Packed),
        Op::Vfmsub231ss => fused(cx, insn, FORM_231, SUB, SINGLE, Scalar),
        Op::Vfmsub231pd => fused(cx, insn, FORM_231, SUB, DOUBLE, Packed),
        Op::Vfmsub231sd => fused(cx, insn, FORM_231, SUB, DOUBLE, Scalar),
        Op::Vfnmadd231ps => fused(cx, insn, FORM_231, NEGATED_ADD, SINGLE, Packed),
        Op::Vfnmadd231ss => fused(cx, insn, FORM_231, NEGATED_ADD, SINGLE, Scalar),
        Op::Vfnmadd231pd => fused(cx, insn, FORM_231, NEGATED_ADD, DOUBLE, Packed),
        Op::Vfnmadd231sd => fused(cx, insn, FORM_231, NEGATED_ADD, DOUBLE, Scalar),
        Op::Vfnmsub231ps => fused(cx, insn, FORM_231, NEGATED_SUB, SINGLE, Packed),
        Op::Vfnmsub231ss => fused(cx, insn, FORM_231, NEGATED_SUB, SINGLE, Scalar),
        Op::Vfnmsub231pd => fused(cx, insn, FORM_231, NEGATED_SUB, DOUBLE, Packed),
        Op::Vfnmsub231sd => fused(cx, insn, FORM_231, NEGATED_SUB, DOUBLE, Scalar),
        Op::Vfmaddsub231ps => fused(cx, insn, FORM_231, ADD_SUB, SINGLE, Packed),
        Op::Vfmaddsub231pd => fused(cx, insn, FORM_231, ADD_SUB, DOUBLE, Packed),
        Op::Vfmsubadd231ps => fused(cx, insn, FORM_231, SUB_ADD, SINGLE, Packed),
        Op::Vfmsubadd231pd => fused(cx, insn, FORM_231, SUB_ADD, DOUBLE, Packed),
        _ => missing(insn),
    }
}

/// A scalar form leaves the other lanes of the destination's low half.
fn fused(
    cx: &mut Cx<'_>,
    insn: &Insn,
    form: Form,
    kinds: Kinds,
    format: Format,
    shape: Shape,
) -> Result<(), Fault> {
    let last = halves(cx, insn, 1)?;
    let operands = [halves(cx, insn, 0)?, halves(cx, insn, FIRST)?, last];
    let [a, b, c] = form.map(|number| operands[number]);
    let control = Control::from_mxcsr(cx.cpu.mxcsr);
    let mut value = operands[0];
    let mut flags = Flags::empty();
    let count = match insn.operands[0] {
        Operand::Ymm(_) => 2,
        _ => 1,
    };
    for half in 0..count {
        let operands = [a[half], b[half], c[half]];
        let (result, raised) = lanes(operands, kinds, format, shape, control);
        let bits = match shape {
            Packed => 128,
            Scalar => width(format),
        };
        value[half] = merged(value[half], result, bits);
        flags |= raised;
    }
    settle(cx, flags)?;
    avx::set(cx, insn, value)
}

/// The lanes of one half.
fn lanes(
    operands: [u128; 3],
    kinds: Kinds,
    format: Format,
    shape: Shape,
    control: Control,
) -> (u128, Flags) {
    let count = match shape {
        Packed => 128 / width(format),
        Scalar => 1,
    };
    let (mut value, mut flags) = (0, Flags::empty());
    for i in 0..count {
        let kind = kinds[(i & 1) as usize];
        let lanes = operands.map(|operand| lane(operand, format, i));
        let (result, raised) = multiply_add(kind, format, lanes, control);
        value |= place(result, format, i);
        flags |= raised;
    }
    (value, flags)
}
