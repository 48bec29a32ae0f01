//! Runs a machine to its end and lets others watch.

use std::fmt;

use abi::choice::{ChoiceKind, RESCHEDULE_VECTOR};
use abi::event::EventId;
use abi::exit::Exit;
use machine::{Choice, Config, Event, Host, Images, Input, Machine, Missing, Payload, Stop};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::drive::{End, Onlooker, Pauses, drive};
use crate::exit::Code;
use crate::images::{Chooser, Setup};
use crate::input::{Arrival, Silence, Source};
use crate::names::signals;
use crate::schedule::follow::{Answer, Follower};

/// The machine returns to its watchers at each multiple of so many cycles, and
/// later if it is asleep then.
pub const PAUSE_EVERY: u64 = 5_000_000;

/// Somebody who watches a machine and never changes what it does.
pub trait Watcher {
    /// Something happened.
    fn event(&mut self, _event: &Event) {}

    /// The machine stands still: at power-on, at each multiple of
    /// [`PAUSE_EVERY`] that it does not sleep over, and at its end.
    fn pause(&mut self, _machine: &Machine) {}

    /// The machine waits for somebody: what was held back has to be shown.
    fn lull(&mut self) {}

    /// Live input is given to the machine.
    fn arrived(&mut self, _arrival: &Arrival) {}

    /// True for one who wants to see the machine before each instruction. It
    /// then takes several times as long, and does the same.
    fn steps(&self) -> bool {
        false
    }

    /// The machine is about to execute an instruction, if anybody steps.
    fn step(&mut self, _machine: &Machine) {}
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The program exited.
    Status(u8),
    /// The program was killed by a signal.
    Signal(u8),
    /// The kernel panicked; what it said.
    Panic(String),
    /// The guest wrote a value to the debug-exit port that our kernel never writes.
    Other(u32),
    /// Everything sleeps and nothing will ever wake it.
    Idle,
    /// An exception while delivering an exception while delivering an exception.
    TripleFault {
        /// Where.
        rip: u64,
        /// The first exception.
        vector: u8,
    },
    /// The machine does not have what the guest was promised.
    Missing(Missing),
    /// The limit of cycles was reached.
    Limit(u64),
    /// Whoever gave it live input has left.
    Left,
    /// The guest had itself reset: the machine does not start again.
    Reset,
    /// The guest switched the machine off.
    PowerOff,
}

impl Ending {
    /// What `coe` exits with.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Ending::Status(status) => *status,
            Ending::Signal(signal) => 128 + signal,
            Ending::Other(raw) => *raw as u8,
            Ending::Reset | Ending::PowerOff => Code::Success as u8,
            Ending::Panic(_) => Code::Panic as u8,
            Ending::Idle | Ending::TripleFault { .. } | Ending::Missing(_) | Ending::Left => {
                Code::Stopped as u8
            }
            Ending::Limit(_) => Code::Limit as u8,
        }
    }

    /// True if the guest itself ended the run, as it meant to.
    #[must_use]
    pub fn is_guests(&self) -> bool {
        matches!(
            self,
            Ending::Status(_)
                | Ending::Signal(_)
                | Ending::Other(_)
                | Ending::Reset
                | Ending::PowerOff
        )
    }

    /// What a person could do about it, if it is not the guest's own ending.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Ending::Status(_)
            | Ending::Signal(_)
            | Ending::Other(_)
            | Ending::Reset
            | Ending::PowerOff
            | Ending::Left => return None,
            Ending::Panic(_) => "record the run and look at its last events with `coe trace`",
            Ending::Idle => {
                "the program waits for something that never comes: another task, a signal, or an input; -i lets you type one"
            }
            Ending::TripleFault { .. } => {
                "the kernel lost its exception handlers or its stack; `coe record` and `coe trace` show what came before"
            }
            Ending::Missing(_) => {
                "please report the instruction: it is announced by CPUID and has to be there"
            }
            Ending::Limit(_) => {
                "raise limits.cycles in the scenario (--cycles on the command line), or look with `coe record` at what it does"
            }
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Status(status) => write!(f, "exit {status}"),
            Ending::Signal(signal) => write!(f, "killed by {}", signals::name(u64::from(*signal))),
            Ending::Panic(message) => write!(f, "the kernel panicked: {message}"),
            Ending::Other(raw) => write!(f, "debug exit {raw:#x}"),
            Ending::Reset => write!(f, "the guest reset the machine"),
            Ending::PowerOff => write!(f, "the guest switched the machine off"),
            Ending::Idle => write!(
                f,
                "the machine is asleep for ever: nothing is left that could wake it"
            ),
            Ending::TripleFault { rip, vector } => {
                write!(
                    f,
                    "triple fault at {rip:#x}, starting with exception {vector}"
                )
            }
            Ending::Missing(missing) => write!(f, "{missing}"),
            Ending::Limit(cycles) => write!(f, "the limit of {cycles} cycles was reached"),
            Ending::Left => write!(f, "you left while the machine was running"),
        }
    }
}

