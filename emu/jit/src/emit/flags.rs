//! Lazy flags at compile time: which values the flags of the last operation
//! follow from.

use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};

use super::{Emit, step, typed};
use crate::lazy::{self, kind};

/// What the status flags are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flags {
    /// The three variables say so, at run time; the carry is in a fourth, if
    /// the block asked for it.
    Lazy,
    /// A status word of 64 bits.
    Bits(Value),
    /// A logical operation.
    Logic { width: Width, result: Value },
    /// A sum.
    Add {
        width: Width,
        result: Value,
        b: Value,
    },
    /// A difference; a comparison has no use for its result.
    Sub {
        width: Width,
        a: Value,
        b: Value,
        result: Option<Value>,
    },
    /// INC or DEC; CF is a value of 64 bits.
    Step {
        width: Width,
        result: Value,
        down: bool,
        carry: Value,
    },
    /// A comparison of two doubles that are numbers.
    Order { a: Value, b: Value },
    /// Anything else: CF, AF and OF are the bits of a word.
    Result {
        width: Width,
        result: Value,
        rest: Value,
    },
    /// The same, but ZF is clear.
    Product {
        width: Width,
        result: Value,
        rest: Value,
    },
}

impl Flags {
    /// The values that they follow from.
    pub(super) fn values(self) -> Vec<Value> {
        match self {
            Flags::Lazy => Vec::new(),
            Flags::Bits(bits) => vec![bits],
            Flags::Logic { result, .. } => vec![result],
            Flags::Add { result, b, .. } => vec![result, b],
            Flags::Sub { a, b, result, .. } => [a, b].into_iter().chain(result).collect(),
            Flags::Step { result, carry, .. } => vec![result, carry],
            Flags::Result { result, rest, .. } | Flags::Product { result, rest, .. } => {
                vec![result, rest]
            }
            Flags::Order { a, b } => vec![a, b],
        }
    }

    /// The same of other values.
    pub(super) fn with(mut self, values: &[Value]) -> Flags {
        match (&mut self, values) {
            (Flags::Bits(bits), &[x]) => *bits = x,
            (Flags::Logic { result, .. }, &[x]) => *result = x,
            (Flags::Add { result, b, .. }, &[x, y]) => (*result, *b) = (x, y),
            (Flags::Sub { a, b, result, .. }, &[x, y, ref rest @ ..]) => {
                (*a, *b, *result) = (x, y, rest.first().copied());
            }
            (Flags::Step { result, carry, .. }, &[x, y]) => (*result, *carry) = (x, y),
            (Flags::Result { result, rest, .. } | Flags::Product { result, rest, .. }, &[x, y]) => {
                (*result, *rest) = (x, y);
            }
            (Flags::Order { a, b }, &[x, y]) => (*a, *b) = (x, y),
            _ => {}
        }
        self
    }
}

/// What a block wants to know of the flags at its beginning, if several ways
/// lead there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// Enough to tell them when it is left.
    #[default]
    Nothing,
    /// The carry.
    Carry,
    /// All of them.
    All,
}

/// What an instruction does to the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    /// Replaces all of them.
    Writes,
    /// Keeps CF and replaces the others.
    KeepsCarry,
    /// Wants to know CF, and replaces or keeps them all.
    ReadsCarry,
    /// Wants to know some of them.
    Reads,
    /// Replaces some and keeps the others.
    Merges,
}

fn effect(insn: &Insn) -> Effect {
    match insn.op {
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Cmp | Op::Test | Op::Neg => {
            Effect::Writes
        }
        Op::Imul | Op::Mul | Op::Bsf | Op::Bsr | Op::Popcnt => Effect::Writes,
        Op::Comisd | Op::Comiss | Op::Ucomisd | Op::Ucomiss => Effect::Writes,
        Op::Inc | Op::Dec => Effect::KeepsCarry,
        Op::Adc | Op::Sbb => Effect::ReadsCarry,
        Op::Shl | Op::Shr | Op::Sar if super::shift::constant_count(insn) == Some(0) => {
            Effect::None
        }
        Op::Shl | Op::Shr | Op::Sar if super::shift::constant_count(insn).is_some() => {
            Effect::Writes
        }
        Op::Shl | Op::Shr | Op::Sar | Op::Rol | Op::Ror | Op::Bt => Effect::Merges,
        Op::Shld | Op::Shrd => Effect::Reads,
        Op::Jcc | Op::Setcc | Op::Cmovcc if insn.condition >> 1 == 1 => Effect::ReadsCarry,
        Op::Jcc | Op::Setcc | Op::Cmovcc => Effect::Reads,
        _ => Effect::None,
    }
}

