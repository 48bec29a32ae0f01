//! From a [`Plan`] to a function of Cranelift's.
//!
//! Registers are SSA variables, loaded where the region is entered and stored
//! where it is left. What the compiled code cannot do exactly, it does not
//! begin: it leaves with the state at the instruction's boundary.

mod alu;
mod bits;
mod branch;
pub(crate) mod cost;
mod flags;
mod float;
mod lanes;
mod leave;
mod memory;
mod moves;
mod multiply;
mod numbers;
mod range;
mod run;
mod shift;
mod step;
mod vector;

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, SigRef, Type, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, Variable};
use machine::CostModel;
use machine::Cpu;
use machine::cpu::insn::{Family, Gpr, Insn, Operand, Width};

use crate::plan::{Block, End, Plan, Target};
use crate::state::{Aside, Reason, State};
use rustc_hash::{FxHashMap, FxHashSet};

use cost::packed;
use flags::{Flags, Wish, wish};
use leave::{Exit, Rip};
use numbers::Numbers;
use run::Hasty;

pub(crate) use float::{is_ready, needs_mxcsr};
pub(crate) use leave::signature;
pub(crate) use step::{is_native, is_possible};

/// The type of an integer of this width.
fn typed(width: Width) -> Type {
    match width {
        Width::Byte => types::I8,
        Width::Word => types::I16,
        Width::Dword => types::I32,
        Width::Qword => types::I64,
    }
}

/// The bits of the general-purpose registers, where registers are numbered.
const GPRS: u32 = 0xFFFF;

/// Accesses to the state: aligned, and sure not to trap.
fn trusted() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// What a region is compiled into.
pub(crate) struct Emit<'f, 'p> {
    b: FunctionBuilder<'f>,
    plan: &'p Plan,
    model: CostModel,
    /// The function's own arguments, and what is loaded once.
    state: Value,
    cpu: Value,
    bank: Value,
    /// The general-purpose registers and the vector registers.
    gpr: [Variable; 16],
    xmm: [Variable; 16],
    /// Kind, x, y of the flags where several ways meet, and their carry.
    lazy: [Variable; 3],
    carry: Variable,
    /// Cycles and instructions left: see [`packed`].
    budget: Variable,
    /// Which registers the region knows, by number; vector registers from 16.
    used: u32,
    /// Which of them may differ from what the CPU's state says, here and
    /// anywhere.
    dirty: u32,
    dirtiest: u32,
    /// Those that are stored before an instruction that may leave, and not only
    /// where it does: with them, ways out need not be told. In loops that would
    /// be too often.
    early: u32,
    flags: Flags,
    /// For each block where it begins, the flags on its only way there, what it
    /// wants to know of them, and which registers are dirty there.
    blocks: Vec<ir::Block>,
    known: Vec<Option<Flags>>,
    wishes: Vec<Wish>,
    dirty_at: Vec<u32>,
    /// The lowest lanes of vectors that were made of them, and lanes that are
    /// known to be ordinary numbers or zeros.
    lanes: FxHashMap<Value, Value>,
    clean: FxHashSet<Value>,
    /// What is known of doubles, here and where blocks begin; the registers that
    /// blocks want to be in the window; the run that is being made.
    numbers: Numbers,
    numbers_known: Vec<Option<Numbers>>,
    wanted: Vec<u16>,
    hasty: Option<Hasty>,
    fill: SigRef,
    step: SigRef,
    exits: Vec<Exit>,
    asides: Vec<Aside>,
    /// The region's number.
    number: u64,
    /// The instruction at hand, its place in its block, and what is left of the
    /// block from there on.
    block: usize,
    at: u64,
    rest: i64,
}

/// What is made: the places in the plan's blocks at which it can be entered, in
/// the order of their numbers.
pub(crate) fn entries(plan: &Plan) -> Vec<usize> {
    let blocks = plan.blocks.iter().enumerate();
    blocks
        .filter(|(_, block)| block.is_header)
        .map(|(index, _)| index)
        .collect()
}

