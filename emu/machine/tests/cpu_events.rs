//! What a program cannot see from inside: exceptions on their way to their handlers, precise
//! state, interrupts at exact boundaries. Each test is a few instructions at CPL 3 with handlers
//! that are only addresses.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::CostModel;
use machine::addr::{PhysAddr, VirtAddr};
use machine::bus::Bus;
use machine::cpu::state::{Segment, Table, cr0, cr4, efer, flag};
use machine::cpu::{CodeCache, Cpu, Cx, Halt};
use machine::mmu::Mmu;

const TABLES: [u64; 4] = [0x1000, 0x2000, 0x3000, 0x4000];
const GDT: u64 = 0x5000;
const TSS: u64 = 0x6000;
const IDT: u64 = 0x7000;
const STACK: u64 = 0x9000;
const IST1: u64 = 0xA000;
/// The handler of vector n begins at HANDLERS + 16 n: with NOPs, until a test writes there.
const HANDLERS: u64 = 0xB000;
const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x11_0000;
const READ_ONLY: u64 = 0x11_1000;
const UNMAPPED: u64 = 0x11_2000;

const KERNEL_CODE: u64 = 0x10;
const USER_DATA: u64 = 0x2B;
const USER_CODE: u64 = 0x33;
const RSP: usize = 4;

/// Bits of page-table entries.
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const USER: u64 = 4;

struct Bench {
    cpu: Cpu,
    mmu: Mmu,
    bus: Bus,
    code: CodeCache,
}

