//! Vector instructions: moves, logic, and what they share with arithmetic.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};

use super::range::WINDOW;
use super::{Emit, float, lanes, memory, typed};

/// How an instruction moves bits about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// All 16 bytes; memory must be aligned.
    Aligned,
    /// All 16 bytes.
    Unaligned,
    /// The low 4 bytes.
    Single,
    /// The low 8 bytes.
    Double,
    /// 4 or 8 bytes, from and to integer registers, too; what is above is
    /// cleared.
    Integer,
}

fn move_of(op: Op) -> Option<Move> {
    Some(match op {
        Op::Movaps | Op::Movapd | Op::Movdqa | Op::Movntps | Op::Movntpd | Op::Movntdq => {
            Move::Aligned
        }
        Op::Movups | Op::Movupd | Op::Movdqu | Op::Lddqu => Move::Unaligned,
        Op::Movss => Move::Single,
        Op::Movsd => Move::Double,
        Op::Movd | Op::Movq => Move::Integer,
        _ => return None,
    })
}

/// Whether it combines two registers bit by bit or lane by lane.
fn is_combination(op: Op) -> bool {
    matches!(
        op,
        Op::Xorps
            | Op::Xorpd
            | Op::Pxor
            | Op::Andps
            | Op::Andpd
            | Op::Pand
            | Op::Orps
            | Op::Orpd
            | Op::Por
            | Op::Andnps
            | Op::Andnpd
            | Op::Pandn
            | Op::Paddb
            | Op::Paddw
            | Op::Paddd
            | Op::Paddq
            | Op::Psubb
            | Op::Psubw
            | Op::Psubd
            | Op::Psubq
            | Op::Unpcklpd
            | Op::Unpckhpd
            | Op::Punpcklqdq
            | Op::Punpckhqdq
    )
}

/// Whether it is compiled.
pub(super) fn is_native(insn: &Insn) -> bool {
    let known = |operand: &Operand| {
        matches!(
            operand,
            Operand::None | Operand::Gpr(_) | Operand::Mem | Operand::Xmm(_)
        )
    };
    if lanes::is_native(insn) {
        return true;
    }
    let possible = !insn.vex && insn.operands.iter().all(known);
    possible && (move_of(insn.op).is_some() || is_combination(insn.op) || float::is_native(insn))
}

