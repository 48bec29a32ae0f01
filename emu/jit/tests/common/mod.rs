//! A small world of 64-bit code, and random programs for it.

mod doubles;
pub(crate) mod edges;
mod lanes;
mod tables;

use iced_x86::code_asm::*;
use jit::Jit;
use machine::CostModel;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::state::{Segment, access, cr0, cr4, efer, flag};
use machine::cpu::{Cpu, Cx, Halt};
use machine::engine::{Engine, Reference};
use machine::mmu::Mmu;

/// Where the program begins.
pub(crate) const CODE: u64 = 0x10_0000;
/// Where its data are: RBX and R12 point into them.
pub(crate) const DATA: u64 = 0x30_0000;
/// Where its stack ends.
pub(crate) const STACK: u64 = 0x20_8000;
/// Bytes that are mapped; above, every access faults.
const MAPPED: u64 = 4 << 20;

/// xorshift64*.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }

    /// Short, middling or long.
    pub(crate) fn deadline(&mut self) -> u64 {
        let scale = [7, 100, 3000, 40_000][self.below(4) as usize];
        1 + self.below(scale)
    }

    /// A number that is often at an edge.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(3),
            1 => (self.below(3)).wrapping_sub(2),
            2 => 1 << self.below(64),
            3 => (1 << self.below(64)) - 1,
            4 => self.below(0x1000),
            _ => self.next(),
        }
    }
}

/// CPU, MMU, memory.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) cpu: Cpu,
    mmu: Mmu,
    bus: Bus,
}

impl World {
    /// A world about to run the program, in user or kernel mode as it says.
    pub(crate) fn new(program: &Program) -> World {
        let mut bus = Bus::new(16 << 20, 0);
        assert!(bus.ram.load(PhysAddr(CODE), &program.bytes));
        assert!(bus.ram.load(PhysAddr(DATA), &program.data));
        map(&mut bus);
        let code = Segment {
            selector: if program.user { 0x33 } else { 0x8 },
            access: access::CODE | access::USER_TYPE | access::LONG | access::PRESENT | 2,
            limit: u32::MAX,
            base: 0,
        };
        let mut cpu = Cpu {
            rip: CODE,
            gpr: program.registers,
            rflags: flag::FIXED | program.flags & flag::STATUS,
            cr0: cr0::PE | cr0::PG | cr0::ET | cr0::WP | cr0::NE,
            cr3: 0x1000,
            cr4: cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT,
            ..Cpu::default()
        };
        cpu.seg[1] = code;
        cpu.seg[4].base = DATA + 0x100;
        cpu.msr.efer = efer::LME | efer::LMA | efer::SCE;
        cpu.xmm = program.vectors;
        cpu.mxcsr = program.mxcsr;
        World {
            cpu,
            mmu: Mmu::default(),
            bus,
        }
    }

    /// Runs to the deadline or until the CPU cannot go on.
    pub(crate) fn run(&mut self, engine: &mut dyn Engine, deadline: u64) -> Result<(), Halt> {
        while self.cpu.cycle < deadline {
            let World { cpu, mmu, bus } = self;
            let mut context = Cx::new(cpu, mmu, bus, CostModel::Standard, deadline);
            engine.run(&mut context)?;
        }
        Ok(())
    }

    /// What differs between the CPUs, in words.
    pub(crate) fn differences(&self, other: &World) -> String {
        let (a, b) = (format!("{:#x?}", self.cpu), format!("{:#x?}", other.cpu));
        let lines = a.lines().zip(b.lines());
        let differing = lines.filter(|(a, b)| a != b);
        differing
            .map(|(a, b)| format!("{} / {}\n", a.trim(), b.trim()))
            .collect()
    }

    /// Whether all of the memory is the same.
    pub(crate) fn has_memory_of(&self, other: &World) -> bool {
        (0..MAPPED).step_by(4096).all(|pa| {
            let pa = PhysAddr(pa);
            self.bus.ram.page(pa) == other.bus.ram.page(pa)
        })
    }
}

/// The engine, in a hurry to compile.
pub(crate) fn compiler() -> Jit {
    Jit::with_threshold(1, 300).expect("a host that it is for")
}

/// A compiler of all that can be compiled.
pub(crate) fn eager() -> Jit {
    Jit::eager().expect("a host that it is for")
}

