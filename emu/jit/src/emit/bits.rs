//! Single bits, scans and counts.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};
use machine::cpu::insn::{Insn, Op, Operand, Width};
use machine::cpu::state::flag;

use super::flags::Flags;
use super::{Emit, typed};

impl Emit<'_, '_> {
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
        self.define(to.index, new);
    }
}