/// Builds the function: (state, cpu, entry) to [`Reason`]. The list says for each
/// [`Reason::Aside`] where that is.
pub(crate) fn build(
    mut b: FunctionBuilder<'_>,
    plan: &Plan,
    model: CostModel,
    number: u32,
    config: TargetFrontendConfig,
) -> Vec<Aside> {
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let [state, cpu, entered] = [0, 1, 2].map(|i| b.block_params(entry)[i]);
    let bank = b
        .ins()
        .load(types::I64, trusted(), state, offset_of!(State, bank) as i32);
    let blocks: Vec<ir::Block> = plan.blocks.iter().map(|_| b.create_block()).collect();
    let gpr = std::array::from_fn(|_| b.declare_var(types::I64));
    let xmm = std::array::from_fn(|_| b.declare_var(types::I8X16));
    let lazy = std::array::from_fn(|_| b.declare_var(types::I64));
    let carry = b.declare_var(types::I64);
    let budget = b.declare_var(types::I64);
    let convention = config.default_call_conv;
    let fill = memory::fill_signature(&mut b);
    let step = step::step_signature(&mut b, convention);
    let settle = leave::settle_signature(&mut b, convention);
    let used = plan
        .blocks
        .iter()
        .fold(0, |all, block| all | registers(block));
    let count = blocks.len();
    let dirtiest = plan.blocks.iter().fold(0, |all, b| all | written(b));
    let early = if plan.has_loop { 0 } else { GPRS };
    let mut emit = Emit {
        b,
        plan,
        model,
        state,
        cpu,
        bank,
        gpr,
        xmm,
        lazy,
        carry,
        budget,
        used,
        dirty: 0,
        dirtiest,
        early,
        flags: Flags::Lazy,
        blocks,
        known: vec![None; count],
        wishes: wishes(plan),
        dirty_at: dirty(plan, early),
        lanes: FxHashMap::default(),
        clean: FxHashSet::default(),
        numbers: [None; 16],
        numbers_known: vec![None; count],
        wanted: numbers::wanted(plan),
        hasty: None,
        fill,
        step,
        exits: Vec::new(),
        asides: Vec::new(),
        number: number.into(),
        block: 0,
        at: 0,
        rest: 0,
    };
    emit.enter(entered, settle);
    for index in 0..count {
        emit.block(index);
    }
    emit.finish_exits();
    emit.b.seal_all_blocks();
    emit.b.finalize(config);
    emit.asides
}

/// What every block wants to know of the flags.
fn wishes(plan: &Plan) -> Vec<Wish> {
    let mut wishes = vec![Wish::Nothing; plan.blocks.len()];
    loop {
        let before = wishes.clone();
        for (index, block) in plan.blocks.iter().enumerate().rev() {
            let next = block.next();
            let behind = next.iter().map(|&index| before[index].max(wishes[index]));
            let behind = behind.max().unwrap_or_default();
            wishes[index] = wish(&block.insns, behind);
        }
        if wishes == before {
            return wishes;
        }
    }
}

/// Which registers may be dirty at each block's beginning, if these are stored
/// early.
fn dirty(plan: &Plan, early: u32) -> Vec<u32> {
    let mut dirty = vec![0; plan.blocks.len()];
    loop {
        let before = dirty.clone();
        for (index, block) in plan.blocks.iter().enumerate() {
            let after = block.insns.iter().fold(dirty[index], |before, (_, insn)| {
                before & !step::stored(insn, early) | step::written(insn)
            });
            for next in block.next() {
                dirty[next] |= after;
            }
        }
        if dirty == before {
            return dirty;
        }
    }
}

fn written(block: &Block) -> u32 {
    let insns = block.insns.iter();
    insns.fold(0, |all, (_, insn)| all | step::written(insn))
}

fn registers(block: &Block) -> u32 {
    let insns = block.insns.iter();
    insns.fold(0, |all, (_, insn)| all | step::touched(insn))
}

impl Emit<'_, '_> {
    fn constant(&mut self, value: u64) -> Value {
        self.b.ins().iconst(types::I64, value as i64)
    }

    /// Gives a general-purpose register a new value.
    fn define(&mut self, index: u8, value: Value) {
        let index = usize::from(index & 15);
        self.b.def_var(self.gpr[index], value);
    }

    /// A value as one of 64 bits, zero-extended.
    fn wide(&mut self, value: Value) -> Value {
        match self.b.func.dfg.value_type(value) {
            types::I64 => value,
            _ => self.b.ins().uextend(types::I64, value),
        }
    }