/// The figures at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// The cycle at which it ended.
    pub cycle: u64,
    /// Instructions that were retired.
    pub retired: u64,
    /// The digest of the whole state.
    pub digest: String,
}

/// Boots the machine of this setup, with its engine and its inputs queued.
///
/// # Errors
/// If the images cannot be loaded, an input cannot be taken, or coe was built
/// without the engine.
pub fn boot(setup: &Setup) -> Result<Machine, Error> {
    let mut machine = load(&setup.config(), &setup.images(), &setup.inputs)?;
    machine.set_engine(setup.engine.engine()?);
    Ok(machine)
}

/// A machine at power-on with these inputs queued, on the reference engine.
pub(crate) fn load(
    config: &Config,
    images: &Images<'_>,
    inputs: &[(u64, Input)],
) -> Result<Machine, Error> {
    let mut machine = Machine::boot(config, images)?;
    for (at, input) in inputs {
        machine.push_input(*at, *input)?;
    }
    Ok(machine)
}

/// Runs the machine of this setup from power-on to its end.
///
/// # Errors
/// If the machine cannot be booted.
pub fn run(setup: &Setup, watchers: &mut [&mut dyn Watcher]) -> Result<Finished, Error> {
    run_with(setup, &mut Silence, watchers)
}

/// The same with live input.
///
/// # Errors
/// If the machine cannot be booted, or the input cannot be read.
pub fn run_with(
    setup: &Setup,
    source: &mut dyn Source,
    watchers: &mut [&mut dyn Watcher],
) -> Result<Finished, Error> {
    run_booted(boot(setup)?, setup, source, watchers)
}

/// The same for a machine that [`boot`] made; of the setup, its images are not
/// needed any more.
///
/// # Errors
/// If the input cannot be read.
pub fn run_booted(
    mut machine: Machine,
    setup: &Setup,
    source: &mut dyn Source,
    watchers: &mut [&mut dyn Watcher],
) -> Result<Finished, Error> {
    let mut guest = Watched::new(setup, watchers);
    guest.pause(&machine)?;
    let mut pauses = Pauses::from(machine.cycle(), PAUSE_EVERY);
    let end = drive(&mut machine, setup.limit, &mut pauses, source, &mut guest)?;
    if !pauses.is_at(machine.cycle()) {
        guest.pause(&machine)?;
    }
    Ok(finished(&machine, end, setup.limit, guest.panic))
}

/// The figures of a machine that has stopped.
#[must_use]
pub fn finished(machine: &Machine, end: End, limit: u64, panic: Option<String>) -> Finished {
    let ending = match end {
        End::Stop(stop) => ending(stop, limit, panic),
        End::Left => Ending::Left,
    };
    Finished {
        ending,
        cycle: machine.cycle(),
        retired: machine.retired(),
        digest: machine.digest().to_string(),
    }
}

fn ending(stop: Stop, limit: u64, panic: Option<String>) -> Ending {
    match stop {
        Stop::Deadline => Ending::Limit(limit),
        Stop::Idle => Ending::Idle,
        Stop::Reset => Ending::Reset,
        Stop::PowerOff => Ending::PowerOff,
        Stop::TripleFault { rip, vector } => Ending::TripleFault { rip, vector },
        Stop::Missing(missing) => Ending::Missing(missing),
        Stop::Exit(raw) => match Exit::from_raw(raw) {
            Exit::Status(status) => Ending::Status(status),
            Exit::Signal(signal) => Ending::Signal(signal),
            Exit::Panic => Ending::Panic(panic.unwrap_or_else(|| "it did not say why".to_owned())),
            Exit::Other(raw) => Ending::Other(raw),
        },
    }
}

