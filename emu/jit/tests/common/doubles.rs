//! Random programs that compute with doubles, of every kind that there are.

use iced_x86::code_asm::*;

use super::{CODE, DATA, Program, Random, STACK};

/// How many doubles a program's table has.
const TABLE: u64 = 96;

/// Where, behind the table, the program has its MXCSR.
const MXCSR: u64 = 8 * TABLE + 16;

/// Doubles at which something changes, without their signs.
const EDGES: [u64; 22] = [
    0,
    1,
    (1 << 52) - 1,
    1 << 52,
    (1 << 52) + 1,
    0x0020_0000_0000_0000,
    0x7FEF_FFFF_FFFF_FFFF,
    0x7FE0_0000_0000_0000,
    0x7FF0_0000_0000_0000,
    0x7FF0_0000_0000_0001,
    0x7FF8_0000_0000_0000,
    0x7FFF_FFFF_FFFF_1234,
    // 2^256, 2^-256 and their neighbours.
    0x4FF0_0000_0000_0000,
    0x4FEF_FFFF_FFFF_FFFF,
    0x2FF0_0000_0000_0000,
    0x2FEF_FFFF_FFFF_FFFF,
    // About the root of the least and of the greatest.
    0x1FF0_0000_0000_0000,
    0x1FFF_0000_0000_0000,
    0x5FE0_0000_0000_0000,
    0x5FF0_0000_0000_0001,
    0x43E0_0000_0000_0000,
    0x41E0_0000_0000_0000,
];

/// An ordinary number around 2^scale.
fn scaled(random: &mut Random, scale: i64) -> u64 {
    let exponent = scale + random.below(14) as i64 - 7;
    // Few of the bits: differences of such numbers are often small, or zero.
    let fraction = match random.below(3) {
        0 => random.below(3),
        1 => random.below(4) << 50,
        _ => random.next() >> 12,
    };
    random.next() & 1 << 63 | ((1023 + exponent) as u64) << 52 | fraction
}

/// A double; the greater `oddity` (up to 4), the more of them are special.
fn double(random: &mut Random, oddity: u64) -> u64 {
    let sign = random.next() & 1 << 63;
    if random.below(4) < oddity {
        return match random.below(5) {
            0 => EDGES[random.below(EDGES.len() as u64) as usize] | sign,
            1 => random.next(),
            2 => sign,
            // Exponents about those of the window and its products.
            3 => {
                let around = [1023, 767, 1278, 511, 1535, 1, 2046][random.below(7) as usize];
                let field = (around + random.below(5)).saturating_sub(2).min(2047);
                sign | field << 52 | random.next() >> 12
            }
            _ => sign | (random.below(200) + 1) << 46,
        };
    }
    match random.below(3) {
        0 => ((random.below(200) as f64) / 8.0 - 12.0).to_bits(),
        _ => ((random.below(2000) as f64 - 1000.0) * 0.37).to_bits(),
    }
}

impl Program {
    /// Loops of arithmetic with a table of doubles.
    pub(crate) fn of_doubles(random: &mut Random) -> Program {
        let oddity = [0, 0, 1, 1, 2, 4][random.below(6) as usize];
        // Now and then one special number among ordinary ones.
        let lonely = random.below(TABLE);
        // Some are all about the edges of the window, or somewhat outside.
        const SCALES: [i64; 8] = [0, -250, 250, -256, -350, 350, -500, 500];
        let [of_table, of_registers] = [0, 1].map(|_| match random.below(2) {
            0 => 0,
            _ => SCALES[random.below(8) as usize],
        });
        let number = |random: &mut Random, scale: i64| match scale {
            0 => double(random, oddity),
            _ => scaled(random, scale),
        };
        let table: Vec<u64> = (0..TABLE)
            .map(|place| match place == lonely {
                true => double(random, 4),
                false => number(random, of_table),
            })
            .collect();
        let mxcsr = mxcsr(random);
        let mut data: Vec<u8> = table.into_iter().flat_map(u64::to_le_bytes).collect();
        data.resize(MXCSR as usize, 0);
        data.extend(mxcsr.to_le_bytes());
        let mut registers = std::array::from_fn(|_| random.number());
        registers[3] = DATA + 0x800;
        registers[4] = STACK;
        registers[12] = DATA + 0xFE0;
        let vectors = std::array::from_fn(|_| {
            let mut half = || u128::from(number(random, of_registers));
            half() << 64 | half()
        });
        let mut maker = Maker {
            a: CodeAssembler::new(64).expect("64 bits"),
            random,
        };
        maker.program().expect("code");
        let bytes = maker.a.assemble(CODE).expect("code");
        Program {
            bytes,
            registers,
            vectors,
            flags: random.next(),
            user: random.below(2) == 0,
            mxcsr,
            data,
        }
    }
}

