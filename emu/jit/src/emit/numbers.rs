//! What is known of the lowest lanes of vector registers as doubles, from run to run and
//! from block to block.
//!
//! A register that may be computed with before it is written is in the window, or zero,
//! wherever a block begins that several ways lead to (see [`wanted`]); a block with one way
//! to it knows what is known there.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use machine::cpu::insn::{Insn, Op, Operand};

use super::range::{Range, WINDOW};
use super::{Emit, float, step};
use crate::plan::{Block, Plan};

/// What is known of the lowest lanes of the vector registers as doubles.
pub(super) type Numbers = [Option<Range>; 16];

/// Registers whose lowest lanes an instruction computes with.
fn operands(insn: &Insn) -> u16 {
    let number = |operand: Operand| match operand {
        Operand::Xmm(index) => 1 << (index & 15),
        _ => 0,
    };
    match insn.op {
        Op::Sqrtsd => number(insn.operands[1]),
        _ => number(insn.operands[0]) | number(insn.operands[1]),
    }
}

/// What is wanted before an instruction, if this is wanted behind it.
pub(super) fn wanted_before(insn: &Insn, behind: u16) -> u16 {
    let written = (step::written(insn) >> 16) as u16;
    if !step::is_native(insn) || !insn.family.is_vector() {
        return behind;
    }
    if float::is_checked_double(insn) {
        return behind & !written | operands(insn);
    }
    match (insn.op, insn.operands[0], insn.operands[1]) {
        (Op::Movaps | Op::Movapd | Op::Movdqa | Op::Movsd | Op::Movq, _, Operand::Xmm(from))
            if behind & written != 0 =>
        {
            behind & !written | 1 << (from & 15)
        }
        // The lowest lane stays.
        (Op::Unpcklpd | Op::Punpcklqdq | Op::Movhpd | Op::Movhps | Op::Movlhps, ..) => behind,
        _ => behind & !written,
    }
}

/// For each block, the registers whose lowest lanes may be computed with before
/// they are written: those that have to be in the window where it begins.
pub(super) fn wanted(plan: &Plan) -> Vec<u16> {
    let mut wanted = vec![0; plan.blocks.len()];
    loop {
        let before = wanted.clone();
        for (index, block) in plan.blocks.iter().enumerate().rev() {
            let behind = behind(block, &wanted);
            let insns = block.insns.iter().rev();
            wanted[index] = insns.fold(behind, |behind, (_, insn)| wanted_before(insn, behind));
        }
        if wanted == before {
            return wanted;
        }
    }
}

/// What the blocks behind one want.
pub(super) fn behind(block: &Block, wanted: &[u16]) -> u16 {
    let next = block.next();
    next.iter().fold(0, |all, &index| all | wanted[index])
}

impl Emit<'_, '_> {
    /// What is known where a block begins.
    pub(super) fn numbers_at(&self, index: usize) -> Numbers {
        if let Some(numbers) = self.numbers_known[index] {
            return numbers;
        }
        let wanted = self.wanted[index];
        std::array::from_fn(|register| (wanted >> register & 1 != 0).then_some(WINDOW))
    }

    /// Registers that have to be in the window behind the block at hand, because
    /// other ways lead to where it leads, too.
    pub(super) fn owed(&self) -> u16 {
        let next = self.plan.blocks[self.block].next();
        let next = next.into_iter().filter(|&index| !self.has_one_way(index));
        next.fold(0, |all, index| all | self.wanted[index])
    }

    /// Whether a block follows but one other, so that what is known goes with it.
    pub(super) fn has_one_way(&self, index: usize) -> bool {
        let block = &self.plan.blocks[index];
        block.comes_from == 1 && !block.is_header
    }

    /// Before the block at hand ends, sees to it that the registers that are wanted
    /// behind it are in the window; else the region is left at `self.at`.
    pub(super) fn settle_numbers(&mut self) {
        let owed = self.owed();
        let mut missing: Numbers = [None; 16];
        for register in (0..16).filter(|register| owed >> register & 1 != 0) {
            let known = self.numbers[register];
            if !known.is_some_and(|range| range.is_within(WINDOW)) {
                missing[register] = Some(WINDOW);
                self.numbers[register] = Some(WINDOW);
            }
        }
        self.require(&missing);
    }

    /// Leaves at `self.at` unless all of these are true.
    pub(super) fn require(&mut self, numbers: &Numbers) {
        let mut bad = None;
        for (register, range) in (0..).zip(numbers) {
            let Some(range) = range else { continue };
            let lane = self.low_lane(register, types::F64);
            let this = self.is_beyond(lane, *range);
            bad = Some(match bad {
                Some(bad) => self.b.ins().bor(bad, this),
                None => this,
            });
        }
        if let Some(bad) = bad {
            self.leave_if(bad);
        }
    }

    /// Whether a double is neither zero nor in the range.
    fn is_beyond(&mut self, value: Value, range: Range) -> Value {
        let magnitude = self.magnitude(value, types::F64);
        let (from, to) = range.fields();
        let many = to - from;
        let from = self.constant(from << 53);
        let many = self.constant(many << 53);
        let moved = self.b.ins().isub(magnitude, from);
        let outside = self
            .b
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, moved, many);
        let some = self.b.ins().icmp_imm_s(IntCC::NotEqual, magnitude, 0);
        self.b.ins().band(outside, some)
    }

    /// In front of a block that is entered from outside.
    pub(super) fn arrive(&mut self, index: usize) {
        self.at = self.plan.blocks[index].va;
        self.rest = 0;
        let wanted = self.wanted[index];
        let numbers = std::array::from_fn(|i| (wanted >> i & 1 != 0).then_some(WINDOW));
        self.require(&numbers);
        self.lanes.clear();
    }

    /// What an instruction that is in no run makes of what is known.
    pub(super) fn note_numbers(&mut self, insn: &Insn) {
        if !step::is_native(insn) {
            self.numbers = [None; 16];
            return;
        }
        let written = step::written(insn) >> 16;
        if written == 0 {
            return;
        }
        let register = written.trailing_zeros() as usize;
        self.numbers[register] = match (insn.op, insn.operands[1]) {
            (Op::Xorps | Op::Xorpd | Op::Pxor, source) if source == insn.operands[0] => {
                Some(WINDOW)
            }
            (Op::Movaps | Op::Movapd | Op::Movdqa | Op::Movsd, Operand::Xmm(from)) => {
                self.numbers[usize::from(from & 15)]
            }
            (Op::Cvtss2sd, _) => Some(Range::OF_SINGLE),
            (Op::Cvtsi2sd, _) => Some(Range::of_integer(64)),
            _ => None,
        };
    }
}
