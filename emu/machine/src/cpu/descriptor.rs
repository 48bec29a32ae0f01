//! Descriptor tables: fetching, checking and loading segments.

use super::insn::{Seg, Width};
use super::state::{Segment, Table, access, flag};
use super::{Cx, Fault, vector};
use crate::addr::VirtAddr;
use crate::mmu::Access;

/// An 8-byte descriptor as it stands in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor(pub(super) u64);

impl Descriptor {
    /// Bits 40 to 55 without the limit nibble: see [`access`].
    pub(super) fn access(self) -> u16 {
        (self.0 >> 40) as u16 & 0xF0FF
    }

    fn has(self, bit: u16) -> bool {
        self.access() & bit != 0
    }

    pub(super) fn present(self) -> bool {
        self.has(access::PRESENT)
    }

    /// Code or data, as opposed to a system descriptor.
    pub(super) fn is_segment(self) -> bool {
        self.has(access::USER_TYPE)
    }

    pub(super) fn is_code(self) -> bool {
        self.is_segment() && self.has(access::CODE)
    }

    pub(super) fn is_conforming(self) -> bool {
        self.is_code() && self.has(access::CONFORMING)
    }

    pub(super) fn is_readable(self) -> bool {
        self.is_segment() && (!self.has(access::CODE) || self.has(access::WRITABLE))
    }

    pub(super) fn is_writable_data(self) -> bool {
        self.is_segment() && !self.has(access::CODE) && self.has(access::WRITABLE)
    }

    pub(super) fn is_long(self) -> bool {
        self.has(access::LONG)
    }

    pub(super) fn is_big(self) -> bool {
        self.has(access::BIG)
    }

    pub(super) fn dpl(self) -> u8 {
        ((self.access() & access::DPL) >> 5) as u8
    }

    /// Where a gate leads: its offset without the upper half of a 64-bit one.
    pub(super) fn offset(self) -> u64 {
        self.0 & 0xFFFF | self.0 >> 32 & 0xFFFF_0000
    }

    /// The code segment that a gate names.
    pub(super) fn target(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The width of a 286's or a 386's gate.
    pub(super) fn size(self) -> Width {
        match self.kind() & 8 {
            0 => Width::Word,
            _ => Width::Dword,
        }
    }

    pub(super) fn kind(self) -> u16 {
        self.access() & access::TYPE
    }

    /// Last valid offset, with the granularity applied.
    pub(super) fn limit(self) -> u32 {
        let raw = (self.0 & 0xFFFF | self.0 >> 32 & 0xF_0000) as u32;
        if self.has(access::GRANULAR) {
            raw << 12 | 0xFFF
        } else {
            raw
        }
    }

    /// The segment register that it fills.
    pub(super) fn segment(self, selector: u16) -> Segment {
        let base = self.0 >> 16 & 0xFF_FFFF | self.0 >> 32 & 0xFF00_0000;
        Segment {
            selector,
            access: self.access(),
            limit: self.limit(),
            base,
        }
    }
}

impl Cx<'_> {
    /// Reads the descriptor of a selector; a selector beyond its table is an exception of this
    /// vector.
    pub(super) fn descriptor(&mut self, selector: u16, fault: u8) -> Result<Descriptor, Fault> {
        let place = self.descriptor_place(selector, 8, fault)?;
        Ok(Descriptor(self.read_system_word(place)?))
    }

    /// Reads a 16-byte system descriptor of IA-32e mode: its first half and the base's upper one.
    pub(super) fn wide_descriptor(&mut self, selector: u16) -> Result<(Descriptor, u64), Fault> {
        let place = self.descriptor_place(selector, 16, vector::GP)?;
        let low = self.read_system_word(place)?;
        let high = self.read_system_word(place.add(8))?;
        Ok((Descriptor(low), high))
    }

    pub(super) fn descriptor_place(
        &self,
        selector: u16,
        size: u64,
        fault: u8,
    ) -> Result<VirtAddr, Fault> {
        let local = selector & 4 != 0;
        let (base, limit) = match local {
            true => (self.cpu.ldtr.base, u64::from(self.cpu.ldtr.limit)),
            false => (self.cpu.gdtr.base, u64::from(self.cpu.gdtr.limit)),
        };
        let offset = u64::from(selector & !7);
        if offset + size - 1 > limit || local && !self.cpu.ldtr.usable() {
            return Err(Fault::coded(fault, selector & !3));
        }
        Ok(VirtAddr(base.wrapping_add(offset)))
    }

