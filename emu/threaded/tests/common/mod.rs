//! Small guests without devices, and random code for them.

use machine::CostModel;
use machine::addr::PhysAddr;
use machine::bus::Bus;
use machine::cpu::insn::Seg;
use machine::cpu::state::{Segment, cr0, cr4, efer};
use machine::cpu::{Cpu, Cx, Halt};
use machine::engine::Engine;
use machine::mmu::Mmu;

const MEMORY: u64 = 16 << 20;
/// Chunks of random code, [`CHUNK`] bytes each; all RAM is mapped one to one.
const CODE: u64 = 0x20_0000;
const CHUNK: u64 = 0x100;
const CHUNKS: u64 = 64;
/// Where every exception leads, and every chunk: to the next chunk.
const NEXT: u64 = 0x21_0000;
const COUNT: u64 = 0x22_0000;
const IDT: u64 = 0x30_0000;
const GDT: u64 = 0x30_1000;
/// Page tables of level 3, 2, 1 and, for the data, 0.
const TABLES: [u64; 4] = [0x40_0000, 0x40_1000, 0x40_2000, 0x40_3000];
const STACK: u64 = 0x50_0000;
/// 2 MiB in small pages, some of them read-only and some absent.
const DATA: u64 = 0x80_0000;

/// Numbers that look random: xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A machine without the devices' side.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) cpu: Cpu,
    mmu: Mmu,
    bus: Bus,
}

impl Guest {
    /// In 64-bit mode at CPL 0, about to run this code.
    pub(crate) fn with(code: &[u8]) -> Guest {
        let mut guest = Guest {
            cpu: Cpu::pvh(CODE as u32, 0),
            mmu: Mmu::default(),
            bus: Bus::new(MEMORY, 0),
        };
        guest.load(CODE, code);
        guest.map();
        guest.interrupts();
        let cpu = &mut guest.cpu;
        cpu.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::ET;
        cpu.cr3 = TABLES[0];
        cpu.cr4 = cr4::PAE | cr4::OSFXSR;
        cpu.msr.efer = efer::LME | efer::LMA;
        cpu.seg[Seg::Cs as usize] = Segment::flat(8, 0xA09B);
        (cpu.gdtr.base, cpu.gdtr.limit) = (GDT, 23);
        (cpu.idtr.base, cpu.idtr.limit) = (IDT, 0x1FF);
        cpu.gpr[4] = STACK;
        guest
    }

    /// One that runs chunks of random code for ever.
    pub(crate) fn random(random: &mut Random) -> Guest {
        let mut guest = Guest::with(&[]);
        for number in 0..CHUNKS {
            let at = CODE + number * CHUNK;
            guest.load(at, &chunk(random, at));
        }
        for at in (DATA..DATA + 0x10_000).step_by(8) {
            guest.put(at, number(random));
        }
        // The stack pointer, a count, and a jump to the chunk of that number.
        let mut next = vec![0xBC];
        next.extend((STACK as u32).to_le_bytes());
        next.extend([0x48, 0xFF, 0x04, 0x25]);
        next.extend((COUNT as u32).to_le_bytes());
        next.extend([0x8B, 0x04, 0x25]);
        next.extend((COUNT as u32).to_le_bytes());
        next.extend([0x83, 0xE0, CHUNKS as u8 - 1, 0xC1, 0xE0, 0x08, 0x05]);
        next.extend((CODE as u32).to_le_bytes());
        next.extend([0xFF, 0xE0]);
        guest.load(NEXT, &next);
        guest
    }

    /// One that runs this code with RBX, RBP, RSI and RDI leading to data, 0xC00 bytes before a
    /// page's end; every exception leads to a jump to itself.
    pub(crate) fn with_data(code: &[u8]) -> Guest {
        let mut guest = Guest::with(code);
        for register in [3, 5, 6, 7] {
            guest.cpu.gpr[register] = DATA + 0x400;
        }
        guest.load(NEXT, &[0xEB, 0xFE]);
        guest
    }

    fn load(&mut self, at: u64, bytes: &[u8]) {
        assert!(self.bus.ram.load(PhysAddr(at), bytes));
    }

    fn put(&mut self, at: u64, value: u64) {
        self.load(at, &value.to_le_bytes());
    }