impl Bench {
    /// A CPU at CPL 3 that is about to run this code, with an empty stack in DATA.
    fn new(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Bench {
        let mut bench = Bench {
            cpu: Cpu::default(),
            mmu: Mmu::default(),
            bus: Bus::new(16 << 20, 0),
            code: CodeCache::default(),
        };
        bench.map();
        bench.describe();
        bench.assemble(CODE, write);
        bench
    }

    fn assemble(
        &mut self,
        at: u64,
        write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) {
        let mut asm = CodeAssembler::new(64).expect("64 is a bitness");
        write(&mut asm).expect("the test's code is valid");
        let bytes = asm.assemble(at).expect("the test's code can be encoded");
        assert!(self.bus.ram.load(PhysAddr(at), &bytes));
    }

    fn map(&mut self) {
        for pair in TABLES.windows(2) {
            self.put(pair[0], pair[1] | PRESENT | WRITE | USER);
        }
        for page in (0..0x20_0000).step_by(4096) {
            let entry = match page {
                CODE | DATA => page | PRESENT | WRITE | USER,
                READ_ONLY => page | PRESENT | USER,
                _ if page < CODE => page | PRESENT | WRITE,
                _ => 0,
            };
            self.put(TABLES[3] + page / 512, entry);
        }
        self.cpu.cr0 = cr0::PE | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::PG;
        self.cpu.cr3 = TABLES[0];
        self.cpu.cr4 = cr4::PAE | cr4::OSFXSR;
        self.cpu.msr.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
    }

    /// GDT, TSS with one stack for level 0 and one IST, and a gate for each vector.
    fn describe(&mut self) {
        self.put(GDT + 0x10, 0x00AF_9B00_0000_FFFF);
        self.put(GDT + 0x18, 0x00CF_9300_0000_FFFF);
        self.put(GDT + 0x28, 0x00CF_F300_0000_FFFF);
        self.put(GDT + 0x30, 0x00AF_FB00_0000_FFFF);
        self.put(TSS + 4, STACK);
        self.put(TSS + 0x24, IST1);
        for vector in 0..256 {
            self.gate(vector, 0x8E00);
        }
        let cpu = &mut self.cpu;
        cpu.gdtr = Table {
            base: GDT,
            limit: 0xFFF,
        };
        cpu.idtr = Table {
            base: IDT,
            limit: 0xFFF,
        };
        cpu.tr = Segment {
            selector: 0x40,
            access: 0x8B,
            limit: 0x67,
            base: TSS,
        };
        cpu.seg[1] = Segment::flat(USER_CODE as u16, 0xA0FB);
        cpu.seg[2] = Segment::flat(USER_DATA as u16, 0xC0F3);
        cpu.rip = CODE;
        cpu.rflags = flag::FIXED | flag::IF;
        cpu.gpr[RSP] = DATA + 0x800;
        // Software-enable the local APIC.
        self.bus.write(PhysAddr(0xFEE0_00F0), 4, 0x1FF, 0);
        assert!(self.bus.ram.load(PhysAddr(HANDLERS), &[0x90; 4096]));
    }

    /// A gate with these middle bits: type and level in the upper byte, IST in the lower.
    fn gate(&mut self, vector: u64, middle: u64) {
        let handler = HANDLERS + 16 * vector;
        self.put(
            IDT + 16 * vector,
            handler & 0xFFFF | KERNEL_CODE << 16 | middle << 32,
        );
        self.put(IDT + 16 * vector + 8, 0);
    }

    fn put(&mut self, at: u64, value: u64) {
        self.bus.write(PhysAddr(at), 8, value, 0);
    }

    fn word(&mut self, at: u64) -> u64 {
        self.bus.read(PhysAddr(at), 8, 0)
    }

    /// One instruction, or one iteration of a repetition.
    fn try_step(&mut self) -> Result<(), Halt> {
        let Bench {
            cpu,
            mmu,
            bus,
            code,
        } = self;
        Cx::new(cpu, mmu, bus, CostModel::Standard, 0).step(code)
    }

    fn step(&mut self) {
        self.try_step().expect("the CPU goes on");
    }

    fn steps(&mut self, n: usize) {
        (0..n).for_each(|_| self.step());
    }

    /// The vector whose handler was just entered.
    fn handler(&self) -> u64 {
        assert_eq!(
            self.cpu.cpl(),
            0,
            "no handler was entered at {:#x}",
            self.cpu.rip
        );
        (self.cpu.rip - HANDLERS) / 16
    }

    /// The words on the stack of the handler, from RSP upwards.
    fn frame<const N: usize>(&mut self) -> [u64; N] {
        let top = self.cpu.gpr[RSP];
        std::array::from_fn(|i| self.word(top + 8 * i as u64))
    }
}

#[test]
fn a_page_fault_tells_everything() {
    let mut bench = Bench::new(|a| a.mov(byte_ptr(READ_ONLY + 5), 1));
    let before = bench.cpu.clone();
    bench.step();
    assert_eq!((bench.handler(), bench.cpu.cr2), (14, READ_ONLY + 5));
    assert_eq!(bench.cpu.gpr[RSP], STACK - 48);
    let expected = [
        7, // present, write, user
        CODE,
        USER_CODE,
        flag::FIXED | flag::IF | flag::RF,
        before.gpr[RSP],
        USER_DATA,
    ];
    assert_eq!(bench.frame(), expected);
    assert_eq!(bench.cpu.rflags, flag::FIXED);
    assert_eq!(bench.cpu.seg[2].selector, 0);
    assert_eq!((bench.cpu.retired, bench.word(READ_ONLY)), (0, 0));
}

#[test]
fn a_fault_leaves_registers_flags_and_memory_as_they_were() {
    type Write = fn(&mut CodeAssembler) -> Result<(), IcedError>;
    let cases: [Write; 10] = [
        |a| a.xadd(qword_ptr(READ_ONLY), rax),
        |a| a.xchg(qword_ptr(READ_ONLY + 0xFFC), rax),
        |a| a.push(qword_ptr(UNMAPPED)),
        |a| a.pop(qword_ptr(READ_ONLY)),
        |a| a.add(qword_ptr(READ_ONLY + 8), 1),
        |a| a.movsq(),
        |a| a.lock().cmpxchg16b(xmmword_ptr(READ_ONLY)),
        |a| a.mov(qword_ptr(DATA + 0xFFC), rax),
        |a| a.enter(8, 1),
        |a| a.div(rcx),
    ];
    for (i, write) in cases.into_iter().enumerate() {
        let mut bench = Bench::new(write);
        bench.cpu.gpr[6] = DATA;
        bench.cpu.gpr[7] = READ_ONLY;
        bench.cpu.rflags |= flag::CF | flag::OF;
        if i == 8 {
            // The second push of ENTER does not fit.
            bench.cpu.gpr[RSP] = DATA + 8;
        }
        bench.put(DATA, 0x1234);
        bench.put(READ_ONLY, 0x5678);
        let before = bench.cpu.gpr;
        bench.step();
        let rsp_at = STACK - 16;
        let mut after = bench.cpu.gpr;
        after[RSP] = bench.word(rsp_at);
        assert_eq!(after, before, "case {i}");
        let flags = flag::FIXED | flag::IF | flag::RF | flag::CF | flag::OF;
        assert_eq!(bench.word(STACK - 24), flags, "case {i}");
        assert_eq!(bench.word(STACK - 40), CODE, "case {i}");
        assert_eq!(bench.word(READ_ONLY), 0x5678, "case {i}");
    }
}

#[test]
fn a_repetition_faults_between_iterations() {
    let mut bench = Bench::new(|a| a.rep().stosb());
    bench.cpu.gpr[0] = 0x5A;
    bench.cpu.gpr[1] = 100;
    bench.cpu.gpr[7] = READ_ONLY - 3;
    bench.steps(3);
    assert_eq!(
        (bench.cpu.rip, bench.cpu.rep_iteration, bench.cpu.retired),
        (CODE, 3, 0)
    );
    bench.step();
    assert_eq!((bench.handler(), bench.cpu.cr2), (14, READ_ONLY));
    assert_eq!((bench.cpu.gpr[1], bench.cpu.gpr[7]), (97, READ_ONLY));
    assert_eq!(bench.word(READ_ONLY - 8) >> 40, 0x5A_5A5A);
}

#[test]
fn a_fault_on_the_way_to_a_handler_makes_a_double_fault_and_then_a_triple_one() {
    // The handler of #UD has an unmapped stack, and so has that of the #PF: #DF on an own stack.
    let unmapped = |a: &mut CodeAssembler| a.ud2();
    let mut bench = Bench::new(unmapped);
    bench.put(TSS + 4, UNMAPPED + 0x800);
    bench.gate(8, 0x8E01);
    bench.step();
    assert_eq!((bench.handler(), bench.cpu.gpr[RSP]), (8, IST1 - 48));
    assert_eq!(bench.frame::<2>(), [0, CODE]);
    let mut bench = Bench::new(unmapped);
    bench.put(TSS + 4, UNMAPPED + 0x800);
    assert_eq!(bench.try_step(), Err(Halt::Triple(14)));
}

#[test]
fn interrupt_numbers_need_gates_of_their_level() {
    let mut bench = Bench::new(|a| {
        a.int(0x40)?;
        a.int(0x41)
    });
    bench.gate(0x40, 0xEE00);
    bench.step();
    assert_eq!(bench.handler(), 0x40);
    assert_eq!(bench.frame::<1>(), [CODE + 2]);
    bench.assemble(HANDLERS + 16 * 0x40, |a| a.iretq());
    bench.steps(2);
    assert_eq!(bench.handler(), 13);
    assert_eq!(bench.frame::<2>(), [0x41 << 3 | 2, CODE + 2]);
}

#[test]
fn what_is_not_announced_is_undefined() {
    let mut bench = Bench::new(|a| a.vaddps(ymm0, ymm1, ymm2));
    bench.step();
    assert_eq!((bench.handler(), bench.frame::<1>()), (6, [CODE]));
}

#[test]
fn a_system_call_goes_there_and_back() {
    let mut bench = Bench::new(|a| {
        a.syscall()?;
        a.nop()
    });
    let msr = &mut bench.cpu.msr;
    msr.lstar = HANDLERS;
    msr.star = KERNEL_CODE << 32 | 0x20 << 48;
    msr.sfmask = flag::IF | flag::DF;
    msr.kernel_gs_base = 0x1234;
    bench.assemble(HANDLERS, |a| {
        a.swapgs()?;
        a.sysretq()
    });
    bench.cpu.rflags |= flag::DF | flag::CF;
    let rflags = bench.cpu.rflags;
    bench.step();
    assert_eq!((bench.cpu.rip, bench.cpu.cpl()), (HANDLERS, 0));
    assert_eq!((bench.cpu.gpr[1], bench.cpu.gpr[11]), (CODE + 2, rflags));
    assert_eq!(bench.cpu.rflags, flag::FIXED | flag::CF);
    bench.step();
    assert_eq!(
        (bench.cpu.seg[5].base, bench.cpu.msr.kernel_gs_base),
        (0x1234, 0)
    );
    bench.step();
    assert_eq!(
        (bench.cpu.rip, bench.cpu.cpl(), bench.cpu.rflags),
        (CODE + 2, 3, rflags)
    );
    assert_eq!(u64::from(bench.cpu.seg[1].selector), 0x33);
    assert_eq!(u64::from(bench.cpu.seg[2].selector), 0x2B);
    bench.step();
    assert_eq!((bench.cpu.retired, bench.cpu.retired_user), (4, 2));
}

#[test]
fn an_interrupt_waits_for_the_instruction_after_sti() {
    let mut bench = Bench::new(|a| {
        a.sti()?;
        a.inc(rax)?;
        a.inc(rax)
    });
    // Level 3 may use STI here.
    bench.cpu.rflags = flag::FIXED | flag::IOPL;
    bench.bus.devices.apic.request(0x50, false);
    bench.steps(3);
    assert_eq!((bench.handler(), bench.cpu.gpr[0]), (0x50, 1));
}

#[test]
fn the_performance_counter_interrupts_after_the_nth_user_instruction() {
    let mut bench = Bench::new(|a| (0..20).try_for_each(|_| a.inc(rax)));
    let pmu = &mut bench.cpu.pmu;
    for (register, value) in [(0xC1, -7_i64 as u32), (0x186, 0x51_00C0), (0x38F, 1)] {
        assert_eq!(pmu.write(register, u64::from(value)), Some(()));
    }
    bench.bus.write(PhysAddr(0xFEE0_0340), 4, 0x60, 0);
    bench.steps(8);
    assert_eq!(
        (bench.handler(), bench.cpu.gpr[0], bench.cpu.retired_user),
        (0x60, 7, 7)
    );
    let masked = bench.bus.devices.apic.read(0x340, 0) & 1 << 16;
    assert_ne!(masked, 0, "the entry masks itself");
}

#[test]
fn the_trap_flag_stops_after_each_instruction_but_not_in_a_handler() {
    let mut bench = Bench::new(|a| a.inc(rax));
    bench.cpu.rflags |= flag::TF;
    bench.step();
    assert_eq!((bench.handler(), bench.cpu.gpr[0]), (1, 1));
    assert_eq!(bench.frame::<1>(), [CODE + 3]);
    assert_ne!(bench.cpu.dr[6] & 1 << 14, 0);
    bench.step();
    assert_eq!(bench.cpu.rip, HANDLERS + 16 + 1);
}

#[test]
fn overwritten_code_is_seen_at_once() {
    let mut bench = Bench::new(|a| {
        // The byte after this instruction, a NOP, becomes INC EAX's (FF C0) first one.
        a.mov(byte_ptr(CODE + 8), -1)?;
        a.db(&[0x90, 0xC0])
    });
    bench.cpu.rip = CODE + 8;
    bench.step();
    assert_eq!((bench.cpu.rip, bench.cpu.gpr[0]), (CODE + 9, 0));
    bench.cpu.rip = CODE;
    bench.steps(2);
    assert_eq!((bench.cpu.rip, bench.cpu.gpr[0]), (CODE + 10, 1));
}

#[test]
fn alignment_is_checked_where_it_is_asked_for() {
    let mut bench = Bench::new(|a| a.mov(eax, dword_ptr(DATA + 2)));
    bench.cpu.rflags |= flag::AC;
    bench.step();
    assert_eq!((bench.handler(), bench.frame::<2>()), (17, [0, CODE]));
}

#[test]
fn a_watcher_sees_the_tables_that_the_cpu_uses() {
    let bench = Bench::new(|a| a.nop());
    let paging = machine::cpu::paging_of(&bench.cpu);
    let seen = Mmu::look(&bench.bus, &paging, VirtAddr(READ_ONLY + 1));
    assert_eq!(seen, Some(PhysAddr(READ_ONLY + 1)));
    assert_eq!(Mmu::look(&bench.bus, &paging, VirtAddr(UNMAPPED)), None);
}
