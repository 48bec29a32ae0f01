//! An interrupt may come at any kernel instruction.
//!
//! The kernel is started once and saved at its first program's exec. From there
//! it is walked instruction by instruction; at each kernel instruction that was
//! not met before, a copy of the machine gets one more interrupt and runs to its
//! end. Whatever the interrupt met, the program must print and exit the same.

use std::collections::HashSet;
use std::path::Path;
use std::thread;

use abi::event::EventId;
use coe::images::Setup;
use coe::scenario::Scenario;
use machine::{Choice, Event, Host, Input, Machine, Payload, Stop};

/// Forks, execs, faults, copies a page, exits and is waited for.
const SCENARIO: &str = r#"
title = "an interrupt at each kernel instruction"
program = { run = "cow-fork", args = ["1"] }
machine = { memory = "16MiB" }
"#;

/// The vectors that are injected, in turn: the end of a time slice, which makes
/// the kernel switch tasks, and the timer's.
const VECTORS: [u8; 2] = [VECTOR_SLICE, VECTOR_TIMER];
const VECTOR_TIMER: u8 = 0xF0;
const VECTOR_SLICE: u8 = 0xF1;

/// What a user sees of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    console: Vec<u8>,
    exit: Option<u32>,
}

/// Collects the outcome and notices the first program.
#[derive(Clone, Default)]
struct Collector {
    outcome: Outcome,
    booted: bool,
}

impl Host for Collector {
    fn event(&mut self, event: Event) {
        match event.payload {
            Payload::Console(byte) => self.outcome.console.push(byte),
            Payload::Kernel {
                id: EventId::SchedProcessExec,
                ..
            } => self.booted = true,
            _ => {}
        }
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Ends a run that an injected interrupt sent astray.
const GIVE_UP: u64 = 2_000_000_000;

fn finish(mut machine: Machine, mut collector: Collector) -> Outcome {
    let stop = machine.run(machine.cycle() + GIVE_UP, &mut collector);
    match stop {
        Stop::Exit(code) => collector.outcome.exit = Some(code),
        other => collector
            .outcome
            .console
            .extend(format!("[{other:?}]").bytes()),
    }
    collector.outcome
}

fn boot() -> (Machine, Collector) {
    let scenario = Scenario::parse("injection.toml", SCENARIO).expect("the scenario is in order");
    let setup = Setup::from_scenario(&scenario, Path::new(".")).expect("its program is embedded");
    let mut machine = Machine::boot(&setup.config(), &setup.images()).expect("the kernel loads");
    let mut collector = Collector::default();
    while !collector.booted {
        let stop = machine.step(&mut collector);
        assert!(stop.is_none(), "stopped before the first program: {stop:?}");
    }
    (machine, collector)
}

/// Walks on from the saved machine; every `share`-th new kernel instruction is
/// this worker's. Returns how many it tried and what went wrong.
fn walk(
    start: &(Machine, Collector),
    want: &Outcome,
    worker: usize,
    workers: usize,
) -> (usize, Vec<String>) {
    let (mut machine, mut collector) = start.clone();
    let (mut seen, mut tried, mut wrong) = (HashSet::new(), 0, Vec::new());
    loop {
        let rip = machine.cpu().rip;
        if machine.cpu().cpl() == 0 && seen.insert(rip) && seen.len() % workers == worker {
            let vector = VECTORS[seen.len() / workers % VECTORS.len()];
            let mut copy = machine.clone();
            copy.push_input(copy.cycle(), Input::Interrupt(vector))
                .expect("now is not the past");
            let got = finish(copy, collector.clone());
            tried += 1;
            if got != *want {
                let console = String::from_utf8_lossy(&got.console).into_owned();
                wrong.push(format!(
                    "vector {vector:#x} at {rip:#x}: exit {:?}, {console:?}",
                    got.exit
                ));
            }
        }
        if machine.step(&mut collector).is_some() {
            return (tried, wrong);
        }
    }
}

#[test]
fn an_interrupt_at_each_kernel_instruction_changes_no_outcome() {
    let start = boot();
    let want = finish(start.0.clone(), start.1.clone());
    assert_eq!(
        want.exit,
        Some(0),
        "{}",
        String::from_utf8_lossy(&want.console)
    );

    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (mut tried, mut wrong) = (0, Vec::new());
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn({
                    let (start, want) = (&start, &want);
                    move || walk(start, want, worker, workers)
                })
            })
            .collect();
        for handle in handles {
            let (more, worse) = handle.join().expect("a worker finishes");
            tried += more;
            wrong.extend(worse);
        }
    });
    println!(
        "{tried} kernel instructions, {} outcomes differ",
        wrong.len()
    );
    assert!(tried > 1000, "only {tried} kernel instructions were met");
    assert!(
        wrong.is_empty(),
        "{} of {tried} differ, the first: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}
