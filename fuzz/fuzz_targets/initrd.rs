//! The kernel unpacks any initrd and starts any `/init`, or panics with a
//! sentence about them; it never faults and never trips over its own checks.
#![no_main]

use coe::images::Setup;
use coe::run::{self, Ending};
use coe_fuzz::setup;
use libfuzzer_sys::fuzz_target;

const CYCLES: u64 = 60_000_000;

/// What the kernel may say about an initrd.
const SENTENCES: [&str; 1] = ["init"];

fuzz_target!(|bytes: &[u8]| {
    let setup = Setup {
        initrd: Some(bytes.to_vec()),
        ..setup(CYCLES)
    };
    let Ok(finished) = run::run(&setup, &mut []) else {
        return;
    };
    match finished.ending {
        Ending::Panic(text) => assert!(
            SENTENCES.iter().any(|known| text.contains(known)),
            "the kernel panicked: {text}"
        ),
        Ending::TripleFault { .. } => panic!("{:?}", finished.ending),
        _ => {}
    }
});
