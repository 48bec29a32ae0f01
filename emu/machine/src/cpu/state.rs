//! Everything one CPU knows: all of it is saved, digested and compared.

use serde::{Deserialize, Serialize};

use super::fp::F80;
use super::insn::{Gpr, Seg, Width};
use super::model::{CpuModel, Feature};
use super::msr::Msrs;
use super::pmu::Pmu;
use super::random::Random;

/// Bits of RFLAGS.
pub mod flag {
    #![allow(missing_docs)]
    pub const CF: u64 = 1 << 0;
    pub const FIXED: u64 = 1 << 1;
    pub const PF: u64 = 1 << 2;
    pub const AF: u64 = 1 << 4;
    pub const ZF: u64 = 1 << 6;
    pub const SF: u64 = 1 << 7;
    pub const TF: u64 = 1 << 8;
    pub const IF: u64 = 1 << 9;
    pub const DF: u64 = 1 << 10;
    pub const OF: u64 = 1 << 11;
    pub const IOPL: u64 = 3 << 12;
    pub const NT: u64 = 1 << 14;
    pub const RF: u64 = 1 << 16;
    pub const VM: u64 = 1 << 17;
    pub const AC: u64 = 1 << 18;
    pub const ID: u64 = 1 << 21;
    /// What arithmetic sets.
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
}

/// Bits of CR0.
pub mod cr0 {
    #![allow(missing_docs)]
    pub const PE: u64 = 1 << 0;
    pub const MP: u64 = 1 << 1;
    pub const EM: u64 = 1 << 2;
    pub const TS: u64 = 1 << 3;
    pub const ET: u64 = 1 << 4;
    pub const NE: u64 = 1 << 5;
    pub const WP: u64 = 1 << 16;
    pub const AM: u64 = 1 << 18;
    pub const NW: u64 = 1 << 29;
    pub const CD: u64 = 1 << 30;
    pub const PG: u64 = 1 << 31;
    /// What software may set; the rest of the low half is ignored.
    pub const KNOWN: u64 = PE | MP | EM | TS | ET | NE | WP | AM | NW | CD | PG;
}

/// Bits of CR4.
pub mod cr4 {
    #![allow(missing_docs)]
    pub const TSD: u64 = 1 << 2;
    pub const DE: u64 = 1 << 3;
    pub const PSE: u64 = 1 << 4;
    pub const PAE: u64 = 1 << 5;
    pub const PGE: u64 = 1 << 7;
    pub const PCE: u64 = 1 << 8;
    pub const OSFXSR: u64 = 1 << 9;
    pub const OSXMMEXCPT: u64 = 1 << 10;
    pub const UMIP: u64 = 1 << 11;
    pub const FSGSBASE: u64 = 1 << 16;
    pub const PCIDE: u64 = 1 << 17;
    pub const OSXSAVE: u64 = 1 << 18;
    pub const SMEP: u64 = 1 << 20;
    pub const SMAP: u64 = 1 << 21;
    /// What every model has; the others belong to a feature, see [`super::Cpu::cr4_known`].
    pub const ALWAYS: u64 = TSD | DE | PSE | PAE | PGE | PCE | OSFXSR | OSXMMEXCPT;
}

/// Bits of XCR0: the parts of the state that XSAVE may manage.
pub mod xcr0 {
    #![allow(missing_docs)]
    pub const X87: u64 = 1 << 0;
    pub const SSE: u64 = 1 << 1;
    pub const AVX: u64 = 1 << 2;
}

/// Bits of EFER.
pub mod efer {
    #![allow(missing_docs)]
    pub const SCE: u64 = 1 << 0;
    pub const LME: u64 = 1 << 8;
    pub const LMA: u64 = 1 << 10;
    pub const NXE: u64 = 1 << 11;
    /// What CPUID announces; setting another bit is #GP.
    pub const KNOWN: u64 = SCE | LME | LMA | NXE;
}

