//! What the kernel says about AVX and its state: CR4.OSXSAVE, XCR0, CPUID's leaf 0xD, and which
//! components XSAVE finds in use. What the instructions compute is judged by the host's CPU.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::state::{Segment, Table, cr0, cr4, efer, flag, xcr0};
use machine::cpu::{CodeCache, Cpu, Cx, vector};
use machine::mmu::Mmu;
use machine::{CostModel, CpuModel};

const CODE: u64 = 0x1000;
const AREA: u64 = 0x2000;
const GDT: u64 = 0x4000;
const IDT: u64 = 0x5000;
/// The handler of vector n is at HANDLERS + n.
const HANDLERS: u64 = 0x6000;
const STACK: u64 = 0x8000;
const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const ALL: u64 = xcr0::X87 | xcr0::SSE | xcr0::AVX;

/// A CPU without paging, at CPL 0 of 64-bit or 32-bit code.
struct Bench {
    cpu: Cpu,
    bus: Bus,
}

impl Bench {
    /// AVX is switched on.
    fn new(bits: u32) -> Bench {
        let mut bus = Bus::new(1 << 20, 0);
        let code = if bits == 64 {
            0x00AF_9B00_0000_FFFF
        } else {
            0x00CF_9B00_0000_FFFF
        };
        bus.write(PhysAddr(GDT + 8), 8, code, 0);
        for vector in 0..32 {
            let gate = (HANDLERS + vector) | 8 << 16 | 0x8E00 << 32;
            bus.write(PhysAddr(IDT + 16 * vector), 8, gate, 0);
        }
        let mut cpu = Cpu {
            model: CpuModel::V3,
            rflags: flag::FIXED,
            cr0: cr0::PE | cr0::ET | cr0::NE | cr0::MP,
            cr4: cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE,
            xcr0: ALL,
            gdtr: Table {
                base: GDT,
                limit: 15,
            },
            idtr: Table {
                base: IDT,
                limit: 0x1FF,
            },
            ..Cpu::default()
        };
        cpu.seg = [Segment::flat(0x10, 0xC093); 6];
        cpu.seg[1] = Segment::flat(8, if bits == 64 { 0xA09B } else { 0xC09B });
        if bits == 64 {
            cpu.msr.efer = efer::LME | efer::LMA;
        }
        cpu.xmm = std::array::from_fn(|i| 0x1111 * (i as u128 + 1));
        cpu.ymm_high = std::array::from_fn(|i| 0x2222 * (i as u128 + 1));
        cpu.gpr[4] = STACK;
        Bench { cpu, bus }
    }

    /// Runs one instruction; the vector of the exception that it raised.
    fn run(
        &mut self,
        write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) -> Option<u8> {
        let bits = self.cpu.code_bits();
        let mut asm = CodeAssembler::new(bits).expect("a bitness");
        write(&mut asm).expect("the test's code is valid");
        let bytes = asm.assemble(CODE).expect("the test's code can be encoded");
        assert!(self.bus.ram.load(PhysAddr(CODE), &bytes));
        self.cpu.rip = CODE;
        let (mut mmu, mut code) = (Mmu::default(), CodeCache::default());
        Cx::new(
            &mut self.cpu,
            &mut mmu,
            &mut self.bus,
            CostModel::Standard,
            u64::MAX,
        )
        .step(&mut code)
        .expect("the machine goes on");
        let fault = self.cpu.rip.checked_sub(HANDLERS)?;
        Some(fault as u8)
    }

    /// Goes on at CPL 3, with a TSS for the way back.
    fn leave_the_kernel(&mut self) {
        const TSS: u64 = 0x7000;
        self.bus.write(PhysAddr(TSS + 4), 8, STACK, 0);
        self.cpu.tr = Segment {
            selector: 0x18,
            access: 0x8B,
            limit: 0x67,
            base: TSS,
        };
        self.cpu.seg[1] = Segment::flat(0x23, 0xA0FB);
        self.cpu.seg[2] = Segment::flat(0x2B, 0xC0F3);
    }

    fn word(&mut self, offset: u64) -> u64 {
        self.bus.read(PhysAddr(AREA + offset), 8, 0)
    }

    fn put(&mut self, offset: u64, value: u64) {
        self.bus.write(PhysAddr(AREA + offset), 8, value, 0);
    }

    /// XSETBV of XCR0.
    fn switch(&mut self, components: u64) -> Option<u8> {
        self.cpu.gpr[RAX] = components;
        self.cpu.gpr[RDX] = components >> 32;
        self.run(|a| a.xsetbv())
    }

