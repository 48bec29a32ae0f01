//! Arithmetic on singles and doubles with the host's own.
//!
//! The host rounds as IEEE 754 says, so a result is the reference interpreter's
//! if the rounding is to nearest and neither operands nor result are anything
//! special: then no exception but "inexact" can come of it, and that is booked
//! already (see [`is_ready`]). Else the region is left before the instruction.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use machine::Cpu;
use machine::cpu::insn::{Insn, Op, Operand, Width};

use super::flags::Flags;
use super::range::Range;
use super::vector::integer_width;
use super::{Emit, memory, step};

/// PE, all masks, RC.
const LOOKED_AT: u32 = 1 << 5 | 0x3F << 7 | 3 << 13;
/// Inexact booked, everything masked, to nearest.
const WANTED: u32 = 1 << 5 | 0x3F << 7;

/// Whether MXCSR is as compiled arithmetic needs it.
pub(crate) fn is_ready(cpu: &Cpu) -> bool {
    cpu.mxcsr & LOOKED_AT == WANTED
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    Mul,
    Div,
    Root,
    Min,
    Max,
}

/// Kind, format, and whether all lanes are computed.
fn arithmetic(op: Op) -> Option<(Kind, Type, bool)> {
    use types::{F32, F64};
    Some(match op {
        Op::Addsd => (Kind::Add, F64, false),
        Op::Subsd => (Kind::Sub, F64, false),
        Op::Mulsd => (Kind::Mul, F64, false),
        Op::Divsd => (Kind::Div, F64, false),
        Op::Sqrtsd => (Kind::Root, F64, false),
        Op::Minsd => (Kind::Min, F64, false),
        Op::Maxsd => (Kind::Max, F64, false),
        Op::Addpd => (Kind::Add, F64, true),
        Op::Subpd => (Kind::Sub, F64, true),
        Op::Mulpd => (Kind::Mul, F64, true),
        Op::Divpd => (Kind::Div, F64, true),
        Op::Addss => (Kind::Add, F32, false),
        Op::Subss => (Kind::Sub, F32, false),
        Op::Mulss => (Kind::Mul, F32, false),
        Op::Divss => (Kind::Div, F32, false),
        Op::Sqrtss => (Kind::Root, F32, false),
        _ => return None,
    })
}

/// Whether it is compiled.
pub(super) fn is_native(insn: &Insn) -> bool {
    match insn.op {
        Op::Ucomisd | Op::Comisd => true,
        Op::Cvtsi2sd | Op::Cvtss2sd | Op::Cvtsd2ss => true,
        Op::Cvttsd2si => true,
        op => arithmetic(op).is_some(),
    }
}

/// Whether it computes with or compares the lowest doubles, and so belongs into a
/// run.
pub(super) fn is_checked_double(insn: &Insn) -> bool {
    let is_known = match insn.op {
        Op::Ucomisd | Op::Comisd => true,
        op => matches!(arithmetic(op), Some((_, types::F64, false))),
    };
    is_known && step::is_native(insn)
}

/// Whether it needs MXCSR to be as [`is_ready`] says.
pub(crate) fn needs_mxcsr(insn: &Insn) -> bool {
    !insn.vex && is_native(insn)
}

/// The integer type of a format, and the number of bits of its fraction.
fn shape(of: Type) -> (Type, u32) {
    match of {
        types::F32 => (types::I32, 23),
        _ => (types::I64, 52),
    }
}

impl Emit<'_, '_> {
    pub(super) fn float(&mut self, insn: &Insn) {
        match insn.op {
            Op::Ucomisd | Op::Comisd => self.float_compare(insn),
            Op::Cvtsi2sd => self.convert_integer(insn),
            Op::Cvttsd2si => self.truncate(insn),
            Op::Cvtss2sd => self.convert_format(insn, types::F32, types::F64),
            Op::Cvtsd2ss => self.convert_format(insn, types::F64, types::F32),
            op => {
                if let Some((kind, of, packed)) = arithmetic(op) {
                    match packed {
                        true => self.packed(insn, kind),
                        false => self.scalar(insn, kind, of),
                    }
                }
            }
        }
    }

    /// The lowest lane of a register or memory.
    fn scalar_source(&mut self, insn: &Insn, index: usize, of: Type) -> Value {
        match insn.operands[index] {
            Operand::Xmm(register) => self.low_lane(register, of),
            _ => {
                let va = self.address(insn);
                let host = self.host(va, of.bytes() as u8, false);
                self.b.ins().load(of, memory::guest(), host, 0)
            }
        }
    }

    pub(super) fn low_lane(&mut self, register: u8, of: Type) -> Value {
        let whole = self.xmm(register);
        match self.lanes.get(&whole) {
            Some(&lane) if self.b.func.dfg.value_type(lane) == of => lane,
            _ => {
                let lanes = of.by(128 / of.bits()).unwrap_or(types::F64X2);
                let vector = self.cast(lanes, whole);
                let lane = self.b.ins().extractlane(vector, 0);
                self.lanes.insert(whole, lane);
                lane
            }
        }
    }

