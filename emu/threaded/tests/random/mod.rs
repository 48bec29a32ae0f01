//! Engines held against the reference interpreter, on random code.
//!
//! A small kernel with random code runs on the reference interpreter, and stops
//! at random cycles. Then it runs on another engine, which is stopped at more
//! cycles, saved and restored, copied and replaced on its way, and has to have
//! the same digest, events and time at each of the first ones.

mod code;
mod dice;
mod forms;
mod guest;
mod handler;
mod layout;
mod narrow;
mod start;

pub(crate) use dice::Dice;
use guest::{Guest, guest};

use machine::engine::{Engine, Reference};
use machine::{
    Choice, Config, CpuModel, Digest, Event, Host, Images, Input, Machine, Position, Stop,
};

/// How long each guest runs, in cycles.
const CYCLES: u32 = 60_000;

/// Judges so many guests, or as many as `COE_LOCKSTEP_GUESTS` says, from seed 0
/// or `COE_LOCKSTEP_FIRST` on.
pub(crate) fn judge_seeds(count: u64, engines: &[&dyn Engine]) {
    let first = number("COE_LOCKSTEP_FIRST", 0);
    for seed in first..first + number("COE_LOCKSTEP_GUESTS", count) {
        println!("guest {seed}");
        judge_one(Dice::Seed(seed), engines);
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => otherwise,
    }
}

/// Judges guests that are made as a fuzzer makes them: most of what it gives
/// means little.
pub(crate) fn judge_bytes(count: u64, engines: &[&dyn Engine]) {
    for seed in 0..count {
        let mut dice = Dice::Seed(seed);
        let bytes: Vec<u8> = (0..400 * seed).map(|_| dice.below(256) as u8).collect();
        println!("{} bytes", bytes.len());
        judge_one(Dice::Bytes(&bytes), engines);
    }
}

/// Judges the guest that these dice make.
pub(crate) fn judge_one(mut dice: Dice<'_>, engines: &[&dyn Engine]) {
    let guest = guest(&mut dice);
    let plan = Plan::draw(&mut dice, CYCLES);
    judge(&guest, &plan, engines, &mut dice);
}

/// What happens to a guest from outside, and where it is looked at.
#[derive(Clone, Debug)]
struct Plan {
    /// Cycles, in order.
    stops: Vec<u64>,
    /// Inputs with their cycles.
    inputs: Vec<(u64, Input)>,
    /// User instructions after which an interrupt comes, in order.
    alarms: Vec<u64>,
}

impl Plan {
    /// A plan for about so many cycles.
    fn draw(dice: &mut Dice<'_>, cycles: u32) -> Plan {
        let count = 1 + dice.below(6);
        let mut stops: Vec<u64> = (0..count).map(|_| u64::from(dice.below(cycles))).collect();
        stops.push(u64::from(cycles));
        stops.sort_unstable();
        let inputs = (0..dice.below(12)).map(|_| {
            let input = match dice.below(4) {
                0 => Input::Console(dice.below(256) as u8),
                _ => Input::Interrupt(0x30 + dice.below(16) as u8),
            };
            (u64::from(dice.below(cycles)), input)
        });
        let inputs = inputs.collect();
        let most = dice.pick(&[1, 1, 2, 10]);
        let mut alarms: Vec<u64> = (0..dice.below(most))
            .map(|_| 1 + u64::from(dice.below(cycles / 4 + 1)))
            .collect();
        alarms.sort_unstable();
        alarms.dedup();
        Plan {
            stops,
            inputs,
            alarms,
        }
    }
}

/// Keeps events, and has its alarms.
#[derive(Clone, Debug, Default)]
struct Ear {
    events: Vec<Event>,
    alarms: std::collections::VecDeque<u64>,
}

impl Host for Ear {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }

    fn alarm(&self) -> Option<u64> {
        self.alarms.front().copied()
    }

    fn reached(&mut self) -> Option<Input> {
        self.alarms.pop_front()?;
        Some(Input::Interrupt(0x41))
    }
}

/// How a machine stands, and what it did on its way there.
#[derive(Debug, PartialEq, Eq)]
struct Stand {
    stop: Stop,
    at: Position,
    digest: Digest,
    events: usize,
}