/// Bits of [`Segment::access`].
pub mod access {
    #![allow(missing_docs)]
    pub const TYPE: u16 = 0xF;
    pub const ACCESSED: u16 = 1 << 0;
    pub const WRITABLE: u16 = 1 << 1;
    pub const CONFORMING: u16 = 1 << 2;
    /// In a data segment, what [`CONFORMING`] is in a code segment.
    pub const EXPAND_DOWN: u16 = 1 << 2;
    pub const CODE: u16 = 1 << 3;
    pub const USER_TYPE: u16 = 1 << 4;
    pub const DPL: u16 = 3 << 5;
    pub const PRESENT: u16 = 1 << 7;
    pub const LONG: u16 = 1 << 13;
    pub const BIG: u16 = 1 << 14;
    pub const GRANULAR: u16 = 1 << 15;
}

/// A segment register with the hidden part that its descriptor filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The visible part.
    pub selector: u16,
    /// Bits 40 to 55 of the descriptor without its limit nibble: see [`access`].
    pub access: u16,
    /// The last valid offset, in bytes.
    pub limit: u32,
    /// Where the segment begins.
    pub base: u64,
}

impl Segment {
    /// A flat 4 GiB segment of this access.
    #[must_use]
    pub const fn flat(selector: u16, access: u16) -> Self {
        Segment {
            selector,
            access,
            limit: u32::MAX,
            base: 0,
        }
    }

    /// Descriptor privilege level.
    #[must_use]
    pub const fn dpl(&self) -> u8 {
        ((self.access & access::DPL) >> 5) as u8
    }

    /// Whether a descriptor has been loaded at all (a null selector has none).
    #[must_use]
    pub const fn usable(&self) -> bool {
        self.access & access::PRESENT != 0
    }
}

/// What the instruction before a boundary keeps from happening there (volume 3A, 6.8.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shadow {
    /// Nothing.
    #[default]
    None,
    /// STI: interrupts.
    Interrupts,
    /// MOV or POP to SS: interrupts, NMIs and debug exceptions, so that RSP can be loaded next.
    Stack,
}

impl Shadow {
    /// That of an instruction that has loaded this segment register.
    #[must_use]
    pub fn of_load(seg: Seg) -> Self {
        match seg {
            Seg::Ss => Shadow::Stack,
            _ => Shadow::None,
        }
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Linear address.
    pub base: u64,
    /// Last valid byte.
    pub limit: u16,
}

/// x87 state; MMX registers are the significands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct X87 {
    /// Physical registers R0 to R7; `st(i)` is `(top + i) % 8`.
    pub registers: [F80; 8],
    /// Control word.
    pub control: u16,
    /// Status word with the top of stack in bits 11 to 13.
    pub status: u16,
    /// Tag word, two bits for each physical register: 3 is empty, 0 is not. What sort of number a
    /// register holds is worked out where the tag word is stored.
    pub tag: u16,
    /// Last opcode (11 bits).
    pub opcode: u16,
    /// Last instruction pointer.
    pub instruction: u64,
    /// Last data pointer.
    pub data: u64,
}

impl Default for X87 {
    fn default() -> Self {
        X87 {
            registers: [F80::default(); 8],
            control: 0x037F,
            status: 0,
            tag: 0xFFFF,
            opcode: 0,
            instruction: 0,
            data: 0,
        }
    }
}

