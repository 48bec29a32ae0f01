//! An interrupt may come at any kernel instruction.
//!
//! The kernel is started and saved at its first program's exec. From there it
//! is walked instruction by instruction, and at each kernel instruction at which
//! interrupts are on, each vector is injected once: the next one when the last
//! has returned, in as many walks as it takes to come by each place. (Where interrupts are off, one
//! that comes waits for the instruction that turns them on, and that one is
//! tried.) Whatever the interrupts met, the program must print and exit the
//! same. If it does not, the walk is repeated with ever fewer of its interrupts
//! until the one is found that does the harm.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::thread;

use abi::event::EventId;
use coe::images::Setup;
use coe::scenario::Scenario;
use coe::symbols::Symbols;
use machine::cpu::state::flag;
use machine::{Choice, Event, Host, Input, Machine, Payload};

/// Programs that print the same in whatever order their tasks run: they fork,
/// exec, fault, copy pages, wait, share descriptors, run threads and wait for
/// each other, take signals and end.
const PROGRAMS: [(&str, &str); 6] = [
    ("cow-fork", "[\"1\"]"),
    ("threads", "[\"2\"]"),
    ("vfork-exec", "[]"),
    ("fd-share", "[]"),
    ("kill-self", "[]"),
    ("hello", "[]"),
];

/// The end of a time slice, which makes the kernel switch tasks, and the timer's.
const VECTORS: [u8; 2] = [0xF1, 0xF0];

/// The next interrupt comes when the last one has returned to the code that it
/// met, or after so many cycles, if the kernel has gone elsewhere.
const APART: u64 = 3_000;

const RSP: usize = 4;

/// A walk that was sent astray ends after so many times the steps of one that
/// was left alone, counted from its last interrupt.
const PATIENCE: u64 = 4;

/// So many walks that went astray are enough to begin with.
const ENOUGH: usize = 3;

/// An interrupt at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    rip: u64,
    vector: u8,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vector {:#x} at {:#x}", self.vector, self.rip)
    }
}

/// What a user sees of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    console: String,
    end: String,
}

/// Collects the console and notices the first program.
#[derive(Clone, Default)]
struct Collector {
    console: Vec<u8>,
    booted: bool,
}

