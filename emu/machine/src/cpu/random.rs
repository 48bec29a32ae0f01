//! What RDRAND and RDSEED draw from: a generator that the machine's seed starts, part of the
//! state, so that a run draws the same numbers on every host.

use serde::{Deserialize, Serialize};

/// A counter in steps of an odd constant, scrambled at each draw (the generator that is known as
/// SplitMix64): 2⁶⁴ different numbers before the first comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random(u64);

/// 2⁶⁴ divided by the golden ratio, made odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Keeps the drawn numbers apart from those that others draw from the same seed.
const STREAM: u64 = u64::from_le_bytes(*b"RDRAND\0\0");

impl Random {
    /// The generator of this CPU in a machine with this seed.
    #[must_use]
    pub const fn new(seed: u64, cpu: u8) -> Self {
        Random(scramble(seed ^ STREAM).wrapping_add((cpu as u64) << 56))
    }

    /// The next 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        scramble(self.0)
    }
}

/// Spreads each bit over all the others; no two numbers give the same.
const fn scramble(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_numbers_and_no_others() {
        let first = |seed, cpu| {
            let mut random = Random::new(seed, cpu);
            [random.draw(), random.draw()]
        };
        assert_eq!(first(1, 0), first(1, 0));
        let [a, b] = first(1, 0);
        assert_ne!(a, b);
        assert_ne!(first(1, 0), first(2, 0));
        assert_ne!(first(1, 0), first(1, 1));
    }

    /// The generator that is described: started with 0, it begins so.
    #[test]
    fn it_is_splitmix64() {
        let mut random = Random(0);
        assert_eq!(random.draw(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.draw(), 0x6E78_9E6A_A1B9_65F4);
    }
}
