//! Shifts and rotates.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};
use machine::cpu::state::flag;

use super::Emit;
use super::flags::Flags;

/// Bits of the count that matter.
const fn count_mask(width: Width) -> u64 {
    if matches!(width, Width::Qword) {
        63
    } else {
        31
    }
}

/// The count, if the instruction says it.
pub(super) fn constant_count(insn: &Insn) -> Option<u64> {
    match insn.operands[1] {
        Operand::None => Some(1),
        Operand::Imm(count) => Some(count & count_mask(insn.size)),
        _ => None,
    }
}

/// Whether it is compiled.
pub(super) fn is_native(insn: &Insn) -> bool {
    match insn.op {
        Op::Shl | Op::Shr | Op::Sar => true,
        // Rotates of narrow registers are rare.
        Op::Rol | Op::Ror => {
            constant_count(insn).is_some() && matches!(insn.size, Width::Dword | Width::Qword)
        }
        _ => false,
    }
}

impl Emit<'_, '_> {
    pub(super) fn shift(&mut self, insn: &Insn) {
        let place = self.place_of(insn);
        let a = self.peek(insn, place);
        match constant_count(insn) {
            Some(0) => self.put(insn, place, a),
            Some(count) => {
                let count = self.constant(count);
                let (result, flags) = self.shifted(insn, a, count);
                self.put(insn, place, result);
                self.flags = flags;
            }
            None => {
                let raw = self.read(insn, 1, Width::Byte);
                let raw = self.wide(raw);
                let mask = count_mask(insn.size) as i64;
                let count = self.b.ins().band_imm_u(raw, mask);
                let before = self.status();
                let (result, flags) = self.shifted(insn, a, count);
                self.put(insn, place, result);
                self.flags = flags;
                let after = self.status();
                let none = self.b.ins().icmp_imm_s(IntCC::Equal, count, 0);
                self.flags = Flags::Bits(self.b.ins().select(none, before, after));
            }
        }
    }

    /// The result, with the flags for a count that is not zero.
    fn shifted(&mut self, insn: &Insn, a: Value, count: Value) -> (Value, Flags) {
        match insn.op {
            Op::Shl => self.left(insn.size, a, count),
            Op::Shr => self.right(insn.size, a, count),
            Op::Sar => self.arithmetic(insn.size, a, count),
            op => self.rotated(insn.size, a, count, op == Op::Rol),
        }
    }

    /// Bit `number` of a 64-bit value, alone.
    fn lone(&mut self, value: Value, number: Value) -> Value {
        let moved = self.b.ins().ushr(value, number);
        self.b.ins().band_imm_u(moved, 1)
    }

    fn lone_at(&mut self, value: Value, number: u32) -> Value {
        let moved = self.b.ins().ushr_imm_u(value, i64::from(number));
        self.b.ins().band_imm_u(moved, 1)
    }

    /// CF and OF in their places.
    fn carry_and_overflow(&mut self, carry: Value, overflow: Value) -> Value {
        let moved = self.b.ins().ishl_imm_u(overflow, 11);
        self.b.ins().bor(carry, moved)
    }

    fn left(&mut self, width: Width, a: Value, count: Value) -> (Value, Flags) {
        let wide = self.wide(a);
        let shifted = self.b.ins().ishl(wide, count);
        let result = self.narrow(shifted, width);
        // The last bit out: above the result, or (of 64) found in the operand.
        let carry = match width {
            Width::Qword => {
                let negative = self.b.ins().ineg(count);
                self.lone(wide, negative)
            }
            _ => self.lone_at(shifted, width.bits()),
        };
        let top = self.lone_at(shifted, width.bits() - 1);
        let overflow = self.b.ins().bxor(top, carry);
        let rest = self.carry_and_overflow(carry, overflow);
        (
            result,
            Flags::Result {
                width,
                result,
                rest,
            },
        )
    }

    fn right(&mut self, width: Width, a: Value, count: Value) -> (Value, Flags) {
        let wide = self.wide(a);
        let shifted = self.b.ins().ushr(wide, count);
        let result = self.narrow(shifted, width);
        let before = self.b.ins().iadd_imm_s(count, -1);
        let carry = self.lone(wide, before);
        let top = self.lone_at(shifted, width.bits() - 1);
        let second = self.lone_at(shifted, width.bits() - 2);
        let overflow = self.b.ins().bxor(top, second);
        let rest = self.carry_and_overflow(carry, overflow);
        (
            result,
            Flags::Result {
                width,
                result,
                rest,
            },
        )
    }

    fn arithmetic(&mut self, width: Width, a: Value, count: Value) -> (Value, Flags) {
        let wide = match width {
            Width::Qword => a,
            _ => self.b.ins().sextend(types::I64, a),
        };
        let shifted = self.b.ins().sshr(wide, count);
        let result = self.narrow(shifted, width);
        let before = self.b.ins().iadd_imm_s(count, -1);
        let last = self.b.ins().sshr(wide, before);
        let rest = self.b.ins().band_imm_u(last, 1);
        (
            result,
            Flags::Result {
                width,
                result,
                rest,
            },
        )
    }

    /// Rotates change CF and OF only.
    fn rotated(&mut self, width: Width, a: Value, count: Value, left: bool) -> (Value, Flags) {
        let before = self.status();
        let result = match left {
            true => self.b.ins().rotl(a, count),
            false => self.b.ins().rotr(a, count),
        };
        let wide = self.wide(result);
        let top = self.lone_at(wide, width.bits() - 1);
        let (carry, other) = match left {
            true => (self.lone_at(wide, 0), top),
            false => (top, self.lone_at(wide, width.bits() - 2)),
        };
        let overflow = match left {
            true => self.b.ins().bxor(other, carry),
            false => self.b.ins().bxor(top, other),
        };
        let rest = self.carry_and_overflow(carry, overflow);
        let kept = !(flag::CF | flag::OF) & flag::STATUS;
        let kept = self.b.ins().band_imm_u(before, kept as i64);
        (result, Flags::Bits(self.b.ins().bor(kept, rest)))
    }
}
