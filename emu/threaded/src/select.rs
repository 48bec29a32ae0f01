//! Which handler an instruction gets.

use machine::cost::Class;
use machine::cpu::insn::{
    Family, Gpr, Insn, Mem, NO_REGISTER, Op as Name, Operand, RIP, Seg, Width,
};

use crate::body::{Body, alu, bit, mov, multiply, shift, stack};
use crate::dispatch::{slow, straight};
use crate::op::{Handler, Op};
use crate::operand::{BASED, FAR, NEAR};
use crate::select_vector;

/// A handler and the accesses that it makes when it does everything itself.
pub(crate) struct Choice {
    pub(crate) op: Op,
    /// What the instruction costs besides its own class.
    pub(crate) extras: &'static [Class],
}

const LOAD: &[Class] = &[Class::Load];
const STORE: &[Class] = &[Class::Store];
const BOTH: &[Class] = &[Class::Load, Class::Store];
const LOCKED: &[Class] = &[Class::Load, Class::Store, Class::Locked];

/// What a read-modify-write access costs.
fn update(insn: &Insn) -> &'static [Class] {
    if insn.lock { LOCKED } else { BOTH }
}

/// The handler of a straight operation.
pub(crate) fn handler<B: Body>() -> Handler {
    straight::<B>
}

/// Chooses by width: `by_width!(width, W => expression with the constant W)`.
macro_rules! by_width {
    ($width:expr, $name:ident => $chosen:expr) => {
        match $width {
            Width::Byte => by_width!(@1 $name => $chosen),
            Width::Word => by_width!(@2 $name => $chosen),
            Width::Dword => by_width!(@4 $name => $chosen),
            Width::Qword => by_width!(@8 $name => $chosen),
        }
    };
    (@$value:literal $name:ident => $chosen:expr) => {{
        const $name: usize = $value;
        $chosen
    }};
}
pub(crate) use by_width;

/// Chooses among the widths of 4 and 8 bytes; none for the others.
macro_rules! by_wide {
    ($width:expr, $name:ident => $chosen:expr) => {
        match $width {
            Width::Dword => by_width!(@4 $name => Some($chosen)),
            Width::Qword => by_width!(@8 $name => Some($chosen)),
            _ => None,
        }
    };
}
pub(crate) use by_wide;

/// Chooses by addressing mode.
macro_rules! by_mode {
    ($mode:expr, $name:ident => $chosen:expr) => {
        match $mode {
            $crate::operand::NEAR => {
                const $name: u8 = $crate::operand::NEAR;
                $chosen
            }
            $crate::operand::FAR => {
                const $name: u8 = $crate::operand::FAR;
                $chosen
            }
            _ => {
                const $name: u8 = $crate::operand::BASED;
                $chosen
            }
        }
    };
}
pub(crate) use by_mode;

/// Chooses by condition code.
macro_rules! by_condition {
    ($code:expr, $name:ident => $chosen:expr) => {
        by_condition!(@ $code, $name => $chosen, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $code:expr, $name:ident => $chosen:expr, $($value:literal)*) => {
        match $code {
            $($value => {
                const $name: u8 = $value;
                $chosen
            })*
            _ => {
                const $name: u8 = 15;
                $chosen
            }
        }
    };
}
pub(crate) use by_condition;

/// A register that is not one of AH to BH.
pub(crate) fn register(operand: Operand) -> Option<u8> {
    match operand {
        Operand::Gpr(Gpr { index, high, .. }) if !high => Some(index & 15),
        _ => None,
    }
}

fn immediate(operand: Operand) -> Option<u64> {
    match operand {
        Operand::Imm(value) => Some(value),
        _ => None,
    }
}

/// An operation without operands yet.
pub(crate) fn plain(run: Handler, meta: u32) -> Op {
    Op {
        run,
        wide: 0,
        imm: 0,
        meta,
        dst: 0,
        src: 0,
        base: 0,
        index: 0,
        scale: 0,
        base_mask: 0,
        index_mask: 0,
        seg: 0,
    }
}

/// Writes a memory operand into the operation; its addressing mode, if there is one for it.
pub(crate) fn memory(op: &mut Op, mem: &Mem, next: u64) -> Option<u8> {
    if mem.address != Width::Qword {
        return None;
    }
    op.wide = mem.disp;
    if mem.base == RIP {
        op.wide = mem.disp.wrapping_add(next);
    } else if mem.base != NO_REGISTER {
        op.base = mem.base & 15;
        op.base_mask = -1;
    }
    if mem.index != NO_REGISTER {
        op.index = mem.index & 15;
        op.index_mask = -1;
        op.scale = mem.scale.trailing_zeros() as u8;
    }
    if matches!(mem.seg, Seg::Fs | Seg::Gs) {
        op.seg = mem.seg as u8;
        return Some(BASED);
    }
    let near = op.base_mask != 0 && op.index_mask == 0;
    Some(if near { NEAR } else { FAR })
}

/// The way by the reference interpreter, which is open to all straight instructions.
fn by_reference(meta: u32) -> Choice {
    Choice {
        op: plain(slow, meta),
        extras: &[],
    }
}

/// Chooses a straight instruction's handler. `silent` says that nobody asks for its flags; `next`
/// is the address of the following instruction.
pub(crate) fn select(insn: &Insn, meta: u32, next: u64, silent: bool) -> Choice {
    let chooser = Chooser {
        insn,
        next,
        silent,
        op: plain(slow, meta),
    };
    let choice = match insn.family {
        Family::Alu => chooser.arithmetic(),
        Family::Mov => chooser.moves(),
        Family::Shift => chooser.shifts(),
        Family::MulDiv => chooser.products(),
        Family::Stack => chooser.stack(),
        Family::Bit => chooser.bits(),
        Family::Bmi => chooser.bmi(),
        Family::Atomic => chooser.exchanges(),
        Family::SseMove
        | Family::SseFloat
        | Family::SseConvert
        | Family::SseInteger
        | Family::SseShuffle => select_vector::select(insn, chooser.op, next),
        Family::Nop => chooser.finish(handler::<mov::Nop>(), &[]),
        _ => None,
    };
    choice.unwrap_or_else(|| by_reference(meta))
}

/// One choice in the making.
#[derive(Clone, Copy)]
struct Chooser<'a> {
    insn: &'a Insn,
    next: u64,
    silent: bool,
    op: Op,
}

impl Chooser<'_> {
    fn finish(mut self, run: Handler, extras: &'static [Class]) -> Option<Choice> {
        self.op.run = run;
        Some(Choice {
            op: self.op,
            extras,
        })
    }

    fn mode(&mut self) -> Option<u8> {
        memory(&mut self.op, &self.insn.mem, self.next)
    }

    /// Takes an immediate that the handler extends.
    fn set_immediate(&mut self, value: u64) {
        self.op.imm = value as i32;
    }

    fn arithmetic(self) -> Option<Choice> {
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

    fn moves(mut self) -> Option<Choice> {
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

    fn shifts(self) -> Option<Choice> {
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

    fn products(mut self) -> Option<Choice> {
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

    fn stack(mut self) -> Option<Choice> {
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

    fn bits(mut self) -> Option<Choice> {
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

    fn bmi(mut self) -> Option<Choice> {
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

    fn exchanges(mut self) -> Option<Choice> {
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