/// Runs a program in both engines, and compares them wherever they stop.
pub(crate) fn judge(program: &Program, seed: u64, random: &mut Random, mut jit: Jit) {
    let mut left = World::new(program);
    let mut right = left.clone();
    let mut reference: Box<dyn Engine> = Box::new(Reference::default());
    for round in 0..200 {
        let deadline = left.cpu.cycle + random.deadline();
        let (a, b) = (
            left.run(&mut *reference, deadline),
            right.run(&mut jit, deadline),
        );
        assert_eq!(a, b, "seed {seed:#x}, round {round}, until {deadline}");
        let same = left.cpu == right.cpu;
        assert!(
            same,
            "seed {seed:#x}, round {round}: {}",
            left.differences(&right)
        );
        // All of it takes a while.
        let is_looked_at = round % 20 == 19 || a.is_err();
        assert!(
            !is_looked_at || left.has_memory_of(&right),
            "seed {seed:#x}, round {round}"
        );
        if a.is_err() {
            println!(
                "seed {seed} round {round} err {a:?} cycles {} bytes {} rip {:x}",
                left.cpu.cycle,
                jit.bytes(),
                left.cpu.rip
            );
            return;
        }
    }
    println!(
        "seed {seed} done cycles {} retired {} bytes {}",
        left.cpu.cycle,
        left.cpu.retired,
        jit.bytes()
    );
}

/// Maps the first bytes to themselves, for everybody; no accessed or dirty bits.
fn map(bus: &mut Bus) {
    const USED: u64 = 7;
    let tables = [
        (0x1000, 0x2000),
        (0x2000, 0x3000),
        (0x3000, 0x4000),
        (0x3008, 0x5000),
    ];
    for (at, to) in tables {
        assert!(bus.ram.write(PhysAddr(at), 8, to | USED));
    }
    for page in 0..MAPPED >> 12 {
        let entry = page << 12 | USED;
        assert!(bus.ram.write(PhysAddr(0x4000 + 8 * page), 8, entry));
    }
}

/// What a world begins with.
pub(crate) struct Program {
    pub(crate) bytes: Vec<u8>,
    pub(crate) registers: [u64; 16],
    pub(crate) vectors: [u128; 16],
    pub(crate) flags: u64,
    pub(crate) user: bool,
    pub(crate) mxcsr: u32,
    pub(crate) data: Vec<u8>,
}

impl Program {
    /// So many loops, a KiB apart, each with its own constant, one after the other for ever.
    pub(crate) fn loops(count: i32) -> Program {
        let mut bytes = Vec::new();
        for number in 0..count {
            let next = 0x400 * ((number + 1) % count);
            bytes.extend([0xB9, 0x00, 0x08, 0, 0]); // mov ecx, 0x800
            bytes.extend([0x48, 0x69, 0xC0]); // imul rax, rax, the constant
            bytes.extend((number * 2 + 1).to_le_bytes());
            bytes.extend([0x48, 0x01, 0xC8]); // add rax, rcx
            bytes.extend([0x48, 0xC1, 0xC8, 0x05]); // ror rax, 5
            bytes.extend([0xFF, 0xC9, 0x75, 0xEE]); // dec ecx; jnz the multiplication
            bytes.push(0xE9); // jmp to the next one
            bytes.extend((next - (bytes.len() as i32 + 4)).to_le_bytes());
            bytes.resize(0x400 * (number + 1) as usize, 0x90);
        }
        Program {
            bytes,
            registers: [0; 16],
            vectors: [0; 16],
            flags: 0,
            user: false,
            mxcsr: Cpu::default().mxcsr,
            data: Vec::new(),
        }
    }

    /// A loop of random instructions, with branches, calls and inner loops.
    pub(crate) fn random(random: &mut Random) -> Program {
        Program::of_kind(random, Kind::Numbers)
    }

    /// The same, and the flags are looked at behind every instruction.
    pub(crate) fn telling(random: &mut Random) -> Program {
        Program::of_kind(random, Kind::Telling)
    }

    /// The same, mostly with vectors of integers.
    pub(crate) fn of_vectors(random: &mut Random) -> Program {
        let mut program = Program::of_kind(random, Kind::Vectors);
        program.vectors = std::array::from_fn(|_| {
            let mut half = || u128::from(random.next());
            half() << 64 | half()
        });
        program
    }

