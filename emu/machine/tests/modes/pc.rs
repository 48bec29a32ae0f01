//! A CPU with memory, and programs for it.

use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cost::CostModel;
use machine::cpu::state::{Segment, Table, cr0};
use machine::cpu::{CodeCache, Cpu, Cx, Halt};
use machine::mmu::Mmu;

pub(crate) type Built = Result<(), IcedError>;

/// Where programs begin, as a linear address.
pub(crate) const CODE: u64 = 0x8000;

/// Where protected mode keeps its tables.
pub(crate) const GDT: u64 = 0x1000;
pub(crate) const IDT: u64 = 0x2000;
pub(crate) const TSS: u64 = 0x3000;

pub(crate) struct Pc {
    pub(crate) cpu: Cpu,
    bus: Bus,
    mmu: Mmu,
    code: CodeCache,
}

impl Pc {
    /// A CPU that has been started up at `CODE` in real mode, with an empty stack at 0x7000.
    pub(crate) fn real() -> Pc {
        let mut cpu = Cpu::default();
        cpu.start_up((CODE >> 12) as u8);
        cpu.gpr[4] = 0x7000;
        Pc {
            cpu,
            bus: Bus::new(16 << 20, 0),
            mmu: Mmu::default(),
            code: CodeCache::default(),
        }
    }

    /// A CPU at level 0 of protected mode with flat segments: 8 code, 0x10 data, 0x1b code and
    /// 0x23 data of level 3, 0x28 the task, 0x30 code and 0x38 data of 16 bits; each vector's
    /// handler halts at 0x9000 + 16 * vector.
    pub(crate) fn protected() -> Pc {
        let mut pc = Pc::real();
        for (i, descriptor) in [
            0,
            0x00CF_9B00_0000_FFFF,
            0x00CF_9300_0000_FFFF,
            0x00CF_FB00_0000_FFFF,
            0x00CF_F300_0000_FFFF,
            0x0000_8B00_0000_0067 | TSS << 16,
            0x0000_9B00_0000_FFFF,
            0x0000_9300_0000_FFFF,
        ]
        .into_iter()
        .enumerate()
        {
            pc.put(GDT + 8 * i as u64, 8, descriptor);
        }
        for vector in 0..32u8 {
            pc.gate(vector, 8, 0x9000 + 16 * u32::from(vector), 0x8E);
            pc.put(0x9000 + 16 * u64::from(vector), 1, 0xF4);
        }
        // The stack of level 0.
        pc.put(TSS + 4, 4, 0x6000);
        pc.put(TSS + 8, 4, 0x10);
        let cpu = &mut pc.cpu;
        cpu.cr0 |= cr0::PE;
        cpu.gdtr = Table {
            base: GDT,
            limit: 0xFF,
        };
        cpu.idtr = Table {
            base: IDT,
            limit: 0x7FF,
        };
        cpu.seg = [Segment::flat(0x10, 0xC093); 6];
        cpu.seg[1] = Segment::flat(8, 0xC09B);
        cpu.tr = Segment {
            selector: 0x28,
            access: 0x8B,
            limit: 0x67,
            base: TSS,
        };
        cpu.rip = CODE;
        pc
    }

    /// A gate of the IDT; `kind` is its type with DPL and present bit.
    pub(crate) fn gate(&mut self, vector: u8, selector: u64, offset: u32, kind: u64) {
        let offset = u64::from(offset);
        let gate = offset & 0xFFFF | selector << 16 | kind << 40 | offset >> 16 << 48;
        self.put(IDT + 8 * u64::from(vector), 8, gate);
    }

    pub(crate) fn put(&mut self, at: u64, len: usize, value: u64) {
        assert!(self.bus.ram.write(PhysAddr(at), len, value));
    }

    pub(crate) fn get(&self, at: u64, len: usize) -> u64 {
        self.bus.ram.read(PhysAddr(at), len).unwrap()
    }

    /// Words of `len` bytes from the stack pointer on.
    pub(crate) fn stack<const N: usize>(&self, at: u64, len: usize) -> [u64; N] {
        std::array::from_fn(|i| self.get(at + (i * len) as u64, len))
    }

    /// Assembles a program that will run with its first byte at `ip` of its segment.
    pub(crate) fn program(
        &mut self,
        at: u64,
        (bits, ip): (u32, u64),
        build: impl FnOnce(&mut CodeAssembler) -> Built,
    ) {
        let mut assembler = CodeAssembler::new(bits).unwrap();
        build(&mut assembler).unwrap();
        let bytes = assembler.assemble(ip).unwrap();
        assert!(self.bus.ram.load(PhysAddr(at), &bytes));
    }

    /// A program of 16 bits at the start.
    pub(crate) fn program16(&mut self, build: impl FnOnce(&mut CodeAssembler) -> Built) {
        self.program(CODE, (16, 0), build);
    }

    /// A program of 32 bits at the start.
    pub(crate) fn program32(&mut self, build: impl FnOnce(&mut CodeAssembler) -> Built) {
        self.program(CODE, (32, CODE), build);
    }

    /// One instruction.
    pub(crate) fn step(&mut self) -> Result<(), Halt> {
        Cx::new(
            &mut self.cpu,
            &mut self.mmu,
            &mut self.bus,
            CostModel::Unit,
            u64::MAX,
        )
        .step(&mut self.code)
    }

    /// Runs until HLT.
    pub(crate) fn run(&mut self) -> Result<(), Halt> {
        for _ in 0..1000 {
            self.step()?;
            if self.cpu.halted {
                return Ok(());
            }
        }
        panic!("no HLT in 1000 instructions, at {:#x}", self.cpu.rip);
    }

    /// Runs until the machine stops because something is not there; its name.
    pub(crate) fn missing(&mut self) -> String {
        match self.run() {
            Err(Halt::Missing(name)) => name,
            other => panic!("{other:?}"),
        }
    }
}
