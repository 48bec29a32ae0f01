//! The interpreter: 64-bit mode at CPL 3 with the same two mappings, and handlers that only tell
//! by their address which exception came.

use iced_x86::{Instruction, Mnemonic};
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::decode::decode;
use machine::cpu::fp::F80;
use machine::cpu::insn::Op;
use machine::cpu::state::{Segment, Table, X87, cr0, cr4, efer, flag, xcr0};
use machine::cpu::{CodeCache, Cpu, Cx, Halt};
use machine::mmu::Mmu;
use machine::{CostModel, CpuModel};

use crate::generate::Case;
use crate::state::{CODE, DATA, DATA_LEN, FLAGS, Fault, Outcome, READ_ONLY, SLOT, State, place};

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
        for page in (0..0x20_0000).step_by(4096) {
            put(TABLES[3] + page / 512, entry(page));
        }
        put(GDT + u64::from(KERNEL_CODE), 0x00AF_9B00_0000_FFFF);
        put(TSS + 4, STACK);
        // The port bitmap begins behind the limit: no port is open.
        put(TSS + 0x60, 0x68 << 48);
        for vector in 0..32 {
            let handler = HANDLERS + vector;
            // Programs may ask for #BP and #OF, which are theirs.
            let gate = if matches!(vector, 3 | 4) { 0xEE } else { 0x8E };
            put(
                IDT + 16 * vector,
                handler & 0xFFFF | u64::from(KERNEL_CODE) << 16 | gate << 40,
            );
            put(IDT + 16 * vector + 8, 0);
        }
        Emulated {
            bus,
            mmu: Mmu::default(),
            code: CodeCache::default(),
        }
    }

    /// Runs one case; what stops the machine is an error.
    pub fn run(&mut self, case: &Case) -> Result<Outcome, Halt> {
        self.copy_in(DATA, &case.state.memory);
        let mut code = [0x90; SLOT];
        code[..case.bytes.len()].copy_from_slice(&case.bytes);
        self.copy_in(CODE, &code);
        let mut cpu = user_cpu(&case.state);
        loop {
            // The trap after the instruction, as any exception, enters a handler.
            while cpu.cpl() != 0 {
                Cx::new(
                    &mut cpu,
                    &mut self.mmu,
                    &mut self.bus,
                    CostModel::Standard,
                    u64::MAX,
                )
                .step(&mut self.code)?;
            }
            let repeats = case.instruction.is_string_instruction();
            if !repeats || !self.resume(&mut cpu) {
                return Ok(self.handled(&cpu));
            }
        }
    }

    /// Goes back to a repetition that was trapped before its end.
    fn resume(&mut self, cpu: &mut Cpu) -> bool {
        let frame = STACK - 40;
        if cpu.rip != HANDLERS + 1 || self.word(frame) != CODE {
            return false;
        }
        cpu.rip = CODE;
        cpu.rflags = self.word(frame + 16);
        cpu.gpr[4] = self.word(frame + 24);
        cpu.seg[1] = Segment::flat(USER_CODE, 0xA0FB);
        cpu.seg[2] = Segment::flat(USER_DATA, 0xC0F3);
        true
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

    /// What the program can see, but for what is in the handler's frame.
    fn after(&mut self, cpu: &Cpu) -> Box<State> {
        let mut state = State::plain();
        state.gpr = cpu.gpr;
        state.base = [cpu.seg[4].base, cpu.seg[5].base];
        let pages = state.memory.chunks_mut(4096).enumerate();
        for (i, to) in pages {
            let from = PhysAddr(DATA + 4096 * i as u64);
            to.copy_from_slice(self.bus.ram.page(from).expect("RAM"));
        }
        take_vectors(cpu, &mut state);
        state
    }

    /// A handler was entered: what the program had is in the frame.
    fn handled(&mut self, cpu: &Cpu) -> Outcome {
        let vector = (cpu.rip - HANDLERS) as u8;
        let with_code = matches!(vector, 8 | 10..=14 | 17);
        let frame = STACK - 40;
        let pushed = frame - if with_code { 8 } else { 0 };
        assert_eq!(cpu.gpr[4], pushed, "size of the frame");
        let mut state = self.after(cpu);
        state.rip = self.word(frame);
        state.rflags = self.word(frame + 16) & FLAGS;
        state.gpr[4] = self.word(frame + 24);
        let error = match with_code {
            true => self.word(frame - 8) as u16,
            false => 0,
        };
        if vector == 1 {
            // Not compared where the instruction was not at its end either.
            state.rflags &= !flag::RF;
        }
        let fault = (vector != 1).then(|| Fault::new(vector, error, cpu.cr2));
        Outcome { state, fault }
    }
}