/// For casts between types of the same size.
fn little() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl Emit<'_, '_> {
    pub(super) fn vector(&mut self, insn: &Insn) {
        if lanes::is_native(insn) {
            self.integers(insn);
        } else if let Some(kind) = move_of(insn.op) {
            self.vector_move(insn, kind);
        } else if is_combination(insn.op) {
            self.combination(insn);
        } else {
            self.float(insn);
        }
    }

    pub(super) fn cast(&mut self, of: Type, value: Value) -> Value {
        match self.b.func.dfg.value_type(value) == of {
            true => value,
            false => self.b.ins().bitcast(of, little(), value),
        }
    }

    pub(super) fn xmm(&mut self, index: u8) -> Value {
        self.b.use_var(self.xmm[usize::from(index & 15)])
    }

    pub(super) fn set_xmm(&mut self, index: u8, value: Value) {
        let value = self.cast(types::I8X16, value);
        self.b.def_var(self.xmm[usize::from(index & 15)], value);
    }

    /// The host's address of 16 bytes that must be aligned.
    fn host_aligned(&mut self, va: Value, write: bool) -> Value {
        let low = self.b.ins().band_imm_u(va, 15);
        let bad = self.b.ins().icmp_imm_s(IntCC::NotEqual, low, 0);
        self.leave_if(bad);
        self.host(va, 16, write)
    }

    /// A whole vector operand, aligned if it is memory.
    pub(super) fn vector_source(&mut self, insn: &Insn, aligned: bool) -> Value {
        if let Operand::Xmm(index) = insn.operands[1] {
            return self.xmm(index);
        }
        let va = self.address(insn);
        let host = match aligned {
            true => self.host_aligned(va, false),
            false => self.host(va, 16, false),
        };
        self.b.ins().load(types::I8X16, memory::guest(), host, 0)
    }

    /// A scalar from memory as the lowest lane of zeros.
    fn scalar_load(&mut self, insn: &Insn, of: Type) -> Value {
        let va = self.address(insn);
        let host = self.host(va, of.bytes() as u8, false);
        let value = self.b.ins().load(of, memory::guest(), host, 0);
        let whole = self.scalar_alone(value);
        if of == types::F64 {
            self.lanes.insert(whole, value);
        }
        whole
    }

    fn scalar_alone(&mut self, value: Value) -> Value {
        let of = self.vector_of(value);
        let alone = self.b.ins().scalar_to_vector(of, value);
        self.cast(types::I8X16, alone)
    }

    fn vector_of(&self, value: Value) -> Type {
        match self.b.func.dfg.value_type(value) {
            types::I32 => types::I32X4,
            types::F32 => types::F32X4,
            types::F64 => types::F64X2,
            _ => types::I64X2,
        }
    }

    /// The lowest lane.
    fn lowest(&mut self, vector: Value, lanes: Type) -> Value {
        let vector = self.cast(lanes, vector);
        self.b.ins().extractlane(vector, 0)
    }

    fn vector_move(&mut self, insn: &Insn, kind: Move) {
        match kind {
            Move::Aligned => self.move_whole(insn, true),
            Move::Unaligned => self.move_whole(insn, false),
            Move::Single => self.move_scalar(insn, types::F32, types::F32X4),
            Move::Double => self.move_scalar(insn, types::F64, types::F64X2),
            Move::Integer => self.move_integer(insn),
        }
    }

    fn move_whole(&mut self, insn: &Insn, aligned: bool) {
        let value = self.vector_source(insn, aligned);
        if let Operand::Xmm(index) = insn.operands[0] {
            return self.set_xmm(index, value);
        }
        let va = self.address(insn);
        let host = match aligned {
            true => self.host_aligned(va, true),
            false => self.host(va, 16, true),
        };
        self.b.ins().store(memory::guest(), value, host, 0);
    }

    /// A load clears what is above, a move between registers keeps it.
    fn move_scalar(&mut self, insn: &Insn, of: Type, lanes: Type) {
        match (insn.operands[0], insn.operands[1]) {
            (Operand::Xmm(to), Operand::Xmm(from)) => {
                if of == types::F64 {
                    let lane = self.low_lane(from, of);
                    return self.set_low_lane(to, lane);
                }
                let (old, new) = (self.xmm(to), self.xmm(from));
                let lane = self.lowest(new, lanes);
                let old = self.cast(lanes, old);
                let merged = self.b.ins().insertlane(old, lane, 0);
                self.set_xmm(to, merged);
            }
            (Operand::Xmm(to), _) => {
                let value = self.scalar_load(insn, of);
                self.set_xmm(to, value);
            }
            (_, Operand::Xmm(from)) => {
                let value = self.xmm(from);
                let lane = self.lowest(value, lanes);
                let va = self.address(insn);
                let host = self.host(va, of.bytes() as u8, true);
                self.b.ins().store(memory::guest(), lane, host, 0);
            }
            _ => {}
        }
    }

    /// MOVD and MOVQ.
    fn move_integer(&mut self, insn: &Insn) {
        match (insn.operands[0], insn.operands[1]) {
            (Operand::Xmm(to), Operand::Xmm(from)) => {
                let value = self.xmm(from);
                let lane = self.lowest(value, types::I64X2);
                let value = self.scalar_alone(lane);
                self.set_xmm(to, value);
            }
            (Operand::Xmm(to), Operand::Gpr(reg)) => {
                let value = self.register(reg);
                let value = self.scalar_alone(value);
                self.set_xmm(to, value);
            }
            (Operand::Xmm(to), _) => {
                let value = self.scalar_load(insn, typed(integer_width(insn)));
                self.set_xmm(to, value);
            }
            (Operand::Gpr(reg), Operand::Xmm(from)) => {
                let value = self.xmm(from);
                let lane = self.lowest(value, types::I64X2);
                let lane = self.narrow(lane, reg.width);
                self.set_register(reg, lane);
            }
            (_, Operand::Xmm(from)) => {
                let value = self.xmm(from);
                let width = integer_width(insn);
                let lane = self.lowest(value, types::I64X2);
                let lane = self.narrow(lane, width);
                self.store(insn, lane, width);
            }
            _ => {}
        }
    }

    fn combination(&mut self, insn: &Insn) {
        let Operand::Xmm(to) = insn.operands[0] else {
            return;
        };
        let zeroing = matches!(insn.op, Op::Xorps | Op::Xorpd | Op::Pxor);
        if zeroing && insn.operands[0] == insn.operands[1] {
            return self.set_zero(to);
        }
        let b = self.vector_source(insn, true);
        let a = self.xmm(to);
        let value = match insn.op {
            Op::Xorps | Op::Xorpd | Op::Pxor => self.b.ins().bxor(a, b),
            Op::Andps | Op::Andpd | Op::Pand => self.b.ins().band(a, b),
            Op::Orps | Op::Orpd | Op::Por => self.b.ins().bor(a, b),
            Op::Andnps | Op::Andnpd | Op::Pandn => self.b.ins().band_not(b, a),
            op => self.lanes(op, a, b),
        };
        self.set_xmm(to, value);
    }

    fn set_zero(&mut self, to: u8) {
        let zero = self.constant(0);
        let zero = self.b.ins().splat(types::I64X2, zero);
        let zero = self.cast(types::I8X16, zero);
        let lane = self.b.ins().f64const(0.0);
        self.lanes.insert(zero, lane);
        self.set_range(lane, WINDOW);
        self.set_xmm(to, zero);
    }

    fn lanes(&mut self, op: Op, a: Value, b: Value) -> Value {
        let of = match op {
            Op::Paddb | Op::Psubb => types::I8X16,
            Op::Paddw | Op::Psubw => types::I16X8,
            Op::Paddd | Op::Psubd => types::I32X4,
            _ => types::I64X2,
        };
        let [a, b] = [a, b].map(|x| self.cast(of, x));
        match op {
            Op::Paddb | Op::Paddw | Op::Paddd | Op::Paddq => self.b.ins().iadd(a, b),
            Op::Psubb | Op::Psubw | Op::Psubd | Op::Psubq => self.b.ins().isub(a, b),
            op => {
                let lane = u8::from(matches!(op, Op::Unpckhpd | Op::Punpckhqdq));
                let low = self.b.ins().extractlane(a, lane);
                let high = self.b.ins().extractlane(b, lane);
                let low = self.b.ins().scalar_to_vector(of, low);
                self.b.ins().insertlane(low, high, 1)
            }
        }
    }
}

/// The width of a MOVD or MOVQ with memory.
pub(super) fn integer_width(insn: &Insn) -> Width {
    match insn.mem.bytes {
        4 => Width::Dword,
        _ => Width::Qword,
    }
}
