//! Where a generator's decisions come from: a seed, or the bytes of a fuzzer.

/// A source of decisions, the same for the same beginning on every host.
#[derive(Clone, Debug)]
pub(crate) enum Dice<'a> {
    /// Drawn from the last state of a generator.
    Seed(u64),
    /// As these bytes say; nothing but zeros behind their end.
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    /// The next 32 bits.
    pub(crate) fn word(&mut self) -> u32 {
        match self {
            Dice::Seed(state) => split_mix(state),
            Dice::Bytes(bytes) => {
                let (now, later) = bytes.split_at(bytes.len().min(4));
                *bytes = later;
                let mut word = [0; 4];
                word[..now.len()].copy_from_slice(now);
                u32::from_le_bytes(word)
            }
        }
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        match self {
            Dice::Seed(_) => ((u64::from(self.word()) * u64::from(n)) >> 32) as u32,
            // A fuzzer changes single bytes: one of them for a small choice.
            Dice::Bytes([first, rest @ ..]) if n <= 256 => {
                let drawn = u32::from(*first) % n;
                *self = Dice::Bytes(rest);
                drawn
            }
            Dice::Bytes(_) => self.word() % n,
        }
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }
}

/// SplitMix64's step; its upper half is the better one.
fn split_mix(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 32) as u32
}