/// What these instructions, and those behind them, want to know.
pub(super) fn wish(mut insns: &[(u64, Insn)], behind: Wish) -> Wish {
    let (mut carry_only, mut wish) = (false, Wish::Nothing);
    while let Some(((_, insn), rest)) = insns.split_first() {
        insns = rest;
        match effect(insn) {
            Effect::None => {}
            Effect::Writes => return wish,
            Effect::KeepsCarry => {
                carry_only = true;
                wish = wish.max(Wish::Carry);
            }
            Effect::ReadsCarry => {
                wish = wish.max(Wish::Carry);
                if matches!(insn.op, Op::Adc | Op::Sbb) {
                    return wish;
                }
            }
            Effect::Reads | Effect::Merges if carry_only => {}
            Effect::Merges if are_dead(rest) => {}
            Effect::Reads | Effect::Merges => return Wish::All,
        }
    }
    match carry_only {
        true => wish.max(behind.min(Wish::Carry)),
        false => wish.max(behind),
    }
}

/// Whether nobody learns the flags before these instructions: all are replaced before any of
/// them is read, and before the region can be left.
fn are_dead(insns: &[(u64, Insn)]) -> bool {
    for (_, insn) in insns {
        match effect(insn) {
            _ if !step::stays(insn) => return false,
            Effect::Writes => return true,
            Effect::None | Effect::KeepsCarry | Effect::Merges => {}
            Effect::Reads | Effect::ReadsCarry => return false,
        }
    }
    false
}

impl Emit<'_, '_> {
    /// The flags as three words for [`crate::lazy`].
    pub(super) fn words(&mut self) -> [Value; 3] {
        let (kind, x, y) = self.description();
        let kind = match kind {
            Some(kind) => self.constant(kind),
            None => self.b.use_var(self.lazy[0]),
        };
        [kind, x, y]
    }

    /// The same, the first one if it is known now. The last may be anything
    /// where the kind does not need it.
    pub(super) fn description(&mut self) -> (Option<u64>, Value, Value) {
        let (operation, width, x, y) = match self.flags {
            Flags::Lazy => {
                let [x, y] = [1, 2].map(|i| self.b.use_var(self.lazy[i]));
                return (None, x, y);
            }
            Flags::Bits(bits) => return (Some(lazy::BITS.into()), bits, bits),
            Flags::Logic { width, result } => (lazy::LOGIC, width, result, None),
            Flags::Add { width, result, b } => (lazy::ADD, width, result, Some(b)),
            Flags::Sub {
                width,
                a,
                b,
                result,
            } => match result {
                Some(result) => (lazy::SUB, width, result, Some(b)),
                None => (lazy::CMP, width, a, Some(b)),
            },
            Flags::Step {
                width,
                result,
                down,
                carry,
            } => {
                let operation = if down { lazy::DEC } else { lazy::INC };
                (operation, width, result, Some(carry))
            }
            Flags::Order { .. } => {
                let status = self.status();
                return (Some(lazy::BITS.into()), status, status);
            }
            Flags::Result {
                width,
                result,
                rest,
            } => (lazy::RESULT, width, result, Some(rest)),
            Flags::Product {
                width,
                result,
                rest,
            } => (lazy::PRODUCT, width, result, Some(rest)),
        };
        let x = self.wide(x);
        let y = match y {
            Some(y) => self.wide(y),
            None => x,
        };
        (Some(kind(operation, width)), x, y)
    }

    /// CF as a value of 8 bits.
    pub(super) fn carry(&mut self) -> Value {
        match self.flags {
            Flags::Lazy => {
                let carry = self.b.use_var(self.carry);
                self.b.ins().ireduce(types::I8, carry)
            }
            Flags::Bits(bits) => self.bit(bits, 0),
            Flags::Logic { .. } => self.b.ins().iconst(types::I8, 0),
            Flags::Add { result, b, .. } => self.b.ins().icmp(IntCC::UnsignedLessThan, result, b),
            Flags::Sub { a, b, .. } => self.b.ins().icmp(IntCC::UnsignedLessThan, a, b),
            Flags::Step { carry, .. } => self.b.ins().ireduce(types::I8, carry),
            Flags::Result { rest, .. } | Flags::Product { rest, .. } => self.bit(rest, 0),
            Flags::Order { a, b } => self.b.ins().fcmp(FloatCC::LessThan, a, b),
        }
    }

    /// CF as a value of 64 bits.
    pub(super) fn wide_carry(&mut self) -> Value {
        match self.flags {
            Flags::Lazy => self.b.use_var(self.carry),
            Flags::Step { carry, .. } => carry,
            _ => {
                let carry = self.carry();
                self.wide(carry)
            }
        }
    }

