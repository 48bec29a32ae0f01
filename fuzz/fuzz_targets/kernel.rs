//! Any file is a kernel that can be loaded or is refused; what is loaded runs
//! for a while, whatever it does.
#![no_main]

use coe_fuzz::{Silent, boot};
use libfuzzer_sys::fuzz_target;

const CYCLES: u64 = 20_000;

fuzz_target!(|file: &[u8]| {
    if let Some(mut machine) = boot(file) {
        machine.run(CYCLES, &mut Silent);
    }
});