    /// eax, ebx, ecx of a leaf.
    fn cpuid(&mut self, leaf: u64, subleaf: u64) -> [u64; 3] {
        (self.cpu.gpr[RAX], self.cpu.gpr[RCX]) = (leaf, subleaf);
        assert_eq!(self.run(|a| a.cpuid()), None);
        [RAX, 3, RCX].map(|i| self.cpu.gpr[i])
    }
}

type Instruction = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// Both halves of three registers.
fn add(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.vpaddd(ymm1, ymm2, ymm3)
}

#[test]
fn avx_is_there_when_the_kernel_has_switched_it_on() {
    let with = |change: fn(&mut Cpu)| {
        let mut bench = Bench::new(64);
        change(&mut bench.cpu);
        bench.run(add)
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|cpu| cpu.cr4 &= !cr4::OSXSAVE), Some(vector::UD));
    assert_eq!(with(|cpu| cpu.xcr0 &= !xcr0::AVX), Some(vector::UD));
    assert_eq!(with(|cpu| cpu.xcr0 = xcr0::X87), Some(vector::UD));
    assert_eq!(with(|cpu| cpu.model = CpuModel::V2), Some(vector::UD));
    assert_eq!(with(|cpu| cpu.cr0 |= cr0::TS), Some(vector::NM));
    // These two belong to the legacy forms (volume 2, table 2-21).
    assert_eq!(with(|cpu| cpu.cr0 |= cr0::EM), None);
    assert_eq!(with(|cpu| cpu.cr4 &= !cr4::OSFXSR), None);
    // In real mode there is no VEX prefix, for vectors or for BMI.
    let instructions: [Instruction; 2] = [|a| a.vpxor(xmm1, xmm2, xmm3), |a| a.andn(eax, ebx, ecx)];
    for write in instructions {
        let mut bench = Bench::new(32);
        assert_eq!(bench.run(write), None);
        bench.cpu.cr0 &= !cr0::PE;
        // The offset of vector 6 in its table of far pointers.
        bench.bus.write(PhysAddr(IDT + 4 * 6), 4, HANDLERS + 6, 0);
        assert_eq!(bench.run(write), Some(vector::UD));
    }
    // #UD comes before #NM.
    let both = |cpu: &mut Cpu| {
        cpu.cr0 |= cr0::TS;
        cpu.xcr0 = xcr0::X87;
    };
    assert_eq!(with(both), Some(vector::UD));
}

#[test]
fn a_vex_form_of_16_bytes_clears_what_a_legacy_form_leaves() {
    let mut bench = Bench::new(64);
    let before = bench.cpu.ymm_high;
    assert_eq!(bench.run(|a| a.paddd(xmm1, xmm2)), None);
    assert_eq!(bench.cpu.ymm_high, before);
    assert_eq!(bench.run(|a| a.vpaddd(xmm1, xmm2, xmm3)), None);
    assert_eq!((bench.cpu.xmm[1], bench.cpu.ymm_high[1]), (0x7777, 0));
    assert_eq!(bench.cpu.ymm_high[2..], before[2..]);
    assert_eq!(bench.run(|a| a.vpaddd(ymm1, ymm2, ymm3)), None);
    assert_eq!(bench.cpu.ymm_high[1], 7 * 0x2222);
}

/// Outside 64-bit code only half of the registers exist for VZEROALL, XSAVE and XRSTOR.
#[test]
fn code_of_32_bits_has_eight_registers() {
    let mut bench = Bench::new(32);
    let before = (bench.cpu.xmm, bench.cpu.ymm_high);
    bench.cpu.gpr[RAX] = ALL;
    assert_eq!(bench.run(|a| a.xsave(ptr(AREA))), None);
    assert_eq!(bench.word(576 + 7 * 16), 8 * 0x2222);
    assert_eq!((bench.word(576 + 8 * 16), bench.word(160 + 8 * 16)), (0, 0));
    assert_eq!(bench.run(|a| a.vzeroall()), None);
    assert_eq!(bench.cpu.xmm[..8], [0; 8]);
    assert_eq!(bench.cpu.ymm_high[8..], before.1[8..]);
    bench.cpu.gpr[RAX] = ALL;
    assert_eq!(bench.run(|a| a.xrstor(ptr(AREA))), None);
    assert_eq!((bench.cpu.xmm, bench.cpu.ymm_high), before);
}

