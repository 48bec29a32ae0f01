//! How fast the machine of a small scenario goes back to where it stood.
//!
//! `cargo bench -p coe --bench returns` has `hello` stand in the middle of its run, lets it
//! go on a little, and goes back, over and over, with each engine. Seconds are those of
//! this process, and only going back counts.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use coe::engine::Kind;
use coe::images::Setup;
use coe::run;
use coe::scenario::Scenario;
use machine::{Choice, Event, Host, Machine, Saved, Stop};

/// Returns in a second, at least.
const LIMIT: f64 = 10_000.0;

/// The kernel has booted before this cycle, and the program ends after it.
const MIDDLE: u64 = 1_200_000;

/// How far the machine goes on in between.
const CYCLES: [u64; 3] = [1_000, 10_000, 100_000];

const RETURNS: u32 = 10_000;

struct Nobody;

impl Host for Nobody {
    fn event(&mut self, _: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

fn main() -> ExitCode {
    println!(
        "{:<10} {:>8} {:>15} {:>11} {:>9} {:>9}",
        "", "cycles", "returns / s", "with runs", "KiB saved", "us"
    );
    let engines = [Kind::Reference, Kind::Threaded, Kind::Jit];
    let mut good = true;
    for kind in engines.into_iter().filter(|kind| kind.engine().is_ok()) {
        for cycles in CYCLES {
            good &= show(kind, cycles);
        }
    }
    match good {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("too slow: {LIMIT} returns in a second are wanted");
            ExitCode::FAILURE
        }
    }
}

/// The machine in the middle of the run.
fn machine(kind: Kind) -> Machine {
    let text = "title = \"hello\"\nprogram = \"hello\"\n";
    let scenario = Scenario::parse("hello.toml", text).expect("it is in order");
    let mut setup = Setup::from_scenario(&scenario, Path::new(".")).expect("it is embedded");
    setup.engine = kind;
    let mut machine = run::boot(&setup).expect("it boots");
    go_on(&mut machine, MIDDLE);
    assert!(machine.retired_user() > 0, "the program has begun");
    machine
}

fn go_on(machine: &mut Machine, cycles: u64) {
    let until = machine.cycle() + cycles;
    assert_eq!(machine.run(until, &mut Nobody), Stop::Deadline);
}

/// Prints a line; false if it is beyond the limit.
fn show(kind: Kind, cycles: u64) -> bool {
    let mut machine = machine(kind);
    let point = machine.checkpoint();
    let (start, mut back) = (Instant::now(), Duration::ZERO);
    for _ in 0..RETURNS {
        go_on(&mut machine, cycles);
        let from = Instant::now();
        machine.rewind(&point);
        back += from.elapsed();
    }
    let all = start.elapsed();
    let rate = |time: Duration| f64::from(RETURNS) / time.as_secs_f64();

    let mut saved = Saved::default();
    let _whole = machine.save_changes(&mut saved);
    go_on(&mut machine, cycles);
    let from = Instant::now();
    let changes = machine.save_changes(&mut saved);
    println!(
        "{:<10} {cycles:>8} {:>15.0} {:>11.0} {:>9} {:>9.0}",
        kind.name(),
        rate(back),
        rate(all),
        changes.len() >> 10,
        from.elapsed().as_secs_f64() * 1e6,
    );
    rate(back) >= LIMIT
}
