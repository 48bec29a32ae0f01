//! Real mode: segments without descriptors, the interrupt vector table (Intel's manual, volume
//! 3, chapter 22), and the state in which a CPU begins there.

use super::exception::Delivery;
use super::insn::{Seg, Width};
use super::protected_mode::Stack;
use super::state::{Cpu, Segment, Shadow, cr0, flag};
use super::{Cx, Fault};
use crate::addr::VirtAddr;

impl Cpu {
    /// INIT and a start-up message: real mode at offset 0 of the page that the vector numbers
    /// (volume 3, 9.1.4 and 10.4). What the table there leaves unchanged stays: x87, SSE, MSRs
    /// other than EFER, clocks, and which CPU it is.
    pub fn start_up(&mut self, vector: u8) {
        const CODE: u16 = 0x9B;
        const DATA: u16 = 0x93;
        let segment = |access| Segment {
            access,
            limit: 0xFFFF,
            ..Segment::default()
        };
        let (initial, old) = (Cpu::default(), self.clone());
        *self = Cpu {
            cr0: old.cr0 & (cr0::CD | cr0::NW) | cr0::ET,
            gpr: initial.gpr,
            rip: initial.rip,
            rflags: initial.rflags,
            seg: [segment(DATA); 6],
            ldtr: segment(0x82),
            tr: segment(0x8B),
            gdtr: initial.gdtr,
            idtr: initial.idtr,
            cr2: initial.cr2,
            cr3: initial.cr3,
            cr4: initial.cr4,
            dr: initial.dr,
            shadow: Shadow::None,
            debug_pending: 0,
            nmi_blocked: false,
            halted: false,
            rep_iteration: 0,
            ..old
        };
        self.msr.efer = 0;
        (self.gdtr.limit, self.idtr.limit) = (0xFFFF, 0xFFFF);
        self.seg[Seg::Cs as usize] = segment(CODE).in_real_mode(u16::from(vector) << 8);
    }

    /// Whether CR0.PE is clear.
    #[must_use]
    pub const fn real_mode(&self) -> bool {
        self.cr0 & cr0::PE == 0
    }
}

impl Segment {
    /// What loading a selector makes of a segment register in real mode: only selector and base
    /// are new. A register that held nothing becomes one of 64 KiB.
    pub(super) fn in_real_mode(self, selector: u16) -> Segment {
        let usable = match self.usable() {
            true => self,
            false => Segment {
                access: 0x93,
                limit: 0xFFFF,
                ..self
            },
        };
        Segment {
            selector,
            base: u64::from(selector) << 4,
            ..usable
        }
    }
}

impl Cx<'_> {
    /// Makes `selector:offset` the next instruction in real mode.
    pub(super) fn far_in_real_mode(&mut self, selector: u16, offset: u64) -> Result<(), Fault> {
        let segment = self.cpu.seg[Seg::Cs as usize].in_real_mode(selector);
        if offset > u64::from(segment.limit) {
            return Err(Fault::GP);
        }
        self.cpu.seg[Seg::Cs as usize] = segment;
        self.next = offset;
        Ok(())
    }

    /// Enters a handler through the interrupt vector table. No error code is pushed.
    pub(super) fn deliver_in_real_mode(&mut self, event: &Delivery) -> Result<(), Fault> {
        let entry = u64::from(event.vector) * 4;
        if entry + 3 > u64::from(self.cpu.idtr.limit) {
            return Err(Fault::GP);
        }
        let place = VirtAddr(self.cpu.idtr.base.wrapping_add(entry));
        let vector = self.read_system(place, 4)?;
        let (offset, selector) = (vector & 0xFFFF, (vector >> 16) as u16);
        let cs = u64::from(self.cpu.seg[Seg::Cs as usize].selector);
        let mut stack = Stack::current(self);
        self.push_on(&mut stack, &[event.rflags, cs, event.rip], Width::Word)?;
        self.far_in_real_mode(selector, offset)?;
        self.cpu.gpr[4] = stack.pointer;
        self.cpu.rip = offset;
        self.cpu.rflags &= !(flag::IF | flag::TF | flag::RF | flag::AC);
        self.cpu.shadow = Shadow::None;
        self.cpu.rep_iteration = 0;
        Ok(())
    }

    /// IRET in real mode: IP, CS and FLAGS.
    pub(super) fn return_in_real_mode(&mut self, size: Width) -> Result<(), Fault> {
        let step = u64::from(size.bytes());
        let offset = self.stack_word(0, size)?;
        let selector = self.stack_word(step, size)? as u16;
        let flags = self.stack_word(2 * step, size)?;
        self.far_in_real_mode(selector, offset)?;
        self.release_stack(3 * step);
        self.load_flags(flags, size, 0, true);
        Ok(())
    }
}