/// Mostly what programs begin with, after something inexact; else any rounding,
/// zeros for denormal numbers, and one exception that is not masked.
fn mxcsr(random: &mut Random) -> u32 {
    const USUAL: u32 = 0x1F80;
    let usual = USUAL | 0x20;
    match random.below(12) {
        0 => USUAL | (random.below(4) as u32) << 13,
        1 => usual | (random.below(4) as u32) << 13,
        2 => usual | 1 << 6 | 1 << 15,
        3 => usual & !(1 << (7 + random.below(6))),
        4 => USUAL,
        _ => usual,
    }
}

/// Writes a program.
struct Maker<'r> {
    a: CodeAssembler,
    random: &'r mut Random,
}

type Made = Result<(), IcedError>;

const X: [AsmRegisterXmm; 7] = [xmm0, xmm1, xmm2, xmm3, xmm4, xmm9, xmm15];

impl Maker<'_> {
    fn program(&mut self) -> Made {
        let mut again = self.a.create_label();
        self.a.set_label(&mut again)?;
        self.a.xor(esi, esi)?;
        if self.random.below(4) != 0 {
            // What has been raised is forgotten, so that it shows when it is again.
            self.a.ldmxcsr(dword_ptr(DATA + MXCSR))?;
        }
        for _ in 0..1 + self.random.below(3) {
            self.counted()?;
        }
        self.a.jmp(again)
    }

    fn register(&mut self) -> AsmRegisterXmm {
        X[self.random.below(X.len() as u64) as usize]
    }

    /// A loop whose RSI goes through the table.
    fn counted(&mut self) -> Made {
        let mut head = self.a.create_label();
        self.a.mov(r15d, 5 + self.random.below(60) as u32)?;
        for _ in 0..self.random.below(4) {
            self.refresh()?;
        }
        self.a.set_label(&mut head)?;
        self.straight()?;
        if self.random.below(2) == 0 {
            self.skipped()?;
        }
        if self.random.below(3) == 0 {
            self.inner()?;
        }
        self.a.add(rsi, 8)?;
        self.a.and(esi, 0x1F8)?;
        self.a.sub(r15d, 1)?;
        self.a.jnz(head)
    }

    /// A short loop.
    fn inner(&mut self) -> Made {
        let mut head = self.a.create_label();
        self.a.mov(r14d, 2 + self.random.below(6) as u32)?;
        self.a.set_label(&mut head)?;
        self.straight()?;
        self.a.dec(r14)?;
        self.a.jnz(head)
    }

    fn skipped(&mut self) -> Made {
        let mut after = self.a.create_label();
        let (x, y) = (self.register(), self.register());
        match self.random.below(2) {
            0 => self.a.ucomisd(x, y)?,
            _ => self.a.comisd(x, qword_ptr(rsi + DATA))?,
        }
        match self.random.below(7) {
            0 => self.a.ja(after)?,
            1 => self.a.jae(after)?,
            2 => self.a.jb(after)?,
            3 => self.a.jbe(after)?,
            4 => self.a.je(after)?,
            5 => self.a.jne(after)?,
            _ => self.a.jp(after)?,
        }
        self.straight()?;
        self.a.set_label(&mut after)?;
        self.a.nop()
    }

    fn straight(&mut self) -> Made {
        for _ in 0..1 + self.random.below(9) {
            self.instruction()?;
        }
        Ok(())
    }

    /// Some place in the table, or beside it.
    fn place(&mut self) -> AsmMemoryOperand {
        match self.random.below(12) {
            0 => ptr(rbx + 16 * self.random.below(4) as i32),
            1 => ptr(r12 + self.random.below(0x30) as i32),
            2 => ptr(DATA + 8 * self.random.below(TABLE)),
            _ => ptr(rsi + (DATA as i32 + 8 * self.random.below(20) as i32)),
        }
    }

    /// A number of the table.
    fn refresh(&mut self) -> Made {
        let (x, place) = (self.register(), self.place());
        self.a.movsd_2(x, qword_ptr(place))
    }

    fn instruction(&mut self) -> Made {
        match self.random.below(16) {
            0..=2 => self.refresh(),
            3 => self.store(),
            4 => self.other(),
            5 => self.change(),
            6..=8 => {
                let (x, place) = (self.register(), self.place());
                let place = qword_ptr(place);
                match self.random.below(6) {
                    0 => self.a.addsd(x, place),
                    1 => self.a.subsd(x, place),
                    2 => self.a.divsd(x, place),
                    3 => self.a.sqrtsd(x, place),
                    _ => self.a.mulsd(x, place),
                }
            }
            _ => {
                let (x, y) = (self.register(), self.register());
                match self.random.below(12) {
                    0..=3 => self.a.addsd(x, y),
                    4 | 5 => self.a.subsd(x, y),
                    6 => self.a.divsd(x, y),
                    7 => self.a.sqrtsd(x, y),
                    8 => self.a.ucomisd(x, y),
                    _ => self.a.mulsd(x, y),
                }
            }
        }
    }

    fn store(&mut self) -> Made {
        let x = self.register();
        match self.random.below(4) {
            0 => self
                .a
                .movsd_2(qword_ptr(r12 + self.random.below(0x30) as i32), x),
            1 => self.a.movupd(xmmword_ptr(rbx + 0x20), x),
            2 => self.a.add(dword_ptr(rbx + 8), r15d),
            _ => self
                .a
                .movsd_2(qword_ptr(rbx + 16 * self.random.below(4) as i32), x),
        }
    }

    /// What has to do with registers of doubles, but computes with none.
    fn other(&mut self) -> Made {
        let (x, y) = (self.register(), self.register());
        match self.random.below(20) {
            12 => self.a.cvtsd2ss(x, y),
            13 => self.a.cvtss2sd(x, y),
            14 => self.a.maxsd(x, y),
            15 => self.a.cvtsi2sd(x, dword_ptr(rbx + 8)),
            16 => self.a.sqrtss(x, y),
            17 => self.a.movhpd(x, qword_ptr(rsi + DATA)),
            18 => self.a.movlpd(x, qword_ptr(rsi + DATA)),
            19 => self.a.cvtsi2sd(x, qword_ptr(rsi + DATA)),
            0 => self.a.pxor(x, x),
            1 => self.a.xorpd(x, y),
            2 => self.a.andpd(x, y),
            3 => self.a.unpcklpd(x, y),
            4 => self.a.unpckhpd(x, y),
            5 => self.a.cvtsi2sd(x, r15d),
            6 => self.a.cvtsi2sd(x, r13),
            7 => self.a.cvttsd2si(r13, x),
            8 => self.a.addss(x, y),
            9 => self.a.minsd(x, y),
            10 => self.a.movq(x, rcx),
            _ => self.a.addpd(x, y),
        }
    }

    /// Moves, and integers in between.
    fn change(&mut self) -> Made {
        let (x, y) = (self.register(), self.register());
        match self.random.below(7) {
            0 => self.a.movsd_2(x, y),
            1 => self.a.add(rcx, r13),
            2 => self.a.sub(r13d, 3),
            3 => self.a.cmp(rcx, r13),
            4 => self.a.mulpd(x, y),
            _ => self.a.movapd(x, y),
        }
    }
}
