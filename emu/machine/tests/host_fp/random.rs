//! Operands and modes by chance.

use machine::cpu::fp::{F80, Format, HALF, SINGLE, sse};

/// A seeded source of numbers.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A significand's bits: random, sparse, or nearly all equal.
    pub fn bits(&mut self) -> u64 {
        let value = self.next();
        match self.below(6) {
            0 => value & self.next() & self.next(),
            1 => value | self.next() | self.next(),
            2 => 1 << self.below(64),
            3 => u64::MAX << self.below(64),
            4 => u64::MAX >> self.below(64),
            _ => value,
        }
    }

    fn field(&mut self, top: u64) -> u64 {
        match self.below(12) {
            0 => 0,
            1 => top,
            2 => 1 + self.below(3),
            3 => top - 1 - self.below(3),
            4..=8 => (top / 2).saturating_sub(40) + self.below(80.min(top)),
            _ => self.below(top + 1),
        }
    }

    pub fn interchange(&mut self, format: Format) -> u64 {
        let (fraction, top, sign) = match format {
            HALF => (10, 31, 15),
            SINGLE => (23, 255, 31),
            _ => (52, 2047, 63),
        };
        let bits = match self.below(5) {
            0 => self.below(2) << (fraction - 1),
            _ => self.bits() >> self.below(2) & ((1 << fraction) - 1),
        };
        self.below(2) << sign | self.field(top) << fraction | bits
    }

    pub fn f80(&mut self) -> F80 {
        let field = self.field(0x7fff) as u16;
        let se = (self.below(2) as u16) << 15 | field;
        let mut sig = self.bits();
        match self.below(20) {
            0 => {}
            1 => sig = self.below(2) << 63 | self.below(2) << 62,
            _ if field == 0 => sig &= !(1 << 63),
            _ => sig |= 1 << 63,
        }
        // Whole numbers, singles and doubles in the wide format.
        match self.below(6) {
            0 => sig &= u64::MAX << 40,
            1 => sig &= u64::MAX << 11,
            2 => sig &= u64::MAX << 10,
            _ => {}
        }
        F80 { sig, se }
    }
}

/// MXCSR with all exceptions masked.
pub fn mxcsr(random: &mut Random) -> u32 {
    0x1f80 | (random.below(4) as u32) << 13 | daz_ftz(random)
}

fn daz_ftz(random: &mut Random) -> u32 {
    match random.below(4) {
        0 => 1 << 6,
        1 => 1 << 15,
        2 => 1 << 6 | 1 << 15,
        _ => 0,
    }
}

/// The x87's control word.
pub fn fcw(random: &mut Random) -> u16 {
    let precision = [0u16, 2, 3, 3][random.below(4) as usize];
    // Overflow and underflow leave a scaled result when unmasked, so they can be judged here.
    let masks = [0x3f, 0x3f, 0x37, 0x2f, 0x27][random.below(5) as usize];
    masks | precision << 8 | (random.below(4) as u16) << 10 | 0x40
}

/// Two numbers, which are often near each other.
pub fn pairs(random: &mut Random) -> (F80, F80) {
    let (a, mut b) = (random.f80(), random.f80());
    match random.below(8) {
        0 => {
            b = F80 {
                sig: a.sig ^ random.below(2),
                se: a.se ^ (random.below(2) as u16) << 15,
            }
        }
        1 => b.se = a.se ^ random.below(4) as u16 ^ (random.below(2) as u16) << 15,
        _ => {}
    }
    (a, b)
}

/// Operands of `a * b + c` that also meet at the rounding position and cancel.
pub fn triple(random: &mut Random, format: Format) -> [u64; 3] {
    let [a, b, mut c] = [0; 3].map(|_| random.interchange(format));
    let control = sse::Control::from_mxcsr(0x1f80);
    if random.below(2) == 0 {
        c = sse::mul(format, a, b, control).0;
        if random.below(2) == 0 {
            c ^= 1 << random.below(if format == SINGLE { 32 } else { 64 });
        }
    }
    [a, b, c]
}
