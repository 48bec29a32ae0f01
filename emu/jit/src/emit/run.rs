//! Runs: instructions that compute with doubles and write no memory, up to one
//! that does. All of a run's numbers are looked at together, where it ends.
//!
//! A run is made twice. The first time nothing is checked until the end: it
//! computes, and collects which numbers lie outside of a window in which nothing
//! special can happen. If there are any, or memory is not at hand, nothing has
//! happened yet; the registers are what they were, and the run begins anew, this
//! time carefully, as [`super::float`] says: instruction by instruction, each of
//! which may leave the region.
//!
//! What goes from run to run is in [`super::numbers`].

use cranelift_codegen::ir::{self, InstBuilder, Value, types};
use machine::cpu::insn::{Family, Insn};
use rustc_hash::{FxHashMap, FxHashSet};

use super::cost::{accesses, cost, packed};
use super::flags::Flags;
use super::numbers::{Numbers, behind, wanted_before};
use super::range::{FIRST_FIELD, Range, WINDOW};
use super::{Emit, GPRS, float, step};
use crate::plan::Block;

/// A run that is being made for the first time.
#[derive(Debug)]
pub(super) struct Hasty {
    /// Where it is begun anew.
    careful: ir::Block,
    is_reached: bool,
    /// Two bits of it are zero if all numbers that were looked at are in the
    /// window.
    outside: Option<Value>,
    /// The registers that the run has to do with.
    touched: u16,
    ranges: FxHashMap<Value, Range>,
}

/// What the careful way begins with.
struct Before {
    registers: Vec<(usize, Value)>,
    flags: Flags,
    dirty: u32,
    rest: i64,
    lanes: FxHashMap<Value, Value>,
    clean: FxHashSet<Value>,
    numbers: Numbers,
}

/// How many instructions from `place` on are a run; zero if none begins there.
pub(super) fn length(block: &Block, place: usize) -> usize {
    let mut length = 0;
    if !block.insns[place].1.family.is_vector() {
        return 0;
    }
    for (at, (_, insn)) in block.insns[place..].iter().enumerate() {
        if !step::is_native(insn) || insn.family == Family::Control {
            break;
        }
        if float::is_checked_double(insn) {
            length = at + 1;
        }
        if accesses(insn).1 != 0 {
            return if length == 0 { 0 } else { at + 1 };
        }
    }
    length
}

impl Emit<'_, '_> {
    /// Carries out the run of so many instructions at `place` of the block.
    pub(super) fn run(&mut self, block: &Block, place: usize, length: usize) {
        let insns = &block.insns[place..place + length];
        let is_last = !(place + length..block.insns.len()).any(|at| self::length(block, at) != 0);
        let before = self.before(insns);
        let careful = self.b.create_block();
        self.hurry(careful, insns);
        for (at, (va, insn)) in insns.iter().enumerate() {
            self.at = *va;
            if at + 1 == length && accesses(insn).1 != 0 {
                self.look(block, place + length, is_last);
            }
            self.instruction(insn);
            self.pass(insn);
        }
        if accesses(&insns[length - 1].1).1 == 0 {
            self.look(block, place + length, is_last);
        }
        self.commit(insns);
        let hasty = self.hasty.take();
        if hasty.is_some_and(|hasty| hasty.is_reached) {
            self.again(insns, careful, before);
        }
    }

    /// An instruction is done.
    pub(super) fn pass(&mut self, insn: &Insn) {
        self.dirty |= step::written(insn);
        if step::is_native(insn) {
            self.rest -= packed(cost(insn, self.model), 1);
        }
    }

    fn before(&mut self, insns: &[(u64, Insn)]) -> Before {
        let written = insns
            .iter()
            .fold(0, |all, insn| all | step::written(&insn.1));
        let registers = (0..32).filter(|index| written >> index & 1 != 0);
        let registers = registers
            .map(|index| {
                let variable = self.variable(index).0;
                (index, self.b.use_var(variable))
            })
            .collect();
        Before {
            registers,
            flags: self.flags,
            dirty: self.dirty,
            rest: self.rest,
            lanes: self.lanes.clone(),
            clean: self.clean.clone(),
            numbers: self.numbers,
        }
    }

    fn hurry(&mut self, careful: ir::Block, insns: &[(u64, Insn)]) {
        let touched = insns
            .iter()
            .fold(0, |all, insn| all | step::touched(&insn.1))
            >> 16;
        let mut ranges = FxHashMap::default();
        for register in (0..16_u8).filter(|register| touched >> register & 1 != 0) {
            if let Some(range) = self.numbers[usize::from(register)] {
                ranges.insert(self.low_lane(register, types::F64), range);
            }
        }
        self.hasty = Some(Hasty {
            careful,
            is_reached: false,
            outside: None,
            touched: touched as u16,
            ranges,
        });
    }

    /// Begins the run anew if the condition holds.
    pub(super) fn begin_anew_if(&mut self, condition: Value) {
        let on = self.b.create_block();
        if let Some(hasty) = &mut self.hasty {
            hasty.is_reached = true;
            let careful = hasty.careful;
            self.b.ins().brif(condition, careful, &[], on, &[]);
        }
        self.b.switch_to_block(on);
    }

    /// Looks at a number where the run ends: it goes on only if it is in the window.
    fn restrict(&mut self, value: Value) -> Range {
        let bits = self.cast(types::I64, value);
        let first = self.constant(FIRST_FIELD << 52);
        let moved = self.b.ins().isub(bits, first);
        let Some(hasty) = &mut self.hasty else {
            return WINDOW;
        };
        hasty.ranges.insert(value, WINDOW);
        hasty.outside = Some(match hasty.outside {
            Some(outside) => self.b.ins().bor(outside, moved),
            None => moved,
        });
        WINDOW
    }

