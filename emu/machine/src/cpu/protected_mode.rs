//! Protected mode outside IA-32e mode: handlers behind the gates of the IDT, and the stacks of
//! the TSS (Intel's manual, volume 3, 6.12 and 7.2). Task gates stop the machine by name.

use super::descriptor::Descriptor;
use super::exception::{Cause, Delivery, IDT};
use super::insn::{Seg, Width};
use super::state::{Segment, Shadow, access, flag};
use super::{Cx, Fault, vector};
use crate::addr::VirtAddr;
use crate::mmu::Access;

/// What stops the machine where a task gate, a TSS or NT asks for another task.
pub(super) const TASK_SWITCH: Fault = Fault::Missing("hardware task switches");

/// A stack that is pushed on before it is the CPU's.
pub(super) struct Stack {
    pub(super) segment: Segment,
    /// ESP with the bits that the stack's width leaves alone.
    pub(super) pointer: u64,
    /// Pushed on with the rights of level 3.
    pub(super) user: bool,
    /// The error code if it is too small.
    pub(super) code: u16,
}

impl Stack {
    /// The one that is in use.
    pub(super) fn current(cx: &Cx<'_>) -> Stack {
        Stack {
            segment: cx.cpu.seg[Seg::Ss as usize],
            pointer: cx.cpu.gpr[4],
            user: cx.user,
            code: 0,
        }
    }

    fn width(&self, cx: &Cx<'_>) -> Width {
        if cx.cpu.long_mode() {
            Width::Qword
        } else {
            self.segment.stack_width()
        }
    }
}

/// A gate of the IDT, after its checks.
struct Gate {
    offset: u64,
    selector: u16,
    /// Width of the frame.
    size: Width,
    interrupt: bool,
}

