//! Any bytes are a trace or are refused, at the latest at the item that is
//! damaged; what can be read can be replayed or diverges. A build for fuzzing
//! overlooks the checksums.
#![no_main]

use coe::replay::replay;
use coe::trace::Trace;
use libfuzzer_sys::fuzz_target;

const CYCLES: u64 = 20_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Trace::from_bytes(bytes.to_vec()) else {
        return;
    };
    let mut errors = 0;
    for item in trace.items() {
        assert_eq!(errors, 0, "nothing comes after an error");
        errors += usize::from(item.is_err());
    }
    if let Err(error) = replay(&trace, Some(CYCLES), &mut []) {
        assert!(!error.to_string().is_empty());
    }
});
