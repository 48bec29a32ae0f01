//! Any bytes are a snapshot or are refused. A build for fuzzing overlooks the
//! checksum; a machine that was restored all the same saves itself as it was
//! and runs, and is the same when it was saved in two parts.
#![no_main]

use coe_fuzz::Silent;
use libfuzzer_sys::fuzz_target;
use machine::{Machine, Saved};

const CYCLES: u64 = 5_000;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut machine) = Machine::restore(bytes) {
        let saved = machine.save();
        let again = Machine::restore(&saved).expect("what was saved can be restored");
        assert!(
            again.save() == saved,
            "restored and saved again, it differs"
        );
        let mut since = Saved::default();
        let first = machine.save_changes(&mut since);
        machine.run(machine.cycle().saturating_add(CYCLES), &mut Silent);
        let second = machine.save_changes(&mut since);
        let both = Machine::restore_sequence([first.as_slice(), &second]);
        let both = both.expect("what was saved in two parts can be restored");
        assert!(
            both.save() == machine.save(),
            "what was saved in two parts differs"
        );
    }
});
