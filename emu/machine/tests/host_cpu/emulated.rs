//! The interpreter: 64-bit mode at CPL 3 with the same two mappings, and handlers that only tell
//! by their address which exception came.

use machine::CostModel;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::state::{Segment, Table, cr0, cr4, efer};
use machine::cpu::{CodeCache, Cpu, Cx};
use machine::mmu::Mmu;

use crate::generate::Case;
use crate::state::{CODE, DATA, DATA_LEN, FLAGS, GS_BASE, Kind, Outcome, State};

/// Supervisor memory, one page each.
const TABLES: [u64; 4] = [0x1000, 0x2000, 0x3000, 0x4000];
const GDT: u64 = 0x5000;
const TSS: u64 = 0x6000;
const IDT: u64 = 0x7000;
const STACK: u64 = 0x9000;
/// The handler of vector n would begin at HANDLERS + n.
const HANDLERS: u64 = 0xA000;

const KERNEL_CODE: u16 = 0x10;
const USER_DATA: u16 = 0x2B;
const USER_CODE: u16 = 0x33;

/// A CPU with its memory. Translations live as long as decoded code: a new
/// `Mmu` would count its changes from the beginning again.
pub struct Emulated {
    bus: Bus,
    mmu: Mmu,
    code: CodeCache,
}

impl Emulated {
    /// Builds page tables, descriptor tables and handlers' gates.
    pub fn new() -> Emulated {
        let mut bus = Bus::new(16 << 20, 0);
        let mut put = |at: u64, value: u64| bus.write(PhysAddr(at), 8, value, 0);
        for pair in TABLES.windows(2) {
            put(pair[0], pair[1] | 7);
        }
        let data = DATA..DATA + DATA_LEN as u64;
        for page in (0..0x20_0000).step_by(4096) {
            let user = data.contains(&page) || page == CODE;
            let system = page < DATA;
            let entry = if user {
                page | 7
            } else if system {
                page | 3
            } else {
                0
            };
            put(TABLES[3] + page / 512, entry);
        }
        put(GDT + u64::from(KERNEL_CODE), 0x00AF_9B00_0000_FFFF);
        put(TSS + 4, STACK);
        // The port bitmap begins behind the limit: no port is open.
        put(TSS + 0x60, 0x68 << 48);
        for vector in 0..32 {
            let handler = HANDLERS + vector;
            put(
                IDT + 16 * vector,
                handler & 0xFFFF | u64::from(KERNEL_CODE) << 16 | 0x8E << 40,
            );
            put(IDT + 16 * vector + 8, 0);
        }
        Emulated {
            bus,
            mmu: Mmu::default(),
            code: CodeCache::default(),
        }
    }

    /// Runs one case.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.copy_in(DATA, &case.state.memory);
        let mut code = [0x90; 32];
        code[..case.bytes.len()].copy_from_slice(&case.bytes);
        self.copy_in(CODE, &code);
        let mut cpu = user_cpu(&case.state);
        loop {
            let retired = cpu.retired;
            let mut cx = Cx::new(
                &mut cpu,
                &mut self.mmu,
                &mut self.bus,
                CostModel::Standard,
                u64::MAX,
            );
            if let Err(halt) = cx.step(&mut self.code) {
                return Outcome {
                    state: self.after(&cpu),
                    fault: Some(unknown(&halt)),
                };
            }
            if cpu.cpl() == 0 {
                return self.faulted(&cpu);
            }
            if cpu.retired != retired {
                return Outcome {
                    state: self.after(&cpu),
                    fault: None,
                };
            }
        }
    }

    fn copy_in(&mut self, at: u64, bytes: &[u8]) {
        assert!(
            self.bus.ram.load(PhysAddr(at), bytes),
            "the test's memory is RAM"
        );
    }

    fn word(&mut self, at: u64) -> u64 {
        self.bus.read(PhysAddr(at), 8, 0)
    }

    fn after(&mut self, cpu: &Cpu) -> State {
        let mut memory = Vec::with_capacity(DATA_LEN);
        for page in (DATA..DATA + DATA_LEN as u64).step_by(4096) {
            memory.extend_from_slice(self.bus.ram.page(PhysAddr(page)).expect("RAM"));
        }
        State {
            gpr: cpu.gpr,
            rip: cpu.rip,
            rflags: cpu.rflags & FLAGS,
            memory,
        }
    }

    /// A handler was entered: what the program had is in the frame.
    fn faulted(&mut self, cpu: &Cpu) -> Outcome {
        let vector = cpu.rip - HANDLERS;
        let with_code = matches!(vector, 8 | 10..=14 | 17);
        let frame = STACK - 40;
        assert_eq!(
            cpu.gpr[4],
            frame - if with_code { 8 } else { 0 },
            "size of the frame"
        );
        let mut state = self.after(cpu);
        state.rip = self.word(frame);
        state.rflags = self.word(frame + 16) & FLAGS;
        state.gpr[4] = self.word(frame + 24);
        let kind = match vector {
            0 | 16 | 19 => Kind::Arithmetic,
            6 => Kind::Illegal,
            // Linux sends SIGBUS for a stack fault.
            12 | 17 => Kind::Alignment,
            13 | 14 => Kind::Memory,
            other => Kind::Other(other as i32),
        };
        Outcome {
            state,
            fault: Some(kind),
        }
    }
}

fn unknown(halt: &machine::cpu::Halt) -> Kind {
    eprintln!("the interpreter stopped: {halt:?}");
    Kind::Other(-1)
}

/// A CPU as a Linux program has it.
fn user_cpu(state: &State) -> Cpu {
    let mut cpu = Cpu {
        gpr: state.gpr,
        rip: state.rip,
        rflags: state.rflags | 0x202,
        cr0: cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::PG,
        cr3: TABLES[0],
        cr4: cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT,
        gdtr: Table {
            base: GDT,
            limit: 0xFFF,
        },
        idtr: Table {
            base: IDT,
            limit: 0xFFF,
        },
        ..Cpu::default()
    };
    cpu.msr.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
    cpu.tr = Segment {
        selector: 0x40,
        access: 0x8B,
        limit: 0x67,
        base: TSS,
    };
    cpu.seg[1] = Segment::flat(USER_CODE, 0xA0FB);
    cpu.seg[2] = Segment::flat(USER_DATA, 0xC0F3);
    cpu.seg[5].base = GS_BASE;
    cpu
}
