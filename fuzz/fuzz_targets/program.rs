//! Any file is a program that can run in the guest or is refused with a reason,
//! and has functions with names or none.
#![no_main]

use coe::scenario::program;
use coe::symbols::Symbols;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = program::check("fuzz", bytes) {
        assert!(!error.to_string().is_empty());
    }
    let symbols = Symbols::from_elf(bytes);
    for address in [0, 0x10_0000, 0x10_0100, u64::MAX] {
        let _ = symbols.lookup(address);
    }
});
