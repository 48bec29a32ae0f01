//! Multiplication and division.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};

use super::Emit;
use super::alu::{RAX, RDX, whole};
use super::flags::Flags;

impl Emit<'_, '_> {
    /// IMUL with two or three operands, and the forms that fill rdx:rax.
    pub(super) fn multiply(&mut self, insn: &Insn) {
        let width = insn.size;
        if insn.operands[1] == Operand::None {
            return self.multiply_wide(insn);
        }
        let three = insn.operands[2] != Operand::None;
        let a = self.read(insn, usize::from(three), width);
        let b = self.read(insn, 1 + usize::from(three), width);
        let low = self.b.ins().imul(a, b);
        let lost = match width {
            Width::Qword => {
                let high = self.b.ins().smulhi(a, b);
                let signs = self.b.ins().sshr_imm_u(low, 63);
                self.b.ins().icmp(IntCC::NotEqual, high, signs)
            }
            _ => {
                let [a, b] = [a, b].map(|x| self.b.ins().sextend(types::I64, x));
                let product = self.b.ins().imul(a, b);
                let again = self.b.ins().sextend(types::I64, low);
                self.b.ins().icmp(IntCC::NotEqual, product, again)
            }
        };
        self.set(insn, low);
        self.product_flags(width, low, lost);
    }

    fn multiply_wide(&mut self, insn: &Insn) {
        let width = insn.size;
        let b = self.read(insn, 0, width);
        let a = self.register(whole(RAX, width));
        let unsigned = insn.op == Op::Mul;
        let (low, high) = match (width, unsigned) {
            (Width::Qword, true) => (self.b.ins().imul(a, b), self.b.ins().umulhi(a, b)),
            (Width::Qword, false) => (self.b.ins().imul(a, b), self.b.ins().smulhi(a, b)),
            (_, unsigned) => {
                let [a, b] = [a, b].map(|x| match unsigned {
                    true => self.b.ins().uextend(types::I64, x),
                    false => self.b.ins().sextend(types::I64, x),
                });
                let product = self.b.ins().imul(a, b);
                let low = self.narrow(product, width);
                let high = self.b.ins().ushr_imm_u(product, 32);
                (low, self.narrow(high, width))
            }
        };
        let lost = match unsigned {
            true => self.b.ins().icmp_imm_s(IntCC::NotEqual, high, 0),
            false => {
                let signs = self.b.ins().sshr_imm_u(low, i64::from(width.bits()) - 1);
                self.b.ins().icmp(IntCC::NotEqual, high, signs)
            }
        };
        self.set_register(whole(RAX, width), low);
        self.set_register(whole(RDX, width), high);
        self.product_flags(width, low, lost);
    }

    /// SF and PF of the low half, CF and OF if the high one matters.
    fn product_flags(&mut self, width: Width, low: Value, lost: Value) {
        let lost = self.wide(lost);
        let overflow = self.b.ins().ishl_imm_u(lost, 11);
        let rest = self.b.ins().bor(lost, overflow);
        let result = low;
        self.flags = Flags::Product {
            width,
            result,
            rest,
        };
    }

    /// DIV and IDIV where the host's own division gives the result; the rest,
    /// faults among it, is left to the reference interpreter.
    pub(super) fn divide(&mut self, insn: &Insn) {
        let width = insn.size;
        let divisor = self.read(insn, 0, width);
        let (low, high) = (
            self.register(whole(RAX, width)),
            self.register(whole(RDX, width)),
        );
        let (quotient, remainder) = match insn.op {
            Op::Div => self.divide_unsigned(width, low, high, divisor),
            _ => self.divide_signed(width, low, high, divisor),
        };
        self.set_register(whole(RAX, width), quotient);
        self.set_register(whole(RDX, width), remainder);
    }

    fn divide_unsigned(
        &mut self,
        width: Width,
        low: Value,
        high: Value,
        by: Value,
    ) -> (Value, Value) {
        // Else the quotient does not fit, or the divisor is zero.
        let bad = self
            .b
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, high, by);
        let bad = match width {
            Width::Qword => {
                let wide = self.b.ins().icmp_imm_s(IntCC::NotEqual, high, 0);
                self.b.ins().bor(bad, wide)
            }
            _ => bad,
        };
        self.leave_if(bad);
        if width == Width::Qword {
            return (self.b.ins().udiv(low, by), self.b.ins().urem(low, by));
        }
        let [low, high, by] = [low, high, by].map(|x| self.wide(x));
        let high = self.b.ins().ishl_imm_u(high, 32);
        let dividend = self.b.ins().bor(high, low);
        let quotient = self.b.ins().udiv(dividend, by);
        let remainder = self.b.ins().urem(dividend, by);
        (self.narrow(quotient, width), self.narrow(remainder, width))
    }

    fn divide_signed(
        &mut self,
        width: Width,
        low: Value,
        high: Value,
        by: Value,
    ) -> (Value, Value) {
        // Zero, and minus one with its overflow.
        let above = self.b.ins().iadd_imm_s(by, 1);
        let bad = self
            .b
            .ins()
            .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, above, 1);
        self.leave_if(bad);
        if width == Width::Qword {
            let signs = self.b.ins().sshr_imm_u(low, 63);
            let bad = self.b.ins().icmp(IntCC::NotEqual, high, signs);
            self.leave_if(bad);
            return (self.b.ins().sdiv(low, by), self.b.ins().srem(low, by));
        }
        let [low, high] = [low, high].map(|x| self.wide(x));
        let high = self.b.ins().ishl_imm_u(high, 32);
        let dividend = self.b.ins().bor(high, low);
        let by = self.b.ins().sextend(types::I64, by);
        let quotient = self.b.ins().sdiv(dividend, by);
        let short = self.narrow(quotient, width);
        let again = self.b.ins().sextend(types::I64, short);
        let bad = self.b.ins().icmp(IntCC::NotEqual, again, quotient);
        self.leave_if(bad);
        let remainder = self.b.ins().srem(dividend, by);
        (short, self.narrow(remainder, width))
    }
}
