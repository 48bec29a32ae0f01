//! Every engine does what the reference interpreter does, with code, page
//! tables, interrupts and stops that the input makes.
#![no_main]

// Only tests have a seed instead of bytes.
#[allow(dead_code)]
#[path = "../../emu/threaded/tests/random/mod.rs"]
mod random;

use jit::Jit;
use libfuzzer_sys::fuzz_target;
use threaded::Threaded;

fuzz_target!(|bytes: &[u8]| {
    let threaded = Threaded::default();
    let dice = random::Dice::Bytes(bytes);
    // Whatever was met once is compiled.
    match Jit::with_threshold(1, 300) {
        Some(jit) => random::judge_one(dice, &[&threaded, &jit]),
        None => random::judge_one(dice, &[&threaded]),
    }
});