    pub(super) fn set_low_lane(&mut self, register: u8, lane: Value) {
        let of = self.b.func.dfg.value_type(lane);
        let lanes = of.by(128 / of.bits()).unwrap_or(types::F64X2);
        let old = self.xmm(register);
        let old = self.cast(lanes, old);
        let new = self.b.ins().insertlane(old, lane, 0);
        let new = self.cast(types::I8X16, new);
        self.lanes.insert(new, lane);
        self.set_xmm(register, new);
    }

    fn compute(&mut self, kind: Kind, a: Value, b: Value) -> Value {
        match kind {
            Kind::Add => self.b.ins().fadd(a, b),
            Kind::Sub => self.b.ins().fsub(a, b),
            Kind::Mul => self.b.ins().fmul(a, b),
            Kind::Div => self.b.ins().fdiv(a, b),
            Kind::Root => self.b.ins().sqrt(b),
            Kind::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
                self.b.ins().select(less, a, b)
            }
            Kind::Max => {
                let greater = self.b.ins().fcmp(FloatCC::GreaterThan, a, b);
                self.b.ins().select(greater, a, b)
            }
        }
    }

    /// The bits without their sign, moved up by one.
    pub(super) fn magnitude(&mut self, value: Value, of: Type) -> Value {
        let bits = self.cast(shape(of).0, value);
        self.b.ins().ishl_imm_u(bits, 1)
    }

    /// Whether a value is not a normal number above the smallest ones.
    fn is_odd(&mut self, magnitude: Value, of: Type) -> Value {
        let (integer, fraction) = shape(of);
        let exponents = (1_u64 << (of.bits() - 1 - fraction)) - 1;
        // Exponent fields 0 and 1, and the topmost, are odd.
        let from = 2_u64 << (fraction + 1);
        let many = (exponents - 2) << (fraction + 1);
        let from = self.b.ins().iconst(integer, signed(from, of));
        let many = self.b.ins().iconst(integer, signed(many, of));
        let moved = self.b.ins().isub(magnitude, from);
        self.b
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, moved, many)
    }

    /// Leaves unless the host's result is the one that is wanted, and books
    /// nothing.
    fn verify(&mut self, kind: Kind, of: Type, values: &[(Value, Value, Value)]) {
        let mut odd = None;
        let mut magnitudes = Vec::new();
        for &(a, b, result) in values {
            let row = [a, b, result].map(|value| self.magnitude(value, of));
            for (value, magnitude) in [a, b, result].into_iter().zip(row) {
                if self.clean.contains(&value) {
                    continue;
                }
                let this = self.is_odd(magnitude, of);
                odd = Some(match odd {
                    Some(odd) => self.b.ins().bor(odd, this),
                    None => this,
                });
            }
            magnitudes.push(row);
        }
        let Some(odd) = odd else {
            return;
        };
        if self.hasty.is_some() {
            self.begin_anew_if(odd);
            self.clean.extend(values.iter().map(|value| value.2));
            return;
        }
        let (slow, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(slow);
        self.b.ins().brif(odd, slow, &[], on, &[]);
        self.b.switch_to_block(slow);
        let mut bad = self.b.ins().iconst(types::I8, 0);
        for row in magnitudes {
            let this = self.is_bad(kind, of, row);
            bad = self.b.ins().bor(bad, this);
        }
        self.leave_if(bad);
        self.b.ins().jump(on, &[]);
        self.b.switch_to_block(on);
        self.clean.extend(values.iter().map(|value| value.2));
    }

    /// The same with zeros allowed where they are exact.
    fn is_bad(&mut self, kind: Kind, of: Type, [a, b, result]: [Value; 3]) -> Value {
        let fine = [a, b, result].map(|magnitude| {
            let odd = self.is_odd(magnitude, of);
            let zero = self.b.ins().icmp_imm_s(IntCC::Equal, magnitude, 0);
            (odd, zero)
        });
        let [a, b, result] = fine.map(|(odd, zero)| {
            let not_zero = self.b.ins().bxor_imm_u(zero, 1);
            (self.b.ins().band(odd, not_zero), zero)
        });
        let bad = match kind {
            Kind::Root => b.0,
            _ => self.b.ins().bor(a.0, b.0),
        };
        let bad = self.b.ins().bor(bad, result.0);
        // A zero that comes of no zero is an underflow, if it is no difference.
        let source = match kind {
            Kind::Add | Kind::Sub | Kind::Min | Kind::Max => return bad,
            Kind::Mul => self.b.ins().bor(a.1, b.1),
            Kind::Div => a.1,
            Kind::Root => b.1,
        };
        let no_source = self.b.ins().bxor_imm_u(source, 1);
        let underflow = self.b.ins().band(result.1, no_source);
        self.b.ins().bor(bad, underflow)
    }

    fn scalar(&mut self, insn: &Insn, kind: Kind, of: Type) {
        let Operand::Xmm(to) = insn.operands[0] else {
            return;
        };
        let b = self.scalar_source(insn, 1, of);
        let a = match kind {
            Kind::Root => b,
            _ => self.low_lane(to, of),
        };
        let result = self.compute(kind, a, b);
        match kind {
            _ if self.hasty.is_none() || of != types::F64 => {
                self.verify(kind, of, &[(a, b, result)]);
            }
            Kind::Add | Kind::Sub => self.combine((a, b), result, Range::sum),
            Kind::Mul => self.combine((a, b), result, Range::product),
            Kind::Min | Kind::Max => self.combine((a, b), result, Range::either),
            Kind::Div | Kind::Root => self.combine_narrowly([a, b], result),
        }
        self.set_low_lane(to, result);
    }

    /// Both doubles of a register.
    fn packed(&mut self, insn: &Insn, kind: Kind) {
        let Operand::Xmm(to) = insn.operands[0] else {
            return;
        };
        let b = self.vector_source(insn, true);
        let a = self.xmm(to);
        let [a, b] = [a, b].map(|x| self.cast(types::F64X2, x));
        let result = self.compute(kind, a, b);
        let lanes = [0_u8, 1].map(|lane| {
            let [a, b, result] = [a, b, result].map(|x| self.b.ins().extractlane(x, lane));
            (a, b, result)
        });
        self.verify(kind, types::F64, &lanes);
        self.set_xmm(to, result);
    }

    /// ZF and CF of a comparison of numbers.
    fn float_compare(&mut self, insn: &Insn) {
        let b = self.scalar_source(insn, 1, types::F64);
        let a = self.scalar_source(insn, 0, types::F64);
        if self.hasty.is_some() {
            self.range(a);
            self.range(b);
            self.flags = Flags::Order { a, b };
            return;
        }
        let mut bad = self.b.ins().fcmp(FloatCC::Unordered, a, b);
        for value in [a, b] {
            let magnitude = self.magnitude(value, types::F64);
            // Denormal numbers are 1 to 2^53 - 1 here.
            let less = self.b.ins().iadd_imm_s(magnitude, -1);
            let limit = self.constant((1 << 53) - 1);
            let denormal = self.b.ins().icmp(IntCC::UnsignedLessThan, less, limit);
            bad = self.b.ins().bor(bad, denormal);
        }
        self.leave_if(bad);
        self.flags = Flags::Order { a, b };
    }

    /// CVTSI2SD: inexact at worst.
    fn convert_integer(&mut self, insn: &Insn) {
        let Operand::Xmm(to) = insn.operands[0] else {
            return;
        };
        let value = match insn.operands[1] {
            Operand::Gpr(from) => self.register(from),
            _ => self.load(insn, integer_width(insn)),
        };
        let value = self.b.ins().fcvt_from_sint(types::F64, value);
        self.clean.insert(value);
        self.set_range(value, Range::of_integer(64));
        self.set_low_lane(to, value);
    }

    /// CVTSS2SD and CVTSD2SS of numbers that are normal, or zero, in both formats.
    fn convert_format(&mut self, insn: &Insn, from: Type, to: Type) {
        let Operand::Xmm(register) = insn.operands[0] else {
            return;
        };
        let value = self.scalar_source(insn, 1, from);
        let result = match to {
            types::F64 => self.b.ins().fpromote(to, value),
            _ => self.b.ins().fdemote(to, value),
        };
        let rows = [(value, from), (result, to)].map(|(value, of)| {
            let magnitude = self.magnitude(value, of);
            let odd = self.is_odd(magnitude, of);
            (odd, self.b.ins().icmp_imm_s(IntCC::Equal, magnitude, 0))
        });
        // Either both are ordinary, or both are zero.
        let odd = self.b.ins().bor(rows[0].0, rows[1].0);
        let zero = self.b.ins().band(rows[0].1, rows[1].1);
        let not_zero = self.b.ins().bxor_imm_u(zero, 1);
        let bad = self.b.ins().band(odd, not_zero);
        self.leave_if(bad);
        self.clean.insert(result);
        if to == types::F64 {
            self.set_range(result, Range::OF_SINGLE);
        }
        self.set_low_lane(register, result);
    }

    /// CVTTSD2SI where the result fits: inexact at worst.
    fn truncate(&mut self, insn: &Insn) {
        let Operand::Gpr(to) = insn.operands[0] else {
            return;
        };
        let value = self.scalar_source(insn, 1, types::F64);
        let edge = match to.width {
            Width::Qword => (1_u64 << 63) as f64,
            _ => f64::from(1_u32 << 31),
        };
        let magnitude = self.b.ins().fabs(value);
        let edge = self.b.ins().f64const(edge);
        let fits = self.b.ins().fcmp(FloatCC::LessThan, magnitude, edge);
        let bad = self.b.ins().bxor_imm_u(fits, 1);
        self.leave_if(bad);
        let of = super::typed(to.width);
        let result = self.b.ins().fcvt_to_sint_sat(of, value);
        self.set_register(to, result);
    }
}

/// A constant as Cranelift wants it: sign-extended from its type.
fn signed(value: u64, of: Type) -> i64 {
    match of {
        types::F32 => i64::from(value as u32 as i32),
        _ => value as i64,
    }
}