    /// What is known of a number; it is looked at if nothing was.
    pub(super) fn range(&mut self, value: Value) -> Range {
        let known = self
            .hasty
            .as_ref()
            .and_then(|hasty| hasty.ranges.get(&value));
        match known {
            Some(range) => *range,
            None => self.restrict(value),
        }
    }

    pub(super) fn set_range(&mut self, value: Value, range: Range) {
        if let Some(hasty) = &mut self.hasty {
            hasty.ranges.insert(value, range);
        }
    }

    /// The range of a sum or product, with its operands looked at unless it is surely
    /// zero or a normal number anyway.
    pub(super) fn combine(
        &mut self,
        (a, b): (Value, Value),
        result: Value,
        combined: fn(Range, Range) -> Option<Range>,
    ) {
        let (x, y) = (self.range(a), self.range(b));
        let range = combined(x, y).or_else(|| {
            // The one that may be smaller, then both.
            let is_a = x.low <= y.low;
            let (first, second) = if is_a { (a, b) } else { (b, a) };
            let first = self.restrict(first);
            let other = if is_a { y } else { x };
            let other = if a == b { first } else { other };
            combined(first, other).or_else(|| combined(first, self.restrict(second)))
        });
        if let Some(range) = range {
            self.set_range(result, range);
        }
    }

    /// A result that has to be in the window, as it is if its operands are numbers and
    /// nothing special happens.
    pub(super) fn combine_narrowly(&mut self, operands: [Value; 2], result: Value) {
        for value in operands {
            self.range(value);
        }
        self.restrict(result);
    }

    /// What is known of a register at the end of a run, narrowed if it is owed.
    fn number(&mut self, register: u8, is_owed: bool) -> Option<Range> {
        let lane = self.low_lane(register, types::F64);
        let known = match &self.hasty {
            Some(hasty) if hasty.touched >> register & 1 != 0 => hasty.ranges.get(&lane).copied(),
            _ => self.numbers[usize::from(register)],
        };
        match known {
            Some(range) if !is_owed || range.is_within(WINDOW) => Some(range),
            None if !is_owed => None,
            _ => Some(self.restrict(lane)),
        }
    }

    /// Looks at all that has to be looked at before the run can be relied upon, and
    /// notes what is known then.
    fn look(&mut self, block: &Block, place: usize, is_last: bool) {
        let behind = behind(block, &self.wanted);
        let later = block.insns[place..].iter().rev();
        let wanted = later.fold(behind, |behind, (_, insn)| wanted_before(insn, behind));
        let owed = if is_last { self.owed() } else { 0 };
        for register in 0..16_u8 {
            let bit = 1 << register;
            self.numbers[usize::from(register)] = match wanted & bit {
                0 => None,
                _ => self.number(register, owed & bit != 0),
            };
        }
        let Some(outside) = self.hasty.as_mut().and_then(|hasty| hasty.outside.take()) else {
            return;
        };
        let top = self.b.ins().ushr_imm_u(outside, 61);
        let top = self.b.ins().band_imm_u(top, 3);
        self.begin_anew_if(top);
    }

    /// Nothing leads back to the beginning of the run any more: stores what is
    /// stored before instructions that may leave.
    fn commit(&mut self, insns: &[(u64, Insn)]) {
        let stored = insns
            .iter()
            .fold(0, |all, insn| all | step::stored(&insn.1, self.early));
        self.store_registers(stored & GPRS);
        self.dirty &= !(stored & GPRS);
    }

    /// The careful way through a run, and where both meet.
    fn again(&mut self, insns: &[(u64, Insn)], careful: ir::Block, before: Before) {
        let (flags, numbers, dirty) = (self.flags, self.numbers, self.dirty);
        let join = self.b.create_block();
        let values = flags.values();
        for value in &values {
            let of = self.b.func.dfg.value_type(*value);
            self.b.append_block_param(join, of);
        }
        self.join(join);
        self.b.switch_to_block(careful);
        self.b.set_cold_block(careful);
        let lanes = before.lanes.clone();
        let clean = before.clean.clone();
        let known = self.resume(before);
        for (va, insn) in insns {
            self.at = *va;
            self.store_before(insn);
            self.instruction(insn);
            self.pass(insn);
            self.at = va.wrapping_add(u64::from(insn.len));
        }
        let mut required = numbers;
        for (register, range) in required.iter_mut().enumerate() {
            let written = insns
                .iter()
                .any(|(_, insn)| step::written(insn) >> (16 + register) & 1 != 0);
            if !written && *range == known[register] {
                *range = None;
            }
        }
        self.require(&required);
        self.join(join);
        self.b.switch_to_block(join);
        let values = self.b.block_params(join).to_vec();
        (self.flags, self.numbers) = (flags.with(&values), numbers);
        (self.lanes, self.clean) = (lanes, clean);
        self.dirty |= dirty;
    }

    fn join(&mut self, join: ir::Block) {
        let values = self.flags.values();
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        self.b.ins().jump(join, &values);
    }

    /// Brings back what the run began with; what was known then.
    fn resume(&mut self, before: Before) -> Numbers {
        for (index, value) in before.registers {
            let variable = self.variable(index).0;
            self.b.def_var(variable, value);
        }
        (self.flags, self.dirty, self.rest) = (before.flags, before.dirty, before.rest);
        (self.lanes, self.clean, self.numbers) = (before.lanes, before.clean, before.numbers);
        let used = self.used;
        for register in (0..16_u8).filter(|register| used >> (16 + register) & 1 != 0) {
            if self.numbers[usize::from(register)].is_some() {
                let lane = self.low_lane(register, types::F64);
                self.clean.insert(lane);
            }
        }
        self.numbers
    }
}
