//! Vectors of integers: comparisons, choices, shifts, and lanes that change places.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value, types};
use machine::cpu::insn::{Insn, Op, Operand};

use super::{Emit, memory};

/// What is done with the lanes of two vectors.
#[derive(Clone, Copy, Debug)]
enum Each {
    Equal,
    Greater,
    MinUnsigned,
    MaxUnsigned,
    MinSigned,
    MaxSigned,
    AddUnsigned,
    AddSigned,
    SubUnsigned,
    SubSigned,
    Average,
    Multiply,
}

fn each(op: Op) -> Option<(Each, Type)> {
    use types::{I8X16, I16X8, I32X4};
    Some(match op {
        Op::Pcmpeqb => (Each::Equal, I8X16),
        Op::Pcmpeqw => (Each::Equal, I16X8),
        Op::Pcmpeqd => (Each::Equal, I32X4),
        Op::Pcmpgtb => (Each::Greater, I8X16),
        Op::Pcmpgtw => (Each::Greater, I16X8),
        Op::Pcmpgtd => (Each::Greater, I32X4),
        Op::Pminub => (Each::MinUnsigned, I8X16),
        Op::Pmaxub => (Each::MaxUnsigned, I8X16),
        Op::Pminsw => (Each::MinSigned, I16X8),
        Op::Pmaxsw => (Each::MaxSigned, I16X8),
        Op::Paddusb => (Each::AddUnsigned, I8X16),
        Op::Paddusw => (Each::AddUnsigned, I16X8),
        Op::Paddsb => (Each::AddSigned, I8X16),
        Op::Paddsw => (Each::AddSigned, I16X8),
        Op::Psubusb => (Each::SubUnsigned, I8X16),
        Op::Psubusw => (Each::SubUnsigned, I16X8),
        Op::Psubsb => (Each::SubSigned, I8X16),
        Op::Psubsw => (Each::SubSigned, I16X8),
        Op::Pavgb => (Each::Average, I8X16),
        Op::Pavgw => (Each::Average, I16X8),
        Op::Pmullw => (Each::Multiply, I16X8),
        _ => return None,
    })
}

/// Shifts by a constant: the lanes, to the left, with signs.
fn shift(op: Op) -> Option<(Type, bool, bool)> {
    use types::{I16X8, I32X4, I64X2};
    Some(match op {
        Op::Psllw => (I16X8, true, false),
        Op::Pslld => (I32X4, true, false),
        Op::Psllq => (I64X2, true, false),
        Op::Psrlw => (I16X8, false, false),
        Op::Psrld => (I32X4, false, false),
        Op::Psrlq => (I64X2, false, false),
        Op::Psraw => (I16X8, false, true),
        Op::Psrad => (I32X4, false, true),
        _ => return None,
    })
}

/// For each byte of the result, which it is of the destination's 16 and the source's.
type Mask = [u8; 16];

/// Lanes of so many bytes of both, in turn, from their lower or upper halves.
fn interleaved(bytes: u8, high: bool) -> Mask {
    std::array::from_fn(|i| {
        let (lane, byte) = (i as u8 / bytes, i as u8 % bytes);
        let from = (lane & 1) * 16 + if high { 8 } else { 0 };
        from + lane / 2 * bytes + byte
    })
}

/// Where bytes come from: by the numbers of lanes of so many bytes.
fn gathered(bytes: u8, lane: impl Fn(u8) -> u8) -> Mask {
    std::array::from_fn(|i| lane(i as u8 / bytes) * bytes + i as u8 % bytes)
}

fn mask(insn: &Insn) -> Option<Mask> {
    let by = match insn.operands {
        [_, _, Operand::Imm(by), ..] => by as u8,
        [_, Operand::Imm(by), ..] => (by & 0xFF).min(16) as u8,
        _ => 0,
    };
    let two = |i: u8| by >> (2 * (i & 3)) & 3;
    Some(match insn.op {
        Op::Punpcklbw => interleaved(1, false),
        Op::Punpcklwd => interleaved(2, false),
        Op::Punpckldq | Op::Unpcklps => interleaved(4, false),
        Op::Punpckhbw => interleaved(1, true),
        Op::Punpckhwd => interleaved(2, true),
        Op::Punpckhdq | Op::Unpckhps => interleaved(4, true),
        Op::Pshufd => gathered(4, |i| 4 + two(i)),
        Op::Pshuflw => gathered(2, |i| 8 + if i < 4 { two(i) } else { i }),
        Op::Pshufhw => gathered(2, |i| 8 + if i < 4 { i } else { 4 + two(i) }),
        Op::Shufps => gathered(4, |i| two(i) + if i < 2 { 0 } else { 4 }),
        Op::Shufpd => gathered(8, |i| (by >> i & 1) + 2 * i),
        Op::Movhlps => gathered(8, |i| [3, 1][usize::from(i)]),
        Op::Movlhps => gathered(8, |i| [0, 2][usize::from(i)]),
        // The other operand is zero.
        Op::Pslldq => std::array::from_fn(|i| (i as u8).checked_sub(by).unwrap_or(16)),
        Op::Psrldq => std::array::from_fn(|i| (i as u8 + by).min(16)),
        _ => return None,
    })
}

/// Whether it has a vector as its source.
fn has_vector(insn: &Insn) -> bool {
    match insn.operands[1] {
        Operand::Xmm(_) => true,
        Operand::Mem => insn.mem.bytes == 16,
        _ => false,
    }
}

