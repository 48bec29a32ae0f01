//! How long the way to the first user instruction is, and what sleeping costs.
//!
//! `cargo bench -p coe --bench boot` shows both for each engine: milliseconds,
//! the shortest of several rounds, and instructions of the host.

mod common;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use coe::engine::Kind;
use coe::images::Setup;
use coe::run::{self, Finished, Watcher};
use coe::scenario::Scenario;
use machine::{Choice, Event, Host, Machine, Stop};

use common::Counter;

/// From nothing to the first user instruction.
const LIMIT: Duration = Duration::from_millis(50);

/// The guest has booted and waits for input before this cycle, of 1 ns.
const WAITS: u64 = 50_000_000;

/// Two lengths of sleep, in cycles.
const SHORT: u64 = 10_000_000;
const LONG: u64 = 10_000_000_000;

/// How many more instructions of the host's the long sleep may take.
const SLEEP_LIMIT: f64 = 1.02;

const ROUNDS: usize = 10;

const ENGINES: [Kind; 3] = [Kind::Reference, Kind::Threaded, Kind::Jit];

struct Nobody;

impl Host for Nobody {
    fn event(&mut self, _: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [_, what, engine, cycle] = &arguments[..] {
        let kind = ENGINES.into_iter().find(|kind| kind.name() == engine);
        let cycle = cycle.parse().expect("a cycle");
        child(what, kind.expect("an engine"), cycle);
        return ExitCode::SUCCESS;
    }
    let counter = Counter::new();
    if counter.is_none() {
        println!("neither perf nor valgrind can count instructions here");
    }
    let mut good = true;
    let first = first_user_instruction();
    println!("to the first user instruction, {first} cycles");
    println!(
        "{:<10} {:>9} {:>11} {:>9} {:>9} {:>8}",
        "", "images ms", "machine ms", "kernel ms", "all ms", "host M"
    );
    for kind in available() {
        good &= show_boot(kind, first, counter);
    }
    println!(
        "asleep for {} ms and for {} s",
        SHORT / 1_000_000,
        LONG / 1_000_000_000
    );
    println!(
        "{:<10} {:>6} {:>6} {:>15} {:>8} {:>8} {:>9} {:>9} {:>7}",
        "", "wakes", "wakes", "guest instrs", "ms", "ms", "host M", "host M", "ratio"
    );
    for kind in available() {
        good &= show_sleep(kind, counter);
    }
    match good {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("too much: the limits are {LIMIT:?}, and {SLEEP_LIMIT} for the long sleep");
            ExitCode::FAILURE
        }
    }
}

fn available() -> impl Iterator<Item = Kind> {
    ENGINES.into_iter().filter(|kind| kind.engine().is_ok())
}

/// What is counted is done in a process of its own.
fn child(what: &str, kind: Kind, cycles: u64) {
    match what {
        "boot" => drop(booted(kind, cycles)),
        _ => drop(asleep(kind, cycles)),
    }
}

fn counted(counter: Option<Counter>, what: &str, kind: Kind, cycles: u64) -> Option<u64> {
    let own = std::env::current_exe().expect("the bench knows where it is");
    let cycles = cycles.to_string();
    counter.map(|counter| counter.count(&own, &["--child", what, kind.name(), &cycles]))
}

fn millions(count: Option<u64>) -> String {
    count.map_or("?".to_owned(), |count| format!("{:.1}", count as f64 / 1e6))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The setup of a program that waits for input, which comes at this cycle.
fn setup(kind: Kind, input: u64) -> Setup {
    let text = format!(
        "title = \"sleep\"\nprogram = \"echo-stdin\"\n\
         input = [{{ at = {input}, text = \"x\\n\\u0004\" }}]\n\
         limits = {{ cycles = {} }}\n",
        2 * LONG
    );
    let scenario = Scenario::parse("sleep.toml", &text).expect("it is in order");
    let mut setup = Setup::from_scenario(&scenario, Path::new(".")).expect("it is embedded");
    setup.engine = kind;
    setup
}

/// The cycle at which it has just been carried out, as near as a boundary can be.
fn first_user_instruction() -> u64 {
    let mut machine = run::boot(&setup(Kind::Reference, WAITS)).expect("it boots");
    while machine.retired_user() == 0 {
        let next = machine.cycle() + 1;
        assert_eq!(machine.run(next, &mut Nobody), Stop::Deadline);
    }
    machine.cycle()
}

/// The times to make the images, to make the machine, and to run the kernel.
fn booted(kind: Kind, first: u64) -> (Machine, [Duration; 3]) {
    let start = Instant::now();
    let setup = setup(kind, WAITS);
    let images = start.elapsed();
    let mut machine = run::boot(&setup).expect("it boots");
    let made = start.elapsed();
    machine.run(first, &mut Nobody);
    let all = start.elapsed();
    assert!(machine.retired_user() > 0, "no user instruction so far");
    (machine, [images, made - images, all - made])
}

/// Prints a line; false if it is beyond the limit.
fn show_boot(kind: Kind, first: u64, counter: Option<Counter>) -> bool {
    let best = (0..ROUNDS).map(|_| booted(kind, first).1);
    let best = best.min_by_key(|times| times.iter().sum::<Duration>());
    let [images, made, kernel] = best.expect("there are rounds");
    let all = images + made + kernel;
    println!(
        "{:<10} {:>9.1} {:>11.1} {:>9.1} {:>9.1} {:>8}",
        kind.name(),
        ms(images),
        ms(made),
        ms(kernel),
        ms(all),
        millions(counted(counter, "boot", kind, first)),
    );
    all < LIMIT
}

/// Counts how often the guest goes to sleep.
#[derive(Default)]
struct Lulls(u64);

impl Watcher for Lulls {
    fn lull(&mut self) {
        self.0 += 1;
    }
}

/// A run with a sleep of this length: figures, sleeps, and the time that it took.
fn asleep(kind: Kind, length: u64) -> (Finished, u64, Duration) {
    let setup = setup(kind, WAITS + length);
    let start = Instant::now();
    let mut lulls = Lulls::default();
    let finished = run::run(&setup, &mut [&mut lulls]).expect("it boots");
    assert_eq!(finished.ending, run::Ending::Status(0));
    (finished, lulls.0, start.elapsed())
}

/// Prints a line; false if sleeping costs anything.
fn show_sleep(kind: Kind, counter: Option<Counter>) -> bool {
    let shortest = |length| {
        let rounds = (0..ROUNDS).map(|_| asleep(kind, length));
        rounds
            .min_by_key(|round| round.2)
            .expect("there are rounds")
    };
    let (short, long) = (shortest(SHORT), shortest(LONG));
    let counts = [SHORT, LONG].map(|length| counted(counter, "sleep", kind, length));
    let ratio = match counts {
        [Some(short), Some(long)] => long as f64 / short as f64,
        _ => long.2.as_secs_f64() / short.2.as_secs_f64(),
    };
    println!(
        "{:<10} {:>6} {:>6} {:>15} {:>8.1} {:>8.1} {:>9} {:>9} {ratio:>7.3}",
        kind.name(),
        short.1,
        long.1,
        format!("{:+}", long.0.retired as i64 - short.0.retired as i64),
        ms(short.2),
        ms(long.2),
        millions(counts[0]),
        millions(counts[1]),
    );
    // Times of a few milliseconds say little.
    counts[0].is_none() || ratio <= SLEEP_LIMIT
}