impl Stand {
    fn of(machine: &Machine, stop: Stop, ear: &Ear) -> Stand {
        Stand {
            stop,
            at: machine.position(),
            digest: machine.digest(),
            events: ear.events.len(),
        }
    }
}

/// A guest's machine and host at power-on.
fn boot(guest: &Guest, plan: &Plan) -> (Machine, Ear) {
    let config = Config {
        memory: 16 << 20,
        cpu: match guest.avx {
            true => CpuModel::V3,
            false => CpuModel::V2,
        },
        ..Config::default()
    };
    let images = Images {
        kernel: &guest.elf,
        initrd: None,
        cmdline: "",
        disk: None,
    };
    let mut machine = Machine::boot(&config, &images).expect("the guest can be loaded");
    for (at, input) in &plan.inputs {
        let queued = machine.push_input(*at, *input);
        queued.expect("an input that a machine takes");
    }
    let ear = Ear {
        events: Vec::new(),
        alarms: plan.alarms.iter().copied().collect(),
    };
    (machine, ear)
}

/// Runs the guest on the reference interpreter and on each of these engines.
///
/// # Panics
/// If they differ; with the first cycle at which they do, where that can be
/// told.
fn judge(guest: &Guest, plan: &Plan, engines: &[&dyn Engine], dice: &mut Dice<'_>) {
    let (mut machine, mut ear) = boot(guest, plan);
    let stands: Vec<Stand> = plan
        .stops
        .iter()
        .map(|&until| {
            let stop = machine.run(until, &mut ear);
            Stand::of(&machine, stop, &ear)
        })
        .collect();
    for &engine in engines {
        let mut other = Follower::new(guest, plan, engine);
        for (&until, stand) in plan.stops.iter().zip(&stands) {
            let how = other.go(until, dice);
            let now = Stand::of(&other.machine, how.0, &other.ear);
            if now != *stand || other.ear.events != ear.events[..now.events] {
                let where_to = narrow::narrow(guest, plan, engine, until);
                let name = engine.name();
                panic!(
                    "{name}, on its way to cycle {until} ({}): {now:?}\nreference: {stand:?}\n{where_to}",
                    how.1
                );
            }
        }
    }
}

/// A machine on its way along another's stops.
struct Follower<'e> {
    machine: Machine,
    ear: Ear,
    engine: &'e dyn Engine,
}

impl<'e> Follower<'e> {
    fn new(guest: &Guest, plan: &Plan, engine: &'e dyn Engine) -> Self {
        let (mut machine, ear) = boot(guest, plan);
        machine.set_engine(engine.fresh());
        Follower {
            machine,
            ear,
            engine,
        }
    }

    /// Runs to a cycle, in one of several ways.
    fn go(&mut self, until: u64, dice: &mut Dice<'_>) -> (Stop, &'static str) {
        let way = match dice.below(10) {
            0..=3 => "in one go",
            4 | 5 => {
                self.cut(until, dice);
                "with pauses"
            }
            6 => {
                let bytes = self.machine.save();
                self.machine = Machine::restore(&bytes).expect("what was saved can be restored");
                self.machine.set_engine(self.engine.fresh());
                "saved and restored"
            }
            7 => {
                self.machine = self.machine.clone();
                "copied"
            }
            8 => {
                self.machine.set_engine(Box::new(Reference::default()));
                self.cut(until, dice);
                self.machine.set_engine(self.engine.fresh());
                "after a while on the reference interpreter"
            }
            _ => {
                self.steps(until, dice.below(200));
                "after some steps"
            }
        };
        (self.machine.run(until, &mut self.ear), way)
    }

    fn cut(&mut self, until: u64, dice: &mut Dice<'_>) {
        for _ in 0..1 + dice.below(20) {
            let left = until.saturating_sub(self.machine.cycle());
            let most = left.min(u64::from(dice.pick(&[2u32, 20, 200, 2000]))) as u32;
            let cycle = self.machine.cycle() + u64::from(dice.below(most + 1));
            self.machine.run(cycle, &mut self.ear);
        }
    }

    /// Single steps, as far as the machine is awake.
    fn steps(&mut self, until: u64, count: u32) {
        for _ in 0..count {
            if self.machine.cycle() >= until || self.machine.wakes_at().is_some() {
                return;
            }
            self.machine.step(&mut self.ear);
        }
    }
}
