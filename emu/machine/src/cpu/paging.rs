//! Control registers, and what they mean for the MMU.

use super::insn::Seg;
use super::state::{cr0, cr4, efer};
use super::{Cpu, Cx, Fault};
use crate::addr::{PHYS_BITS, PhysAddr};
use crate::mmu::Paging;

/// CR3's address bits.
const ROOT: u64 = ((1 << PHYS_BITS) - 1) & !0xFFF;
/// What CR3 may hold: the address and the two cache bits.
const CR3_KNOWN: u64 = ROOT | 0b1_1000;

impl Cx<'_> {
    /// Works out again what every access asks for; after each change of mode, level or control
    /// register.
    pub(super) fn paging_changed(&mut self) {
        self.code64 = self.cpu.code64();
        self.user = self.cpu.cpl() == 3;
        self.paging = paging_of(self.cpu);
        self.mmu.set_paging(&self.paging);
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
            self.mmu.flush_all();
        }
        Ok(())
    }

    /// CR0.PG changes: enters or leaves IA-32e mode.
    fn switch_paging(&mut self, on: bool) -> Result<(), Fault> {
        let cpu = &mut self.cpu;
        if !on {
            if cpu.code64() {
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

    /// MOV to CR3: without PCID it forgets all translations that are not global.
    pub(super) fn write_cr3(&mut self, value: u64) -> Result<(), Fault> {
        if value & !CR3_KNOWN & !0xFFF != 0 {
            return Err(Fault::GP);
        }
        self.cpu.cr3 = value & CR3_KNOWN;
        self.paging_changed();
        self.mmu.flush();
        Ok(())
    }

    /// MOV to CR4.
    pub(super) fn write_cr4(&mut self, value: u64) -> Result<(), Fault> {
        let leaves_pae = value & cr4::PAE == 0 && self.cpu.long_mode();
        if value & !self.cpu.cr4_known() != 0 || leaves_pae {
            return Err(Fault::GP);
        }
        let changed = self.cpu.cr4 ^ value;
        self.cpu.cr4 = value;
        self.paging_changed();
        if changed & (cr4::PGE | cr4::PAE | cr4::PSE | cr4::SMEP | cr4::SMAP) != 0 {
            self.mmu.flush_all();
        }
        Ok(())
    }
}

/// What the control registers of a CPU say about paging.
#[must_use]
pub fn paging_of(cpu: &Cpu) -> Paging {
    Paging {
        enabled: cpu.cr0 & cr0::PG != 0,
        root: PhysAddr(cpu.cr3 & ROOT),
        write_protect: cpu.cr0 & cr0::WP != 0,
        no_execute: cpu.msr.efer & efer::NXE != 0,
        global: cpu.cr4 & cr4::PGE != 0,
        smep: cpu.cr4 & cr4::SMEP != 0,
        smap: cpu.cr4 & cr4::SMAP != 0,
    }
}
