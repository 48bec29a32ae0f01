//! How a region is entered and left, and how another is entered from it.
//!
//! Each way out brings its address, budget and flags to a block that those of
//! its kind share; there the registers are stored.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, InstBuilder, SigRef, Signature, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use machine::Cpu;

use super::flags::Wish;
use super::{Emit, entries, trusted};
use crate::places::{PLACE_BITS, offsets};
use crate::state::{Aside, Reason, State};

/// Where execution goes on: known now or later.
#[derive(Clone, Copy)]
pub(super) enum Rip {
    Known(u64),
    Computed(Value),
}

/// A way out: why, which registers are stored on it, and its block.
#[derive(Clone, Copy)]
pub(super) struct Exit {
    reason: Reason,
    dirty: u32,
    /// It is told of what kind the flags are.
    tells_kind: bool,
    block: ir::Block,
}

/// What a region is called with: (state, CPU, number of the entry).
pub(crate) fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params = vec![AbiParam::new(types::I64); 3];
    signature.returns = vec![AbiParam::new(types::I64)];
    signature
}

/// (state): brings the flags into one word.
pub(super) fn settle_signature(b: &mut FunctionBuilder<'_>, convention: CallConv) -> SigRef {
    let mut signature = Signature::new(convention);
    signature.params = vec![AbiParam::new(types::I64)];
    b.import_signature(signature)
}

impl Emit<'_, '_> {
    fn load_state(&mut self, offset: usize) -> Value {
        let offset = offset as i32;
        self.b.ins().load(types::I64, trusted(), self.state, offset)
    }

    fn store_state_at(&mut self, offset: usize, value: Value) {
        let offset = offset as i32;
        self.b.ins().store(trusted(), value, self.state, offset);
    }

    /// Loads what the region uses, and goes to the entry of this number.
    pub(super) fn enter(&mut self, number: Value, settle: SigRef) {
        let own = self.constant(self.number);
        self.store_state_at(offset_of!(State, region), own);
        let entries = entries(self.plan);
        let any = |index: &usize| self.wishes[*index] != Wish::Nothing;
        let curious = entries.iter().any(any);
        if curious {
            self.settle_flags(settle);
        }
        let places = [
            offset_of!(State, kind),
            offset_of!(State, x),
            offset_of!(State, y),
        ];
        let words = places.map(|place| self.load_state(place));
        for (variable, value) in self.lazy.into_iter().zip(words) {
            self.b.def_var(variable, value);
        }
        let carry = match curious {
            true => self.b.ins().band_imm_u(words[1], 1),
            false => self.constant(0),
        };
        self.b.def_var(self.carry, carry);
        let budget = self.load_state(offset_of!(State, budget));
        self.b.def_var(self.budget, budget);
        self.load_registers();
        for (i, &index) in entries.iter().enumerate().skip(1) {
            let other = self.b.create_block();
            let this = self.b.ins().icmp_imm_s(IntCC::Equal, number, i as i64);
            let way = self.b.create_block();
            self.b.ins().brif(this, way, &[], other, &[]);
            self.b.switch_to_block(way);
            self.arrive(index);
            self.b.ins().jump(self.blocks[index], &[]);
            self.b.switch_to_block(other);
        }
        self.arrive(entries[0]);
        self.b.ins().jump(self.blocks[entries[0]], &[]);
    }

