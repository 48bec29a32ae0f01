//! Far calls and jumps through call gates (Intel's manual, volume 3, 5.8.3), in protected mode
//! and in IA-32e mode.

use super::descriptor::Descriptor;
use super::insn::{Seg, Width};
use super::protected_mode::{Stack, TASK_SWITCH};
use super::state::Segment;
use super::{Cx, Fault, vector};
use crate::addr::VirtAddr;

/// How control came to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Jump,
    Call,
}

/// What a call gate says.
struct Gate {
    selector: u16,
    offset: u64,
    /// Width of what a call pushes.
    size: Width,
    /// How many words a call to an inner level copies.
    parameters: usize,
}

impl Cx<'_> {
    /// A far transfer to something that is no code segment.
    pub(super) fn through_gate(
        &mut self,
        selector: u16,
        descriptor: Descriptor,
        transfer: Transfer,
    ) -> Result<(), Fault> {
        let long = self.cpu.long_mode();
        let denied = Err(Fault::coded(vector::GP, selector & !3));
        let level = self.cpu.cpl().max((selector & 3) as u8);
        match descriptor.kind() {
            0xC => {}
            4 if !long => {}
            1 | 5 | 9 if !long && descriptor.dpl() >= level => return Err(TASK_SWITCH),
            _ => return denied,
        }
        if descriptor.dpl() < level {
            return denied;
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, selector & !3));
        }
        let gate = self.read_gate(selector, descriptor)?;
        let target = self.gate_target(&gate)?;
        let cpl = self.cpu.cpl();
        let inward = !target.is_conforming() && target.dpl() < cpl;
        match (transfer, inward) {
            (Transfer::Jump, true) => Err(Fault::coded(vector::GP, gate.selector & !3)),
            (Transfer::Call, true) => self.call_inward(&gate, target),
            (Transfer::Call, false) => self.call_level(&gate, target),
            (Transfer::Jump, false) => self.enter_gate(&gate, target, cpl),
        }
    }

    fn read_gate(&mut self, selector: u16, low: Descriptor) -> Result<Gate, Fault> {
        if !self.cpu.long_mode() {
            let size = low.size();
            return Ok(Gate {
                selector: low.target(),
                offset: low.offset() & size.mask(),
                size,
                parameters: (low.0 >> 32) as usize & 31,
            });
        }
        let (low, high) = self.wide_descriptor(selector)?;
        // The type field of the upper half has to be zero.
        if high >> 40 & 0x1F != 0 {
            return Err(Fault::coded(vector::GP, selector & !3));
        }
        Ok(Gate {
            selector: low.target(),
            offset: low.offset() | high << 32,
            size: Width::Qword,
            parameters: 0,
        })
    }

    /// The code segment that a gate names.
    fn gate_target(&mut self, gate: &Gate) -> Result<Descriptor, Fault> {
        if gate.selector & !3 == 0 {
            return Err(Fault::GP);
        }
        let descriptor = self.descriptor(gate.selector, vector::GP)?;
        let code = gate.selector & !3;
        let long = self.cpu.long_mode();
        let right_width = !long || descriptor.is_long() && !descriptor.is_big();
        if !descriptor.is_code() || descriptor.dpl() > self.cpu.cpl() || !right_width {
            return Err(Fault::coded(vector::GP, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        let in_reach = match long {
            true => VirtAddr(gate.offset).is_canonical(),
            false => gate.offset <= u64::from(descriptor.limit()),
        };
        if in_reach {
            Ok(descriptor)
        } else {
            Err(Fault::GP)
        }
    }

    fn enter_gate(&mut self, gate: &Gate, target: Descriptor, cpl: u8) -> Result<(), Fault> {
        let segment = self.touch(gate.selector, target)?;
        self.set_code(gate.selector, cpl, segment);
        self.next = gate.offset;
        Ok(())
    }

    fn selector(&self, seg: Seg) -> u64 {
        self.cpu.seg[seg as usize].selector.into()
    }

    /// A call that stays at its level.
    fn call_level(&mut self, gate: &Gate, target: Descriptor) -> Result<(), Fault> {
        let words = [self.selector(Seg::Cs), self.next];
        let mut stack = Stack::current(self);
        self.push_on(&mut stack, &words, gate.size)?;
        let cpl = self.cpu.cpl();
        self.enter_gate(gate, target, cpl)?;
        self.cpu.gpr[4] = stack.pointer;
        Ok(())
    }

    /// A call to an inner level: its stack receives the old one's place, the parameters and the
    /// way back.
    fn call_inward(&mut self, gate: &Gate, target: Descriptor) -> Result<(), Fault> {
        let level = target.dpl();
        let mut stack = match self.cpu.long_mode() {
            true => Stack {
                segment: Segment {
                    selector: level.into(),
                    ..Segment::default()
                },
                pointer: self.task_stack(4 + 8 * u64::from(level))?,
                user: false,
                code: 0,
            },
            false => self.inner_stack(level)?,
        };
        let mut words = [0; 35];
        words[0] = self.selector(Seg::Ss);
        words[1] = self.cpu.gpr[4];
        for i in 0..gate.parameters {
            let depth = (gate.parameters - 1 - i) as u64 * u64::from(gate.size.bytes());
            words[2 + i] = self.stack_word(depth, gate.size)?;
        }
        let used = 4 + gate.parameters;
        words[used - 2] = self.selector(Seg::Cs);
        words[used - 1] = self.next;
        self.push_on(&mut stack, &words[..used], gate.size)?;
        self.enter_gate(gate, target, level)?;
        self.cpu.seg[Seg::Ss as usize] = stack.segment;
        self.cpu.gpr[4] = stack.pointer;
        Ok(())
    }
}
