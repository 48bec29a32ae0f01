//! What no other computer at hand can judge: each test is a sentence of the manual (volume 3A of
//! Intel's Software Developer's Manual, edition of March 2023, if nothing else is said), made to
//! happen. The TLB keeps what nobody invalidates: a stale translation stays in use for certain,
//! where the manual says that it may.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::CostModel;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::state::{Segment, Table, cr0, cr4, efer, flag};
use machine::cpu::{CodeCache, Cpu, CpuModel, Cx};
use machine::mmu::Mmu;

mod contexts;
mod control;
mod events;
mod tlb;

const TABLES: [u64; 4] = [0x1000, 0x2000, 0x3000, 0x4000];
const GDT: u64 = 0x5000;
const IDT: u64 = 0x7000;
const HANDLERS: u64 = 0xB000;
const CODE: u64 = 0x10_0000;
const STACK: u64 = 0x10_8000;
/// The page whose mapping the tests change, and what it maps.
const PAGE: u64 = 0x11_0000;
const FRAMES: [u64; 2] = [0x12_0000, 0x12_1000];

const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const GLOBAL: u64 = 1 << 8;
const KEEP: u64 = 1 << 63;

const PCID: u64 = cr4::PCIDE;
const RAX: usize = 0;

struct Bench {
    cpu: Cpu,
    mmu: Mmu,
    bus: Bus,
    code: CodeCache,
}

type Write<'a> = &'a dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>;

impl Bench {
    /// A CPU at level 0 of 64-bit mode; each frame holds its number plus one.
    fn new(control: u64) -> Bench {
        let mut bench = Bench {
            cpu: Cpu {
                model: CpuModel::V3,
                ..Cpu::default()
            },
            mmu: Mmu::default(),
            bus: Bus::new(16 << 20, 0),
            code: CodeCache::default(),
        };
        for pair in TABLES.windows(2) {
            bench.put(pair[0], pair[1] | PRESENT | WRITE);
        }
        for page in (0..0x20_0000).step_by(4096) {
            bench.put(TABLES[3] + page / 512, page | PRESENT | WRITE);
        }
        bench.put(FRAMES[0], 1);
        bench.put(FRAMES[1], 2);
        bench.put(GDT + 0x10, 0x00AF_9B00_0000_FFFF);
        for vector in 0..256_u64 {
            let handler = HANDLERS + 16 * vector;
            bench.put(IDT + 16 * vector, handler | 0x8E00_0010_0000);
        }
        assert!(bench.bus.ram.load(PhysAddr(HANDLERS), &[0x90; 4096]));
        bench.bus.write(PhysAddr(0xFEE0_00F0), 4, 0x1FF, 0);
        let table = |base| Table { base, limit: 0xFFF };
        let cpu = &mut bench.cpu;
        (cpu.gdtr, cpu.idtr) = (table(GDT), table(IDT));
        cpu.cr0 = cr0::PE | cr0::ET | cr0::NE | cr0::WP | cr0::PG;
        cpu.cr3 = TABLES[0];
        cpu.cr4 = cr4::PAE | cr4::OSFXSR | control;
        cpu.msr.efer = efer::LME | efer::LMA | efer::NXE;
        cpu.seg[1] = Segment::flat(0x10, 0xA09B);
        cpu.gpr[4] = STACK;
        bench.map(FRAMES[0], 0);
        bench
    }

    fn put(&mut self, at: u64, value: u64) {
        self.bus.write(PhysAddr(at), 8, value, 0);
    }

    /// Changes the page's entry, behind the TLB's back.
    fn map(&mut self, frame: u64, bits: u64) {
        self.put(TABLES[3] + PAGE / 512, frame | PRESENT | WRITE | bits);
    }

    /// Runs this code, one instruction at a time, as far as it goes; the vector if it faults.
    fn run(&mut self, write: Write<'_>) -> Result<(), u64> {
        let mut asm = CodeAssembler::new(64).expect("64 is a bitness");
        write(&mut asm).expect("the test's code is valid");
        let bytes = asm.assemble(CODE).expect("the test's code can be encoded");
        assert!(self.bus.ram.load(PhysAddr(CODE), &bytes));
        (self.cpu.rip, self.cpu.gpr[4]) = (CODE, STACK);
        while self.cpu.rip < CODE + bytes.len() as u64 {
            self.step();
            if let Some(place) = self.cpu.rip.checked_sub(HANDLERS)
                && place < 4096
            {
                return Err(place / 16);
            }
        }
        Ok(())
    }

    fn step(&mut self) {
        let Bench {
            cpu,
            mmu,
            bus,
            code,
        } = self;
        let mut all = Cx::new(cpu, mmu, bus, CostModel::Standard, 0);
        all.step(code).expect("the CPU goes on");
    }

    /// What is read at the page: the number of the frame that it seems to be, plus one.
    fn seen(&mut self) -> u64 {
        self.run(&|a| a.mov(rax, qword_ptr(PAGE))).expect("a read");
        self.cpu.gpr[RAX]
    }

    fn load_cr3(&mut self, value: u64) -> Result<(), u64> {
        self.run(&|a| {
            a.mov(rax, value)?;
            a.mov(cr3, rax)
        })
    }

    fn load_cr4(&mut self, value: u64) -> Result<(), u64> {
        self.run(&|a| {
            a.mov(rax, value)?;
            a.mov(cr4, rax)
        })
    }

    fn invpcid(&mut self, kind: u64, context: u64, address: u64) -> Result<(), u64> {
        self.put(STACK + 0x100, context);
        self.put(STACK + 0x108, address);
        self.run(&|a| {
            a.mov(rax, kind)?;
            a.invpcid(rax, xmmword_ptr(STACK + 0x100))
        })
    }
}