impl Cx<'_> {
    /// Pushes words, the first one first. All of them are translated before any is written.
    pub(super) fn push_on(
        &mut self,
        stack: &mut Stack,
        words: &[u64],
        size: Width,
    ) -> Result<(), Fault> {
        let mask = stack.width(self).mask();
        let offset = |i: usize| {
            let distance = (i as u64 + 1) * u64::from(size.bytes());
            stack.pointer.wrapping_sub(distance) & mask
        };
        let rights = Access {
            write: true,
            user: stack.user,
            ..Access::default()
        };
        for i in 0..words.len() {
            let va = self.place_on(stack, offset(i), size)?;
            self.translate(va, rights)?;
            self.translate(va.add(u64::from(size.bytes()) - 1), rights)?;
        }
        for (i, &word) in words.iter().enumerate() {
            let va = self.place_on(stack, offset(i), size)?;
            let span = self.span_system(va, size.bytes(), true)?;
            self.store(span, word & size.mask());
        }
        if let Some(last) = words.len().checked_sub(1) {
            stack.pointer = stack.pointer & !mask | offset(last);
        }
        Ok(())
    }

    /// The linear address of a word of a stack.
    fn place_on(&self, stack: &Stack, offset: u64, size: Width) -> Result<VirtAddr, Fault> {
        let denied = Fault::coded(vector::SS, stack.code);
        if self.cpu.long_mode() {
            let va = VirtAddr(offset);
            let last = va.add(u64::from(size.bytes()) - 1);
            let good = va.is_canonical() && last.is_canonical();
            return if good { Ok(va) } else { Err(denied) };
        }
        let segment = &stack.segment;
        let allowed = self.cpu.real_mode() || segment.permits(true);
        if !allowed || !segment.holds(offset, size.bytes().into()) {
            return Err(denied);
        }
        Ok(VirtAddr(segment.base.wrapping_add(offset) & 0xFFFF_FFFF))
    }

    /// Enters the handler of an event through a gate of 8 bytes.
    pub(super) fn deliver_in_protected_mode(&mut self, event: &Delivery) -> Result<(), Fault> {
        let gate = self.protected_gate(event)?;
        let external = |fault| with_external(fault, event.external);
        let segment = self.handler_code(&gate).map_err(external)?;
        let old = self.cpu.cpl();
        let new = match segment.is_conforming() {
            true => old,
            false => segment.dpl(),
        };
        let mut stack = match new < old {
            true => self.inner_stack(new).map_err(external)?,
            false => Stack::current(self),
        };
        if gate.offset > u64::from(segment.limit()) {
            return Err(Fault::coded(vector::GP, event.external));
        }
        self.push_event(&mut stack, event, gate.size, new < old)
            .map_err(external)?;
        let code = self.touch(gate.selector, segment)?;
        self.cpu.seg[Seg::Ss as usize] = stack.segment;
        self.cpu.gpr[4] = stack.pointer;
        self.set_code(gate.selector, new, code);
        self.cpu.rip = gate.offset;
        self.cpu.rflags &= !(flag::TF | flag::NT | flag::RF | flag::VM);
        if gate.interrupt {
            self.cpu.rflags &= !flag::IF;
        }
        self.cpu.shadow = Shadow::None;
        self.cpu.rep_iteration = 0;
        Ok(())
    }

    /// The frame of a handler: the stack that it takes the place of, if it is another one, then
    /// EFLAGS, CS, EIP and the error code.
    fn push_event(
        &mut self,
        stack: &mut Stack,
        event: &Delivery,
        size: Width,
        inward: bool,
    ) -> Result<(), Fault> {
        let selector = |seg: Seg| u64::from(self.cpu.seg[seg as usize].selector);
        let words = [
            selector(Seg::Ss),
            self.cpu.gpr[4],
            event.rflags,
            selector(Seg::Cs),
            event.rip,
            event.code.unwrap_or_default().into(),
        ];
        let first = if inward { 0 } else { 2 };
        let last = 5 + usize::from(event.code.is_some());
        self.push_on(stack, &words[first..last], size)
    }

    fn protected_gate(&mut self, event: &Delivery) -> Result<Gate, Fault> {
        let index = u16::from(event.vector);
        let code = index << 3 | IDT | event.external;
        let denied = Fault::coded(vector::GP, code);
        if index * 8 + 7 > self.cpu.idtr.limit {
            return Err(denied);
        }
        let place = VirtAddr(self.cpu.idtr.base.wrapping_add(u64::from(index) * 8));
        let gate = Descriptor(self.read_system_word(place)?);
        let kind = gate.kind();
        let known = !gate.is_segment() && matches!(kind, 5 | 6 | 7 | 0xE | 0xF);
        let too_low = event.cause == Cause::Software && gate.dpl() < self.cpu.cpl();
        if !known || too_low {
            return Err(denied);
        }
        if !gate.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        if kind == 5 {
            return Err(TASK_SWITCH);
        }
        let size = gate.size();
        Ok(Gate {
            offset: gate.offset() & size.mask(),
            selector: gate.target(),
            size,
            interrupt: kind & 1 == 0,
        })
    }

    fn handler_code(&mut self, gate: &Gate) -> Result<Descriptor, Fault> {
        if gate.selector & !3 == 0 {
            return Err(Fault::GP);
        }
        let descriptor = self.descriptor(gate.selector, vector::GP)?;
        let code = gate.selector & !3;
        if !descriptor.is_code() || descriptor.dpl() > self.cpu.cpl() {
            return Err(Fault::coded(vector::GP, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        Ok(descriptor)
    }

    /// The stack that the TSS keeps for an inner level.
    pub(super) fn inner_stack(&mut self, level: u8) -> Result<Stack, Fault> {
        let task = self.cpu.tr;
        // A 286's TSS has words, a 386's doublewords.
        let size = match task.access & access::TYPE & 8 {
            0 => Width::Word,
            _ => Width::Dword,
        };
        let step = u64::from(size.bytes());
        let at = step * (1 + 2 * u64::from(level));
        if at + step + 1 > u64::from(task.limit) {
            return Err(Fault::coded(vector::TS, task.selector & !3));
        }
        let place = VirtAddr(task.base.wrapping_add(at));
        let pointer = self.read_system(place, size.bytes())?;
        let selector = self.read_system(place.add(step), 2)? as u16;
        let segment = self.check_stack(selector, level, vector::TS)?;
        Ok(Stack {
            segment,
            pointer,
            user: level == 3,
            code: selector & !3,
        })
    }
}

/// The same fault with bit 0 of its error code as the event has it; page faults have no such bit.
fn with_external(fault: Fault, external: u16) -> Fault {
    match fault {
        Fault::Exception(exception) if exception.vector != vector::PF => {
            let code = exception.code.map(|code| code | external);
            Fault::Exception(super::Exception { code, ..exception })
        }
        other => other,
    }
}
