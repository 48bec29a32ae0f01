//! Exceptions, software interrupts and interrupts on their way through the IDT of IA-32e mode:
//! gates, the TSS's stacks, error codes, double and triple faults; and the way back, IRET.

use super::debug::GENERAL_DETECT;
use super::descriptor::Descriptor;
use super::insn::{Seg, Width};
use super::protected_mode::TASK_SWITCH;
use super::state::{Segment, Shadow, flag};
use super::{Cx, Exception, Fault, vector};
use crate::addr::VirtAddr;
use crate::cost::Class;

/// Bit of an error code: the fault belongs to an external event.
const EXTERNAL: u16 = 1;
/// Bit of an error code: the selector is an index into the IDT.
pub(super) const IDT: u16 = 2;

/// What is being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// INT n, INT3: the gate's privilege level counts.
    Software,
    /// An exception or an interrupt.
    Hardware,
}

/// One delivery: everything that is known before the IDT is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) vector: u8,
    pub(super) code: Option<u16>,
    pub(super) cause: Cause,
    /// RIP and RFLAGS to be pushed.
    pub(super) rip: u64,
    pub(super) rflags: u64,
    /// Bit 0 of the error codes of faults on the way.
    pub(super) external: u16,
}

/// A gate of the IDT, after its checks.
struct Gate {
    offset: u64,
    selector: u16,
    stack: u8,
    interrupt: bool,
}

