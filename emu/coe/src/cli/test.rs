//! `coe test`: scenarios against their expectations and goldens.

mod document;
mod junit;
mod progress;
mod text;

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::engine::EngineArguments;
use super::live;
use super::target::{self, GuestArguments};
use crate::Error;
use crate::engine::Kind;
use crate::scenario::program::ProgramError;
use crate::suite::{self, Found, Partition, Report, Suite, Totals};
use document::Document;
use progress::Progress;

/// How the results are written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each scenario, and what is wrong with it
    #[default]
    Text,
    /// One JSON document at the end
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenarios, and folders of them
    #[arg(default_value = "scenarios")]
    paths: Vec<PathBuf>,
    /// Write the goldens of scenarios that are otherwise as expected
    #[arg(long)]
    bless: bool,
    /// How many to run at the same time; as many as there are CPUs unless given
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Only those with this text in their path; several texts: with any of them
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only the I-th of N parts of the list, as 1/3
    #[arg(long, value_name = "I/N")]
    partition: Option<Partition>,
    /// Stop at the first that is not as expected
    #[arg(long)]
    fail_fast: bool,
    /// Say nothing of those that are as expected
    #[arg(short, long)]
    quiet: bool,
    /// How to write the results to stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also write the results as JUnit XML, which CI systems read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
    #[command(flatten)]
    guests: GuestArguments,
}

/// All that there is to tell when every scenario has run.
struct Results<'a> {
    suite: &'a Suite,
    found: &'a Found,
    reports: Vec<Report>,
    totals: Totals,
}

impl Results<'_> {
    /// The scenarios that `--fail-fast` left out.
    fn not_run(&self) -> &[PathBuf] {
        &self.found.scenarios[self.reports.len()..]
    }
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let found = found(arguments)?;
    let suite = Suite {
        guests: target::guests(&arguments.guests)?,
        bless: arguments.bless,
        engine: arguments.engine.engine,
        flags: flags(&arguments.guests, arguments.engine.engine),
    };
    let results = run(arguments, &suite, &found);
    match arguments.format {
        Format::Text => text::end(&results),
        Format::Json => live::print(&Document::new(&results).to_json()),
    }
    if let Some(path) = &arguments.junit {
        let xml = junit::xml(&results);
        fs::write(path, xml).map_err(|source| Error::write(path, source))?;
    }
    Ok(results.totals.exit_code().into())
}

/// The scenarios that are meant, and the goldens that nobody uses.
fn found(arguments: &Arguments) -> Result<Found, Error> {
    let mut found = suite::find(&arguments.paths)?;
    found.filter(&arguments.filter);
    if found == Found::default() {
        let path = arguments.paths.first().cloned().unwrap_or_default();
        return Err(ProgramError::NoScenario { path }.into());
    }
    if let Some(partition) = arguments.partition {
        // More parts than scenarios leave some of them with nothing to do.
        found.partition(partition);
    }
    Ok(found)
}

fn run<'a>(arguments: &Arguments, suite: &'a Suite, found: &'a Found) -> Results<'a> {
    let jobs = arguments.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, Into::into),
        Into::into,
    );
    let progress = Progress::new(found.scenarios.len());
    let mut reports = Vec::new();
    let mut totals = Totals::default();
    totals.unused = found.unused.len();
    let begin = |path: &std::path::Path| progress.begin(path);
    suite.run_all(&found.scenarios, jobs, begin, |report| {
        let good = report.verdict.is_good();
        totals.add(&report.verdict);
        if arguments.format == Format::Text && !(good && arguments.quiet) {
            progress.aside(|| text::report(suite, &report));
        }
        progress.done(good);
        reports.push(report);
        if arguments.fail_fast && !good {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    progress.finish(totals.ran());
    Results {
        suite,
        found,
        reports,
        totals,
    }
}

/// The words that chose the guests and the engine, to be typed again.
fn flags(guests: &GuestArguments, engine: Kind) -> Vec<String> {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut flags = Vec::new();
    let mut add = |name: &str, value: String| flags.extend([name.to_owned(), value]);
    if let Some(kernel) = &guests.kernel {
        add("--kernel", path(kernel));
    }
    for option in &guests.kernel_option {
        add("--kernel-option", option.clone());
    }
    if let Some(folder) = &guests.programs {
        add("--programs", path(folder));
    }
    if engine != Kind::default() {
        add("--engine", engine.name().to_owned());
    }
    flags
}

/// Why a golden without a scenario is a failure, and what to do.
const UNUSED: &str = "no scenario uses this golden: delete it, or give its scenario a golden level";

/// What to do about a panic of coe's own.
const CRASHED: &str = "this is a bug in coe: please report it with the scenario";