    fn of_kind(random: &mut Random, kind: Kind) -> Program {
        let mut registers = std::array::from_fn(|_| random.number());
        registers[3] = DATA + 0x800;
        registers[4] = STACK;
        registers[12] = DATA + 0xFC0;
        let mut maker = Maker {
            a: CodeAssembler::new(64).expect("64 bits"),
            kind,
            random,
        };
        maker.program().expect("code");
        let bytes = maker.a.assemble(CODE).expect("code");
        Program {
            bytes,
            registers,
            vectors: std::array::from_fn(|_| vector(random)),
            flags: random.next(),
            user: random.below(2) == 0,
            mxcsr: Cpu::default().mxcsr,
            data: Vec::new(),
        }
    }
}

/// Two doubles or four singles, mostly ordinary ones.
fn vector(random: &mut Random) -> u128 {
    let double = |random: &mut Random| match random.below(8) {
        0 => random.number(),
        1 => 0,
        _ => ((random.below(2000) as f64 - 1000.0) * 0.37).to_bits(),
    };
    u128::from(double(random)) << 64 | u128::from(double(random))
}

/// What a program is mostly made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Numbers,
    /// Numbers, with a look at the flags behind every instruction.
    Telling,
    /// Vectors of integers.
    Vectors,
}

/// Writes a program.
struct Maker<'r> {
    a: CodeAssembler,
    kind: Kind,
    random: &'r mut Random,
}

type Made = Result<(), IcedError>;

const R64: [AsmRegister64; 12] = [rax, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r13, r14];
const R32: [AsmRegister32; 12] = [
    eax, ecx, edx, esi, edi, ebp, r8d, r9d, r10d, r11d, r13d, r14d,
];
const R16: [AsmRegister16; 12] = [ax, cx, dx, si, di, bp, r8w, r9w, r10w, r11w, r13w, r14w];
const R8: [AsmRegister8; 12] = [al, cl, dl, ah, ch, dh, r8b, r9b, r10b, r11b, sil, bpl];

macro_rules! pick {
    ($self:ident, $from:expr) => {
        $from[$self.random.below($from.len() as u64) as usize]
    };
}

macro_rules! one_of {
    ($self:ident, $a:expr, $b:expr; $($name:ident)*) => {{
        let all = [$(stringify!($name)),*];
        let chosen = all[$self.random.below(all.len() as u64) as usize];
        $(if chosen == stringify!($name) { return $self.a.$name($a, $b); })*
        Ok(())
    }};
}

macro_rules! one_of_one {
    ($self:ident, $a:expr; $($name:ident)*) => {{
        let all = [$(stringify!($name)),*];
        let chosen = all[$self.random.below(all.len() as u64) as usize];
        $(if chosen == stringify!($name) { return $self.a.$name($a); })*
        Ok(())
    }};
}

