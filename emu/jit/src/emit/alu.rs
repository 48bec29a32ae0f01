//! Integer addition, subtraction and logic, and where results go.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};
use machine::cpu::insn::{Gpr, Insn, Op, Operand, Width};

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
}