impl Host for Collector {
    fn event(&mut self, event: Event) {
        match event.payload {
            Payload::Console(byte) => self.console.push(byte),
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

/// A program at its exec, and what comes of it when it is left alone.
struct Subject {
    name: &'static str,
    machine: Machine,
    collector: Collector,
    want: Outcome,
    /// Steps to its end.
    steps: u64,
}

impl Subject {
    fn boot(name: &'static str, args: &str) -> Self {
        let text = format!(
            "title = \"an interrupt at each kernel instruction\"\n\
             program = {{ run = \"{name}\", args = {args} }}\n\
             machine = {{ memory = \"16MiB\" }}\n"
        );
        let scenario = Scenario::parse("injection.toml", &text).expect("the scenario is in order");
        let setup = Setup::from_scenario(&scenario, Path::new(".")).expect("it is embedded");
        let mut machine = Machine::boot(&setup.config(), &setup.images()).expect("it loads");
        let mut collector = Collector::default();
        while !collector.booted {
            let stop = machine.step(&mut collector);
            assert!(stop.is_none(), "stopped before the first program: {stop:?}");
        }
        let mut subject = Subject {
            name,
            machine,
            collector,
            want: Outcome::default(),
            steps: u64::MAX / PATIENCE,
        };
        (subject.want, subject.steps) = subject.walk(|_| None);
        assert!(
            subject.want.end.contains("debug-exit"),
            "{:?}",
            subject.want
        );
        subject
    }

    /// Steps a copy to its end; before each step at which an interrupt would be
    /// taken in the kernel, `pick` may send one. The outcome, and the steps.
    fn walk(&self, mut pick: impl FnMut(&Machine) -> Option<u8>) -> (Outcome, u64) {
        let (mut machine, mut collector) = (self.machine.clone(), self.collector.clone());
        let (mut steps, mut last) = (0, 0);
        let mut end = "it never ended".to_owned();
        while steps - last < self.steps * PATIENCE {
            let cpu = machine.cpu();
            if cpu.cpl() == 0
                && cpu.flag(flag::IF)
                && let Some(vector) = pick(&machine)
            {
                machine
                    .push_input(machine.cycle(), Input::Interrupt(vector))
                    .expect("now is not the past");
                last = steps;
            }
            if let Some(stop) = machine.step(&mut collector) {
                end = stop.to_string();
                break;
            }
            steps += 1;
        }
        let console = String::from_utf8_lossy(&collector.console).into_owned();
        (Outcome { console, end }, steps)
    }
}

impl Subject {
    /// One walk that tries what `tries` lets through, each place once. The
    /// outcome, and the interrupts in their order.
    fn sweep(&self, mut tries: impl FnMut(Place) -> bool) -> (Outcome, Vec<Place>) {
        let (mut sent, mut last) = (Vec::new(), None::<((u64, u64), u64)>);
        let (outcome, _) = self.walk(|machine| {
            let here = (machine.cpu().rip, machine.cpu().gpr[RSP]);
            let now = machine.cycle();
            if last.is_some_and(|(place, due)| here != place && now < due) {
                return None;
            }
            last = None;
            let places = VECTORS.map(|vector| Place {
                rip: here.0,
                vector,
            });
            let place = places.into_iter().find(|place| tries(*place))?;
            last = Some((here, now + APART));
            sent.push(place);
            Some(place.vector)
        });
        (outcome, sent)
    }

    /// As few of these interrupts as still change the outcome: one, unless it
    /// takes several together.
    fn culprits(&self, mut places: Vec<Place>) -> (Vec<Place>, Option<Outcome>) {
        let harm = |places: &[Place]| {
            let mut left: HashSet<Place> = places.iter().copied().collect();
            let (outcome, _) = self.sweep(|place| left.remove(&place));
            (outcome != self.want).then_some(outcome)
        };
        let mut outcome = None;
        while places.len() > 1 {
            let (early, late) = places.split_at(places.len() / 2);
            let worse = harm(early).map(|worse| (early.to_vec(), worse));
            let worse = worse.or_else(|| harm(late).map(|worse| (late.to_vec(), worse)));
            let Some((fewer, worse)) = worse else { break };
            (places, outcome) = (fewer, Some(worse));
        }
        (places, outcome)
    }

    /// Tries every place that the program comes by. How many there were, and
    /// what went wrong.
    fn judge(&self) -> (usize, Vec<String>) {
        let (mut tried, mut wrong) = (HashSet::new(), Vec::new());
        loop {
            let (outcome, sent) = self.sweep(|place| tried.insert(place));
            if sent.is_empty() {
                return (tried.len(), wrong);
            }
            if outcome != self.want {
                wrong.push(self.report(sent, &outcome));
            }
            if wrong.len() == ENOUGH {
                return (tried.len(), wrong);
            }
        }
    }

    /// Names the interrupt that did the harm, and the function that it met.
    fn report(&self, sent: Vec<Place>, outcome: &Outcome) -> String {
        let of = sent.len();
        let (places, alone) = self.culprits(sent);
        let symbols = Symbols::from_elf(coe::embedded::KERNEL);
        let mut text = format!("{}: of {of} interrupts it takes", self.name);
        for place in places.iter().take(5) {
            let (function, offset) = symbols.lookup(place.rip).unwrap_or(("nothing known", 0));
            text.push_str(&format!(" {place:?} ({function}+{offset:#x})"));
        }
        if places.len() > 5 {
            text.push_str(&format!(" and {} more", places.len() - 5));
        }
        let outcome = alone.as_ref().unwrap_or(outcome);
        text.push_str(&format!(": {outcome:?}"));
        text
    }
}

#[test]
fn an_interrupt_at_each_kernel_instruction_changes_no_outcome() {
    let judged: Vec<_> = thread::scope(|scope| {
        let judge = |(name, args)| scope.spawn(move || Subject::boot(name, args).judge());
        let handles: Vec<_> = PROGRAMS.map(judge).into_iter().collect();
        let join = |handle: thread::ScopedJoinHandle<'_, _>| handle.join().expect("it finishes");
        handles.into_iter().map(join).collect()
    });
    let mut wrong = Vec::new();
    for ((name, _), (tried, worse)) in PROGRAMS.iter().zip(judged) {
        println!("{name}: {tried} interrupts, {} walks differ", worse.len());
        assert!(tried > 2000, "{name} met only {tried} places");
        wrong.extend(worse);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
