//! Integer arithmetic, logic and moves.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Gpr, Insn, Op, Operand, Width};
use machine::cpu::state::flag;

use super::flags::{Flags, is_same_register};
use super::{Emit, memory, typed};

pub(super) const RAX: u8 = 0;
pub(super) const RDX: u8 = 2;

/// Where a result goes.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Register(Gpr),
    /// The host's address, found for writing.
    Memory(Value),
}

/// The width of an operand.
pub(super) fn width_of(insn: &Insn, index: usize) -> Width {
    match insn.operands[index] {
        Operand::Gpr(reg) => reg.width,
        Operand::Mem => Width::from_bytes(usize::from(insn.mem.bytes)).unwrap_or(insn.size),
        _ => insn.size,
    }
}

pub(super) const fn whole(index: u8, width: Width) -> Gpr {
    Gpr {
        index,
        width,
        high: false,
    }
}

impl Emit<'_, '_> {
    /// Prepares an operand that is written.
    pub(super) fn place_of(&mut self, insn: &Insn) -> Place {
        match insn.operands[0] {
            Operand::Gpr(reg) => Place::Register(reg),
            _ => {
                let va = self.address(insn);
                Place::Memory(self.host(va, insn.mem.bytes as u8, true))
            }
        }
    }

    pub(super) fn peek(&mut self, insn: &Insn, place: Place) -> Value {
        match place {
            Place::Register(reg) => self.register(reg),
            Place::Memory(host) => {
                let of = typed(insn.size);
                self.b.ins().load(of, memory::guest(), host, 0)
            }
        }
    }

    pub(super) fn put(&mut self, _insn: &Insn, place: Place, value: Value) {
        match place {
            Place::Register(reg) => self.set_register(reg, value),
            Place::Memory(host) => {
                self.b.ins().store(memory::guest(), value, host, 0);
            }
        }
    }

    /// Writes operand 0.
    pub(super) fn set(&mut self, insn: &Insn, value: Value) {
        match insn.operands[0] {
            Operand::Gpr(reg) => self.set_register(reg, value),
            _ => self.store(insn, value, width_of(insn, 0)),
        }
    }

    pub(super) fn arithmetic_operation(&mut self, insn: &Insn) {
        match insn.op {
            Op::Cmp | Op::Test => self.compare(insn),
            Op::Inc | Op::Dec | Op::Neg | Op::Not => self.unary(insn),
            Op::Adc | Op::Sbb => self.with_carry(insn),
            _ => self.binary(insn),
        }
    }

    fn binary(&mut self, insn: &Insn) {
        let width = insn.size;
        if matches!(insn.op, Op::Xor | Op::Sub) && is_same_register(insn) {
            let result = self.b.ins().iconst(typed(width), 0);
            self.set(insn, result);
            self.flags = Flags::Logic { width, result };
            return;
        }
        let place = self.place_of(insn);
        let b = self.read(insn, 1, width);
        let a = self.peek(insn, place);
        let (result, flags) = match insn.op {
            Op::Add => {
                let result = self.b.ins().iadd(a, b);
                (result, Flags::Add { width, result, b })
            }
            Op::Sub => {
                let difference = self.b.ins().isub(a, b);
                let result = Some(difference);
                (
                    difference,
                    Flags::Sub {
                        width,
                        a,
                        b,
                        result,
                    },
                )
            }
            op => {
                let result = match op {
                    Op::And => self.b.ins().band(a, b),
                    Op::Or => self.b.ins().bor(a, b),
                    _ => self.b.ins().bxor(a, b),
                };
                (result, Flags::Logic { width, result })
            }
        };
        self.put(insn, place, result);
        self.flags = flags;
    }