/// The page-table entry of a page that is its own frame.
fn entry(page: u64) -> u64 {
    const READ: u64 = 5;
    const WRITE: u64 = 7;
    const SYSTEM: u64 = 3;
    let data = DATA..DATA + DATA_LEN as u64;
    match page {
        CODE => page | WRITE,
        _ if page == DATA + READ_ONLY as u64 => page | READ,
        _ if data.contains(&page) => page | WRITE,
        _ if page < 0x1_0000 => page | SYSTEM,
        _ => 0,
    }
}

/// All that is announced by any model.
const MODEL: CpuModel = CpuModel::V3;

/// A CPU as a Linux program has it, about to be trapped after one instruction.
fn user_cpu(state: &State) -> Cpu {
    let mut cpu = Cpu {
        gpr: state.gpr,
        rip: state.rip,
        rflags: state.rflags | 0x202 | flag::TF,
        cr0: cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::PG,
        cr3: TABLES[0],
        model: MODEL,
        gdtr: Table {
            base: GDT,
            limit: 0xFFF,
        },
        idtr: Table {
            base: IDT,
            limit: 0xFFF,
        },
        mxcsr: state.mxcsr(),
        xmm: std::array::from_fn(|i| state.xmm(i)),
        ymm_high: state.high,
        xcr0: xcr0::X87 | xcr0::SSE | xcr0::AVX,
        x87: x87(state),
        ..Cpu::default()
    };
    let optional = (cr4::FSGSBASE | cr4::OSXSAVE) & cpu.cr4_known();
    cpu.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT | optional;
    cpu.msr.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
    cpu.tr = Segment {
        selector: 0x40,
        access: 0x8B,
        limit: 0x67,
        base: TSS,
    };
    cpu.seg[1] = Segment::flat(USER_CODE, 0xA0FB);
    cpu.seg[2] = Segment::flat(USER_DATA, 0xC0F3);
    cpu.seg[4].base = state.base[0];
    cpu.seg[5].base = state.base[1];
    cpu
}

fn x87(state: &State) -> X87 {
    let mut x87 = X87 {
        control: state.get16(place::CONTROL),
        status: state.get16(place::STATUS),
        opcode: state.get16(place::OPCODE),
        instruction: state.get64(place::INSTRUCTION),
        data: state.get64(place::OPERAND),
        ..X87::default()
    };
    let top = usize::from(x87.status >> 11 & 7);
    for i in 0..8 {
        let bytes = state.st(i).to_le_bytes();
        x87.registers[(top + i) & 7] = F80::from_bytes(std::array::from_fn(|byte| bytes[byte]));
    }
    x87.tag = (0..8).fold(0, |tag, i| match state.image[place::FULL] >> i & 1 {
        0 => tag | 3 << (2 * i),
        _ => tag,
    });
    x87
}

fn take_vectors(cpu: &Cpu, state: &mut State) {
    state.set_mxcsr(cpu.mxcsr);
    for i in 0..16 {
        state.set_xmm(i, cpu.xmm[i]);
    }
    state.high = cpu.ymm_high;
    let x87 = &cpu.x87;
    state.put16(place::CONTROL, x87.control);
    state.put16(place::STATUS, x87.status);
    state.image[place::FULL] = (0..8).fold(0, |full, i| {
        full | u8::from(x87.tag >> (2 * i) & 3 != 3) << i
    });
    state.put16(place::OPCODE, x87.opcode);
    state.put64(place::INSTRUCTION, x87.instruction);
    state.put64(place::OPERAND, x87.data);
    let top = usize::from(x87.status >> 11 & 7);
    for i in 0..8 {
        let mut bytes = [0; 16];
        bytes[..10].copy_from_slice(&x87.registers[(top + i) & 7].to_bytes());
        state.set_st(i, u128::from_le_bytes(bytes));
    }
}

/// Whether the decoder takes an instruction, and not as the older one that its bytes once were.
pub fn announces(instruction: &Instruction, bytes: &[u8]) -> bool {
    match decode(bytes, 64, MODEL) {
        Ok(Some(insn)) => match instruction.mnemonic() {
            Mnemonic::Tzcnt | Mnemonic::Lzcnt => !matches!(insn.op, Op::Bsf | Op::Bsr),
            _ => insn.op != Op::Undefined,
        },
        _ => false,
    }
}