impl Maker<'_> {
    fn program(&mut self) -> Made {
        let (mut again, mut leaf) = (self.a.create_label(), self.a.create_label());
        self.a.set_label(&mut again)?;
        self.stir()?;
        for _ in 0..2 + self.random.below(5) {
            self.piece(leaf)?;
        }
        self.a.inc(r15)?;
        self.a.jmp(again)?;
        self.a.set_label(&mut leaf)?;
        self.straight(3)?;
        self.a.ret()
    }

    /// New numbers for about half of the registers in each round: what a loop does again and
    /// again to the same ones soon has nothing but zeros to work on, whose flags tell little.
    /// The numbers depend on all registers of before, so that nothing that went wrong once is
    /// forgotten until the engines are compared.
    fn stir(&mut self) -> Made {
        let seed = qword_ptr(rbx - 0x100);
        self.a.add(seed, r8)?;
        self.a.mov(r8, seed)?;
        for register in R64.into_iter().filter(|register| *register != r8) {
            self.a.add(r8, register)?;
            self.a.ror(r8, 7u32)?;
        }
        self.a.mov(r9, 0x5851_F42D_4C95_7F2Du64)?;
        self.a.imul_2(r8, r9)?;
        self.a.add(r8, 0x1405_7B7E)?;
        self.a.mov(seed, r8)?;
        for register in R64 {
            match self.random.below(8) {
                0..=3 if register != r8 => {
                    self.a.mov(register, r8)?;
                    self.a.ror(register, 1 + self.random.below(63) as u32)?;
                }
                4 => self.a.mov(register, self.random.number())?,
                _ => {}
            }
        }
        Ok(())
    }

    fn piece(&mut self, leaf: CodeLabel) -> Made {
        match self.random.below(5) {
            0 => self.counted(leaf),
            1 => self.skipped(),
            2 => self.a.call(leaf),
            _ => self.straight(6),
        }
    }

    /// A loop of some rounds.
    fn counted(&mut self, leaf: CodeLabel) -> Made {
        let mut head = self.a.create_label();
        self.a.mov(r15d, 3 + self.random.below(40) as u32)?;
        self.a.set_label(&mut head)?;
        self.straight(5)?;
        if self.random.below(3) == 0 {
            self.a.call(leaf)?;
        }
        if self.random.below(3) == 0 {
            self.skipped()?;
        }
        match self.random.below(3) {
            0 => self.a.dec(r15)?,
            1 => self.a.sub(r15d, 1)?,
            _ => {
                self.a.add(r15, -1)?;
                self.a.test(r15, r15)?;
            }
        }
        self.a.jnz(head)
    }

    /// Instructions behind a branch.
    fn skipped(&mut self) -> Made {
        let mut after = self.a.create_label();
        if self.random.below(3) == 0 {
            self.instruction()?;
        } else {
            self.compare()?;
        }
        match self.random.below(10) {
            0 => self.a.jo(after)?,
            1 => self.a.jb(after)?,
            2 => self.a.je(after)?,
            3 => self.a.jbe(after)?,
            4 => self.a.js(after)?,
            5 => self.a.jp(after)?,
            6 => self.a.jl(after)?,
            7 => self.a.jle(after)?,
            8 => self.a.jg(after)?,
            _ => self.a.jae(after)?,
        }
        self.straight(3)?;
        self.a.set_label(&mut after)?;
        self.a.nop()
    }

    fn straight(&mut self, most: u64) -> Made {
        for _ in 0..1 + self.random.below(most) {
            self.instruction()?;
            let others = if self.kind == Kind::Telling { 0 } else { 6 };
            match self.random.below(6 + others) {
                0..=2 => self.all_flags()?,
                3..=5 => self.one_flag()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps what the last instruction did to the flags.
    fn all_flags(&mut self) -> Made {
        self.a.pushfq()?;
        self.a.pop(pick!(self, R64))
    }

    fn one_flag(&mut self) -> Made {
        one_of_one!(self, pick!(self, R8); seto setb sete setbe sets setp setl setg)
    }

    fn instruction(&mut self) -> Made {
        match self.random.below(20) {
            0 => self.rare(),
            1 => self.divide(),
            _ => self.compiled(),
        }
    }

    /// An instruction that the compiler has a way for.
    fn compiled(&mut self) -> Made {
        match self
            .random
            .below(if self.kind == Kind::Vectors { 80 } else { 20 })
        {
            18.. => self.lanes(),
            0..=2 if self.kind == Kind::Telling => self.shift(),
            0..=4 => self.arithmetic(),
            5 => self.compare(),
            6 | 7 => self.memory(),
            8 => self.shift(),
            9 => self.unary(),
            10 => self.moves(),
            11 => self.conditional(),
            12 => self.multiply(),
            13 => self.stack(),
            14 => self.bits(),
            15 => self.address(),
            _ => self.vector(),
        }
    }

    fn arithmetic(&mut self) -> Made {
        match self.random.below(5) {
            0 => {
                let (x, y) = (pick!(self, R64), pick!(self, R64));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            1 => {
                let (x, y) = (pick!(self, R32), pick!(self, R32));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            2 => {
                let (x, y) = (pick!(self, R16), pick!(self, R16));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            3 => {
                let (x, y) = (pick!(self, R8[..6]), pick!(self, R8[..6]));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            _ => {
                let (x, y) = (pick!(self, R64), self.random.number() as i32);
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
        }
    }

    fn compare(&mut self) -> Made {
        match self.random.below(4) {
            0 => {
                let (x, y) = (pick!(self, R64), pick!(self, R64));
                one_of!(self, x, y; cmp test)
            }
            1 => {
                let (x, y) = (pick!(self, R32), self.random.number() as i32);
                one_of!(self, x, y; cmp test)
            }
            2 => {
                let (x, y) = (pick!(self, R8[..6]), pick!(self, R8[..6]));
                one_of!(self, x, y; cmp test)
            }
            _ => self.a.cmp(qword_ptr(r12 + 8), pick!(self, R64)),
        }
    }

    /// Some place in the data; sometimes across a page.
    fn place(&mut self) -> AsmMemoryOperand {
        match self.random.below(8) {
            0 => ptr(r12 + 0x38),
            1 => ptr(r12 + 0x3D),
            2 => ptr(0x700 + self.random.below(0x600) as i32).fs(),
            _ => rbx + self.random.below(0x400) as i32,
        }
    }

    fn memory(&mut self) -> Made {
        let place = self.place();
        match self.random.below(9) {
            0 => self.a.mov(pick!(self, R64), qword_ptr(place)),
            1 => self.a.mov(qword_ptr(place), pick!(self, R64)),
            2 => self.a.mov(dword_ptr(place), pick!(self, R32)),
            3 => self.a.movzx(pick!(self, R32), byte_ptr(place)),
            4 => self.a.mov(byte_ptr(place), pick!(self, R8[6..])),
            5 => {
                let (x, y) = (qword_ptr(place), pick!(self, R64));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            6 => {
                let (x, y) = (pick!(self, R32), dword_ptr(place));
                one_of!(self, x, y; add sub adc sbb and or xor)
            }
            7 => self.a.movsx(pick!(self, R64), word_ptr(place)),
            _ => one_of_one!(self, dword_ptr(place); inc dec neg not),
        }
    }

    fn shift(&mut self) -> Made {
        let count = self.random.below(66) as u32;
        match self.random.below(6) {
            0 => {
                let x = pick!(self, R64);
                one_of!(self, x, count; shl shr sar rol ror)
            }
            1 => {
                let x = pick!(self, R32);
                one_of!(self, x, count; shl shr sar rol ror)
            }
            2 => {
                let x = pick!(self, R16);
                one_of!(self, x, count; shl shr sar rol ror rcl)
            }
            3 => {
                let x = pick!(self, R8[..6]);
                one_of!(self, x, count; shl shr sar rol rcr)
            }
            4 => {
                let x = pick!(self, R32);
                one_of!(self, x, cl; shl shr sar rol)
            }
            _ => {
                let x = pick!(self, R64);
                one_of!(self, x, cl; shl shr sar ror)
            }
        }
    }

    fn unary(&mut self) -> Made {
        match self.random.below(3) {
            0 => one_of_one!(self, pick!(self, R64); inc dec neg not),
            1 => one_of_one!(self, pick!(self, R32); inc dec neg not),
            _ => one_of_one!(self, pick!(self, R8[..6]); inc dec neg not),
        }
    }

    fn moves(&mut self) -> Made {
        match self.random.below(9) {
            0 => self.a.mov(pick!(self, R64), self.random.number()),
            1 => self.a.mov(pick!(self, R32), pick!(self, R32)),
            2 => self.a.mov(pick!(self, R16), pick!(self, R16)),
            3 => self.a.movzx(pick!(self, R64), pick!(self, R8[6..])),
            4 => self.a.movzx(pick!(self, R32[..4]), pick!(self, R8[..6])),
            5 => self.a.movsxd(pick!(self, R64), pick!(self, R32)),
            6 => self.a.movsx(pick!(self, R32), pick!(self, R16)),
            7 => self.a.cdqe(),
            _ => self.a.cqo(),
        }
    }

    fn conditional(&mut self) -> Made {
        match self.random.below(3) {
            0 => {
                let (x, y) = (pick!(self, R64), pick!(self, R64));
                one_of!(self, x, y; cmovo cmovb cmove cmovbe cmovs cmovp cmovl cmovle cmovg cmovae)
            }
            1 => {
                let (x, y) = (pick!(self, R32), pick!(self, R32));
                one_of!(self, x, y; cmovno cmovb cmovne cmova cmovns cmovnp cmovl cmovge)
            }
            _ => one_of_one!(self, pick!(self, R8[..6]); seto setb sete setbe sets setp setl setg),
        }
    }

    fn multiply(&mut self) -> Made {
        match self.random.below(6) {
            0 => self.a.imul_2(pick!(self, R64), pick!(self, R64)),
            1 => self.a.imul_2(pick!(self, R32), pick!(self, R32)),
            2 => self.a.imul_3(
                pick!(self, R64),
                pick!(self, R64),
                self.random.number() as i32,
            ),
            3 => self.a.mul(pick!(self, R64)),
            4 => self.a.imul(pick!(self, R32)),
            _ => self.a.mul(pick!(self, R32)),
        }
    }

    /// Divisions, most of which do not fault.
    fn divide(&mut self) -> Made {
        self.a.xor(edx, edx)?;
        self.a.or(r9d, 1)?;
        match self.random.below(6) {
            0 => self.a.div(r9),
            1 => self.a.div(r9d),
            2 => {
                self.a.cqo()?;
                self.a.idiv(r9)
            }
            3 => self.a.idiv(r9d),
            4 if self.random.below(10) == 0 => self.a.div(ecx),
            _ => self.a.div(r9),
        }
    }

    fn stack(&mut self) -> Made {
        self.a.push(pick!(self, R64))?;
        if self.random.below(2) == 0 {
            self.arithmetic()?;
        }
        self.a.pop(pick!(self, R64))
    }

    fn bits(&mut self) -> Made {
        match self.random.below(6) {
            0 => self.a.bt(pick!(self, R64), self.random.below(64) as u32),
            1 => self.a.bt(pick!(self, R32), pick!(self, R32)),
            2 => self.a.bswap(pick!(self, R64)),
            3 => self.a.popcnt(pick!(self, R32), pick!(self, R32)),
            4 => self.a.bsf(pick!(self, R32), pick!(self, R32)),
            _ => self.a.bsr(pick!(self, R64), pick!(self, R64)),
        }
    }

    /// What is not compiled, or not always.
    fn rare(&mut self) -> Made {
        match self.random.below(9) {
            0 => self.a.rdtsc(),
            1 => self.a.cpuid(),
            2 => self.a.xchg(qword_ptr(rbx), pick!(self, R64)),
            3 => self.a.shld(
                pick!(self, R64),
                pick!(self, R64),
                self.random.below(64) as u32,
            ),
            4 => self.a.cmc(),
            5 => self.a.stc(),
            6 => {
                self.a.mov(ecx, self.random.below(20) as u32)?;
                self.a.lea(rdi, ptr(rbx + 0x100))?;
                self.a.rep().stosb()
            }
            7 => self.a.lahf(),
            _ => self.a.bts(dword_ptr(rbx), 5),
        }
    }

    fn address(&mut self) -> Made {
        let (x, y) = (pick!(self, R64), pick!(self, R64));
        match self.random.below(3) {
            0 => self.a.lea(
                pick!(self, R64),
                ptr(x + y * 4 + self.random.number() as i32),
            ),
            1 => self.a.lea(pick!(self, R32), ptr(x + y * 8 - 3)),
            _ => self.a.lea(pick!(self, R64), ptr(y * 2 + 7)),
        }
    }

    fn vector(&mut self) -> Made {
        const X: [AsmRegisterXmm; 6] = [xmm0, xmm1, xmm2, xmm3, xmm4, xmm5];
        let (x, y) = (pick!(self, X), pick!(self, X));
        match self.random.below(10) {
            0 => self.a.movsd_2(x, qword_ptr(rbx + 0x10)),
            1 => self.a.movsd_2(qword_ptr(rbx + 0x10), x),
            2 => self.a.movaps(x, y),
            3 => self.a.movups(x, xmmword_ptr(r12 + 0x31)),
            4 => self.a.movq(x, pick!(self, R64)),
            5 => self.a.cvtsi2sd(x, pick!(self, R32)),
            6 => one_of!(self, x, y; addps mulps subps paddd pxor punpcklqdq unpcklpd),
            7 => one_of!(self, x, y; ucomisd comisd sqrtsd minsd),
            _ => one_of!(self, x, y; addsd subsd mulsd divsd addpd subpd mulpd divpd),
        }
    }
}
