//! Every engine does what the reference interpreter does, on the kernel's boot
//! and on every scenario.
//!
//! The reference interpreter runs a scenario and stops at random cycles. The
//! others have to have the same digest at the same cycles and the same events,
//! though they are stopped more often, saved and restored, copied, and replaced
//! by one another on their way. `COE_LOCKSTEP_CYCLES` says how far each scenario
//! runs at most, instead of to its end.

mod common;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coe::drive::{End, Pauses, drive};
use coe::engine::Kind;
use coe::images::Setup;
use coe::input::Silence;
use coe::run::{self, PAUSE_EVERY, Watched, Watcher};
use coe::scenario::Scenario;
use coe::suite;
use machine::{Digest, Event, Machine, Position, Stop};

/// How far a scenario runs: each ends before.
const CYCLES: u64 = 100_000_000;

/// Where most of it happens: the kernel's boot takes a third of this, and few
/// scenarios go far beyond.
const NEAR: u64 = 2_500_000;

/// The engines that are judged.
const ENGINES: [Kind; 2] = [Kind::Threaded, Kind::Jit];

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    /// The dice of this scenario: those of its name.
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let word = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        Dice(name.iter().fold(0xCBF2_9CE4_8422_2325, word) | 1)
    }

    /// A number below `n`, by Marsaglia's xorshift.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// How a machine stands at a stop.
#[derive(Debug, PartialEq, Eq)]
struct Stand {
    end: End,
    at: Position,
    digest: Digest,
    events: usize,
}

/// Keeps everything that happens.
#[derive(Default)]
struct Ear(Vec<Event>);

impl Watcher for Ear {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

/// What a machine does up to each of these stops, and all its events. Before each
/// leg something may happen to the machine.
fn legs(
    setup: &Setup,
    stops: &[u64],
    mut before: impl FnMut(&mut Machine, u64),
) -> (Vec<Stand>, Vec<Event>) {
    let mut machine = run::boot(setup).expect("it boots");
    let mut stands = Vec::new();
    let mut ear = Ear::default();
    let watchers: &mut [&mut dyn Watcher] = &mut [&mut ear];
    let mut host = Watched::new(setup, watchers);
    let mut pauses = Pauses::from(0, PAUSE_EVERY);
    for &stop in stops {
        before(&mut machine, stop);
        let end = drive(&mut machine, stop, &mut pauses, &mut Silence, &mut host);
        stands.push(Stand {
            end: end.expect("it runs"),
            at: machine.position(),
            digest: machine.digest(),
            events: 0,
        });
    }
    drop(host);
    // Events are in order, and each has its cycle.
    for stand in &mut stands {
        let position = |event: &Event| event.at <= stand.at;
        stand.events = ear.0.partition_point(position);
    }
    (stands, ear.0)
}

fn stops(dice: &mut Dice, last: u64) -> Vec<u64> {
    let within = [NEAR, NEAR, NEAR, 4 * NEAR, last].map(|within| within.min(last));
    let mut stops: Vec<u64> = within.map(|within| dice.below(within)).into();
    stops.push(last);
    stops.sort_unstable();
    stops
}

fn cycles() -> u64 {
    match std::env::var("COE_LOCKSTEP_CYCLES") {
        Ok(cycles) => cycles.parse().expect("a number of cycles"),
        Err(_) => CYCLES,
    }
}

/// What may happen to a machine between two legs.
fn disturb(machine: &mut Machine, engine: Kind, dice: &mut Dice) {
    let fresh = || engine.engine().expect("an engine that this coe has");
    match dice.below(8) {
        0 => {
            let bytes = machine.save();
            *machine = Machine::restore(&bytes).expect("what was saved can be restored");
            machine.set_engine(fresh());
        }
        1 => *machine = machine.clone(),
        2 => {
            let reference = Kind::Reference.engine().expect("it is always there");
            machine.set_engine(reference);
        }
        3 => machine.set_engine(fresh()),
        _ => {}
    }
}

/// Runs a scenario on all engines: the first difference, if there is one.
fn judge(path: &Path) -> Option<String> {
    let scenario = Scenario::load(path).expect("a scenario in order");
    let base = path.parent().expect("a folder");
    let mut setup = Setup::from_scenario(&scenario, base).expect("what it names is there");
    let mut dice = Dice::of(path);
    let stops = stops(&mut dice, cycles().min(setup.limit));
    setup.engine = Kind::Reference;
    let (stands, events) = legs(&setup, &stops, |_, _| {});
    for kind in ENGINES {
        if kind.engine().is_err() {
            continue;
        }
        setup.engine = kind;
        let mut dice = Dice::of(path);
        let others = legs(&setup, &stops, |machine, _| {
            disturb(machine, kind, &mut dice);
        });
        if let Some(difference) = difference(&others, &(stands.as_slice(), events.as_slice())) {
            return Some(format!(
                "{}, engine {}: {difference}",
                path.display(),
                kind.name()
            ));
        }
    }
    None
}

/// The first stand or event of an engine that is not the reference's.
fn difference(
    (stands, events): &(Vec<Stand>, Vec<Event>),
    (wanted, of): &(&[Stand], &[Event]),
) -> Option<String> {
    let event = events.iter().zip(of.iter()).find(|(now, then)| now != then);
    let stand = stands.iter().zip(wanted.iter());
    let stand = stand.into_iter().find(|(now, then)| now != then);
    if let Some((now, then)) = event {
        return Some(format!("event {now:?}\nreference {then:?}"));
    }
    if let Some((now, then)) = stand {
        return Some(format!("stands at {now:?}\nreference at {then:?}"));
    }
    (events.len() != of.len()).then(|| "not as many events".to_owned())
}

/// Judges each of these, on all CPUs.
fn judge_all(paths: &[PathBuf]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let jobs = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let work = || {
        let mut found = Vec::new();
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(judge(path));
        }
        found
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let found = threads.into_iter().map(|thread| thread.join());
        found.flat_map(|found| found.expect("no panic")).collect()
    })
}

