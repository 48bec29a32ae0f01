//! Arithmetic, logic, shifts and products.

use machine::cpu::insn::{Op as Name, Operand, Width};

use super::{
    Choice, Chooser, LOAD, by_mode, by_wide, by_width, byte_register, handler, immediate, is_high,
    register, update,
};
use crate::body::{alu, multiply, shift};
use crate::op::Handler;

impl Chooser<'_> {
    pub(super) fn arithmetic(self) -> Option<Choice> {
        match self.insn.op {
            Name::Add => self.binary::<{ alu::ADD }>(),
            Name::Or => self.binary::<{ alu::OR }>(),
            Name::Adc => self.binary::<{ alu::ADC }>(),
            Name::Sbb => self.binary::<{ alu::SBB }>(),
            Name::And => self.binary::<{ alu::AND }>(),
            Name::Sub => self.binary::<{ alu::SUB }>(),
            Name::Xor => self.binary::<{ alu::XOR }>(),
            Name::Cmp => self.binary::<{ alu::CMP }>(),
            Name::Test => self.binary::<{ alu::TEST }>(),
            Name::Inc => self.unary::<{ alu::INC }>(),
            Name::Dec => self.unary::<{ alu::DEC }>(),
            Name::Neg => self.unary::<{ alu::NEG }>(),
            Name::Not => self.unary::<{ alu::NOT }>(),
            _ => None,
        }
    }

    fn binary<const K: u8>(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        if first == Operand::Mem {
            return self.binary_on_memory::<K>(second);
        }
        if second != Operand::Mem && [first, second].iter().any(is_high) {
            return self.bytes::<K>(first, second);
        }
        self.op.dst = register(first)?;
        if second == Operand::Mem {
            let mode = self.mode()?;
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<alu::RegMem<K, W, A>>()));
            return self.finish(run, LOAD);
        }
        if let Some(value) = immediate(second) {
            self.set_immediate(value);
        } else {
            self.op.src = register(second)?;
        }
        let immediate = immediate(second).is_some();
        if let Some(run) = self.silently::<K>(immediate) {
            return self.finish(run, &[]);
        }
        let run = by_width!(self.insn.size, W => match immediate {
            true => handler::<alu::RegImm<K, W>>(),
            false => handler::<alu::RegReg<K, W>>(),
        });
        self.finish(run, &[])
    }

    /// Two bytes of registers, or one and an immediate.
    fn bytes<const K: u8>(mut self, first: Operand, second: Operand) -> Option<Choice> {
        let shift = |high: bool| if high { 8 } else { 0 };
        let (dst, high) = byte_register(first)?;
        (self.op.dst, self.op.scale) = (dst, shift(high));
        if let Some(value) = immediate(second) {
            self.set_immediate(value);
            return self.finish(handler::<alu::Bytes<K, true>>(), &[]);
        }
        let (src, high) = byte_register(second)?;
        (self.op.src, self.op.seg) = (src, shift(high));
        self.finish(handler::<alu::Bytes<K, false>>(), &[])
    }

    fn silently<const K: u8>(&self, immediate: bool) -> Option<Handler> {
        if !self.silent || matches!(K, alu::ADC | alu::SBB | alu::CMP | alu::TEST) {
            return None;
        }
        by_wide!(self.insn.size, W => match immediate {
            true => handler::<alu::Silent<K, W, true>>(),
            false => handler::<alu::Silent<K, W, false>>(),
        })
    }

    fn binary_on_memory<const K: u8>(mut self, second: Operand) -> Option<Choice> {
        let mode = self.mode()?;
        let extras = match K {
            alu::CMP | alu::TEST => LOAD,
            _ => update(self.insn),
        };
        if let Some(value) = immediate(second) {
            self.set_immediate(value);
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<alu::Mem<K, W, A, true>>()));
            return self.finish(run, extras);
        }
        self.op.src = register(second)?;
        let run = by_width!(self.insn.size, W =>
            by_mode!(mode, A => handler::<alu::Mem<K, W, A, false>>()));
        self.finish(run, extras)
    }

    fn unary<const K: u8>(mut self) -> Option<Choice> {
        if self.insn.operands[0] == Operand::Mem {
            let mode = self.mode()?;
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<alu::OneMem<K, W, A>>()));
            return self.finish(run, update(self.insn));
        }
        self.op.dst = register(self.insn.operands[0])?;
        let run = by_width!(self.insn.size, W => handler::<alu::OneReg<K, W>>());
        self.finish(run, &[])
    }

    pub(super) fn shifts(self) -> Option<Choice> {
        match self.insn.op {
            Name::Shl => self.shift::<{ shift::SHL }>(),
            Name::Shr => self.shift::<{ shift::SHR }>(),
            Name::Sar => self.shift::<{ shift::SAR }>(),
            Name::Rol => self.shift::<{ shift::ROL }>(),
            Name::Ror => self.shift::<{ shift::ROR }>(),
            _ => None,
        }
    }

    fn shift<const K: u8>(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        let by_cl = matches!(second, Operand::Gpr(_));
        if !by_cl {
            let raw = match second {
                Operand::None => 1,
                _ => immediate(second)?,
            };
            let mask = if self.insn.size == Width::Qword {
                63
            } else {
                31
            };
            self.op.imm = (raw & mask) as i32;
            if self.op.imm == 0 {
                return None;
            }
        }
        if first == Operand::Mem {
            let mode = self.mode().filter(|_| !by_cl)?;
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<shift::Mem<K, W, A>>()));
            return self.finish(run, update(self.insn));
        }
        self.op.dst = register(first)?;
        let silent = self.silent && matches!(K, shift::SHL | shift::SHR | shift::SAR);
        let run = by_width!(self.insn.size, W => match (by_cl, silent) {
            (true, _) => handler::<shift::ByCl<K, W>>(),
            (false, true) => handler::<shift::Silent<K, W>>(),
            (false, false) => handler::<shift::ByImm<K, W>>(),
        });
        self.finish(run, &[])
    }

    pub(super) fn products(mut self) -> Option<Choice> {
        let [first, second, third, ..] = self.insn.operands;
        let size = self.insn.size;
        if second == Operand::None {
            self.op.src = register(first)?;
            return match self.insn.op {
                Name::Mul => {
                    let run = by_wide!(size, W => handler::<multiply::Wide<W, false>>())?;
                    self.finish(run, &[])
                }
                Name::Imul => {
                    let run = by_wide!(size, W => handler::<multiply::Wide<W, true>>())?;
                    self.finish(run, &[])
                }
                Name::Div => {
                    let run = by_wide!(size, W => handler::<multiply::Div<W>>())?;
                    self.finish(run, &[])
                }
                _ => {
                    let run = by_wide!(size, W => handler::<multiply::Idiv<W>>())?;
                    self.finish(run, &[])
                }
            };
        }
        self.op.dst = register(first)?;
        let by_immediate = immediate(third).is_some();
        if let Some(value) = immediate(third) {
            self.set_immediate(value);
        }
        if second == Operand::Mem {
            let mode = self.mode()?;
            let run = by_wide!(size, W => by_mode!(mode, A => match by_immediate {
                true => handler::<multiply::ImulMem<W, A, true>>(),
                false => handler::<multiply::ImulMem<W, A, false>>(),
            }))?;
            return self.finish(run, LOAD);
        }
        self.op.src = register(second)?;
        let run = by_wide!(size, W => match by_immediate {
            true => handler::<multiply::Imul<W, true>>(),
            false => handler::<multiply::Imul<W, false>>(),
        })?;
        self.finish(run, &[])
    }
}
