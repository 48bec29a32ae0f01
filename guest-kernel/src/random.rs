//! The numbers behind `getrandom` and AT_RANDOM: a function of the seed and of
//! how many were drawn before, and of nothing else.

use core::sync::atomic::{AtomicU64, Ordering};

/// Weyl increment of the counter: odd, and far from any simple fraction.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

static SEED: AtomicU64 = AtomicU64::new(0);
static DRAWN: AtomicU64 = AtomicU64::new(0);

/// Sets the seed, at boot.
pub fn init(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// Fills a buffer, eight bytes a draw.
pub fn fill(buffer: &mut [u8]) {
    let draws = buffer.len().div_ceil(8) as u64;
    let first = DRAWN.fetch_add(draws, Ordering::Relaxed);
    let seed = mix(SEED.load(Ordering::Relaxed));
    for (at, chunk) in (first..).zip(buffer.chunks_mut(8)) {
        let draw = mix(seed.wrapping_add(at.wrapping_add(1).wrapping_mul(STEP)));
        chunk.copy_from_slice(&draw.to_le_bytes()[..chunk.len()]);
    }
}

/// A permutation of the 64-bit numbers in which each bit of the result
/// depends on each bit of the argument.
fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
