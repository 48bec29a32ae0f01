//! Control registers, and what they mean for the MMU.

use super::insn::Seg;
use super::state::{cr0, cr4, efer};
use super::{Cpu, Cx, Fault};
use crate::addr::{PHYS_BITS, PhysAddr};
use crate::mmu::Paging;

/// CR3's address bits.
const ROOT: u64 = ((1 << PHYS_BITS) - 1) & !0xFFF;
/// CR3's low bits: with CR4.PCIDE the process context, without it two cache bits and ignored ones.
const LOW: u64 = 0xFFF;
/// Bit of what is moved to CR3 with CR4.PCIDE: the translations of the context stay.
const KEEP: u64 = 1 << 63;

/// Bits of CR4 whose change empties the TLB.
const FLUSHING: u64 = cr4::PGE | cr4::PAE | cr4::PSE | cr4::SMEP | cr4::SMAP;

impl Cx<'_> {
    /// Works out again what every access asks for; after each change of mode, level or control
    /// register.
    pub(super) fn paging_changed(&mut self) {
        self.code64 = self.cpu.code64();
        self.user = self.cpu.cpl() == 3;
        self.paging = paging_of(self.cpu);
        self.mmu.set_paging(self.bus, &self.paging);
    }

    /// The same where only the code segment, and with it the level, may be another one: what paging
    /// does is a matter of the control registers alone.
    #[inline]
    pub(super) fn code_changed(&mut self) {
        self.code64 = self.cpu.code64();
        self.user = self.cpu.cpl() == 3;
        debug_assert_eq!(self.paging, paging_of(self.cpu));
    }

    /// MOV to CR0. Legacy paging is not there: protected mode with PAE and LME set goes straight
    /// to IA-32e mode.
    pub(super) fn write_cr0(&mut self, value: u64) -> Result<(), Fault> {
        let set = |bit: u64| value & bit != 0;
        let contradictory = set(cr0::PG) && !set(cr0::PE) || set(cr0::NW) && !set(cr0::CD);
        if value >> 32 != 0 || contradictory {
            return Err(Fault::GP);
        }
        let old = self.cpu.cr0;
        // The level is kept in CS's selector, which real mode uses to the last bit.
        let cs = self.cpu.seg[Seg::Cs as usize].selector;
        if set(cr0::PE) && old & cr0::PE == 0 && cs & 3 != 0 {
            return Err(Fault::Missing(
                "entering protected mode from an odd segment",
            ));
        }
        let new = value & cr0::KNOWN | cr0::ET;
        if (old ^ new) & cr0::PG != 0 {
            self.switch_paging(set(cr0::PG))?;
        }
        self.cpu.cr0 = new;
        self.paging_changed();
        if (old ^ new) & (cr0::PG | cr0::WP) != 0 {
            self.mmu.flush_all(self.bus);
        }
        Ok(())
    }

    /// CR0.PG changes: enters or leaves IA-32e mode.
    fn switch_paging(&mut self, on: bool) -> Result<(), Fault> {
        let cpu = &mut self.cpu;
        if !on {
            if cpu.code64() || cpu.cr4 & cr4::PCIDE != 0 {
                return Err(Fault::GP);
            }
            cpu.msr.efer &= !efer::LMA;
            return Ok(());
        }
        if cpu.msr.efer & efer::LME == 0 {
            return Err(Fault::Missing("paging outside IA-32e mode"));
        }
        let cs_is_long = cpu.seg[Seg::Cs as usize].access & super::state::access::LONG != 0;
        if cpu.cr4 & cr4::PAE == 0 || cs_is_long {
            return Err(Fault::GP);
        }
        cpu.msr.efer |= efer::LMA;
        Ok(())
    }

    /// MOV to CR3: forgets the translations of the context that it names but for global ones, unless
    /// it is told to keep them (volume 3A, 4.10.4.1).
    pub(super) fn write_cr3(&mut self, value: u64) -> Result<(), Fault> {
        let with_contexts = self.cpu.cr4 & cr4::PCIDE != 0;
        let keep = with_contexts && value & KEEP != 0;
        let value = if with_contexts { value & !KEEP } else { value };
        if value & !(ROOT | LOW) != 0 {
            return Err(Fault::GP);
        }
        self.cpu.cr3 = value;
        self.paging_changed();
        if !keep {
            self.mmu.flush(self.bus, self.cpu.context());
        }
        Ok(())
    }

    /// MOV to CR4.
    pub(super) fn write_cr4(&mut self, value: u64) -> Result<(), Fault> {
        let leaves_pae = value & cr4::PAE == 0 && self.cpu.long_mode();
        let changed = self.cpu.cr4 ^ value;
        let begins_contexts = changed & value & cr4::PCIDE != 0;
        let not_now = begins_contexts && (!self.cpu.long_mode() || self.cpu.cr3 & LOW != 0);
        if value & !self.cpu.cr4_known() != 0 || leaves_pae || not_now {
            return Err(Fault::GP);
        }
        self.cpu.cr4 = value;
        self.paging_changed();
        let ends_contexts = changed & !value & cr4::PCIDE != 0;
        if changed & FLUSHING != 0 || ends_contexts {
            self.mmu.flush_all(self.bus);
        }
        Ok(())
    }
}

impl Cpu {
    /// The process context (PCID) whose translations are in use; 0 without CR4.PCIDE.
    pub(super) fn context(&self) -> u16 {
        match self.cr4 & cr4::PCIDE {
            0 => 0,
            _ => (self.cr3 & LOW) as u16,
        }
    }
}

/// What the control registers of a CPU say about paging.
#[must_use]
pub fn paging_of(cpu: &Cpu) -> Paging {
    Paging {
        enabled: cpu.cr0 & cr0::PG != 0,
        root: PhysAddr(cpu.cr3 & ROOT),
        context: cpu.context(),
        write_protect: cpu.cr0 & cr0::WP != 0,
        no_execute: cpu.msr.efer & efer::NXE != 0,
        global: cpu.cr4 & cr4::PGE != 0,
        smep: cpu.cr4 & cr4::SMEP != 0,
        smap: cpu.cr4 & cr4::SMAP != 0,
    }
}