/// Volume 1, 13.3: the x87 stays on, AVX needs SSE, nothing else is known.
#[test]
fn xcr0_takes_what_makes_sense() {
    for good in [1, 3, 7] {
        let mut bench = Bench::new(64);
        assert_eq!(bench.switch(good), None);
        assert_eq!(bench.run(|a| a.xgetbv()), None);
        assert_eq!((bench.cpu.gpr[RAX], bench.cpu.gpr[RDX]), (good, 0));
    }
    for bad in [0, 2, 4, 5, 6, 0xF, 1 << 9 | 7, 1 << 32 | 7] {
        assert_eq!(Bench::new(64).switch(bad), Some(vector::GP), "{bad:#x}");
    }
    let mut bench = Bench::new(64);
    bench.cpu.gpr[RCX] = 1;
    assert_eq!(bench.switch(7), Some(vector::GP));
    bench = Bench::new(64);
    bench.leave_the_kernel();
    assert_eq!(bench.switch(1), Some(vector::GP));
    bench = Bench::new(64);
    bench.cpu.cr4 &= !cr4::OSXSAVE;
    assert_eq!(bench.switch(7), Some(vector::UD));
    assert_eq!(bench.cpu.xcr0, ALL);
}

#[test]
fn cpuid_tells_how_large_an_area_is() {
    let mut bench = Bench::new(64);
    assert_eq!(bench.cpuid(0xD, 0), [7, 832, 832]);
    assert_eq!(bench.cpuid(0xD, 1), [7, 832, 0]);
    assert_eq!(bench.cpuid(0xD, 2), [256, 576, 0]);
    bench.cpu.xcr0 = xcr0::X87;
    assert_eq!(bench.cpuid(0xD, 0), [7, 576, 832]);
    assert_eq!(bench.cpuid(0xD, 1), [7, 576, 0]);
    assert_eq!(bench.cpuid(0xD, 3), [0; 3]);
    const OSXSAVE: u64 = 1 << 27;
    assert_ne!(bench.cpuid(1, 0)[2] & OSXSAVE, 0);
    bench.cpu.cr4 &= !cr4::OSXSAVE;
    assert_eq!(bench.cpuid(1, 0)[2] & OSXSAVE, 0);
    bench.cpu.model = CpuModel::V2;
    assert_eq!(bench.cpuid(0xD, 0), [0; 3]);
}

/// A component is in use exactly if it is not as it was at first.
#[test]
fn what_is_as_it_was_at_first_is_not_in_use() {
    let mut bench = Bench::new(64);
    bench.cpu.xmm = [0; 16];
    bench.cpu.gpr[RCX] = 1;
    assert_eq!(bench.run(|a| a.xgetbv()), None);
    assert_eq!(bench.cpu.gpr[RAX], xcr0::AVX);
    bench.put(160, 0x55);
    bench.put(512, 0xFF00_0000_0000_0000 | ALL);
    bench.cpu.gpr[RAX] = ALL;
    assert_eq!(bench.run(|a| a.xsaveopt(ptr(AREA))), None);
    assert_eq!(bench.word(160), 0x55, "not in use, so not written");
    assert_eq!(bench.word(512), 0xFF00_0000_0000_0000 | xcr0::AVX);
    assert_eq!(bench.run(|a| a.xsave(ptr(AREA))), None);
    assert_eq!(bench.word(160), 0, "XSAVE writes what is asked for");
    // With another MXCSR the SSE component counts for XSAVEC.
    bench.cpu.mxcsr = 0x1F81;
    assert_eq!(bench.run(|a| a.xsavec(ptr(AREA))), None);
    assert_eq!(bench.word(512), xcr0::SSE | xcr0::AVX);
    assert_eq!(bench.word(520), 1 << 63 | ALL);
}

#[test]
fn what_an_area_does_not_hold_becomes_as_it_was_at_first() {
    let mut bench = Bench::new(64);
    bench.cpu.x87.control = 0x27F;
    bench.put(24, 0x1F81);
    bench.cpu.gpr[RAX] = xcr0::X87 | xcr0::AVX;
    assert_eq!(bench.run(|a| a.xrstor(ptr(AREA))), None);
    assert_eq!(bench.cpu.x87.control, 0x37F);
    assert_eq!(bench.cpu.ymm_high, [0; 16]);
    assert_eq!(bench.cpu.xmm[1], 0x2222, "not asked for");
    assert_eq!(bench.cpu.mxcsr, 0x1F81, "asked for with AVX");
    // A component that XCR0 has not switched on is no sound header.
    bench.cpu.xcr0 = xcr0::X87 | xcr0::SSE;
    bench.put(512, xcr0::AVX);
    assert_eq!(bench.run(|a| a.xrstor(ptr(AREA))), Some(vector::GP));
}
