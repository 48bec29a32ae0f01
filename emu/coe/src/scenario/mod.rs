//! A scenario: one TOML file that says what runs, on what machine, and what is
//! expected to come out.
//!
//! [`Scenario::parse`] reads the text; nothing on the host is looked at until
//! [`crate::images::Setup`] is made from it.

mod parse;
pub mod program;
mod section;
mod size;

pub use section::At;
pub use size::memory as parse_memory;

use std::path::Path;

use machine::{Config, CostModel, CpuModel};
use miette::Diagnostic as _;

use crate::events::counters::Bound;
use crate::events::pattern::Pattern;
use crate::mistake::{Fault, Mistake};
use crate::schedule::Schedule as Choices;
use program::ProgramError;

/// The environment that a program has unless the scenario gives one.
pub const DEFAULT_ENV: [(&str, &str); 3] = [("PATH", "/bin"), ("HOME", "/"), ("TERM", "dumb")];

/// The limit of cycles unless the scenario gives one: ten seconds of guest time.
pub const DEFAULT_LIMIT: u64 = 10_000_000_000;

/// What runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name of an embedded program, or a path with a `/` in it.
    pub run: At<String>,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Further files of the host: `HOST` or `HOST:GUEST`.
    pub with: Vec<At<String>>,
}

/// The machine that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Bytes of memory.
    pub memory: u64,
    /// CPUs.
    pub cpus: u8,
    /// Which CPU they are.
    pub cpu: CpuModel,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// The table of costs.
    pub cost: CostModel,
    /// The date at which the clock starts, in seconds since 1970.
    pub epoch: u64,
}

impl Hardware {
    /// The machine's configuration.
    #[must_use]
    pub fn config(self) -> Config {
        let Hardware {
            memory,
            cpus,
            cpu,
            seed,
            cost,
            epoch,
        } = self;
        Config {
            memory,
            cpus,
            cpu,
            seed,
            cost,
            epoch,
        }
    }
}

impl Default for Hardware {
    fn default() -> Self {
        Hardware {
            memory: 64 << 20,
            cpus: 1,
            cpu: CpuModel::default(),
            seed: 1,
            cost: CostModel::Standard,
            epoch: 946_684_800,
        }
    }
}

/// The disk of the machine.
#[derive(Clone, Debug)]
pub enum Disk {
    /// It begins as a copy of this file.
    Image(At<String>),
    /// So many bytes of zeros.
    Size(u64),
}

/// What the program's stdout and stderr are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdio {
    /// The console.
    #[default]
    Tty,
    /// A pipe that `init` copies to the console.
    Pipe,
}

impl Stdio {
    /// Both, with their names.
    pub const WORDS: [(&'static str, Stdio); 2] = [("tty", Stdio::Tty), ("pipe", Stdio::Pipe)];

    /// The name in a scenario and in the guest's file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stdio::Tty => "tty",
            Stdio::Pipe => "pipe",
        }
    }
}

/// Who picks the next task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, a slice each.
    #[default]
    RoundRobin,
    /// Each until it sleeps or ends.
    Fifo,
    /// Slices as round-robin, every open choice drawn from the seed.
    Random,
    /// By weight: whoever has had the least for its nice value.
    Fair,
    /// As round-robin, but where the script says who runs next.
    Script,
}

impl Policy {
    /// All of them, with their names.
    pub const WORDS: [(&'static str, Policy); 5] = [
        ("round-robin", Policy::RoundRobin),
        ("fifo", Policy::Fifo),
        ("random", Policy::Random),
        ("fair", Policy::Fair),
        ("script", Policy::Script),
    ];
}

/// When a task's turn is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// After so many user instructions of its own.
    Instructions(u64),
    /// After so many cycles.
    Cycles(u64),
}

impl Default for Slice {
    fn default() -> Self {
        Slice::Instructions(abi::boot::DEFAULT_SLICE)
    }
}

/// Who runs when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Who picks.
    pub policy: Policy,
    /// For how long.
    pub slice: Slice,
    /// Who runs next at which events, under the policy of that name.
    pub script: Choices,
    /// A file with a schedule, beside the scenario.
    pub file: Option<At<String>>,
}

/// How much a golden holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The console and how the program ended.
    Outcome,
    /// Also the order of the events of the program's tasks.
    Order,
    /// Also the cycles between them and the digest at the end.
    Exact,
}

impl Level {
    /// All of them, with their names.
    pub const WORDS: [(&'static str, Level); 3] = [
        ("outcome", Level::Outcome),
        ("order", Level::Order),
        ("exact", Level::Exact),
    ];

    /// The name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Outcome => "outcome",
            Level::Order => "order",
            Level::Exact => "exact",
        }
    }
}

/// Text that is typed at the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The cycle at which its first byte arrives.
    pub at: u64,
    /// The text.
    pub text: String,
}

/// How the program is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By exiting with this status.
    Exit(u8),
    /// Killed by this signal.
    Signal(u8),
}

/// What is to come out.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// How the program ends; unless given, by exiting with status 0.
    pub ending: Option<Ending>,
    /// The lines on the console, all of them, without `\r`.
    pub stdout: Option<Vec<String>>,
    /// Counters and what they have to be.
    pub counters: Vec<(String, Bound)>,
    /// Events that come in this order, with anything between them.
    pub order: Vec<Pattern>,
}

/// A scenario as it was written.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// One line about what it shows.
    pub title: String,
    /// What runs.
    pub program: Program,
    /// On what.
    pub machine: Hardware,
    /// When to give up, in cycles.
    pub limit: u64,
    /// The disk, if there is one.
    pub disk: Option<Disk>,
    /// Further words for the kernel's command line.
    pub kernel_options: Vec<String>,
    /// What stdout is.
    pub stdio: Stdio,
    /// What is typed.
    pub input: Vec<Typed>,
    /// Who runs when.
    pub schedule: Schedule,
    /// What is to come out.
    pub expect: Expect,
    /// The golden beside it.
    pub golden: Option<Level>,
    /// The name of the file that it was read from.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Scenario {
    /// Reads a scenario; `file` is what the messages call it.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, Box<Mistake>> {
        parse::scenario(file, text).map_err(|fault| Box::new(Mistake::new(fault, file, text)))
    }

    /// Reads the scenario in this file.
    ///
    /// # Errors
    /// If the file cannot be read, or its first mistake with its place.
    pub fn load(path: &Path) -> Result<Scenario, crate::Error> {
        let bytes = program::read(path)?;
        let text = String::from_utf8(bytes).map_err(|_| crate::Error::NotText {
            path: path.to_owned(),
        })?;
        Ok(Scenario::parse(&path.display().to_string(), &text)?)
    }

    /// A mistake in what the scenario names, at the place where it names it.
    #[must_use]
    pub fn blame<T>(&self, place: &At<T>, error: &ProgramError) -> Box<Mistake> {
        let mut fault = Fault::new(&place.span, error.to_string(), "named here");
        fault.help = error.help().map(|help| help.to_string());
        fault.code = error.exit_code();
        Box::new(Mistake::new(fault, &self.file, &self.text))
    }
}
