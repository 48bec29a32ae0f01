//! Where two engines part: for the message of a test that fails.

use machine::Machine;
use machine::engine::{Engine, Reference};

use super::{Guest, Plan, boot};

/// The first cycle up to `bad` at which a machine that got there in one go
/// differs, and in what.
pub(super) fn narrow(guest: &Guest, plan: &Plan, engine: &dyn Engine, bad: u64) -> String {
    let differs = |until| {
        at(guest, plan, engine, until).digest()
            != at(guest, plan, &Reference::default(), until).digest()
    };
    if !differs(bad) {
        return "in one go from power-on they agree".to_owned();
    }
    let (mut good, mut bad) = (0, bad);
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        match differs(middle) {
            true => bad = middle,
            false => good = middle,
        }
    }
    let before = at(guest, plan, &Reference::default(), good);
    let other = at(guest, plan, engine, bad);
    let same = at(guest, plan, &Reference::default(), bad);
    format!(
        "they part on the way to cycle {bad}, behind {before:?}, which executes {:02x?}\n{}",
        instruction(&before),
        difference(&other, &same)
    )
}

fn at(guest: &Guest, plan: &Plan, engine: &dyn Engine, until: u64) -> Machine {
    let (mut machine, mut ear) = boot(guest, plan);
    machine.set_engine(engine.fresh());
    machine.run(until, &mut ear);
    machine
}

fn instruction(machine: &Machine) -> Vec<u8> {
    let mut bytes = [0; 15];
    // What is not mapped stays zero.
    let _ = machine.read_virtual(machine.cpu().rip, &mut bytes);
    bytes.to_vec()
}

/// The lines of the CPU's state that differ: the engine's, then the reference's.
fn difference(other: &Machine, same: &Machine) -> String {
    let text = |machine: &Machine| format!("{:x?}\n{:#x?}", machine.position(), machine.cpu());
    let (other, same) = (text(other), text(same));
    let lines = other.lines().zip(same.lines());
    let lines: Vec<_> = lines
        .filter(|(other, same)| other != same)
        .map(|(other, same)| format!("  {}   reference: {}", other.trim(), same.trim()))
        .collect();
    match lines.is_empty() {
        true => "  the CPU is the same: memory, the TLB or a device differs".to_owned(),
        false => lines.join("\n"),
    }
}