impl Cx<'_> {
    /// Delivers an exception, escalating to a double fault and at last to a triple one.
    pub(super) fn raise(&mut self, first: Exception) -> Result<(), Fault> {
        let mut exception = first;
        loop {
            self.charge(Class::Exception);
            match exception.vector {
                vector::PF => self.cpu.cr2 = exception.address,
                // The handler may use the debug registers.
                vector::DB => self.cpu.dr[7] &= !GENERAL_DETECT,
                _ => {}
            }
            let second = match self.deliver_exception(exception) {
                Err(Fault::Exception(second)) => second,
                other => return other,
            };
            if exception.vector == vector::DF {
                return Err(Fault::Triple(second.vector));
            }
            exception = match doubles(exception.vector, second.vector) {
                true => Exception {
                    vector: vector::DF,
                    code: Some(0),
                    address: 0,
                },
                false => second,
            };
        }
    }

    fn deliver_exception(&mut self, exception: Exception) -> Result<(), Fault> {
        // RF in the pushed image lets a breakpoint on the instruction be passed once. A debugger
        // sets it there itself (volume 3B, 18.3.1.1); an NMI comes before the instruction.
        let resume = match exception.vector {
            vector::DB | vector::NMI => 0,
            _ => flag::RF,
        };
        self.deliver(Delivery {
            vector: exception.vector,
            code: exception.code,
            cause: Cause::Hardware,
            rip: self.cpu.rip,
            rflags: self.cpu.rflags | resume,
            external: EXTERNAL,
        })
    }

    /// Enters the handler of an interrupt that the local APIC delivered.
    pub(super) fn deliver_interrupt(&mut self, vector: u8) -> Result<(), Fault> {
        self.deliver(Delivery {
            vector,
            code: None,
            cause: Cause::Hardware,
            rip: self.cpu.rip,
            rflags: self.cpu.rflags,
            external: EXTERNAL,
        })
    }

    /// INT n, INT3: control goes on at the handler, which returns behind the instruction.
    pub(super) fn software_interrupt(&mut self, vector: u8) -> Result<(), Fault> {
        self.charge(Class::Exception);
        self.deliver(Delivery {
            vector,
            code: None,
            cause: Cause::Software,
            rip: self.next,
            rflags: self.cpu.rflags,
            external: 0,
        })?;
        self.next = self.cpu.rip;
        Ok(())
    }

    /// INT1: a #DB that says nothing in DR6 and asks no gate for its level.
    pub(super) fn debug_interrupt(&mut self) -> Result<(), Fault> {
        self.charge(Class::Exception);
        self.cpu.dr[7] &= !GENERAL_DETECT;
        self.deliver(Delivery {
            vector: vector::DB,
            code: None,
            cause: Cause::Hardware,
            rip: self.next,
            rflags: self.cpu.rflags,
            external: EXTERNAL,
        })?;
        self.next = self.cpu.rip;
        Ok(())
    }

    /// Pushes the frame and jumps; changes nothing but the stack's memory if it faults.
    fn deliver(&mut self, event: Delivery) -> Result<(), Fault> {
        match (self.cpu.real_mode(), self.cpu.long_mode()) {
            (true, _) => return self.deliver_in_real_mode(&event),
            (_, false) => return self.deliver_in_protected_mode(&event),
            (_, true) => {}
        }
        let gate = self.gate(&event)?;
        let code = gate.selector & !3 | event.external;
        let segment = self.handler_segment(&gate, code)?;
        let old = (
            self.cpu.cpl(),
            self.cpu.seg[Seg::Ss as usize],
            self.cpu.gpr[4],
        );
        let new_cpl = match segment.is_conforming() {
            true => old.0,
            false => segment.dpl(),
        };
        let top = self.handler_stack(&gate, old.0, new_cpl)?;
        let cs = u64::from(self.cpu.seg[Seg::Cs as usize].selector);
        let frame = [
            event.rip,
            cs,
            event.rflags,
            old.2,
            u64::from(old.1.selector),
        ];
        let sp = self.push_frame(top, event.code, &frame, new_cpl)?;

        let descriptor = segment.segment(gate.selector);
        self.set_code(gate.selector, new_cpl, descriptor);
        if new_cpl != old.0 {
            let selector = u16::from(new_cpl);
            self.cpu.seg[Seg::Ss as usize] = Segment {
                selector,
                ..Segment::default()
            };
        }
        self.cpu.gpr[4] = sp;
        self.cpu.rip = gate.offset;
        let cleared = flag::TF | flag::NT | flag::RF | flag::VM;
        self.cpu.rflags &= !cleared;
        if gate.interrupt {
            self.cpu.rflags &= !flag::IF;
        }
        self.cpu.shadow = Shadow::None;
        self.cpu.rep_iteration = 0;
        Ok(())
    }

    fn gate(&mut self, event: &Delivery) -> Result<Gate, Fault> {
        let index = u16::from(event.vector);
        let code = index << 3 | IDT | event.external;
        let denied = Fault::coded(vector::GP, code);
        if index * 16 + 15 > self.cpu.idtr.limit {
            return Err(denied);
        }
        let place = VirtAddr(self.cpu.idtr.base.wrapping_add(u64::from(index) * 16));
        let low = self.read_system_word(place)?;
        let high = self.read_system_word(place.add(8))?;
        let descriptor = Descriptor(low);
        let interrupt = match descriptor.kind() {
            0xE => true,
            0xF => false,
            _ => return Err(denied),
        };
        let too_low = event.cause == Cause::Software && descriptor.dpl() < self.cpu.cpl();
        if descriptor.is_segment() || too_low {
            return Err(denied);
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        let offset = low & 0xFFFF | low >> 32 & 0xFFFF_0000 | high << 32;
        if !VirtAddr(offset).is_canonical() {
            return Err(Fault::coded(vector::GP, event.external));
        }
        Ok(Gate {
            offset,
            selector: (low >> 16) as u16,
            stack: (low >> 32) as u8 & 7,
            interrupt,
        })
    }

    fn handler_segment(&mut self, gate: &Gate, code: u16) -> Result<Descriptor, Fault> {
        if gate.selector & !3 == 0 {
            return Err(Fault::coded(vector::GP, code & EXTERNAL));
        }
        let descriptor = self.descriptor(gate.selector, vector::GP)?;
        let right = descriptor.is_code() && descriptor.is_long() && !descriptor.is_big();
        if !right || descriptor.dpl() > self.cpu.cpl() {
            return Err(Fault::coded(vector::GP, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        Ok(descriptor)
    }

    /// Where the handler's stack begins, aligned to 16 bytes.
    fn handler_stack(&mut self, gate: &Gate, old: u8, new: u8) -> Result<u64, Fault> {
        let top = match gate.stack {
            0 if new == old => self.cpu.gpr[4],
            0 => self.task_stack(4 + 8 * u64::from(new))?,
            ist => self.task_stack(0x1C + 8 * u64::from(ist))?,
        };
        Ok(top & !0xF)
    }

    /// Reads a stack pointer from the 64-bit TSS.
    pub(super) fn task_stack(&mut self, offset: u64) -> Result<u64, Fault> {
        let task = self.cpu.tr;
        if offset + 7 > u64::from(task.limit) {
            return Err(Fault::coded(vector::TS, task.selector & !3));
        }
        let value = self.read_system_word(VirtAddr(task.base.wrapping_add(offset)))?;
        if VirtAddr(value).is_canonical() {
            Ok(value)
        } else {
            Err(Fault::SS)
        }
    }

    /// Pushes SS, RSP, RFLAGS, CS, RIP and the error code; the frame is translated as a whole
    /// before any of it is written.
    fn push_frame(
        &mut self,
        top: u64,
        code: Option<u16>,
        frame: &[u64; 5],
        cpl: u8,
    ) -> Result<u64, Fault> {
        let words = frame.len() as u64 + u64::from(code.is_some());
        let sp = top.wrapping_sub(8 * words);
        if !VirtAddr(sp).is_canonical() || !VirtAddr(top.wrapping_sub(1)).is_canonical() {
            return Err(Fault::SS);
        }
        let user = core::mem::replace(&mut self.user, cpl == 3);
        let written = self.write_frame(sp, code, frame);
        self.user = user;
        written.map(|()| sp)
    }

    fn write_frame(&mut self, sp: u64, code: Option<u16>, frame: &[u64; 5]) -> Result<(), Fault> {
        let skip = u64::from(code.is_some());
        let words = frame.len() as u64 + skip;
        let rights = crate::mmu::Access {
            user: self.user,
            write: true,
            ..Default::default()
        };
        // The first word that is pushed is the highest.
        let first = VirtAddr(sp).add(8 * (words - 1));
        self.translate(first, rights)?;
        if first.page() != VirtAddr(sp).page() {
            self.translate(VirtAddr(first.0 & !0xFFF).add(8_u64.wrapping_neg()), rights)?;
        }
        for (i, &word) in code.map(u64::from).iter().chain(frame).enumerate() {
            let at = VirtAddr(sp).add(8 * i as u64);
            if self.fast_write_system(at.0, word) {
                self.charge(Class::Store);
                continue;
            }
            let span = self.span_system(at, 8, true)?;
            self.store(span, word);
        }
        Ok(())
    }

    /// IRET: back to the same or an outer level.
    pub(super) fn interrupt_return(&mut self, size: Width) -> Result<(), Fault> {
        // Even if it faults (volume 3A, 6.7.1).
        if self.cpu.nmi_blocked {
            self.cpu.nmi_blocked = false;
            self.attention_changed();
        }
        if self.cpu.real_mode() {
            return self.return_in_real_mode(size);
        }
        if self.cpu.flag(flag::NT) {
            return Err(match self.cpu.long_mode() {
                true => Fault::GP,
                false => TASK_SWITCH,
            });
        }
        let step = u64::from(size.bytes());
        let mut word = [0; 5];
        // Outside 64-bit code SS:RSP is popped only on the way to an outer level.
        let mut count = if self.code64 { 5 } else { 3 };
        let mut i = 0;
        while i < count {
            word[i] = self.stack_word(i as u64 * step, size)?;
            i += 1;
            self.check_virtual_8086(&word, size)?;
            if i == 3 && (word[1] & 3) as u8 > self.cpu.cpl() {
                count = 5;
            }
        }
        let popped = count as u64 * step;
        self.return_to(word, size, count == 5, popped)
    }

    /// IRET at level 0 of protected mode may go to a task of the 8086.
    fn check_virtual_8086(&self, frame: &[u64; 5], size: Width) -> Result<(), Fault> {
        let asked = size == Width::Dword && frame[2] & flag::VM != 0;
        match asked && !self.cpu.long_mode() && self.cpu.cpl() == 0 {
            true => Err(Fault::Missing("virtual-8086 mode")),
            false => Ok(()),
        }
    }

    /// RETF to an outer level: what IRET does, but for the flags.
    pub(super) fn return_outward(&mut self, frame: [u64; 5], size: Width) -> Result<(), Fault> {
        let rflags = self.cpu.rflags;
        self.return_to(frame, size, true, 0)?;
        self.cpu.rflags = rflags;
        Ok(())
    }

    /// Checks and applies the frame RIP, CS, RFLAGS, RSP, SS; without the last two, `popped` bytes
    /// of the stack are given back.
    fn return_to(
        &mut self,
        [rip, cs, rflags, rsp, ss]: [u64; 5],
        size: Width,
        with_stack: bool,
        popped: u64,
    ) -> Result<(), Fault> {
        let (cs, ss) = (cs as u16, ss as u16);
        let cpl = self.cpu.cpl();
        let new_cpl = (cs & 3) as u8;
        let code = self.return_segment(cs, new_cpl)?;
        let to64 = self.cpu.long_mode() && code.is_long();
        let target_ok = match to64 {
            true => VirtAddr(rip).is_canonical(),
            false => rip <= u64::from(code.limit()),
        };
        if !target_ok {
            return Err(Fault::GP);
        }
        let stack = match with_stack {
            true => Some(self.return_stack(ss, new_cpl, to64)?),
            false => None,
        };
        let segment = self.touch(cs, code)?;
        match stack {
            Some(segment) => {
                self.cpu.seg[Seg::Ss as usize] = segment;
                self.cpu.gpr[4] = rsp & size.mask();
            }
            None => self.release_stack(popped),
        }
        self.set_code(cs, new_cpl, segment);
        self.load_flags(rflags, size, cpl, true);
        if new_cpl > cpl {
            self.drop_inner_segments(new_cpl);
        }
        self.next = rip;
        Ok(())
    }

    fn return_segment(&mut self, cs: u16, new_cpl: u8) -> Result<Descriptor, Fault> {
        if cs & !3 == 0 {
            return Err(Fault::GP);
        }
        let code = self.descriptor(cs, vector::GP)?;
        let level_ok = match code.is_conforming() {
            true => code.dpl() <= new_cpl,
            false => code.dpl() == new_cpl,
        };
        let long_and_big = self.cpu.long_mode() && code.is_long() && code.is_big();
        if !code.is_code() || !level_ok || new_cpl < self.cpu.cpl() || long_and_big {
            return Err(Fault::coded(vector::GP, cs & !3));
        }
        if !code.present() {
            return Err(Fault::coded(vector::NP, cs & !3));
        }
        Ok(code)
    }

    fn return_stack(&mut self, ss: u16, new_cpl: u8, to64: bool) -> Result<Segment, Fault> {
        if ss & !3 == 0 {
            return match to64 && new_cpl != 3 && (ss & 3) as u8 == new_cpl {
                true => Ok(Segment {
                    selector: ss,
                    ..Segment::default()
                }),
                false => Err(Fault::GP),
            };
        }
        self.check_stack(ss, new_cpl, vector::GP)
    }

    /// A return to an outer level takes away data segments that it may not use.
    pub(super) fn drop_inner_segments(&mut self, cpl: u8) {
        for seg in [Seg::Es, Seg::Ds, Seg::Fs, Seg::Gs] {
            let segment = &mut self.cpu.seg[seg as usize];
            let conforming = segment.access & (1 << 3 | 1 << 2) == (1 << 3 | 1 << 2);
            if segment.usable() && !conforming && segment.dpl() < cpl {
                // The base of FS and GS stays: Intel CPUs clear only selector and rights.
                *segment = Segment {
                    base: segment.base,
                    ..Segment::default()
                };
            }
        }
    }

    /// POPF and IRET: the flags that level `cpl` may change. Only IRET may set RF.
    pub(super) fn load_flags(&mut self, value: u64, size: Width, cpl: u8, iret: bool) {
        let mut mask = flag::STATUS | flag::TF | flag::DF | flag::NT | flag::AC | flag::ID;
        if iret {
            mask |= flag::RF;
        }
        if cpl == 0 {
            mask |= flag::IOPL;
        }
        if u64::from(cpl) <= (self.cpu.rflags & flag::IOPL) >> 12 {
            mask |= flag::IF;
        }
        mask &= size.mask();
        let kept = self.cpu.rflags & !mask & !(if iret { 0 } else { flag::RF });
        self.cpu.rflags = kept | value & mask | flag::FIXED;
    }
}

/// Whether the second exception, found while delivering the first, makes a double fault.
fn doubles(first: u8, second: u8) -> bool {
    let contributory = |v| {
        matches!(
            v,
            vector::DE | vector::TS | vector::NP | vector::SS | vector::GP
        )
    };
    match first {
        vector::PF => contributory(second) || second == vector::PF,
        first => contributory(first) && contributory(second),
    }
}