    /// ADC and SBB: carries and overflows by the formulas of the manual.
    fn with_carry(&mut self, insn: &Insn) {
        let width = insn.size;
        let place = self.place_of(insn);
        let b = self.read(insn, 1, width);
        let a = self.peek(insn, place);
        let carry = self.carry();
        let carry = match width {
            Width::Byte => carry,
            _ => self.b.ins().uextend(typed(width), carry),
        };
        let add = insn.op == Op::Adc;
        let result = if add {
            let sum = self.b.ins().iadd(a, b);
            self.b.ins().iadd(sum, carry)
        } else {
            let difference = self.b.ins().isub(a, b);
            self.b.ins().isub(difference, carry)
        };
        let x = if add { a } else { self.b.ins().bnot(a) };
        let through = if add {
            self.b.ins().bnot(result)
        } else {
            result
        };
        let (both, any) = (self.b.ins().band(x, b), self.b.ins().bor(x, b));
        let through = self.b.ins().band(any, through);
        let carries = self.b.ins().bor(both, through);
        let other = if add {
            self.b.ins().bxor(b, result)
        } else {
            self.b.ins().bxor(a, b)
        };
        let moved = self.b.ins().bxor(a, result);
        let overflow = self.b.ins().band(other, moved);
        let rest = self.rest_of(carries, overflow);
        self.put(insn, place, result);
        self.flags = Flags::Result {
            width,
            result,
            rest,
        };
    }

