//! The stack, single bits and exchanges.

use machine::cpu::insn::{Op as Name, Operand, Width};

use super::{
    BOTH, Choice, Chooser, LOAD, LOCKED, STORE, by_mode, by_wide, by_width, handler, immediate,
    register,
};
use crate::body::{bit, mov, shift, stack};

impl Chooser<'_> {
    pub(super) fn stack(mut self) -> Option<Choice> {
        let first = self.insn.operands[0];
        if self.insn.size != Width::Qword {
            return None;
        }
        match self.insn.op {
            Name::Push if first == Operand::Mem => {
                let mode = self.mode()?;
                self.finish(by_mode!(mode, A => handler::<stack::PushMem<A>>()), BOTH)
            }
            Name::Push if immediate(first).is_some() => {
                self.op.wide = immediate(first)?;
                self.finish(handler::<stack::PushImm>(), STORE)
            }
            Name::Push => {
                self.op.src = register(first)?;
                self.finish(handler::<stack::Push>(), STORE)
            }
            Name::Pop => {
                self.op.dst = register(first)?;
                self.finish(handler::<stack::Pop>(), LOAD)
            }
            Name::Leave => self.finish(handler::<stack::Leave>(), LOAD),
            _ => None,
        }
    }

    pub(super) fn bits(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        let size = self.insn.size;
        self.op.dst = register(first)?;
        let run = match self.insn.op {
            Name::Bswap => by_wide!(size, W => handler::<mov::Swap<W>>()),
            Name::Bt => return self.bit_test::<{ bit::BT }>(second),
            Name::Bts => return self.bit_test::<{ bit::BTS }>(second),
            Name::Btr => return self.bit_test::<{ bit::BTR }>(second),
            Name::Btc => return self.bit_test::<{ bit::BTC }>(second),
            _ => {
                self.op.src = register(second)?;
                match self.insn.op {
                    Name::Bsf => by_wide!(size, W => handler::<bit::Scan<W, false>>()),
                    Name::Bsr => by_wide!(size, W => handler::<bit::Scan<W, true>>()),
                    Name::Popcnt => by_wide!(size, W => handler::<bit::Count<W>>()),
                    _ => None,
                }
            }
        };
        self.finish(run?, &[])
    }

    fn bit_test<const K: u8>(mut self, second: Operand) -> Option<Choice> {
        let size = self.insn.size;
        let run = if let Some(value) = immediate(second) {
            self.set_immediate(value);
            by_wide!(size, W => handler::<bit::Test<K, W, true>>())
        } else {
            self.op.src = register(second)?;
            by_wide!(size, W => handler::<bit::Test<K, W, false>>())
        };
        self.finish(run?, &[])
    }

    pub(super) fn bmi(mut self) -> Option<Choice> {
        let [first, second, third, ..] = self.insn.operands;
        let size = self.insn.size;
        self.op.dst = register(first)?;
        self.op.src = register(second)?;
        let by_register = |mut chooser: Self| {
            chooser.op.index = register(third)?;
            Some(chooser)
        };
        match self.insn.op {
            Name::Tzcnt => {
                let run = by_wide!(size, W => handler::<bit::Zeros<W, false>>())?;
                self.finish(run, &[])
            }
            Name::Lzcnt => {
                let run = by_wide!(size, W => handler::<bit::Zeros<W, true>>())?;
                self.finish(run, &[])
            }
            Name::Shlx => {
                let run = by_wide!(size, W => handler::<shift::Quiet<{ shift::SHL }, W>>())?;
                by_register(self)?.finish(run, &[])
            }
            Name::Shrx => {
                let run = by_wide!(size, W => handler::<shift::Quiet<{ shift::SHR }, W>>())?;
                by_register(self)?.finish(run, &[])
            }
            Name::Sarx => {
                let run = by_wide!(size, W => handler::<shift::Quiet<{ shift::SAR }, W>>())?;
                by_register(self)?.finish(run, &[])
            }
            Name::Rorx => {
                self.set_immediate(immediate(third)?);
                let run = by_wide!(size, W => handler::<shift::Quiet<{ shift::ROR }, W>>())?;
                self.finish(run, &[])
            }
            _ => None,
        }
    }

    pub(super) fn exchanges(mut self) -> Option<Choice> {
        let [first, second, ..] = self.insn.operands;
        if self.insn.op != Name::Xchg {
            return None;
        }
        self.op.src = register(second)?;
        if first == Operand::Mem {
            let mode = self.mode()?;
            let run = by_width!(self.insn.size, W =>
                by_mode!(mode, A => handler::<mov::XchgMem<W, A>>()));
            return self.finish(run, LOCKED);
        }
        self.op.dst = register(first)?;
        let run = by_width!(self.insn.size, W => handler::<mov::Xchg<W>>());
        self.finish(run, &[])
    }
}
