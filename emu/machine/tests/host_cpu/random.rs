//! Numbers at which instructions change their minds, and any others: the same on every host.

/// A small generator of numbers.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An integer: at the ends of some width, sparse, small, or any.
    pub fn value(&mut self) -> u64 {
        const EDGES: [u64; 11] = [
            0,
            1,
            2,
            0x7F,
            0x80,
            0xFF,
            0x7FFF,
            0x8000,
            0xFFFF,
            0x7FFF_FFFF,
            0x8000_0000,
        ];
        match self.below(9) {
            0 => self.pick(&EDGES),
            1 => !self.pick(&EDGES),
            2 => 1 << self.below(64),
            3 => self.below(256),
            4 => self.next() >> self.below(64),
            5 => self.pick(&[1 << 63, u64::MAX >> 1, u64::MAX, 0]),
            6 => u64::MAX << self.below(64),
            _ => self.next(),
        }
    }

    /// A fraction of some bits: none, the quiet bit, ones at an end, or any.
    fn fraction(&mut self, bits: u32) -> u64 {
        let value = match self.below(8) {
            0 => 0,
            1 => 1 << (bits - 1),
            2 => self.below(4),
            3 => u64::MAX - self.below(3),
            4 => self.next() & self.next() & self.next(),
            _ => self.next() << self.below(40),
        };
        value & (u64::MAX >> (64 - bits))
    }

    /// An exponent: of zeros and denormals, of infinities and NaNs, near these, around 1, or any.
    fn exponent(&mut self, top: u64) -> u64 {
        match self.below(14) {
            0 => 0,
            1 => top,
            2 => 1 + self.below(3),
            3 => top - 1 - self.below(3),
            4..=7 => top / 2 - 3 + self.below(7),
            8..=10 => (top / 2 + self.below(120)).saturating_sub(40).min(top),
            _ => self.below(top + 1),
        }
    }

    pub fn half(&mut self) -> u16 {
        (self.below(2) << 15 | self.exponent(31).min(31) << 10 | self.fraction(10)) as u16
    }

    pub fn single(&mut self) -> u32 {
        (self.below(2) << 31 | self.exponent(255).min(255) << 23 | self.fraction(23)) as u32
    }

    pub fn double(&mut self) -> u64 {
        self.below(2) << 63 | self.exponent(2047) << 52 | self.fraction(52)
    }

    /// An 80-bit number, now and then of a sort that only memory can hold.
    pub fn extended(&mut self) -> u128 {
        let exponent = self.exponent(0x7FFF);
        let integer = if self.chance(16) {
            self.below(2)
        } else {
            u64::from(exponent != 0)
        };
        let mut significand = integer << 63 | self.fraction(63);
        match self.below(6) {
            0 => significand &= u64::MAX << 40,
            1 => significand &= u64::MAX << 11,
            2 => significand &= u64::MAX << 10,
            _ => {}
        }
        u128::from(self.below(2) << 15 | exponent) << 64 | u128::from(significand)
    }

    /// 64 bits of the sort that some instruction finds interesting.
    pub fn word(&mut self) -> u64 {
        match self.below(10) {
            0..=2 => self.double(),
            3..=5 => u64::from(self.single()) | u64::from(self.single()) << 32,
            6 => self.text(b"\0\x01ab\xff\x80zA"),
            7 => self.text(b"\0abc"),
            8 => (0..4).fold(0, |word, i| word | u64::from(self.half()) << (16 * i)),
            _ => self.value(),
        }
    }

    fn text(&mut self, alphabet: &[u8]) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.pick(alphabet)))
    }

    pub fn vector(&mut self) -> u128 {
        u128::from(self.word()) | u128::from(self.word()) << 64
    }
}
