//! Moves, extensions, addresses and conditions.

use machine::cpu::insn::{Gpr, Mem, Op as Name, Operand, Seg, Width};

use super::{
    Choice, Chooser, LOAD, STORE, by_condition, by_mode, by_wide, by_width, byte_register, handler,
    immediate, memory, register,
};
use crate::body::mov;

impl Chooser<'_> {
    pub(super) fn moves(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        match self.insn.op {
            Name::Mov | Name::Movnti if first == Operand::Mem => self.store(second),
            Name::Mov if immediate(second).is_some() => {
                self.op.dst = register(first)?;
                self.op.wide = immediate(second)?;
                let run = by_width!(self.insn.size, W => handler::<mov::Imm<W>>());
                self.finish(run, &[])
            }
            Name::Mov | Name::Movzx => self.extend::<false>(),
            Name::Movsx | Name::Movsxd => self.extend::<true>(),
            Name::Lea => {
                self.op.dst = register(first)?;
                let mem = Mem {
                    seg: Seg::Ds,
                    ..self.insn.mem
                };
                let mode = memory(&mut self.op, &mem, self.next)?;
                let run = by_width!(self.insn.size, W =>
                    by_mode!(mode, A => handler::<mov::Lea<W, A>>()));
                self.finish(run, &[])
            }
            Name::Cmovcc => self.conditional(),
            Name::Setcc => self.set(),
            Name::Cbw => self.finish(handler::<mov::Extend<1, 2>>(), &[]),
            Name::Cwde => self.finish(handler::<mov::Extend<2, 4>>(), &[]),
            Name::Cdqe => self.finish(handler::<mov::Extend<4, 8>>(), &[]),
            Name::Cwd => self.finish(handler::<mov::Sign<2>>(), &[]),
            Name::Cdq => self.finish(handler::<mov::Sign<4>>(), &[]),
            Name::Cqo => self.finish(handler::<mov::Sign<8>>(), &[]),
            _ => None,
        }
    }

    fn store(mut self, second: Operand) -> Option<Choice> {
        let mode = self.mode()?;
        if let Some(value) = immediate(second) {
            self.set_immediate(value);
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<mov::StoreImm<W, A>>()));
            return self.finish(run, STORE);
        }
        self.op.src = register(second)?;
        let run = by_width!(self.insn.size, W =>
            by_mode!(mode, A => handler::<mov::Store<W, A>>()));
        self.finish(run, STORE)
    }

    /// MOV, MOVZX and MOVSX into a register.
    fn extend<const SIGNED: bool>(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        self.op.dst = register(first)?;
        let to = self.insn.size;
        if second == Operand::Mem {
            let mode = self.mode()?;
            let from = Width::from_bytes(usize::from(self.insn.mem.bytes))?;
            let run = by_width!(from, F => by_width!(to, T =>
                by_mode!(mode, A => handler::<mov::Load<F, T, SIGNED, A>>())));
            return self.finish(run, LOAD);
        }
        let Operand::Gpr(Gpr { width: from, .. }) = second else {
            return None;
        };
        if let Some((src, true)) = byte_register(second) {
            self.op.src = src;
            let run = by_width!(to, T => handler::<mov::FromHigh<T, SIGNED>>());
            return self.finish(run, &[]);
        }
        self.op.src = register(second)?;
        let run = by_width!(from, F => by_width!(to, T =>
            handler::<mov::RegReg<F, T, SIGNED>>()));
        self.finish(run, &[])
    }

    fn conditional(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        self.op.dst = register(first)?;
        let code = self.insn.condition;
        if second == Operand::Mem {
            let mode = self.mode()?;
            let run = by_wide!(self.insn.size, W => by_condition!(code, C =>
                by_mode!(mode, A => handler::<mov::CmovMem<C, W, A>>())))?;
            return self.finish(run, LOAD);
        }
        self.op.src = register(second)?;
        let run = by_wide!(self.insn.size, W =>
            by_condition!(code, C => handler::<mov::Cmov<C, W>>()))?;
        self.finish(run, &[])
    }

    fn set(mut self) -> Option<Choice> {
        let code = self.insn.condition;
        if self.insn.operands[0] == Operand::Mem {
            let mode = self.mode()?;
            let run = by_condition!(code, C =>
                by_mode!(mode, A => handler::<mov::SetMem<C, A>>()));
            return self.finish(run, STORE);
        }
        self.op.dst = register(self.insn.operands[0])?;
        let run = by_condition!(code, C => handler::<mov::Set<C>>());
        self.finish(run, &[])
    }
}