    /// A 64-bit value cut to a width.
    fn narrow(&mut self, value: Value, width: Width) -> Value {
        match width {
            Width::Qword => value,
            _ => self.b.ins().ireduce(typed(width), value),
        }
    }

    /// The status flags as the CPU's state has them.
    fn load_status(&mut self) -> Value {
        let offset = offset_of!(Cpu, rflags) as i32;
        let rflags = self.b.ins().load(types::I64, trusted(), self.cpu, offset);
        let status = machine::cpu::state::flag::STATUS as i64;
        self.b.ins().band_imm_u(rflags, status)
    }

    fn place(index: usize) -> i32 {
        let place = match index {
            0..16 => offset_of!(Cpu, gpr) + 8 * index,
            _ => offset_of!(Cpu, xmm) + 16 * (index - 16),
        };
        place as i32
    }

    fn variable(&self, index: usize) -> (Variable, Type) {
        match index {
            0..16 => (self.gpr[index], types::I64),
            _ => (self.xmm[index - 16], types::I8X16),
        }
    }

    fn load_registers(&mut self) {
        for index in (0..32).filter(|index| self.used >> index & 1 != 0) {
            let (variable, of) = self.variable(index);
            let value = self
                .b
                .ins()
                .load(of, trusted(), self.cpu, Self::place(index));
            self.b.def_var(variable, value);
        }
    }

    /// Stores those of these registers that are dirty.
    fn store_registers(&mut self, registers: u32) {
        let dirty = self.dirty & registers;
        for index in (0..32).filter(|index| dirty >> index & 1 != 0) {
            let (variable, _) = self.variable(index);
            let value = self.b.use_var(variable);
            self.b
                .ins()
                .store(trusted(), value, self.cpu, Self::place(index));
        }
    }

    /// Stores registers and flags.
    fn store_state(&mut self) {
        self.store_registers(!0);
        let words = self.words();
        let places = [
            offset_of!(State, kind),
            offset_of!(State, x),
            offset_of!(State, y),
        ];
        for (value, place) in words.into_iter().zip(places) {
            self.b
                .ins()
                .store(trusted(), value, self.state, place as i32);
        }
    }

