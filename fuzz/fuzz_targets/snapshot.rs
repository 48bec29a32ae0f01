//! Any bytes are a snapshot or are refused. A build for fuzzing overlooks the
//! checksum; a machine that was restored all the same saves itself as it was
//! and runs.
#![no_main]

use coe_fuzz::Silent;
use libfuzzer_sys::fuzz_target;
use machine::Machine;

const CYCLES: u64 = 5_000;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut machine) = Machine::restore(bytes) {
        let saved = machine.save();
        let again = Machine::restore(&saved).expect("what was saved can be restored");
        assert!(
            again.save() == saved,
            "restored and saved again, it differs"
        );
        machine.run(machine.cycle().saturating_add(CYCLES), &mut Silent);
    }
});