/// The text of the event, if the kernel says with it that it panicked.
#[must_use]
pub fn panic_message(event: &Event) -> Option<String> {
    match &event.payload {
        Payload::Kernel {
            id: EventId::KernelPanic,
            text,
            ..
        } => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

/// The host of a machine that runs: it answers choices as the setup says, and
/// passes on everything to watchers.
pub struct Watched<'a, 'b> {
    chooser: Chooser,
    follower: Option<Follower>,
    /// The schedule wants the kernel to be interrupted here.
    reschedule: bool,
    watchers: &'a mut [&'b mut dyn Watcher],
    panic: Option<String>,
}

impl Onlooker for Watched<'_, '_> {
    fn pause(&mut self, machine: &Machine) -> Result<(), Error> {
        for watcher in self.watchers.iter_mut() {
            watcher.pause(machine);
        }
        Ok(())
    }

    fn lull(&mut self) {
        for watcher in self.watchers.iter_mut() {
            watcher.lull();
        }
    }

    fn arrived(&mut self, arrival: &Arrival) {
        for watcher in self.watchers.iter_mut() {
            watcher.arrived(arrival);
        }
    }

    fn steps(&self) -> bool {
        self.watchers.iter().any(|watcher| watcher.steps())
    }

    fn step(&mut self, machine: &Machine) {
        for watcher in self.watchers.iter_mut() {
            watcher.step(machine);
        }
    }
}

impl Host for Watched<'_, '_> {
    fn event(&mut self, event: Event) {
        if self.panic.is_none() {
            self.panic = panic_message(&event);
        }
        if let Some(follower) = &mut self.follower {
            self.reschedule = follower.see(&event);
        }
        for watcher in self.watchers.iter_mut() {
            watcher.event(&event);
        }
    }

    fn interject(&mut self) -> Option<Input> {
        let now = std::mem::take(&mut self.reschedule);
        now.then_some(Input::Interrupt(RESCHEDULE_VECTOR))
    }

    fn alarm(&self) -> Option<u64> {
        self.follower.as_ref().and_then(Follower::alarm)
    }

    fn reached(&mut self) -> Option<Input> {
        Some(Input::Interrupt(RESCHEDULE_VECTOR))
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        let answer = self.follower.as_ref().map(|f| f.answer(choice));
        match answer {
            Some(Answer::Given(answer)) => answer,
            Some(Answer::Default) => choice.default,
            Some(Answer::Policy) | None => self.by_policy(choice),
        }
    }
}

impl<'a, 'b> Watched<'a, 'b> {
    /// The host of this setup's machine, from power-on.
    #[must_use]
    pub fn new(setup: &Setup, watchers: &'a mut [&'b mut dyn Watcher]) -> Self {
        Watched {
            chooser: match &setup.chooser {
                Chooser::Schedule(_, otherwise) => (**otherwise).clone(),
                other => other.clone(),
            },
            follower: setup.schedule().map(Follower::new),
            reschedule: false,
            watchers,
            panic: None,
        }
    }

    fn by_policy(&self, choice: &Choice) -> u32 {
        match &self.chooser {
            Chooser::Defaults | Chooser::Schedule(..) => choice.default,
            // Only the order of tasks is drawn: a failing allocation is an
            // injected fault, and nobody asked for one.
            Chooser::Seeded(seed) => match choice.kind {
                ChoiceKind::PickNext | ChoiceKind::WakeFirst => {
                    draw(*seed, choice.kind, choice.index, choice.n)
                }
                ChoiceKind::AllocFail => choice.default,
            },
        }
    }
}

/// A number below `n` that is a function of seed, kind and index alone.
fn draw(seed: u64, kind: ChoiceKind, index: u64, n: u32) -> u32 {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&index.to_le_bytes());
    key[8..].copy_from_slice(&(kind as u32).to_le_bytes());
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&key, seed);
    // The upper half of the product: as even as 64 bits allow, for any n.
    ((u128::from(hash) * u128::from(n)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_below_n_and_repeatable() {
        const KIND: ChoiceKind = ChoiceKind::PickNext;
        let mut counts = [0u32; 3];
        for index in 0..3000 {
            let drawn = draw(7, KIND, index, 3);
            assert_eq!(drawn, draw(7, KIND, index, 3));
            counts[drawn as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
        assert!((0..100).any(|index| draw(1, KIND, index, 3) != draw(2, KIND, index, 3)));
        let other = ChoiceKind::WakeFirst;
        assert!((0..100).any(|index| draw(1, KIND, index, 3) != draw(1, other, index, 3)));
    }

    #[test]
    fn endings_have_their_codes() {
        assert_eq!(ending(Stop::Exit(7), 0, None), Ending::Status(7));
        assert_eq!(ending(Stop::Exit(0x10B), 0, None).code(), 139);
        assert_eq!(
            ending(Stop::Exit(0x200), 0, Some("x".to_owned())).code(),
            121
        );
        assert_eq!(ending(Stop::Idle, 0, None).code(), 120);
        assert_eq!(ending(Stop::Deadline, 9, None).code(), 124);
        assert!(Ending::Limit(9).advice().is_some() && Ending::Status(0).advice().is_none());
    }
}