/// One CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Which CPU it is; never changes.
    pub model: CpuModel,
    /// What RDRAND and RDSEED draw from.
    pub random: Random,
    /// rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15.
    pub gpr: [u64; 16],
    /// The next instruction, as an offset in CS.
    pub rip: u64,
    /// RFLAGS; bit 1 is always set.
    pub rflags: u64,
    /// ES, CS, SS, DS, FS, GS.
    pub seg: [Segment; 6],
    /// Local descriptor table.
    pub ldtr: Segment,
    /// Task register.
    pub tr: Segment,
    /// Global descriptor table.
    pub gdtr: Table,
    /// Interrupt descriptor table.
    pub idtr: Table,
    /// Control registers; CR8 is the local APIC's TPR.
    pub cr0: u64,
    /// Address of the last page fault.
    pub cr2: u64,
    /// Page-table root.
    pub cr3: u64,
    /// Feature control.
    pub cr4: u64,
    /// DR0 to DR3, and DR6 and DR7 in their places (4 and 5 stay unused).
    pub dr: [u64; 8],
    /// Model-specific registers that have no other home.
    pub msr: Msrs,
    /// Performance counters.
    pub pmu: Pmu,
    /// SSE registers: the low halves of the YMM registers.
    pub xmm: [u128; 16],
    /// The high halves of the YMM registers.
    pub ymm_high: [u128; 16],
    /// What of the state the kernel has switched on: see [`xcr0`]. Bit 0 is always set.
    pub xcr0: u64,
    /// SSE control and status.
    pub mxcsr: u32,
    /// x87 state.
    pub x87: X87,
    /// What the instruction just before holds back at this boundary.
    pub shadow: Shadow,
    /// Breakpoints (bits of DR6) that have been met and wait for the end of the instruction after
    /// a load of SS; at other boundaries none.
    pub debug_pending: u64,
    /// An NMI's handler runs: the next NMI waits for IRET.
    pub nmi_blocked: bool,
    /// HLT, until an interrupt.
    pub halted: bool,
    /// This CPU's clock.
    pub cycle: u64,
    /// Instructions completed.
    pub retired: u64,
    /// Those of them that began at CPL 3.
    pub retired_user: u64,
    /// Cycles of the stays at CPL 3 that are over.
    pub user_cycles: u64,
    /// The cycle at which the CPU last came to CPL 3 or left it.
    pub mode_since: u64,
    /// Iterations done of the REP instruction at `rip`.
    pub rep_iteration: u64,
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu {
            model: CpuModel::default(),
            random: Random::default(),
            gpr: [0; 16],
            rip: 0,
            rflags: flag::FIXED,
            seg: [Segment::default(); 6],
            ldtr: Segment::default(),
            tr: Segment::default(),
            gdtr: Table::default(),
            idtr: Table::default(),
            cr0: cr0::ET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400],
            msr: Msrs::default(),
            pmu: Pmu::default(),
            xmm: [0; 16],
            ymm_high: [0; 16],
            xcr0: xcr0::X87,
            mxcsr: 0x1F80,
            x87: X87::default(),
            shadow: Shadow::None,
            debug_pending: 0,
            nmi_blocked: false,
            halted: false,
            cycle: 0,
            retired: 0,
            retired_user: 0,
            user_cycles: 0,
            mode_since: 0,
            rep_iteration: 0,
        }
    }
}

impl Cpu {
    /// The state in which a PVH kernel is entered: 32-bit protected mode, flat segments, paging
    /// and interrupts off, `ebx` pointing at the start info.
    #[must_use]
    pub fn pvh(entry: u32, start_info: u32) -> Self {
        let mut cpu = Cpu {
            rip: u64::from(entry),
            cr0: cr0::ET | cr0::PE,
            ..Cpu::default()
        };
        // Selectors are the guest's to reload; only the hidden parts are promised.
        let data = Segment::flat(0x10, 0xC093);
        cpu.seg = [data; 6];
        cpu.seg[Seg::Cs as usize] = Segment::flat(0x08, 0xC09B);
        cpu.tr = Segment {
            selector: 0,
            access: 0x008B,
            limit: 0x67,
            base: 0,
        };
        cpu.gpr[3] = u64::from(start_info);
        cpu
    }

    /// Bits of CR4 that this model has; setting another one is #GP.
    #[must_use]
    pub fn cr4_known(&self) -> u64 {
        let optional = [
            (Feature::Umip, cr4::UMIP),
            (Feature::Fsgsbase, cr4::FSGSBASE),
            (Feature::Pcid, cr4::PCIDE),
            (Feature::Xsave, cr4::OSXSAVE),
            (Feature::Smep, cr4::SMEP),
            (Feature::Smap, cr4::SMAP),
        ];
        let features = self.model.features();
        let has = |(feature, _): &&(Feature, u64)| features.has(*feature);
        (optional.iter().filter(has)).fold(cr4::ALWAYS, |bits, (_, bit)| bits | bit)
    }