    /// Loads DS, ES, FS, GS or SS as MOV and POP do.
    pub(super) fn load_segment(&mut self, seg: Seg, selector: u16) -> Result<(), Fault> {
        let segment = match seg {
            Seg::Cs => return Err(Fault::UD),
            _ if self.cpu.real_mode() => self.cpu.seg[seg as usize].in_real_mode(selector),
            Seg::Ss => self.check_stack(selector, self.cpu.cpl(), vector::GP)?,
            _ => self.check_data(selector)?,
        };
        self.cpu.seg[seg as usize] = segment;
        Ok(())
    }

    fn check_data(&mut self, selector: u16) -> Result<Segment, Fault> {
        if selector & !3 == 0 {
            return Ok(Segment {
                selector,
                ..Segment::default()
            });
        }
        let descriptor = self.descriptor(selector, vector::GP)?;
        let code = selector & !3;
        let level = self.cpu.cpl().max((selector & 3) as u8);
        if !descriptor.is_readable() || !descriptor.is_conforming() && descriptor.dpl() < level {
            return Err(Fault::coded(vector::GP, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        self.touch(selector, descriptor)
    }

    /// Checks a stack segment for privilege level `cpl`. A null selector is good in 64-bit mode
    /// below level 3.
    pub(super) fn check_stack(
        &mut self,
        selector: u16,
        cpl: u8,
        fault: u8,
    ) -> Result<Segment, Fault> {
        let rpl = (selector & 3) as u8;
        if selector & !3 == 0 {
            return match self.code64 && cpl != 3 && rpl == cpl {
                true => Ok(Segment {
                    selector,
                    ..Segment::default()
                }),
                false => Err(Fault::coded(fault, 0)),
            };
        }
        let descriptor = self.descriptor(selector, fault)?;
        let code = selector & !3;
        if rpl != cpl || descriptor.dpl() != cpl || !descriptor.is_writable_data() {
            return Err(Fault::coded(fault, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::SS, code));
        }
        self.touch(selector, descriptor)
    }

    /// Sets the accessed bit in the table, as loading a segment does.
    pub(super) fn touch(
        &mut self,
        selector: u16,
        descriptor: Descriptor,
    ) -> Result<Segment, Fault> {
        let bit = u64::from(access::ACCESSED) << 40;
        let marked = Descriptor(descriptor.0 | bit);
        if marked != descriptor {
            let place = self.descriptor_place(selector, 8, vector::GP)?;
            let span = self.span_system(place.add(5), 1, true)?;
            self.store(span, marked.0 >> 40);
        }
        Ok(marked.segment(selector))
    }

    /// The descriptor that a far transfer names.
    pub(super) fn far_descriptor(&mut self, selector: u16) -> Result<Descriptor, Fault> {
        if selector & !3 == 0 {
            return Err(Fault::GP);
        }
        self.descriptor(selector, vector::GP)
    }

    /// Checks the code segment of a far transfer without change of level.
    pub(super) fn check_code(
        &mut self,
        selector: u16,
        descriptor: Descriptor,
    ) -> Result<(), Fault> {
        let code = selector & !3;
        let cpl = self.cpu.cpl();
        if !descriptor.is_code() {
            return Err(Fault::coded(vector::GP, code));
        }
        let level_ok = match descriptor.is_conforming() {
            true => descriptor.dpl() <= cpl,
            false => descriptor.dpl() == cpl && (selector & 3) as u8 <= cpl,
        };
        let long_and_big = self.cpu.long_mode() && descriptor.is_long() && descriptor.is_big();
        if !level_ok || long_and_big {
            return Err(Fault::coded(vector::GP, code));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, code));
        }
        Ok(())
    }

    /// Makes a checked code segment the current one, at privilege level `cpl`.
    #[inline]
    pub(super) fn set_code(&mut self, selector: u16, cpl: u8, segment: Segment) {
        // What this instruction has cost up to here belongs to the level that it leaves.
        self.charge_work();
        let was_user = self.cpu.cpl() == 3;
        if was_user != (cpl == 3) {
            let cpu = &mut *self.cpu;
            if was_user {
                let stay = cpu.cycle.wrapping_sub(cpu.mode_since);
                cpu.user_cycles = cpu.user_cycles.wrapping_add(stay);
            }
            cpu.mode_since = cpu.cycle;
        }
        let selector = selector & !3 | u16::from(cpl);
        self.cpu.seg[Seg::Cs as usize] = Segment {
            selector,
            ..segment
        };
        self.code_changed();
    }

    /// LLDT.
    pub(super) fn load_ldt(&mut self, selector: u16) -> Result<(), Fault> {
        if selector & !3 == 0 {
            self.cpu.ldtr = Segment {
                selector,
                ..Segment::default()
            };
            return Ok(());
        }
        let (descriptor, segment) = self.system_segment(selector)?;
        if descriptor.is_segment() || descriptor.kind() != 2 {
            return Err(Fault::coded(vector::GP, selector & !3));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, selector & !3));
        }
        self.cpu.ldtr = segment;
        Ok(())
    }

    /// LTR: the segment becomes busy, in the table too.
    pub(super) fn load_task(&mut self, selector: u16) -> Result<(), Fault> {
        if selector & !3 == 0 {
            return Err(Fault::GP);
        }
        let (descriptor, mut segment) = self.system_segment(selector)?;
        let available = match descriptor.kind() {
            9 => true,
            1 => !self.cpu.long_mode(),
            _ => false,
        };
        if selector & 4 != 0 || descriptor.is_segment() || !available {
            return Err(Fault::coded(vector::GP, selector & !3));
        }
        if !descriptor.present() {
            return Err(Fault::coded(vector::NP, selector & !3));
        }
        let place = self.descriptor_place(selector, 8, vector::GP)?;
        let span = self.span_system(place.add(5), 1, true)?;
        segment.access |= 2;
        self.store(span, u64::from(segment.access) & 0xFF);
        self.cpu.tr = segment;
        Ok(())
    }

    /// A system descriptor, which is 16 bytes long in IA-32e mode.
    fn system_segment(&mut self, selector: u16) -> Result<(Descriptor, Segment), Fault> {
        if !self.cpu.long_mode() {
            let descriptor = self.descriptor(selector, vector::GP)?;
            return Ok((descriptor, descriptor.segment(selector)));
        }
        let (descriptor, high) = self.wide_descriptor(selector)?;
        let mut segment = descriptor.segment(selector);
        segment.base |= high << 32;
        if !VirtAddr(segment.base).is_canonical() {
            return Err(Fault::coded(vector::GP, selector & !3));
        }
        Ok((descriptor, segment))
    }

    /// LGDT and LIDT's operand: limit, then a base of 4 or 8 bytes, of which the form of 16 bits
    /// takes 3.
    pub(super) fn read_table(&mut self, at: VirtAddr, size: Width) -> Result<Table, Fault> {
        let width = if self.code64 {
            Width::Qword
        } else {
            Width::Dword
        };
        let limit = self.read(at, 2)? as u16;
        let base = self.read(at.add(2), width.bytes())? & table_mask(size);
        if !VirtAddr(base).is_canonical() {
            return Err(Fault::GP);
        }
        Ok(Table { base, limit })
    }

    /// SGDT and SIDT's operand.
    pub(super) fn write_table(
        &mut self,
        at: VirtAddr,
        table: Table,
        size: Width,
    ) -> Result<(), Fault> {
        let width = if self.code64 {
            Width::Qword
        } else {
            Width::Dword
        };
        // The operand of 10 bytes begins where it likes, even with alignment checks on.
        let rights = Access {
            ac: self.cpu.flag(flag::AC) && self.cpu.cpl() != 3,
            ..self.rights(true)
        };
        let limit = self.span(at, 2, rights)?;
        let base = self.span(at.add(2), width.bytes(), rights)?;
        self.store(limit, u64::from(table.limit));
        self.store(base, table.base & table_mask(size));
        Ok(())
    }
}

/// The bits of a table's base that its operand has.
const fn table_mask(size: Width) -> u64 {
    match size {
        Width::Word => 0xFF_FFFF,
        _ => u64::MAX,
    }
}