#[test]
fn every_scenario_does_the_same_on_every_engine() {
    let found = suite::find(&[common::root().join("scenarios")]).expect("the scenarios");
    let differences = judge_all(&found.scenarios);
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// Digests all along the boot, so close together that the first instruction
/// that goes wrong is not far.
#[test]
fn the_kernel_boots_the_same_to_its_first_user_instruction() {
    let path = common::root().join("scenarios/seeds/hello.toml");
    let scenario = Scenario::load(&path).expect("a scenario in order");
    let mut setup = Setup::from_scenario(&scenario, Path::new(".")).expect("it is embedded");
    let mut dice = Dice(1);
    let user = first_user_cycle(&setup);
    let mut stops: Vec<u64> = (0..150).map(|_| dice.below(user)).collect();
    stops.sort_unstable();
    stops.push(user);
    setup.engine = Kind::Reference;
    let (stands, events) = legs(&setup, &stops, |_, _| {});
    assert_eq!(stands.last().map(|stand| stand.at.retired_user), Some(1));
    for kind in ENGINES {
        if kind.engine().is_err() {
            continue;
        }
        setup.engine = kind;
        let others = legs(&setup, &stops, |_, _| {});
        let difference = difference(&others, &(stands.as_slice(), events.as_slice()));
        assert_eq!(difference, None, "{}", kind.name());
    }
}

/// A trace says nothing of the engine, and replays on each, from a snapshot too.
#[test]
fn every_engine_writes_the_same_trace_and_replays_it() {
    let folder = common::folder();
    let coe = |args: &[&str]| {
        let output = common::coe_in(folder.path(), args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "coe {args:?}: {said}");
    };
    let mut traces = Vec::new();
    for name in ["reference", "threaded", "auto"] {
        let record = ["record", "-q", "--snapshot-every", "1000000", "-o", name];
        coe(&[&record[..], &["--engine", name, "cow-fork", "2"]].concat());
        traces.push(fs::read(folder.path().join(name)).expect("a trace"));
    }
    assert!(traces.windows(2).all(|pair| pair[0] == pair[1]));
    for name in ["reference", "threaded", "auto"] {
        coe(&["replay", "-q", "--engine", name, "auto"]);
        coe(&["replay", "-q", "--engine", name, "--to", "1300000", "auto"]);
    }
}

/// The cycle behind the first instruction of a program.
fn first_user_cycle(setup: &Setup) -> u64 {
    let mut machine = run::boot(setup).expect("it boots");
    let mut host = Watched::new(setup, &mut []);
    let step = 20_000;
    loop {
        let before = machine.clone();
        let stop = machine.run(machine.cycle() + step, &mut host);
        assert_eq!(stop, Stop::Deadline);
        if machine.retired_user() > 0 {
            machine = before;
            break;
        }
    }
    while machine.retired_user() == 0 {
        machine.step(&mut host);
    }
    machine.cycle()
}
