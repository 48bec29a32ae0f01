//! `coe diff`: two runs held against each other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::engine::EngineArguments;
use super::live::{Fitting, Progress};
use super::target::{self, GuestArguments};
use crate::Error;
use crate::diff::text::Limits;
use crate::diff::{self, Collector, Comparison, Detail, Side};
use crate::engine::Kind;
use crate::exit::Code;
use crate::images::{Guests, Setup};
use crate::input::{Recorded, Silence, Source};
use crate::run::{self, Watcher};
use crate::scenario::{Scenario, program};
use crate::schedule::Schedule;
use crate::schedule::extract::Extractor;
use crate::trace::{self, Item, Record, Trace};

/// How a comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object with every place and every phase, for scripts
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A trace, a scenario (*.toml), which is run, or a golden
    pub(super) a: PathBuf,
    /// What A is held against: a trace, a scenario or a golden
    #[arg(required_unless_present = "run")]
    pub(super) b: Option<PathBuf>,
    /// Run what A recorded again, on the kernel and the programs of today
    #[arg(long, conflicts_with = "b")]
    pub(super) run: bool,
    /// The new run follows the recorded order as far as it fits, whatever the
    /// scenario's policy: so that only costs differ
    #[arg(long, requires = "run", conflicts_with = "b")]
    pub(super) same_order: bool,
    /// How to write what differs
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// All events, also those of the kernel's own tasks, frames and choices
    #[arg(long)]
    pub(super) all_events: bool,
    /// Addresses count too
    #[arg(long)]
    pub(super) addresses: bool,
    /// Cycles count too: another cost is a difference
    #[arg(long)]
    pub(super) cycles: bool,
    /// Show so many of the places that differ
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) places: usize,
    /// Show so many of the phases that changed
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) phases: usize,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) guests: GuestArguments,
}

const EXAMPLES: &str = "\
Examples:
  coe diff before.coe after.coe            two recordings
  coe diff before.coe --run                a recording and the code of today
  coe diff s.toml --run --kernel new.elf   a scenario on two kernels
  coe diff old.golden s.toml               a golden and a run

--kernel, --kernel-option and --programs are for B.
The exit code is 0 if both do the same in the same order, otherwise 123.";

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let detail = Detail {
        all: arguments.all_events,
        addresses: arguments.addresses,
    };
    let guests = target::guests(&arguments.guests)?;
    let mut how = How {
        detail,
        engine: arguments.engine.engine,
        guests: Guests::default(),
    };
    let a = side(&arguments.a, &how)?;
    how.guests = guests;
    let b = match &arguments.b {
        Some(b) => side(b, &how)?,
        None => again(&arguments.a, &how, arguments.same_order)?,
    };
    let comparison = diff::compare(&a, &b);
    let written = match arguments.format {
        Format::Text => {
            let limits = Limits {
                places: arguments.places,
                phases: arguments.phases,
            };
            diff::text::write(&a, &b, &comparison, limits)
        }
        Format::Json => format!("{}\n", diff::json::write(&a, &b, &comparison)),
    };
    match io::stdout().write_all(written.as_bytes()) {
        // Whoever read our output has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Error::write(Path::new("stdout"), error));
        }
        _ => {}
    }
    Ok(code(&comparison, arguments.cycles).into())
}

/// How a side comes about that is run.
struct How {
    detail: Detail,
    engine: Kind,
    guests: Guests,
}

fn code(comparison: &Comparison, cycles: bool) -> Code {
    if comparison.same() && (!cycles || comparison.same_cycles()) {
        Code::Success
    } else {
        Code::Failed
    }
}

fn is_scenario(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

/// What a file stands for.
fn side(path: &Path, how: &How) -> Result<Side, Error> {
    let name = path.display().to_string();
    if is_scenario(path) {
        return run_setup(&name, scenario(path, how)?, &mut Silence, how);
    }
    let bytes = program::read(path)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if diff::is_golden(text) => Ok(diff::from_golden(&name, text)),
        _ => Ok(recorded(&name, &Trace::from_bytes(bytes)?, how.detail)),
    }
}

fn scenario(path: &Path, how: &How) -> Result<Setup, Error> {
    let scenario = Scenario::load(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    Setup::with_guests(&scenario, base, &how.guests)
}

/// The run of today of what A is.
fn again(path: &Path, how: &How, same_order: bool) -> Result<Side, Error> {
    let name = format!("{}, run again", path.display());
    if is_scenario(path) {
        return run_setup(&name, scenario(path, how)?, &mut Silence, how);
    }
    let bytes = program::read(path)?;
    if std::str::from_utf8(&bytes).is_ok_and(diff::is_golden) {
        return Err(Error::Usage {
            message: "a golden does not say what to run".to_owned(),
            hint: format!(
                "give its scenario: coe diff {} {}",
                path.display(),
                path.with_extension("toml").display()
            ),
        });
    }
    let trace = Trace::from_bytes(bytes)?;
    let mut setup = trace.setup().on_guests(&how.guests, choices(&trace))?;
    if let (true, Some(choices)) = (same_order, choices(&trace)) {
        setup.follow(choices);
    }
    // What was typed is typed again at the same cycles.
    run_setup(&name, setup, &mut Recorded::new(trace.arrivals()), how)
}

/// The choices of a recording that the kernel would not have made itself.
fn choices(trace: &Trace) -> Option<Arc<Schedule>> {
    let mut extractor = Extractor::default();
    for item in trace.items().flatten() {
        if let Item::Record(Record::Event(event)) = item {
            extractor.see(&event);
        }
    }
    let schedule = extractor.finish();
    (!schedule.lines.is_empty()).then(|| Arc::new(schedule))
}

fn run_setup(
    name: &str,
    mut setup: Setup,
    source: &mut dyn Source,
    how: &How,
) -> Result<Side, Error> {
    setup.engine = how.engine;
    let mut collector = Collector::new(how.detail);
    let mut progress = Progress::beside_console(setup.limit, setup.live);
    let mut fitting = Fitting::new(&setup);
    let watchers: &mut [&mut dyn Watcher] = &mut [&mut collector, &mut progress, &mut fitting];
    let finished = run::run_with(&setup, source, watchers)?;
    progress.done();
    fitting.tell();
    Ok(collector.finish(name, trace::hash(&setup.kernel), Ok(&finished)))
}

/// A recording, up to its last whole chunk if it is not whole.
fn recorded(name: &str, trace: &Trace, detail: Detail) -> Side {
    let mut collector = Collector::new(detail);
    let mut end = Err("the trace has no end".to_owned());
    for item in trace.items() {
        match item {
            Ok(Item::Record(Record::Event(event))) => collector.take(&event),
            Ok(Item::Record(_)) => {}
            Ok(Item::End(finished)) => end = Ok(finished),
            Err(error) => end = Err(error.to_string()),
        }
    }
    let kernel = trace.header.kernel_hash.clone();
    collector.finish(name, kernel, end.as_ref().map_err(Clone::clone))
}
