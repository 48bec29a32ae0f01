//! Any code runs, and the machine's state does not depend on whether it ran in
//! one go, instruction by instruction, or with a stop between to be saved.
#![no_main]

use coe_fuzz::{Silent, boot, elf};
use libfuzzer_sys::fuzz_target;
use machine::{Machine, Stop};

const CYCLES: u64 = 20_000;

fn steps(mut machine: Machine) -> Machine {
    while machine.cycle() < CYCLES && machine.step(&mut Silent).is_none() {}
    machine
}

fuzz_target!(|code: &[u8]| {
    let Some(mut machine) = boot(&elf(code)) else {
        return;
    };
    let stepped = steps(machine.clone());
    machine.run(CYCLES / 7, &mut Silent);
    let bytes = machine.save();
    let mut restored = Machine::restore(&bytes).expect("what was saved can be restored");
    assert!(
        restored.save() == bytes,
        "restored and saved again, it differs"
    );
    let stop = machine.run(CYCLES, &mut Silent);
    assert_eq!(restored.run(CYCLES, &mut Silent), stop, "after a restore");
    assert_eq!(restored.digest(), machine.digest(), "after a restore");
    // A step may sleep past the end, which a run does not.
    if stop != Stop::Deadline || stepped.cycle() == machine.cycle() {
        assert_eq!(
            stepped.digest(),
            machine.digest(),
            "instruction by instruction"
        );
    }
});