    fn map(&mut self) {
        self.put(TABLES[0], TABLES[1] | 3);
        self.put(TABLES[1], TABLES[2] | 3);
        for n in 0..8 {
            self.put(TABLES[2] + n * 8, n << 21 | 0x83);
        }
        self.put(TABLES[2] + 8 * (DATA >> 21), TABLES[3] | 3);
        for n in 0..512 {
            let rights = match n % 16 {
                5 => 0,
                9 => 1,
                _ => 3,
            };
            self.put(TABLES[3] + n * 8, (DATA + (n << 12)) | rights);
        }
        self.put(GDT + 8, 0x00AF_9B00_0000_FFFF);
        self.put(GDT + 16, 0x00CF_9300_0000_FFFF);
    }

    fn interrupts(&mut self) {
        for vector in 0..32 {
            let low = NEXT & 0xFFFF | 8 << 16 | 0x8E00 << 32 | (NEXT >> 16 & 0xFFFF) << 48;
            self.put(IDT + vector * 16, low);
            self.put(IDT + vector * 16 + 8, NEXT >> 32);
        }
    }

    /// Runs to the first boundary at or after this cycle, as the machine does. True if it came to
    /// something that only a machine can go on with.
    pub(crate) fn run(&mut self, engine: &mut dyn Engine, deadline: u64) -> Result<bool, Halt> {
        let (cpu, mmu, bus) = (&mut self.cpu, &mut self.mmu, &mut self.bus);
        let mut cx = Cx::new(cpu, mmu, bus, CostModel::Standard, deadline);
        engine.run(&mut cx)?;
        Ok(cx.wants_attention())
    }

    /// Whether all of memory is the same.
    pub(crate) fn same_memory(&self, other: &Guest) -> bool {
        (0..MEMORY >> 12).all(|frame| {
            let at = PhysAddr(frame << 12);
            self.bus.ram.page(at) == other.bus.ram.page(at)
        })
    }
}

/// Code that sets up some registers, does random things, and goes on to the next chunk.
fn chunk(random: &mut Random, at: u64) -> Vec<u8> {
    let mut code = Vec::new();
    for register in [3, 5, 6, 7] {
        let code_itself = random.below(24) == 0;
        let base = if code_itself { CODE } else { DATA };
        code.extend([0x48, 0xB8 + register]);
        code.extend((base + random.below(0x8000)).to_le_bytes());
    }
    code.extend([0xB9, random.byte() & 31, 0, 0, 0]);
    let top = code.len();
    while code.len() < CHUNK as usize - 40 {
        instruction(random, &mut code);
    }
    if random.below(2) == 0 {
        // dec ecx; jg to the top, unless that is too far.
        let back = top as i64 - (code.len() as i64 + 8);
        code.extend([0xFF, 0xC9, 0x0F, 0x8F]);
        code.extend((back as i32).to_le_bytes());
    }
    let back = NEXT as i64 - (at as i64 + code.len() as i64 + 5);
    code.push(0xE9);
    code.extend((back as i32).to_le_bytes());
    code
}

/// One instruction that the decoder may or may not like.
pub(crate) fn instruction(random: &mut Random, code: &mut Vec<u8>) {
    match random.below(40) {
        0..2 => return code.extend([0x70 + (random.byte() & 15), random.byte() & 7]),
        2 => return code.extend([0xE8, random.byte() & 7, 0, 0, 0]),
        3 => return code.extend([0x50 + (random.byte() & 15)]),
        4 => return string(random, code),
        5 => return code.extend([random.of(SINGLE)]),
        _ => {}
    }
    if random.below(5) == 0 {
        return vector(random, code);
    }
    if random.below(6) == 0 {
        code.push(0x66);
    }
    if random.below(12) == 0 {
        code.push(random.of(&[0xF2, 0xF3, 0xF0, 0x64, 0x67]));
    }
    if random.below(3) > 0 {
        code.push(0x40 | random.byte() & 0xF);
    }
    let opcode = random.of(OPCODES);
    if opcode > 0xFF {
        code.push(0x0F);
    }
    code.push(opcode as u8);
    operands(random, code, opcode);
}

/// A string instruction, at times with a large count, or places that overlap.
fn string(random: &mut Random, code: &mut Vec<u8>) {
    if random.below(2) == 0 {
        code.extend([0xB9, random.byte(), random.byte() & 0xF, 0, 0]);
    }
    if random.below(4) == 0 {
        // lea rdi, [rsi + a little]
        code.extend([0x48, 0x8D, 0x7E, random.byte() & 31]);
    }
    code.push(random.of(&[0xF2, 0xF3]));
    if random.below(3) == 0 {
        code.push(0x48);
    }
    code.push(random.of(STRINGS));
}

