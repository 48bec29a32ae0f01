//! How instructions reach memory and their operands: segmentation, alignment, translation, page
//! crossing and cost, in that order.
//!
//! Whatever an instruction will write is translated for writing (a [`Span`] or a [`Place`])
//! before anything changes, so a store can no longer fault.

use super::insn::{Gpr, Insn, Mem, NO_REGISTER, Operand, RIP, Seg, Width};
use super::state::{cr0, flag};
use super::{Cx, Fault};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::cost::Class;
use crate::mmu::Access;

/// Translated memory of 1 to 16 bytes that lies in at most two pages.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    first: PhysAddr,
    second: PhysAddr,
    /// How many bytes lie in the first page.
    split: u8,
    len: u8,
}

/// Where a result goes: nothing can fault any more.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// A register.
    Gpr(Gpr),
    /// Memory that has been translated for writing.
    Mem(Span),
}

impl Cx<'_> {
    /// Adds the cost of one such thing to this CPU's clock.
    #[inline]
    pub fn charge(&mut self, class: Class) {
        self.cpu.cycle += self.cost.cycles(class);
    }

    /// The offset that a memory operand names within its segment.
    #[inline]
    #[must_use]
    pub fn offset(&self, mem: &Mem) -> u64 {
        let base = match mem.base {
            NO_REGISTER => 0,
            RIP => self.next,
            index => self.cpu.gpr[usize::from(index & 15)],
        };
        let index = match mem.index {
            NO_REGISTER => 0,
            index => self.cpu.gpr[usize::from(index & 15)],
        };
        let sum = base
            .wrapping_add(index.wrapping_mul(u64::from(mem.scale)))
            .wrapping_add(mem.disp);
        sum & mem.address.mask()
    }

    /// The linear address of `len` bytes at `offset` in `seg`, checked against the segment.
    #[inline]
    pub fn linear(&self, seg: Seg, offset: u64, len: u64, write: bool) -> Result<VirtAddr, Fault> {
        if !self.code64 {
            return self.linear_legacy(seg, offset, len, write);
        }
        let base = match seg {
            Seg::Fs | Seg::Gs => self.cpu.seg[seg as usize].base,
            _ => 0,
        };
        let start = VirtAddr(base.wrapping_add(offset));
        let end = VirtAddr(start.0.wrapping_add(len - 1));
        if start.is_canonical() && end.is_canonical() {
            return Ok(start);
        }
        Err(if seg == Seg::Ss { Fault::SS } else { Fault::GP })
    }

    /// Segmentation outside 64-bit code. Real mode looks at limits only.
    fn linear_legacy(
        &self,
        seg: Seg,
        offset: u64,
        len: u64,
        write: bool,
    ) -> Result<VirtAddr, Fault> {
        let segment = &self.cpu.seg[seg as usize];
        let denied = if seg == Seg::Ss { Fault::SS } else { Fault::GP };
        let allowed = self.cpu.real_mode() || segment.permits(write);
        if !allowed || !segment.holds(offset, len) {
            return Err(denied);
        }
        Ok(VirtAddr(segment.base.wrapping_add(offset) & 0xFFFF_FFFF))
    }

    /// The linear address of an instruction's memory operand.
    #[inline]
    pub fn address(&self, insn: &Insn, write: bool) -> Result<VirtAddr, Fault> {
        let len = u64::from(insn.mem.bytes.max(1));
        self.linear(insn.mem.seg, self.offset(&insn.mem), len, write)
    }

    /// The linear address of an operand that must lie on a multiple of `align`. That is looked at
    /// first: #GP, even where the address would be a stack fault.
    #[inline]
    pub fn address_aligned(&self, insn: &Insn, write: bool, align: u64) -> Result<VirtAddr, Fault> {
        match self.address(insn, write) {
            Ok(va) if va.0 & (align - 1) == 0 => Ok(va),
            Err(Fault::SS) if self.offset(&insn.mem) & (align - 1) == 0 => Err(Fault::SS),
            Ok(_) | Err(Fault::SS) => Err(Fault::GP),
            Err(fault) => Err(fault),
        }
    }

    /// An access with the rights of the running code.
    #[inline]
    #[must_use]
    pub fn rights(&self, write: bool) -> Access {
        Access {
            write,
            fetch: false,
            user: self.user,
            ac: self.cpu.flag(flag::AC),
        }
    }

    /// The same for the few operands of up to 8 bytes that are never checked for alignment.
    #[must_use]
    pub(super) fn rights_unaligned(&self, write: bool) -> Access {
        let rights = self.rights(write);
        Access {
            ac: rights.ac && !rights.user,
            ..rights
        }
    }

    /// Translates `len` bytes (1 to 16) at `va`: both pages before either is touched.
    #[inline]
    pub fn span(&mut self, va: VirtAddr, len: u8, rights: Access) -> Result<Span, Fault> {
        if self.cpu.rflags & flag::AC | self.watch != 0 {
            self.check_alignment(va, len, rights)?;
            self.note_access(va, len, rights.write);
        }
        self.span_anywhere(va, len, rights)
    }

    /// The same for memory whose alignment does not matter, or has been checked.
    #[inline]
    fn span_anywhere(&mut self, va: VirtAddr, len: u8, rights: Access) -> Result<Span, Fault> {
        let first = self.translate(va, rights)?;
        let room = PAGE_SIZE - va.offset();
        if u64::from(len) <= room {
            return Ok(Span {
                first,
                second: first,
                split: len,
                len,
            });
        }
        let second = self.translate(va.add(room), rights)?;
        Ok(Span {
            first,
            second,
            split: room as u8,
            len,
        })
    }

    /// #AC if the program asks for it.
    pub fn check_alignment(&self, va: VirtAddr, len: u8, rights: Access) -> Result<(), Fault> {
        // 6- and 10-byte operands want the alignment of their largest power of two below; those
        // of 16 bytes either fault on their own account or do not mind.
        let align = match len {
            16.. => 1,
            _ => 1 << (7 - len.leading_zeros()),
        };
        let asked = rights.user && rights.ac && self.cpu.cr0 & cr0::AM != 0;
        match asked && va.0 & (align - 1) != 0 {
            true => Err(Fault::AC),
            false => Ok(()),
        }
    }

    /// Translates one address; the work of a miss is charged when the instruction ends.
    #[inline]
    pub fn translate(&mut self, va: VirtAddr, rights: Access) -> Result<PhysAddr, Fault> {
        self.mmu
            .translate(self.bus, &self.paging, va, rights)
            .map_err(|fault| Fault::page(fault.code as u16, fault.address.0))
    }

    /// Checks a state of many bytes. CPUs ask for its last byte first, which is what CR2 shows.
    pub fn probe_state(&mut self, va: VirtAddr, len: u64, write: bool) -> Result<(), Fault> {
        self.translate(va.add(len - 1), self.rights(write))?;
        self.probe(va, len, write)
    }

    /// Reads up to 8 bytes of a state.
    pub fn read_part(&mut self, va: VirtAddr, len: u8) -> Result<u64, Fault> {
        if self.watch != 0 {
            self.note_access(va, len, false);
        }
        let span = self.span_anywhere(va, len, self.rights(false))?;
        Ok(self.load(span))
    }

    /// Writes up to 8 bytes of a state.
    pub fn write_part(&mut self, va: VirtAddr, len: u8, value: u64) -> Result<(), Fault> {
        if self.watch != 0 {
            self.note_access(va, len, true);
        }
        let span = self.span_anywhere(va, len, self.rights(true))?;
        self.store(span, value);
        Ok(())
    }

    /// Checks (and fills the TLB for) a longer range, page by page, without touching it.
    pub fn probe(&mut self, va: VirtAddr, len: u64, write: bool) -> Result<(), Fault> {
        let rights = self.rights(write);
        let mut page = va;
        loop {
            self.translate(page, rights)?;
            let next = page.add(PAGE_SIZE - page.offset());
            if next.0.wrapping_sub(va.0) >= len {
                return Ok(());
            }
            page = next;
        }
    }

    /// Reads up to 8 bytes of a span.
    #[inline]
    pub fn load(&mut self, span: Span) -> u64 {
        self.charge(Class::Load);
        self.load_free(span)
    }

    fn load_free(&mut self, span: Span) -> u64 {
        if span.split == span.len {
            return self.bus_read(span.first, span.len);
        }
        let low = self.bus_read(span.first, span.split);
        let high = self.bus_read(span.second, span.len - span.split);
        low | high << (8 * u32::from(span.split))
    }

    /// Writes up to 8 bytes of a span.
    #[inline]
    pub fn store(&mut self, span: Span, value: u64) {
        self.charge(Class::Store);
        self.store_free(span, value);
    }

    fn store_free(&mut self, span: Span, value: u64) {
        if span.split == span.len {
            return self.bus_write(span.first, span.len, value);
        }
        self.bus_write(span.first, span.split, value);
        let rest = value >> (8 * u32::from(span.split));
        self.bus_write(span.second, span.len - span.split, rest);
    }

    /// Reads a span of 16 bytes.
    pub fn load128(&mut self, span: Span) -> u128 {
        self.charge(Class::Load);
        self.load128_free(span)
    }

    fn load128_free(&mut self, span: Span) -> u128 {
        let (low, high) = halves(span);
        u128::from(self.load_free(low)) | u128::from(self.load_free(high)) << 64
    }

    /// Writes a span of 16 bytes.
    pub fn store128(&mut self, span: Span, value: u128) {
        self.charge(Class::Store);
        self.store128_free(span, value);
    }

    fn store128_free(&mut self, span: Span, value: u128) {
        let (low, high) = halves(span);
        self.store_free(low, value as u64);
        self.store_free(high, (value >> 64) as u64);
    }

    /// One access of 1 to 8 bytes within a page: to RAM nearly always.
    #[inline]
    fn bus_read(&mut self, at: PhysAddr, len: u8) -> u64 {
        match self.bus.ram.read(at, usize::from(len)) {
            Some(value) => value,
            None => self.device_read(at, len),
        }
    }

    #[inline]
    fn bus_write(&mut self, at: PhysAddr, len: u8, value: u64) {
        if !self.bus.ram.write(at, usize::from(len), value) {
            self.device_write(at, len, value);
        }
    }

    /// An access to something that is not RAM; odd lengths come from page crossings.
    #[cold]
    fn device_read(&mut self, at: PhysAddr, len: u8) -> u64 {
        let now = self.cpu.cycle;
        self.charge(Class::Mmio);
        if matches!(len, 1 | 2 | 4 | 8) {
            return self.bus.read(at, usize::from(len), now);
        }
        (0..len).fold(0, |sum, i| {
            sum | self.bus.read(at.add(u64::from(i)), 1, now) << (8 * u32::from(i))
        })
    }

    #[cold]
    fn device_write(&mut self, at: PhysAddr, len: u8, value: u64) {
        self.write_to_device(at, len, value);
        // The local APIC may have sent an NMI.
        self.attention_changed();
    }

    fn write_to_device(&mut self, at: PhysAddr, len: u8, value: u64) {
        let now = self.cpu.cycle;
        self.charge(Class::Mmio);
        if matches!(len, 1 | 2 | 4 | 8) {
            return self.bus.write(at, usize::from(len), value, now);
        }
        for i in 0..len {
            let byte = value >> (8 * u32::from(i)) & 0xFF;
            self.bus.write(at.add(u64::from(i)), 1, byte, now);
        }
    }

    /// Reads up to 8 bytes with the rights of the running code.
    #[inline]
    pub fn read(&mut self, va: VirtAddr, len: u8) -> Result<u64, Fault> {
        if let Some(value) = self.fast_read_len(va.0, len) {
            self.charge(Class::Load);
            return Ok(value);
        }
        self.read_slowly(va, len)
    }

    #[inline(never)]
    fn read_slowly(&mut self, va: VirtAddr, len: u8) -> Result<u64, Fault> {
        let span = self.span(va, len, self.rights(false))?;
        Ok(self.load(span))
    }

    /// Reads 16 bytes.
    pub fn read128(&mut self, va: VirtAddr) -> Result<u128, Fault> {
        if let Some(value) = self.fast_read128(va.0) {
            self.charge(Class::Load);
            return Ok(value);
        }
        let span = self.span(va, 16, self.rights(false))?;
        Ok(self.load128(span))
    }

    /// Reads 32 bytes, the lower 16 first; the cost is that of one access.
    pub fn read256(&mut self, va: VirtAddr) -> Result<[u128; 2], Fault> {
        let rights = self.rights(false);
        let low = self.span(va, 16, rights)?;
        let high = self.span(va.add(16), 16, rights)?;
        self.charge(Class::Load);
        Ok([low, high].map(|span| self.load128_free(span)))
    }

    /// Writes up to 8 bytes with the rights of the running code.
    #[inline]
    pub fn write(&mut self, va: VirtAddr, len: u8, value: u64) -> Result<(), Fault> {
        if self.fast_write_len(va.0, len, value) {
            self.charge(Class::Store);
            return Ok(());
        }
        self.write_slowly(va, len, value)
    }

    #[inline(never)]
    fn write_slowly(&mut self, va: VirtAddr, len: u8, value: u64) -> Result<(), Fault> {
        let span = self.span(va, len, self.rights(true))?;
        self.store(span, value);
        Ok(())
    }

    /// Writes 16 bytes.
    pub fn write128(&mut self, va: VirtAddr, value: u128) -> Result<(), Fault> {
        if self.fast_write128(va.0, value) {
            self.charge(Class::Store);
            return Ok(());
        }
        let span = self.span(va, 16, self.rights(true))?;
        self.store128(span, value);
        Ok(())
    }

    /// Writes 32 bytes, the lower 16 first; the cost is that of one access.
    pub fn write256(&mut self, va: VirtAddr, value: [u128; 2]) -> Result<(), Fault> {
        let rights = self.rights(true);
        let low = self.span(va, 16, rights)?;
        let high = self.span(va.add(16), 16, rights)?;
        self.charge(Class::Store);
        self.store128_free(low, value[0]);
        self.store128_free(high, value[1]);
        Ok(())
    }

    /// Translates up to 8 bytes that the CPU itself reads or writes (descriptors, TSS, stacks of
    /// handlers), whatever the privilege level of the running code.
    pub(super) fn span_system(
        &mut self,
        va: VirtAddr,
        len: u8,
        write: bool,
    ) -> Result<Span, Fault> {
        let rights = Access {
            write,
            ..Access::default()
        };
        let first = self.translate(va, rights)?;
        let room = (PAGE_SIZE - va.offset()).min(u64::from(len)) as u8;
        let second = match room {
            _ if room < len => self.translate(va.add(u64::from(room)), rights)?,
            _ => first,
        };
        Ok(Span {
            first,
            second,
            split: room,
            len,
        })
    }

    /// Reads up to 8 bytes for the CPU itself.
    pub(super) fn read_system(&mut self, va: VirtAddr, len: u8) -> Result<u64, Fault> {
        let span = self.span_system(va, len, false)?;
        Ok(self.load(span))
    }

    /// Reads 8 bytes for the CPU itself.
    #[inline]
    pub(super) fn read_system_word(&mut self, va: VirtAddr) -> Result<u64, Fault> {
        if let Some(value) = self.fast_read_system(va.0) {
            self.charge(Class::Load);
            return Ok(value);
        }
        self.read_system(va, 8)
    }

    /// Reads an integer operand: a register at its width, memory at its size, an immediate.
    #[inline(always)]
    pub fn get(&mut self, insn: &Insn, index: usize) -> Result<u64, Fault> {
        match insn.operands[index] {
            Operand::Gpr(reg) => Ok(self.cpu.gpr(reg)),
            Operand::Imm(value) => Ok(value),
            Operand::Mem => self.get_memory(insn),
            _ => Err(Fault::Missing("an operand that is no integer")),
        }
    }

    #[inline(never)]
    fn get_memory(&mut self, insn: &Insn) -> Result<u64, Fault> {
        let va = self.address(insn, false)?;
        self.read(va, insn.mem.bytes as u8)
    }

    /// Prepares an operand that will be written; memory is translated for writing now.
    #[inline(always)]
    pub fn place(&mut self, insn: &Insn, index: usize) -> Result<Place, Fault> {
        match insn.operands[index] {
            Operand::Gpr(reg) => Ok(Place::Gpr(reg)),
            Operand::Mem => self.place_memory(insn).map(Place::Mem),
            _ => Err(Fault::Missing("a destination that is no integer")),
        }
    }

    #[inline(never)]
    fn place_memory(&mut self, insn: &Insn) -> Result<Span, Fault> {
        let va = self.address(insn, true)?;
        let span = self.span(va, insn.mem.bytes as u8, self.rights(true))?;
        if insn.lock {
            self.charge(Class::Locked);
        }
        Ok(span)
    }

    /// The value at a place.
    #[inline(always)]
    pub fn peek(&mut self, place: Place) -> u64 {
        match place {
            Place::Gpr(reg) => self.cpu.gpr(reg),
            Place::Mem(span) => self.load(span),
        }
    }

    /// Writes to a place.
    #[inline(always)]
    pub fn put(&mut self, place: Place, value: u64) {
        match place {
            Place::Gpr(reg) => self.cpu.set_gpr(reg, value),
            Place::Mem(span) => self.store(span, value),
        }
    }

    /// Writes an integer operand.
    #[inline(always)]
    pub fn set(&mut self, insn: &Insn, index: usize, value: u64) -> Result<(), Fault> {
        match insn.operands[index] {
            Operand::Gpr(reg) => {
                self.cpu.set_gpr(reg, value);
                Ok(())
            }
            Operand::Mem => self.set_memory(insn, value),
            _ => Err(Fault::Missing("a destination that is no integer")),
        }
    }

    #[inline(never)]
    fn set_memory(&mut self, insn: &Insn, value: u64) -> Result<(), Fault> {
        let va = self.address(insn, true)?;
        self.write(va, insn.mem.bytes as u8, value)?;
        if insn.lock {
            self.charge(Class::Locked);
        }
        Ok(())
    }

    /// A register of the width that a stack pointer, a count or an index has here.
    #[must_use]
    pub(super) fn reg(&self, index: u8, width: Width) -> u64 {
        self.cpu.gpr[usize::from(index)] & width.mask()
    }

    /// Writes such a register.
    pub(super) fn set_reg(&mut self, index: u8, width: Width, value: u64) {
        self.cpu.set_gpr(
            Gpr {
                index,
                width,
                high: false,
            },
            value,
        );
    }
}

/// The two 8-byte halves of a 16-byte span.
fn halves(span: Span) -> (Span, Span) {
    let Span {
        first,
        second,
        split,
        len,
    } = span;
    let whole = |at| Span {
        first: at,
        second: at,
        split: 8,
        len: 8,
    };
    match split {
        _ if split == len => (whole(first), whole(first.add(8))),
        0..=8 => (
            Span { len: 8, ..span },
            whole(second.add(u64::from(8 - split))),
        ),
        _ => (
            whole(first),
            Span {
                first: first.add(8),
                second,
                split: split - 8,
                len: 8,
            },
        ),
    }
}