    /// Bits of XCR0 that this model has; setting another one is #GP.
    #[must_use]
    pub fn xcr0_known(&self) -> u64 {
        let avx = match self.model.features().has(Feature::Avx) {
            true => xcr0::AVX,
            false => 0,
        };
        xcr0::X87 | xcr0::SSE | avx
    }

    /// Current privilege level.
    #[must_use]
    pub fn cpl(&self) -> u8 {
        match self.real_mode() {
            true => 0,
            false => (self.seg[Seg::Cs as usize].selector & 3) as u8,
        }
    }

    /// Cycles spent at CPL 3 so far. An instruction belongs to the level at which it began: SYSCALL,
    /// an exception and the delivery of an interrupt to the program, IRET and SYSRET to the kernel.
    #[must_use]
    pub fn cycles_in_user(&self) -> u64 {
        let stay = match self.cpl() {
            3 => self.cycle.wrapping_sub(self.mode_since),
            _ => 0,
        };
        self.user_cycles.wrapping_add(stay)
    }

    /// Whether EFER.LMA is set: IA-32e mode, whatever CS says.
    #[must_use]
    pub fn long_mode(&self) -> bool {
        self.msr.efer & efer::LMA != 0
    }

    /// Whether the code segment is a 64-bit one.
    #[must_use]
    pub fn code64(&self) -> bool {
        self.long_mode() && self.seg[Seg::Cs as usize].access & access::LONG != 0
    }

    /// 64, 32 or 16: the width of the code segment's code.
    #[must_use]
    pub fn code_bits(&self) -> u32 {
        let big = self.seg[Seg::Cs as usize].access & access::BIG != 0;
        match (self.code64(), big) {
            (true, _) => 64,
            (false, true) => 32,
            (false, false) => 16,
        }
    }

    /// Reads a register at its width.
    #[must_use]
    pub fn gpr(&self, reg: Gpr) -> u64 {
        let full = self.gpr[usize::from(reg.index & 15)];
        if reg.high {
            (full >> 8) & 0xFF
        } else {
            full & reg.width.mask()
        }
    }

    /// Writes a register at its width; a 32-bit write clears the upper half.
    pub fn set_gpr(&mut self, reg: Gpr, value: u64) {
        let slot = &mut self.gpr[usize::from(reg.index & 15)];
        *slot = match (reg.high, reg.width) {
            (true, _) => *slot & !0xFF00 | (value & 0xFF) << 8,
            (false, Width::Qword) => value,
            (false, Width::Dword) => value & 0xFFFF_FFFF,
            (false, width) => *slot & !width.mask() | value & width.mask(),
        };
    }

    /// Whether any of these flags is set.
    #[must_use]
    pub fn flag(&self, mask: u64) -> bool {
        self.rflags & mask != 0
    }

    /// Sets or clears flags.
    pub fn set_flag(&mut self, mask: u64, on: bool) {
        if on {
            self.rflags |= mask;
        } else {
            self.rflags &= !mask;
        }
    }

    /// Whether a condition code (in encoding order) holds.
    #[must_use]
    pub fn condition(&self, code: u8) -> bool {
        let less = self.flag(flag::SF) != self.flag(flag::OF);
        let holds = match code >> 1 {
            0 => self.flag(flag::OF),
            1 => self.flag(flag::CF),
            2 => self.flag(flag::ZF),
            3 => self.flag(flag::CF | flag::ZF),
            4 => self.flag(flag::SF),
            5 => self.flag(flag::PF),
            6 => less,
            _ => less || self.flag(flag::ZF),
        };
        holds != (code & 1 != 0)
    }
}
