//! Moves, extensions, addresses and conditional moves.

use cranelift_codegen::ir::InstBuilder;
use machine::cpu::insn::{Insn, Op, Width};

use super::alu::{RAX, RDX, whole, width_of};
use super::{Emit, typed};

impl Emit<'_, '_> {
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
}