    /// Has the flags brought into one word, unless they are.
    fn settle_flags(&mut self, settle: SigRef) {
        let kind = self.load_state(offset_of!(State, kind));
        let bits = i64::from(crate::lazy::BITS);
        let other = self.b.ins().icmp_imm_s(IntCC::NotEqual, kind, bits);
        let (slow, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(slow);
        self.b.ins().brif(other, slow, &[], on, &[]);
        self.b.switch_to_block(slow);
        let function = self.load_state(offset_of!(State, settle));
        let arguments = [self.state];
        self.b.ins().call_indirect(settle, function, &arguments);
        self.b.ins().jump(on, &[]);
        self.b.switch_to_block(on);
    }

    /// Leaves with this budget; execution goes on there.
    pub(super) fn leave(&mut self, reason: Reason, rip: Rip, budget: Value) {
        let rip = match rip {
            Rip::Known(rip) => self.constant(rip),
            Rip::Computed(rip) => rip,
        };
        let [kind, x, y] = self.words();
        let block = self.exit(reason, true);
        let arguments = [x, y, kind, rip, budget].map(BlockArg::from);
        self.b.ins().jump(block, &arguments);
    }

    /// The way out before the instruction at hand, and what it is gone with.
    pub(super) fn way_aside(&mut self) -> (ir::Block, Vec<BlockArg>) {
        let (kind, x, y) = self.description();
        let block = self.exit(Reason::Aside, kind.is_none());
        let number = self.constant(self.asides.len() as u64);
        self.asides.push(Aside {
            rip: self.at,
            rest: self.rest,
            kind,
        });
        let mut arguments = vec![x, y];
        if kind.is_none() {
            arguments.push(self.b.use_var(self.lazy[0]));
        }
        arguments.push(number);
        (block, arguments.into_iter().map(BlockArg::from).collect())
    }

    /// The block that leaves so; the fewer the better, where nobody minds a few
    /// stores too many.
    fn exit(&mut self, reason: Reason, tells_kind: bool) -> ir::Block {
        let dirty = match reason {
            Reason::Next => self.dirty,
            _ => self.dirty | self.dirtiest & !self.early,
        };
        let same = |exit: &&Exit| {
            (exit.reason, exit.dirty, exit.tells_kind) == (reason, dirty, tells_kind)
        };
        if let Some(exit) = self.exits.iter().find(same) {
            return exit.block;
        }
        let block = self.b.create_block();
        let others = if reason == Reason::Aside { 1 } else { 2 };
        for _ in 0..2 + usize::from(tells_kind) + others {
            self.b.append_block_param(block, types::I64);
        }
        if reason != Reason::Next {
            self.b.set_cold_block(block);
        }
        self.exits.push(Exit {
            reason,
            dirty,
            tells_kind,
            block,
        });
        block
    }

    /// The ways out, when all that lead to them are known.
    pub(super) fn finish_exits(&mut self) {
        let chain = self.b.create_block();
        let rip = self.b.append_block_param(chain, types::I64);
        let mut chained = false;
        for exit in std::mem::take(&mut self.exits) {
            self.b.switch_to_block(exit.block);
            self.dirty = exit.dirty;
            self.store_registers(!0);
            let values = self.b.block_params(exit.block).to_vec();
            self.store_state_at(offset_of!(State, x), values[0]);
            self.store_state_at(offset_of!(State, y), values[1]);
            let mut others = &values[2..];
            if exit.tells_kind {
                self.store_state_at(offset_of!(State, kind), others[0]);
                others = &others[1..];
            }
            if exit.reason == Reason::Aside {
                self.store_state_at(offset_of!(State, aside), others[0]);
                let budget = self.b.use_var(self.budget);
                self.store_state_at(offset_of!(State, budget), budget);
            } else {
                let offset = offset_of!(Cpu, rip) as i32;
                self.b.ins().store(trusted(), others[0], self.cpu, offset);
                self.store_state_at(offset_of!(State, budget), others[1]);
            }
            if exit.reason == Reason::Next {
                chained = true;
                self.b.ins().jump(chain, &[others[0].into()]);
            } else {
                let reason = self.constant(exit.reason as u64);
                self.b.ins().return_(&[reason]);
            }
        }
        if chained {
            self.b.switch_to_block(chain);
            self.chain(rip);
        }
    }

    /// Goes on in the region that the table of places has at this address, if it
    /// has one; `cpu.rip` says the same.
    fn chain(&mut self, rip: Value) {
        let high = self.b.ins().ushr_imm_u(rip, i64::from(PLACE_BITS));
        let mixed = self.b.ins().bxor(rip, high);
        let number = self.b.ins().band_imm_u(mixed, (1 << PLACE_BITS) - 1);
        let far = self
            .b
            .ins()
            .ishl_imm_u(number, i64::from(offsets::SIZE_BITS));
        let places = self.load_state(offset_of!(State, places));
        let place = self.b.ins().iadd(places, far);
        let mut part = |offset| self.b.ins().load(types::I64, trusted(), place, offset);
        let (at, tag, code) = (part(offsets::RIP), part(offsets::TAG), part(offsets::CODE));
        let own = self.load_state(offset_of!(State, tag));
        let (a, b) = (self.b.ins().bxor(at, rip), self.b.ins().bxor(tag, own));
        let other = self.b.ins().bor(a, b);
        let (miss, hit) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(other, miss, &[], hit, &[]);
        self.b.switch_to_block(hit);
        let entry = self.b.ins().uload32(trusted(), place, offsets::ENTRY);
        let shape = self.b.import_signature(signature());
        let arguments = [self.state, self.cpu, entry];
        self.b.ins().return_call_indirect(shape, code, &arguments);
        self.b.switch_to_block(miss);
        let reason = self.constant(Reason::Next as u64);
        self.b.ins().return_(&[reason]);
    }
}