    /// Leaves before the instruction at hand, if `condition` holds.
    fn leave_if(&mut self, condition: Value) {
        if self.hasty.is_some() {
            return self.begin_anew_if(condition);
        }
        let (out, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        self.b.ins().brif(condition, out, &[], on, &[]);
        self.b.switch_to_block(out);
        let (block, arguments) = self.way_aside();
        self.b.ins().jump(block, &arguments);
        self.b.switch_to_block(on);
    }

    /// One block, from the check of the budget to where it leads.
    fn block(&mut self, index: usize) {
        let plan = self.plan;
        let block = &plan.blocks[index];
        self.b.switch_to_block(self.blocks[index]);
        self.block = index;
        self.numbers = self.numbers_at(index);
        self.lanes.clear();
        self.clean.clear();
        self.dirty = self.dirty_at[index];
        self.flags = match (self.known[index], self.wishes[index]) {
            (Some(flags), _) => flags,
            (None, Wish::All) => Flags::Bits(self.b.use_var(self.lazy[1])),
            (None, _) => Flags::Lazy,
        };
        let budget = self.b.use_var(self.budget);
        if block.is_header {
            self.check(block, budget);
        }
        let whole = packed(block.cost, block.count);
        let budget = self.b.ins().iadd_imm_s(budget, -whole);
        self.b.def_var(self.budget, budget);
        self.rest = whole;
        let mut place = 0;
        while let Some((va, insn)) = block.insns.get(place) {
            let length = run::length(block, place);
            if length != 0 {
                self.run(block, place, length);
                place += length;
                continue;
            }
            self.at = *va;
            self.store_before(insn);
            place += 1;
            if insn.family == Family::Control {
                self.settle_numbers();
            }
            if place == block.insns.len() && self.branch(insn) {
                return;
            }
            self.instruction(insn);
            self.pass(insn);
            self.note_numbers(insn);
        }
        self.finish(&block.end);
    }

    /// An instruction that may have to leave finds registers stored: once here,
    /// and not on each such way out.
    fn store_before(&mut self, insn: &Insn) {
        let registers = step::stored(insn, self.early) & GPRS;
        self.store_registers(registers);
        self.dirty &= !registers;
    }

    /// Leaves if the budget may not reach to the next check.
    fn check(&mut self, block: &Block, budget: Value) {
        let (out, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        let reach = self.constant(packed(block.reach, 0) as u64);
        let short = self.b.ins().icmp(IntCC::SignedLessThan, budget, reach);
        self.b.ins().brif(short, out, &[], on, &[]);
        self.b.switch_to_block(out);
        self.leave(Reason::Budget, Rip::Known(block.va), budget);
        self.b.switch_to_block(on);
    }

    /// Where a block ends without a branch of its own.
    fn finish(&mut self, end: &End) {
        match end {
            End::Goto(target) => {
                if let Target::Inside(index) = target {
                    self.at = self.plan.blocks[*index].va;
                    self.settle_numbers();
                }
                self.goto(*target);
            }
            End::Leave(va) => {
                let budget = self.b.use_var(self.budget);
                self.leave(Reason::Foreign, Rip::Known(*va), budget);
            }
            // Branches have seen to the others.
            End::Branch { .. } | End::Return(_) | End::Indirect(_) => {
                let budget = self.b.use_var(self.budget);
                let at = self.at;
                self.leave(Reason::Foreign, Rip::Known(at), budget);
            }
        }
    }

    /// Goes to a target, with the flags as it wants them.
    fn goto(&mut self, target: Target) {
        match target {
            Target::Outside(va) => {
                let budget = self.b.use_var(self.budget);
                self.leave(Reason::Next, Rip::Known(va), budget);
            }
            Target::Inside(index) => {
                if self.has_one_way(index) {
                    self.numbers_known[index] = Some(self.numbers);
                }
                self.hand_over(index);
                let block = self.blocks[index];
                self.b.ins().jump(block, &[]);
            }
        }
    }

    /// Hands the flags over to a block of the region.
    fn hand_over(&mut self, index: usize) {
        if self.has_one_way(index) {
            if !matches!(self.flags, Flags::Lazy) {
                self.known[index] = Some(self.flags);
            } else if self.wishes[index] == Wish::All {
                self.known[index] = None;
            }
            return;
        }
        let words = match self.wishes[index] {
            Wish::All => {
                let status = self.status();
                self.flags_as_bits(status)
            }
            _ => self.words(),
        };
        if self.wishes[index] == Wish::Carry {
            let carry = self.wide_carry();
            self.b.def_var(self.carry, carry);
        }
        for (variable, value) in self.lazy.into_iter().zip(words) {
            self.b.def_var(variable, value);
        }
    }

    fn flags_as_bits(&mut self, status: Value) -> [Value; 3] {
        let kind = self.constant(crate::lazy::BITS.into());
        [kind, status, self.constant(0)]
    }

    /// A general-purpose register, or a part of it.
    fn register(&mut self, reg: Gpr) -> Value {
        let full = self.b.use_var(self.gpr[usize::from(reg.index & 15)]);
        match reg.high {
            true => {
                let moved = self.b.ins().ushr_imm_u(full, 8);
                self.b.ins().ireduce(types::I8, moved)
            }
            false => self.narrow(full, reg.width),
        }
    }

    /// Writes a register with a value of its width.
    fn set_register(&mut self, reg: Gpr, value: Value) {
        let variable = self.gpr[usize::from(reg.index & 15)];
        let value = self.wide(value);
        let merged = match (reg.high, reg.width) {
            (false, Width::Qword | Width::Dword) => value,
            (high, width) => {
                let (mask, by) = if high { (0xFF00, 8) } else { (width.mask(), 0) };
                let old = self.b.use_var(variable);
                let old = self.b.ins().band_imm_s(old, !mask as i64);
                let value = self.b.ins().ishl_imm_u(value, by);
                self.b.ins().bor(old, value)
            }
        };
        self.define(reg.index, merged);
    }

    /// An operand of this width that is read: a register, memory, an immediate.
    fn read(&mut self, insn: &Insn, index: usize, width: Width) -> Value {
        match insn.operands[index] {
            Operand::Gpr(reg) => self.register(reg),
            Operand::Mem => self.load(insn, width),
            Operand::Imm(value) => {
                let value = width.extend(value & width.mask()) as i64;
                self.b.ins().iconst(typed(width), value)
            }
            // `is_native` lets no others pass.
            _ => self.b.ins().iconst(typed(width), 0),
        }
    }
}