/// Whether it is compiled.
pub(super) fn is_native(insn: &Insn) -> bool {
    let [to, from] = [insn.operands[0], insn.operands[1]];
    let is_vector = matches!(to, Operand::Xmm(_));
    match insn.op {
        _ if insn.vex => false,
        Op::Pmovmskb | Op::Movmskps | Op::Movmskpd => {
            matches!((to, from), (Operand::Gpr(_), Operand::Xmm(_)))
        }
        Op::Movlps | Op::Movlpd | Op::Movhps | Op::Movhpd => {
            matches!(
                (to, from),
                (Operand::Xmm(_), Operand::Mem) | (Operand::Mem, Operand::Xmm(_))
            )
        }
        Op::Pslldq | Op::Psrldq => is_vector && matches!(from, Operand::Imm(_)),
        op if shift(op).is_some() => is_vector && matches!(from, Operand::Imm(_)),
        op => is_vector && has_vector(insn) && (each(op).is_some() || mask(insn).is_some()),
    }
}

impl Emit<'_, '_> {
    pub(super) fn integers(&mut self, insn: &Insn) {
        match insn.op {
            Op::Pmovmskb => self.signs(insn, types::I8X16),
            Op::Movmskps => self.signs(insn, types::I32X4),
            Op::Movmskpd => self.signs(insn, types::I64X2),
            Op::Movlps | Op::Movlpd => self.move_half(insn, 0),
            Op::Movhps | Op::Movhpd => self.move_half(insn, 1),
            _ => self.rearrange(insn),
        }
    }

    /// The topmost bits of all lanes.
    fn signs(&mut self, insn: &Insn, of: Type) {
        let (Operand::Gpr(to), Operand::Xmm(from)) = (insn.operands[0], insn.operands[1]) else {
            return;
        };
        let value = self.xmm(from);
        let value = self.cast(of, value);
        let bits = self.b.ins().vhigh_bits(types::I32, value);
        let bits = self.wide(bits);
        let bits = self.narrow(bits, to.width);
        self.set_register(to, bits);
    }

    /// 8 bytes from or to memory; the others stay.
    fn move_half(&mut self, insn: &Insn, lane: u8) {
        let va = self.address(insn);
        match (insn.operands[0], insn.operands[1]) {
            (Operand::Xmm(to), _) => {
                let host = self.host(va, 8, false);
                let value = self.b.ins().load(types::F64, memory::guest(), host, 0);
                let old = self.xmm(to);
                let old = self.cast(types::F64X2, old);
                let merged = self.b.ins().insertlane(old, value, lane);
                self.set_xmm(to, merged);
            }
            (_, Operand::Xmm(from)) => {
                let value = self.xmm(from);
                let value = self.cast(types::F64X2, value);
                let value = self.b.ins().extractlane(value, lane);
                let host = self.host(va, 8, true);
                self.b.ins().store(memory::guest(), value, host, 0);
            }
            _ => {}
        }
    }

    fn rearrange(&mut self, insn: &Insn) {
        let Operand::Xmm(to) = insn.operands[0] else {
            return;
        };
        let b = match insn.operands[1] {
            Operand::Imm(_) => self.zeros(),
            _ => self.vector_source(insn, true),
        };
        let a = self.xmm(to);
        let value = if let Some((what, of)) = each(insn.op) {
            let [a, b] = [a, b].map(|x| self.cast(of, x));
            self.each(what, a, b)
        } else if let Some((of, left, signed)) = shift(insn.op) {
            let a = self.cast(of, a);
            self.shift_lanes(insn, a, left, signed)
        } else {
            let mask = mask(insn).unwrap_or_default();
            let mask = self
                .b
                .func
                .dfg
                .immediates
                .push(ConstantData::from(&mask[..]));
            self.b.ins().shuffle(a, b, mask)
        };
        self.set_xmm(to, value);
    }

    fn zeros(&mut self) -> Value {
        let zero = self.b.ins().iconst(types::I8, 0);
        self.b.ins().splat(types::I8X16, zero)
    }

    fn each(&mut self, what: Each, a: Value, b: Value) -> Value {
        let ins = self.b.ins();
        match what {
            Each::Equal => ins.icmp(IntCC::Equal, a, b),
            Each::Greater => ins.icmp(IntCC::SignedGreaterThan, a, b),
            Each::MinUnsigned => ins.umin(a, b),
            Each::MaxUnsigned => ins.umax(a, b),
            Each::MinSigned => ins.smin(a, b),
            Each::MaxSigned => ins.smax(a, b),
            Each::AddUnsigned => ins.uadd_sat(a, b),
            Each::AddSigned => ins.sadd_sat(a, b),
            Each::SubUnsigned => ins.usub_sat(a, b),
            Each::SubSigned => ins.ssub_sat(a, b),
            Each::Average => ins.avg_round(a, b),
            Each::Multiply => ins.imul(a, b),
        }
    }

    fn shift_lanes(&mut self, insn: &Insn, a: Value, left: bool, signed: bool) -> Value {
        let Operand::Imm(by) = insn.operands[1] else {
            return a;
        };
        let of = self.b.func.dfg.value_type(a);
        let (by, bits) = (by & 0xFF, u64::from(of.lane_bits()));
        if by >= bits && !signed {
            return self.zeros();
        }
        let by = by.min(bits - 1) as i64;
        match (left, signed) {
            (true, _) => self.b.ins().ishl_imm_u(a, by),
            (_, false) => self.b.ins().ushr_imm_u(a, by),
            (_, true) => self.b.ins().sshr_imm_u(a, by),
        }
    }
}