    fn bit(&mut self, word: Value, bit: i64) -> Value {
        let moved = match bit {
            0 => word,
            _ => self.b.ins().ushr_imm_u(word, bit),
        };
        let low = self.b.ins().ireduce(types::I8, moved);
        self.b.ins().band_imm_u(low, 1)
    }

    /// The result from which ZF, SF and PF follow; none if they are bits.
    fn result(&mut self) -> Option<(Width, Value)> {
        Some(match self.flags {
            Flags::Lazy | Flags::Bits(_) | Flags::Order { .. } => return None,
            Flags::Sub {
                width,
                a,
                b,
                result,
            } => match result {
                Some(result) => (width, result),
                None => (width, self.b.ins().isub(a, b)),
            },
            Flags::Logic { width, result }
            | Flags::Add { width, result, .. }
            | Flags::Step { width, result, .. }
            | Flags::Result { width, result, .. }
            | Flags::Product { width, result, .. } => (width, result),
        })
    }

    /// The status word, if all that is known is one.
    fn status_bits(&mut self) -> Value {
        match self.flags {
            Flags::Bits(bits) => bits,
            Flags::Order { a, b } => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
                let equal = self.b.ins().fcmp(FloatCC::Equal, a, b);
                let (less, equal) = (self.wide(less), self.wide(equal));
                let equal = self.b.ins().ishl_imm_u(equal, 6);
                self.b.ins().bor(less, equal)
            }
            // A block that reads flags has asked for all of them.
            _ => self.b.use_var(self.lazy[1]),
        }
    }

    fn zero(&mut self) -> Value {
        match self.flags {
            Flags::Sub { a, b, .. } => return self.b.ins().icmp(IntCC::Equal, a, b),
            Flags::Product { .. } => return self.b.ins().iconst(types::I8, 0),
            _ => {}
        }
        match self.result() {
            Some((_, result)) => self.b.ins().icmp_imm_s(IntCC::Equal, result, 0),
            None => {
                let bits = self.status_bits();
                self.bit(bits, 6)
            }
        }
    }

    fn sign(&mut self) -> Value {
        match self.result() {
            Some((_, result)) => self.b.ins().icmp_imm_s(IntCC::SignedLessThan, result, 0),
            None => {
                let bits = self.status_bits();
                self.bit(bits, 7)
            }
        }
    }

    fn parity(&mut self) -> Value {
        let Some((_, result)) = self.result() else {
            let bits = self.status_bits();
            return self.bit(bits, 2);
        };
        // One bit for each value of four: set if an even number of them is.
        const EVEN: i64 = 0x9669;
        let result = self.wide(result);
        let high = self.b.ins().ushr_imm_u(result, 4);
        let folded = self.b.ins().bxor(result, high);
        let nibble = self.b.ins().band_imm_u(folded, 15);
        let table = self.b.ins().iconst(types::I64, EVEN);
        let moved = self.b.ins().ushr(table, nibble);
        self.bit(moved, 0)
    }

    fn overflow(&mut self) -> Value {
        match self.flags {
            Flags::Lazy | Flags::Bits(_) | Flags::Order { .. } => {
                let bits = self.status_bits();
                self.bit(bits, 11)
            }
            Flags::Logic { .. } => self.b.ins().iconst(types::I8, 0),
            Flags::Result { rest, .. } | Flags::Product { rest, .. } => self.bit(rest, 11),
            Flags::Add { result, b, .. } => {
                let a = self.b.ins().isub(result, b);
                let (x, y) = (self.b.ins().bxor(a, result), self.b.ins().bxor(b, result));
                let both = self.b.ins().band(x, y);
                self.b.ins().icmp_imm_s(IntCC::SignedLessThan, both, 0)
            }
            Flags::Sub { a, b, result, .. } => {
                let result = match result {
                    Some(result) => result,
                    None => self.b.ins().isub(a, b),
                };
                let (x, y) = (self.b.ins().bxor(a, b), self.b.ins().bxor(a, result));
                let both = self.b.ins().band(x, y);
                self.b.ins().icmp_imm_s(IntCC::SignedLessThan, both, 0)
            }
            Flags::Step {
                width,
                result,
                down,
                ..
            } => {
                let edge = if down { width.sign() - 1 } else { width.sign() };
                let edge = self.b.ins().iconst(typed(width), width.extend(edge) as i64);
                self.b.ins().icmp(IntCC::Equal, result, edge)
            }
        }
    }

    fn adjust(&mut self) -> Value {
        let (a, b, result) = match self.flags {
            Flags::Lazy | Flags::Bits(_) | Flags::Order { .. } => {
                let bits = self.status_bits();
                return self.bit(bits, 4);
            }
            Flags::Logic { .. } => return self.b.ins().iconst(types::I8, 0),
            Flags::Result { rest, .. } | Flags::Product { rest, .. } => {
                return self.bit(rest, 4);
            }
            Flags::Add { result, b, .. } => (self.b.ins().isub(result, b), b, result),
            Flags::Sub { a, b, result, .. } => match result {
                Some(result) => (a, b, result),
                None => (a, b, self.b.ins().isub(a, b)),
            },
            Flags::Step {
                width,
                result,
                down,
                ..
            } => {
                let one = self.b.ins().iconst(typed(width), 1);
                let a = match down {
                    true => self.b.ins().iadd(result, one),
                    false => self.b.ins().isub(result, one),
                };
                (a, one, result)
            }
        };
        let x = self.b.ins().bxor(a, b);
        let x = self.b.ins().bxor(x, result);
        let x = self.wide(x);
        self.bit(x, 4)
    }

    /// The status word, computed.
    pub(super) fn status(&mut self) -> Value {
        if let Flags::Bits(bits) = self.flags {
            return bits;
        }
        if matches!(self.flags, Flags::Lazy | Flags::Order { .. }) {
            return self.status_bits();
        }
        let carry = self.carry();
        let flags = [
            (self.parity(), 2),
            (self.adjust(), 4),
            (self.zero(), 6),
            (self.sign(), 7),
            (self.overflow(), 11),
        ];
        let mut word = self.wide(carry);
        for (flag, bit) in flags {
            let flag = self.wide(flag);
            let moved = self.b.ins().ishl_imm_u(flag, bit);
            word = self.b.ins().bor(word, moved);
        }
        word
    }

    /// Whether a condition holds, as a value of 8 bits.
    pub(super) fn condition(&mut self, code: u8) -> Value {
        let negate = code & 1 != 0;
        if let Some(holds) = self.compared(code >> 1, negate) {
            return holds;
        }
        let holds = match code >> 1 {
            0 => self.overflow(),
            1 => self.carry(),
            2 => self.zero(),
            3 => {
                let (carry, zero) = (self.carry(), self.zero());
                self.b.ins().bor(carry, zero)
            }
            4 => self.sign(),
            5 => self.parity(),
            6 => self.less(),
            _ => {
                let (less, zero) = (self.less(), self.zero());
                self.b.ins().bor(less, zero)
            }
        };
        match negate {
            true => self.b.ins().bxor_imm_u(holds, 1),
            false => holds,
        }
    }

    fn less(&mut self) -> Value {
        let (sign, overflow) = (self.sign(), self.overflow());
        self.b.ins().bxor(sign, overflow)
    }

    /// A condition on a difference or a logical result, in one comparison.
    fn compared(&mut self, base: u8, negate: bool) -> Option<Value> {
        if let Flags::Order { a, b } = self.flags {
            return self.ordered((a, b), base, negate);
        }
        let code = match base {
            1 => IntCC::UnsignedLessThan,
            2 => IntCC::Equal,
            3 => IntCC::UnsignedLessThanOrEqual,
            6 => IntCC::SignedLessThan,
            7 => IntCC::SignedLessThanOrEqual,
            _ => return None,
        };
        let code = if negate { code.complement() } else { code };
        match self.flags {
            Flags::Sub { a, b, .. } => Some(self.b.ins().icmp(code, a, b)),
            Flags::Logic { result, .. } if matches!(base, 2 | 6 | 7) => {
                Some(self.b.ins().icmp_imm_s(code, result, 0))
            }
            _ => None,
        }
    }
}

impl Emit<'_, '_> {
    /// A condition on a comparison of numbers.
    fn ordered(&mut self, (a, b): (Value, Value), base: u8, negate: bool) -> Option<Value> {
        let code = match (base, negate) {
            (1, false) => FloatCC::LessThan,
            (1, true) => FloatCC::GreaterThanOrEqual,
            (2, false) => FloatCC::UnorderedOrEqual,
            (2, true) => FloatCC::OrderedNotEqual,
            (3, false) => FloatCC::LessThanOrEqual,
            (3, true) => FloatCC::GreaterThan,
            _ => return None,
        };
        Some(self.b.ins().fcmp(code, a, b))
    }
}

/// Whether an operand is that register as a whole: `xor eax, eax` and the like.
pub(super) fn is_same_register(insn: &Insn) -> bool {
    matches!((insn.operands[0], insn.operands[1]), (Operand::Gpr(a), Operand::Gpr(b)) if a == b)
}
