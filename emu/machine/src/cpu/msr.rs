//! Model-specific registers.

use serde::{Deserialize, Serialize};

use super::insn::Seg;
use super::mtrr::Mtrrs;
use super::state::{cr0, efer};
use super::{Cx, Fault};
use crate::addr::VirtAddr;

/// Numbers of the registers.
pub mod index {
    #![allow(missing_docs)]
    pub const TSC: u32 = 0x10;
    pub const APIC_BASE: u32 = 0x1B;
    pub const BIOS_SIGN_ID: u32 = 0x8B;
    pub const MISC_ENABLE: u32 = 0x1A0;
    pub const PAT: u32 = 0x277;
    pub const EFER: u32 = 0xC000_0080;
    pub const STAR: u32 = 0xC000_0081;
    pub const LSTAR: u32 = 0xC000_0082;
    pub const CSTAR: u32 = 0xC000_0083;
    pub const SFMASK: u32 = 0xC000_0084;
    pub const FS_BASE: u32 = 0xC000_0100;
    pub const GS_BASE: u32 = 0xC000_0101;
    pub const KERNEL_GS_BASE: u32 = 0xC000_0102;
    pub const TSC_AUX: u32 = 0xC000_0103;
}

/// The registers that have no other home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Msrs {
    /// Extended features.
    pub efer: u64,
    /// Selectors of SYSCALL and SYSRET.
    pub star: u64,
    /// Entry of SYSCALL from 64-bit code.
    pub lstar: u64,
    /// Entry of SYSCALL from compatibility mode (kept; Intel CPUs never use it).
    pub cstar: u64,
    /// Flags that SYSCALL clears.
    pub sfmask: u64,
    /// The other GS base.
    pub kernel_gs_base: u64,
    /// What RDTSCP puts into ecx.
    pub tsc_aux: u32,
    /// TSC = cycles + this.
    pub tsc_offset: u64,
    /// Memory types by range: kept, too.
    pub mtrr: Mtrrs,
    /// Page attributes: kept, without effect on a machine without caches.
    pub pat: u64,
}

impl Default for Msrs {
    fn default() -> Self {
        Msrs {
            efer: 0,
            star: 0,
            lstar: 0,
            cstar: 0,
            sfmask: 0,
            kernel_gs_base: 0,
            tsc_aux: 0,
            tsc_offset: 0,
            mtrr: Mtrrs::default(),
            pat: 0x0007_0406_0007_0406,
        }
    }
}

/// IA32_APIC_BASE: enabled, bootstrap processor, at its usual place.
const APIC_BASE: u64 = 0xFEE0_0000 | 1 << 11 | 1 << 8;
/// IA32_BIOS_SIGN_ID: no microcode update has been loaded (SDM volume 3, 10.11.7.1).
const NO_UPDATE: u64 = 0;
/// IA32_MISC_ENABLE: fast strings, performance monitoring; no BTS, no PEBS.
const MISC_ENABLE: u64 = 1 << 0 | 1 << 7 | 1 << 11 | 1 << 12;

impl Cx<'_> {
    /// What RDTSC reads.
    #[must_use]
    pub fn tsc(&self) -> u64 {
        self.cpu.cycle.wrapping_add(self.cpu.msr.tsc_offset)
    }

    /// RDMSR.
    pub(super) fn read_msr(&self, register: u32) -> Result<u64, Fault> {
        let msr = &self.cpu.msr;
        Ok(match register {
            index::TSC => self.tsc(),
            index::APIC_BASE => APIC_BASE,
            index::BIOS_SIGN_ID => NO_UPDATE,
            index::MISC_ENABLE => MISC_ENABLE,
            index::PAT => msr.pat,
            index::EFER => msr.efer,
            index::STAR => msr.star,
            index::LSTAR => msr.lstar,
            index::CSTAR => msr.cstar,
            index::SFMASK => msr.sfmask,
            index::FS_BASE => self.cpu.seg[Seg::Fs as usize].base,
            index::GS_BASE => self.cpu.seg[Seg::Gs as usize].base,
            index::KERNEL_GS_BASE => msr.kernel_gs_base,
            index::TSC_AUX => u64::from(msr.tsc_aux),
            _ => return self.read_other(register).ok_or(Fault::GP),
        })
    }

    /// WRMSR: changes nothing if it faults.
    pub(super) fn write_msr(&mut self, register: u32, value: u64) -> Result<(), Fault> {
        let cycle = self.cpu.cycle;
        match register {
            index::TSC => self.cpu.msr.tsc_offset = value.wrapping_sub(cycle),
            // The APIC stays where it is and stays on; writing the same again is harmless.
            index::APIC_BASE if value == APIC_BASE => {}
            index::APIC_BASE => return Err(Fault::Missing("moving or disabling the local APIC")),
            // Software writes zero and asks CPUID to put the update's number there.
            index::BIOS_SIGN_ID => {}
            index::MISC_ENABLE if value == MISC_ENABLE => {}
            index::PAT => self.cpu.msr.pat = page_attributes(value)?,
            index::EFER => self.write_efer(value)?,
            index::STAR => self.cpu.msr.star = value,
            index::LSTAR => self.cpu.msr.lstar = canonical(value)?,
            index::CSTAR => self.cpu.msr.cstar = canonical(value)?,
            index::SFMASK => self.cpu.msr.sfmask = below_4g(value)?,
            index::FS_BASE => self.cpu.seg[Seg::Fs as usize].base = canonical(value)?,
            index::GS_BASE => self.cpu.seg[Seg::Gs as usize].base = canonical(value)?,
            index::KERNEL_GS_BASE => self.cpu.msr.kernel_gs_base = canonical(value)?,
            index::TSC_AUX => self.cpu.msr.tsc_aux = below_4g(value)? as u32,
            _ => return self.write_other(register, value).ok_or(Fault::GP),
        }
        Ok(())
    }

    /// The registers of which there are many: memory types and performance counters.
    fn read_other(&self, register: u32) -> Option<u64> {
        let types = self.cpu.msr.mtrr.read(register);
        types.or_else(|| self.cpu.pmu.read(register))
    }

    fn write_other(&mut self, register: u32, value: u64) -> Option<()> {
        match self.cpu.msr.mtrr.read(register) {
            Some(_) => self.cpu.msr.mtrr.write(register, value),
            None => self.cpu.pmu.write(register, value),
        }
    }

    fn write_efer(&mut self, value: u64) -> Result<(), Fault> {
        let old = self.cpu.msr.efer;
        let paging = self.cpu.cr0 & cr0::PG != 0;
        if value & !efer::KNOWN != 0 || paging && (value ^ old) & efer::LME != 0 {
            return Err(Fault::GP);
        }
        // LMA is the CPU's answer, not the software's wish.
        self.cpu.msr.efer = value & !efer::LMA | old & efer::LMA;
        self.paging_changed();
        Ok(())
    }
}

fn canonical(value: u64) -> Result<u64, Fault> {
    if VirtAddr(value).is_canonical() {
        Ok(value)
    } else {
        Err(Fault::GP)
    }
}

fn below_4g(value: u64) -> Result<u64, Fault> {
    if value >> 32 == 0 {
        Ok(value)
    } else {
        Err(Fault::GP)
    }
}

/// Memory types 2 and 3 and anything above 7 do not exist.
fn page_attributes(value: u64) -> Result<u64, Fault> {
    let valid = value
        .to_le_bytes()
        .iter()
        .all(|kind| matches!(kind, 0 | 1 | 4..=7));
    if valid { Ok(value) } else { Err(Fault::GP) }
}