/// One instruction of SSE.
fn vector(random: &mut Random, code: &mut Vec<u8>) {
    match random.of(&[0, 0x66, 0xF2, 0xF2, 0xF3]) {
        0 => {}
        prefix => code.push(prefix),
    }
    if random.below(3) == 0 {
        code.push(0x40 | random.byte() & 0xF);
    }
    let opcode = random.of(VECTORS);
    code.extend([0x0F, opcode]);
    operands(random, code, 0x100 | u16::from(opcode));
}

/// Mostly a double of moderate size, with few bits or many.
fn number(random: &mut Random) -> u64 {
    let sign = random.next() & 1 << 63;
    let fraction = random.next() & 0xF_FFFF_FFFF_FFFF;
    match random.below(24) {
        0 => random.next(),
        1 => sign,
        2 => sign | random.below(3) << 52 | fraction,
        3 => sign | (0x7FD + random.below(3)) << 52 | fraction,
        4 => random.below(100),
        5..12 => sign | (1000 + random.below(60)) << 52 | fraction & !0xFFFF_FFFF_FFFF,
        _ => sign | (1000 + random.below(60)) << 52 | fraction,
    }
}

/// ModRM and whatever follows it.
fn operands(random: &mut Random, code: &mut Vec<u8>, opcode: u16) {
    let reg = (random.byte() & 7) << 3;
    match random.below(8) {
        0..4 => code.push(0xC0 | reg | random.byte() & 7),
        4..7 => code.extend([0x40 | reg | random.of(&[3, 5, 6, 7]), random.byte()]),
        _ => code.extend([
            0x44 | reg,
            random.of(&[0x0B, 0x8E, 0xCE, 0x4F, 0x23]),
            random.byte(),
        ]),
    }
    let bytes = match opcode {
        0x80 | 0x83 | 0xC0 | 0xC1 | 0xC6 | 0x6B | 0x1BA => 1,
        0x81 | 0xC7 | 0x69 => 4,
        0xF6 | 0xF7 if reg < 16 => random.of(&[1, 4]),
        _ => 0,
    };
    code.extend((0..bytes).map(|_| random.byte()));
}

const STRINGS: &[u8] = &[0xA4, 0xA5, 0xA6, 0xAA, 0xAB, 0xAC, 0xAE, 0xAF];

const SINGLE: &[u8] = &[
    0x98, 0x99, 0x9C, 0x9D, 0xF8, 0xF9, 0xF5, 0xFC, 0xFD, 0xC9, 0xC3, 0xA4, 0xAB, 0x9E, 0x9F, 0x90,
];

/// Opcodes with ModRM; those above 0xFF follow 0F.
const OPCODES: &[u16] = &[
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0A, 0x0B, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1A, 0x1B,
    0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2A, 0x2B, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3A, 0x3B,
    0x80, 0x81, 0x83, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x89, 0x8B, 0x8D, 0xC0,
    0xC1, 0xD0, 0xD1, 0xD2, 0xD3, 0xC6, 0xC7, 0xF6, 0xF7, 0xFE, 0xFF, 0x63, 0x69, 0x6B, 0x140,
    0x141, 0x142, 0x143, 0x144, 0x145, 0x146, 0x147, 0x148, 0x149, 0x14A, 0x14B, 0x14C, 0x14D,
    0x14E, 0x14F, 0x190, 0x191, 0x192, 0x193, 0x194, 0x195, 0x196, 0x197, 0x198, 0x199, 0x19A,
    0x19B, 0x19C, 0x19D, 0x19E, 0x19F, 0x1AF, 0x1B6, 0x1B7, 0x1BE, 0x1BF, 0x1A3, 0x1AB, 0x1B3,
    0x1BB, 0x1BA, 0x1BC, 0x1BD, 0x1B8, 0x1C1, 0x1B1, 0x1A5, 0x1AD, 0x110, 0x111, 0x128, 0x129,
    0x16F, 0x17F, 0x158, 0x159, 0x12E, 0x1EF, 0x16E, 0x17E, 0x1D6,
];

/// Second bytes of instructions of SSE.
const VECTORS: &[u8] = &[
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x28, 0x29, 0x2A, 0x2C, 0x2D, 0x2E, 0x2F, 0x54,
    0x55, 0x56, 0x57, 0x58, 0x59, 0x5C, 0x5E, 0x58, 0x59, 0x5C, 0x5E, 0x5D, 0x51, 0x6E, 0x7E, 0x6F,
    0x7F, 0xD6, 0xD7, 0xEF, 0xEB, 0xDB, 0xDF, 0xFC, 0xFE, 0xD4, 0xF8, 0xFA, 0xFB, 0x74, 0x76, 0x6C,
    0x6D, 0xDA,
];
