//! Runs one instruction on the host's own CPU and on the machine's, from the same registers and
//! the same memory.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use iced_x86::code_asm::*;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cost::CostModel;
use machine::cpu::fp::F80;
use machine::cpu::state::{Segment, Table, X87, cr0, cr4, efer, flag, xcr0};
use machine::cpu::{CodeCache, Cpu, CpuModel, Cx, vector};
use machine::mmu::Mmu;

/// A seeded source of numbers.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Random, sparse, or nearly all bits equal.
    pub(crate) fn bits(&mut self) -> u64 {
        let value = self.next();
        match self.below(8) {
            0 => value & self.next() & self.next(),
            1 => value | self.next() | self.next(),
            2 => 1 << self.below(64),
            3 => u64::MAX << self.below(64),
            4 => u64::MAX >> self.below(64),
            5 => self.below(5),
            _ => value,
        }
    }

    fn field(&mut self, top: u64) -> u64 {
        match self.below(12) {
            0 => 0,
            1 => top,
            2 => 1 + self.below(3),
            3 => top - 1 - self.below(3),
            4..=8 => top / 2 - 40 + self.below(80),
            _ => self.below(top + 1),
        }
    }

    pub(crate) fn single(&mut self) -> u64 {
        let fraction = if self.below(4) == 0 {
            self.below(2) << 22
        } else {
            self.bits() & 0x7f_ffff
        };
        self.below(2) << 31 | self.field(255) << 23 | fraction
    }

    pub(crate) fn double(&mut self) -> u64 {
        let fraction = match self.below(4) {
            0 => self.below(2) << 51,
            _ => self.bits() & 0xf_ffff_ffff_ffff,
        };
        self.below(2) << 63 | self.field(2047) << 52 | fraction
    }

    pub(crate) fn f80(&mut self) -> F80 {
        let field = self.field(0x7fff) as u16;
        let se = (self.below(2) as u16) << 15 | field;
        let mut sig = self.bits();
        match self.below(20) {
            0 => {}
            1 => sig = self.below(2) << 63 | self.below(2) << 62,
            _ if field == 0 => sig &= !(1 << 63),
            _ => sig |= 1 << 63,
        }
        match self.below(6) {
            0 => sig &= u64::MAX << 40,
            1 => sig &= u64::MAX << 11,
            2 => sig &= u64::MAX << 10,
            _ => {}
        }
        F80 { sig, se }
    }

    /// 64 bits of the sort that some instruction finds interesting.
    fn word(&mut self) -> u64 {
        match self.below(8) {
            0..=1 => self.double(),
            2..=4 => self.single() | self.single() << 32,
            5 => u64::from_le_bytes(
                [0; 8].map(|_: u8| b"\0\x01ab\xff\x80zA"[self.below(8) as usize]),
            ),
            6 => u64::from_le_bytes([0; 8].map(|_: u8| b"\0abc"[self.below(4) as usize])),
            _ => self.bits(),
        }
    }

    fn vector(&mut self) -> u128 {
        u128::from(self.word()) | u128::from(self.word()) << 64
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Where the memory operand lies in [`Case::memory`]: what rdi points at.
pub(crate) const OPERAND: usize = 512;
const MEMORY: usize = 2048;

/// What goes into an instruction and what comes out of it.
#[derive(Clone, PartialEq)]
pub(crate) struct Case {
    /// rax, rcx, rdx, rbx, (rsp, rbp), rsi, (rdi), r8 to r14; the ones in brackets are not used.
    pub(crate) gpr: [u64; 15],
    pub(crate) rflags: u64,
    pub(crate) xmm: [u128; 16],
    /// The high halves of the YMM registers; left alone where the host has none.
    pub(crate) ymm_high: [u128; 16],
    pub(crate) mxcsr: u32,
    pub(crate) control: u16,
    pub(crate) status: u16,
    /// A bit for each register that is not empty.
    pub(crate) full: u8,
    /// From st(0) on.
    pub(crate) st: [F80; 8],
    pub(crate) memory: [u8; MEMORY],
    /// The exception that was raised.
    pub(crate) fault: Option<u8>,
}

/// rsp, rbp and rdi are the harness's.
pub(crate) const RESERVED: [usize; 3] = [4, 5, 7];

impl Case {
    pub(crate) fn random(random: &mut Random) -> Case {
        let mut case = Case {
            gpr: [0; 15].map(|_: u64| random.word()),
            rflags: flag::FIXED | random.next() & flag::STATUS,
            xmm: [0; 16].map(|_: u128| random.vector()),
            ymm_high: [0; 16].map(|_: u128| random.vector()),
            mxcsr: 0x1f80,
            control: 0x37f,
            status: 0,
            full: 0,
            st: [F80::default(); 8],
            memory: [0; MEMORY],
            fault: None,
        };
        for i in RESERVED {
            case.gpr[i] = 0;
        }
        random.fill(&mut case.memory);
        case
    }

    /// The 512 bytes that FXRSTOR loads.
    fn image(&self) -> [u8; 512] {
        let mut image = [0; 512];
        image[..2].copy_from_slice(&self.control.to_le_bytes());
        image[2..4].copy_from_slice(&self.status.to_le_bytes());
        image[4] = self.full;
        image[24..28].copy_from_slice(&self.mxcsr.to_le_bytes());
        for (i, st) in self.st.iter().enumerate() {
            image[32 + 16 * i..][..10].copy_from_slice(&st.to_bytes());
        }
        for (i, xmm) in self.xmm.iter().enumerate() {
            image[160 + 16 * i..][..16].copy_from_slice(&xmm.to_le_bytes());
        }
        image
    }

    fn take_image(&mut self, image: &[u8; 512]) {
        self.control = u16::from_le_bytes([image[0], image[1]]);
        self.status = u16::from_le_bytes([image[2], image[3]]);
        self.full = image[4];
        self.mxcsr = u32::from_le_bytes(image[24..28].try_into().unwrap());
        for (i, st) in self.st.iter_mut().enumerate() {
            *st = F80::from_bytes(image[32 + 16 * i..][..10].try_into().unwrap());
        }
        for (i, xmm) in self.xmm.iter_mut().enumerate() {
            *xmm = u128::from_le_bytes(image[160 + 16 * i..][..16].try_into().unwrap());
        }
    }

    /// What differs, for messages.
    pub(crate) fn difference(&self, host: &Case) -> String {
        let mut text = String::new();
        let mut note = |name: String, ours: String, theirs: String| {
            if ours != theirs {
                text += &format!("  {name}: got {ours}, host {theirs}\n");
            }
        };
        note(
            "fault".into(),
            format!("{:?}", self.fault),
            format!("{:?}", host.fault),
        );
        for i in 0..15 {
            note(
                format!("gpr {i}"),
                format!("{:#x}", self.gpr[i]),
                format!("{:#x}", host.gpr[i]),
            );
        }
        note(
            "rflags".into(),
            format!("{:#x}", self.rflags),
            format!("{:#x}", host.rflags),
        );
        note(
            "mxcsr".into(),
            format!("{:#x}", self.mxcsr),
            format!("{:#x}", host.mxcsr),
        );
        note(
            "control".into(),
            format!("{:#x}", self.control),
            format!("{:#x}", host.control),
        );
        note(
            "status".into(),
            format!("{:#x}", self.status),
            format!("{:#x}", host.status),
        );
        note(
            "full".into(),
            format!("{:#x}", self.full),
            format!("{:#x}", host.full),
        );
        for i in 0..8 {
            note(
                format!("st{i}"),
                format!("{:x?}", self.st[i]),
                format!("{:x?}", host.st[i]),
            );
        }
        for i in 0..16 {
            note(
                format!("xmm{i}"),
                format!("{:#034x}", self.xmm[i]),
                format!("{:#034x}", host.xmm[i]),
            );
            note(
                format!("high half of ymm{i}"),
                format!("{:#034x}", self.ymm_high[i]),
                format!("{:#034x}", host.ymm_high[i]),
            );
        }
        for i in (0..MEMORY).step_by(8) {
            let hex = |m: &[u8; MEMORY]| format!("{:02x?}", &m[i..i + 8]);
            note(
                format!("memory {:+}", i as i64 - OPERAND as i64),
                hex(&self.memory),
                hex(&host.memory),
            );
        }
        text
    }
}

/// What the native code reads and writes; its layout is known to [`Host::new`].
#[repr(C, align(64))]
struct Block {
    image: [u8; 512],
    gpr: [u64; 15],
    rflags: u64,
    mxcsr: u32,
    high: [u128; 16],
}

const GPR: i32 = 512;
const RFLAGS: i32 = GPR + 15 * 8;
const MXCSR: i32 = RFLAGS + 8;
const HIGH: i32 = std::mem::offset_of!(Block, high) as i32;

const YMM: [AsmRegisterYmm; 16] = [
    ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymm6, ymm7, ymm8, ymm9, ymm10, ymm11, ymm12, ymm13, ymm14,
    ymm15,
];

fn has_avx() -> bool {
    std::is_x86_feature_detected!("avx")
}
/// Room for the instruction under test.
const SLOT: usize = 16;

static LANDING: AtomicUsize = AtomicUsize::new(0);
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The host's CPU, behind a page of code.
pub(crate) struct Host {
    code: *mut u8,
    slot: usize,
    memory: *mut u8,
}

// SAFETY: the pointers are to mappings that live as long as the program, and the lock in
// `host` lets one thread at a time use them.
unsafe impl Send for Host {}

/// The one host; tests take turns.
pub(crate) fn host() -> MutexGuard<'static, Host> {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();
    HOST.get_or_init(|| Mutex::new(Host::new()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

const SAVED: [AsmRegister64; 13] = [
    rax, rcx, rdx, rbx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14,
];
const PLACES: [usize; 13] = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14];

fn assemble(build: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler).unwrap();
    assembler.assemble(0).unwrap()
}

fn prologue() -> Vec<u8> {
    assemble(|a| {
        for register in [rbx, rbp, r12, r13, r14, r15] {
            a.push(register)?;
        }
        a.mov(r15, rdi)?;
        a.fxrstor64(ptr(r15))?;
        for (register, i) in YMM.into_iter().zip(0..).filter(|_| has_avx()) {
            a.vinsertf128(register, register, xmmword_ptr(r15 + (HIGH + 16 * i)), 1)?;
        }
        a.push(qword_ptr(r15 + RFLAGS))?;
        a.popfq()?;
        for (register, place) in SAVED.into_iter().zip(PLACES) {
            a.mov(register, qword_ptr(r15 + (GPR + 8 * place as i32)))?;
        }
        Ok(())
    })
}

fn epilogue() -> Vec<u8> {
    assemble(|a| {
        a.pushfq()?;
        for (register, place) in SAVED.into_iter().zip(PLACES) {
            a.mov(qword_ptr(r15 + (GPR + 8 * place as i32)), register)?;
        }
        a.pop(qword_ptr(r15 + RFLAGS))?;
        for (register, i) in YMM.into_iter().zip(0..).filter(|_| has_avx()) {
            a.vextractf128(xmmword_ptr(r15 + (HIGH + 16 * i)), register, 1)?;
        }
        if has_avx() {
            a.vzeroupper()?;
        }
        a.fxsave64(ptr(r15))?;
        a.fnclex()?;
        a.fninit()?;
        a.ldmxcsr(dword_ptr(r15 + MXCSR))?;
        a.cld()?;
        for register in [r15, r14, r13, r12, rbp, rbx] {
            a.pop(register)?;
        }
        a.ret()
    })
}

extern "C" fn on_signal(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SIGNAL.store(signal, Ordering::SeqCst);
    // SAFETY: the kernel hands over a valid context, and nobody else has it.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    context.uc_mcontext.gregs[libc::REG_RIP as usize] = LANDING.load(Ordering::SeqCst) as i64;
}

impl Host {
    fn new() -> Host {
        let map = |len: usize| {
            let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: an anonymous mapping wherever the kernel likes.
            let at = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
            assert_ne!(
                at,
                libc::MAP_FAILED,
                "the host refuses memory that is executable"
            );
            at.cast::<u8>()
        };
        let (code, memory) = (map(4096), map(4096));
        let (before, after) = (prologue(), epilogue());
        let slot = before.len();
        let bytes = [before, vec![0x90; SLOT], after].concat();
        // SAFETY: the page is ours and larger than this.
        unsafe { code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        LANDING.store(code as usize + slot + SLOT, Ordering::SeqCst);
        for signal in [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGBUS] {
            // SAFETY: a zeroed sigaction is valid, and the handler touches only atomics and
            // the context that it is given.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
            }
        }
        Host { code, slot, memory }
    }

    /// Runs one instruction natively.
    pub(crate) fn run(&mut self, instruction: &[u8], case: &Case) -> Case {
        assert!(instruction.len() <= SLOT);
        let mut block = Block {
            image: case.image(),
            gpr: case.gpr,
            rflags: case.rflags,
            mxcsr: 0x1f80,
            high: case.ymm_high,
        };
        let operand = self.memory as usize + OPERAND;
        block.gpr[7] = operand as u64;
        SIGNAL.store(0, Ordering::SeqCst);
        // SAFETY: the code page holds prologue, slot and epilogue; the instruction under test is
        // one of those that the tests generate, whose only memory operand lies in `memory`.
        unsafe {
            let slot = self.code.add(self.slot);
            slot.write_bytes(0x90, SLOT);
            slot.copy_from_nonoverlapping(instruction.as_ptr(), instruction.len());
            self.memory
                .copy_from_nonoverlapping(case.memory.as_ptr(), MEMORY);
            let run: extern "C" fn(*mut Block) = std::mem::transmute(self.code);
            run(&mut block);
        }
        let mut after = case.clone();
        after.take_image(&block.image);
        after.gpr = block.gpr;
        after.ymm_high = block.high;
        after.rflags = block.rflags & (flag::STATUS | flag::FIXED);
        after.gpr[7] = block.gpr[7].wrapping_sub(operand as u64);
        // SAFETY: MEMORY bytes of the mapping, which nothing else uses now.
        unsafe {
            self.memory
                .copy_to_nonoverlapping(after.memory.as_mut_ptr(), MEMORY)
        };
        after.fault = match SIGNAL.load(Ordering::SeqCst) {
            0 => None,
            libc::SIGFPE => Some(vector::XM),
            libc::SIGILL => Some(vector::UD),
            _ => Some(vector::GP),
        };
        after
    }
}

const CODE: u64 = 0x1000;
const GUEST_MEMORY: u64 = 0x2000;
const GDT: u64 = 0x3000;
const IDT: u64 = 0x4000;
const HANDLERS: u64 = 0x5000;
const STACK: u64 = 0x7000;

/// The machine's CPU in 64-bit code without paging, which is as flat as can be.
pub(crate) struct Guest {
    bus: Bus,
    mmu: Mmu,
    code: CodeCache,
    /// What a kernel may change: whether the x87 and SSE are there for the task.
    pub(crate) cr0: u64,
    pub(crate) cr4: u64,
}

impl Guest {
    pub(crate) fn new() -> Guest {
        let mut bus = Bus::new(16 << 20, 0);
        // Selector 8 is 64-bit code.
        assert!(bus.ram.write(PhysAddr(GDT + 8), 8, 0x00af_9b00_0000_ffff));
        for vector in 0..32 {
            let handler = HANDLERS + 16 * vector;
            let gate = (handler & 0xffff) | 8 << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48;
            assert!(bus.ram.write(PhysAddr(IDT + 16 * vector), 8, gate));
        }
        Guest {
            bus,
            mmu: Mmu::default(),
            code: CodeCache::default(),
            cr0: cr0::PE | cr0::ET | cr0::NE | cr0::MP,
            cr4: cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE,
        }
    }

    fn cpu(&self, case: &Case) -> Cpu {
        let mut cpu = Cpu {
            rip: CODE,
            rflags: case.rflags,
            cr0: self.cr0,
            cr4: self.cr4,
            gdtr: Table {
                base: GDT,
                limit: 15,
            },
            idtr: Table {
                base: IDT,
                limit: 32 * 16 - 1,
            },
            model: CpuModel::V3,
            xmm: case.xmm,
            ymm_high: case.ymm_high,
            xcr0: xcr0::X87 | xcr0::SSE | xcr0::AVX,
            mxcsr: case.mxcsr,
            ..Cpu::default()
        };
        cpu.msr.efer = efer::LME | efer::LMA;
        cpu.seg[1] = Segment::flat(8, 0xa09b);
        cpu.gpr[..15].copy_from_slice(&case.gpr);
        cpu.gpr[4] = STACK;
        cpu.gpr[7] = GUEST_MEMORY + OPERAND as u64;
        cpu.x87 = X87 {
            control: case.control,
            status: case.status,
            ..X87::default()
        };
        let top = usize::from(case.status >> 11 & 7);
        for i in 0..8 {
            cpu.x87.registers[(top + i) & 7] = case.st[i];
        }
        cpu.x87.tag = (0..8).fold(0, |tag, i| {
            if case.full >> i & 1 == 0 {
                tag | 3 << (2 * i)
            } else {
                tag
            }
        });
        cpu
    }

    /// Runs one instruction on the machine.
    pub(crate) fn run(&mut self, instruction: &[u8], case: &Case) -> Result<Case, String> {
        assert!(self.bus.ram.load(PhysAddr(CODE), instruction));
        assert!(self.bus.ram.load(PhysAddr(GUEST_MEMORY), &case.memory));
        let mut cpu = self.cpu(case);
        Cx::new(
            &mut cpu,
            &mut self.mmu,
            &mut self.bus,
            CostModel::Unit,
            u64::MAX,
        )
        .step(&mut self.code)
        .map_err(|halt| format!("{halt:?}"))?;
        let mut after = case.clone();
        after.fault = (cpu.rip >= HANDLERS).then(|| ((cpu.rip - HANDLERS) / 16) as u8);
        if after.fault.is_none() {
            assert_eq!(cpu.rip, CODE + instruction.len() as u64);
            after.rflags = cpu.rflags & (flag::STATUS | flag::FIXED);
        }
        after.gpr.copy_from_slice(&cpu.gpr[..15]);
        after.gpr[4] = 0;
        after.gpr[7] = cpu.gpr[7].wrapping_sub(GUEST_MEMORY + OPERAND as u64);
        after.xmm = cpu.xmm;
        after.ymm_high = cpu.ymm_high;
        after.mxcsr = cpu.mxcsr;
        (after.control, after.status) = (cpu.x87.control, cpu.x87.status);
        let top = usize::from(after.status >> 11 & 7);
        for i in 0..8 {
            after.st[i] = cpu.x87.registers[(top + i) & 7];
        }
        after.full = (0..8).fold(0, |full, i| {
            full | u8::from(cpu.x87.tag >> (2 * i) & 3 != 3) << i
        });
        let page = self.bus.ram.page(PhysAddr(GUEST_MEMORY)).unwrap();
        after.memory.copy_from_slice(&page[..MEMORY]);
        Ok(after)
    }
}