    /// CF, AF and OF from the carries out of each bit and the changes of sign.
    fn rest_of(&mut self, carries: Value, overflow: Value) -> Value {
        let carry = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, carries, 0);
        let overflow = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, overflow, 0);
        let carry = self.wide(carry);
        let overflow = self.wide(overflow);
        let overflow = self.b.ins().ishl_imm_u(overflow, 11);
        let carries = self.wide(carries);
        let adjust = self.b.ins().band_imm_u(carries, 8);
        let adjust = self.b.ins().ishl_imm_u(adjust, 1);
        let word = self.b.ins().bor(carry, overflow);
        self.b.ins().bor(word, adjust)
    }

    fn compare(&mut self, insn: &Insn) {
        let width = insn.size;
        let a = self.read(insn, 0, width);
        let b = self.read(insn, 1, width);
        self.flags = match insn.op {
            Op::Cmp => Flags::Sub {
                width,
                a,
                b,
                result: None,
            },
            _ => {
                let result = if a == b { a } else { self.b.ins().band(a, b) };
                Flags::Logic { width, result }
            }
        };
    }

    fn unary(&mut self, insn: &Insn) {
        let width = insn.size;
        let place = self.place_of(insn);
        let a = self.peek(insn, place);
        let of = typed(width);
        let (result, flags) = match insn.op {
            Op::Not => (self.b.ins().bnot(a), self.flags),
            Op::Neg => {
                let zero = self.b.ins().iconst(of, 0);
                let negative = self.b.ins().ineg(a);
                let result = Some(negative);
                let (a, b) = (zero, a);
                (
                    negative,
                    Flags::Sub {
                        width,
                        a,
                        b,
                        result,
                    },
                )
            }
            op => {
                let down = op == Op::Dec;
                let carry = self.wide_carry();
                let result = self.b.ins().iadd_imm_s(a, if down { -1 } else { 1 });
                let flags = Flags::Step {
                    width,
                    result,
                    down,
                    carry,
                };
                (result, flags)
            }
        };
        self.put(insn, place, result);
        self.flags = flags;
    }

    pub(super) fn move_operation(&mut self, insn: &Insn) {
        match insn.op {
            Op::Mov | Op::Movnti => {
                let value = self.read(insn, 1, insn.size);
                self.set(insn, value);
            }
            Op::Movzx | Op::Movsx | Op::Movsxd => self.extend(insn),
            Op::Lea => {
                let value = self.offset(insn);
                let value = self.narrow(value, width_of(insn, 0));
                self.set(insn, value);
            }
            Op::Cmovcc => {
                let width = width_of(insn, 0);
                let source = self.read(insn, 1, width);
                let old = self.read(insn, 0, width);
                // An odd condition is the opposite of the even one before it.
                let holds = self.condition(insn.condition & !1);
                let value = match insn.condition & 1 {
                    0 => self.b.ins().select(holds, source, old),
                    _ => self.b.ins().select(holds, old, source),
                };
                self.set(insn, value);
            }
            Op::Setcc => {
                let holds = self.condition(insn.condition);
                self.set(insn, holds);
            }
            op => self.convert(op),
        }
    }

    fn extend(&mut self, insn: &Insn) {
        let (from, to) = (width_of(insn, 1), width_of(insn, 0));
        let value = self.read(insn, 1, from);
        let of = typed(to);
        let value = match insn.op {
            _ if from == to => value,
            Op::Movzx => self.b.ins().uextend(of, value),
            _ => self.b.ins().sextend(of, value),
        };
        self.set(insn, value);
    }

    /// CWDE, CDQE, CDQ, CQO.
    fn convert(&mut self, op: Op) {
        let (from, to) = match op {
            Op::Cwde => (Width::Word, Width::Dword),
            Op::Cdqe => (Width::Dword, Width::Qword),
            Op::Cdq => (Width::Dword, Width::Dword),
            _ => (Width::Qword, Width::Qword),
        };
        let value = self.register(whole(RAX, from));
        if from == to {
            let signs = self.b.ins().sshr_imm_u(value, i64::from(from.bits()) - 1);
            return self.set_register(whole(RDX, to), signs);
        }
        let value = self.b.ins().sextend(typed(to), value);
        self.set_register(whole(RAX, to), value);
    }

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
        self.flags = Flags::Result {
            width,
            result,
            rest,
        };
        let status = self.status();
        let kept = !flag::ZF & flag::STATUS;
        self.flags = Flags::Bits(self.b.ins().band_imm_u(status, kept as i64));
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

    /// BT of a register, BSWAP, POPCNT, BSF and BSR.
    pub(super) fn bits(&mut self, insn: &Insn) {
        match insn.op {
            Op::Bt => self.bit_test(insn),
            Op::Bswap => {
                let value = self.read(insn, 0, insn.size);
                let value = self.b.ins().bswap(value);
                self.set(insn, value);
            }
            Op::Popcnt => {
                let source = self.read(insn, 1, insn.size);
                let count = self.b.ins().popcnt(source);
                self.set(insn, count);
                let zero = self.b.ins().icmp_imm_s(IntCC::Equal, source, 0);
                let zero = self.wide(zero);
                self.flags = Flags::Bits(self.b.ins().ishl_imm_u(zero, 6));
            }
            _ => self.scan(insn),
        }
    }

    fn bit_test(&mut self, insn: &Insn) {
        let width = insn.size;
        let value = self.read(insn, 0, width);
        let number = self.read(insn, 1, width);
        let number = self.b.ins().band_imm_u(number, i64::from(width.bits()) - 1);
        let moved = self.b.ins().ushr(value, number);
        let moved = self.wide(moved);
        let bit = self.b.ins().band_imm_u(moved, 1);
        let before = self.status();
        let kept = flag::STATUS & !flag::CF;
        let kept = self.b.ins().band_imm_u(before, kept as i64);
        self.flags = Flags::Bits(self.b.ins().bor(kept, bit));
    }

    /// A zero source leaves the destination as it was.
    fn scan(&mut self, insn: &Insn) {
        let width = insn.size;
        let Operand::Gpr(to) = insn.operands[0] else {
            return;
        };
        let source = self.read(insn, 1, width);
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, source, 0);
        let found = match insn.op {
            Op::Bsf => self.b.ins().ctz(source),
            _ => {
                let leading = self.b.ins().clz(source);
                let top = self
                    .b
                    .ins()
                    .iconst(typed(width), i64::from(width.bits()) - 1);
                self.b.ins().isub(top, leading)
            }
        };
        let found = self.wide(found);
        let result = self.b.ins().ireduce(types::I8, found);
        let rest = self.constant(0);
        self.flags = Flags::Result {
            width: Width::Byte,
            result,
            rest,
        };
        let status = self.status();
        let parity = self.b.ins().band_imm_u(status, flag::PF as i64);
        let nothing = self.constant(flag::ZF | flag::PF);
        self.flags = Flags::Bits(self.b.ins().select(zero, nothing, parity));
        let variable = self.gpr[usize::from(to.index & 15)];
        let old = self.b.use_var(variable);
        let new = self.b.ins().select(zero, old, found);
        self.b.def_var(variable, new);
    }
}
