//! `coe test`: scenarios against their expectations and goldens.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use super::target::{self, GuestArguments};
use crate::Error;
use crate::exit::Code;
use crate::scenario::program::ProgramError;
use crate::suite::{self, Report, Suite, Verdict};

#[derive(Debug, Default)]
struct Totals {
    passed: usize,
    blessed: usize,
    failed: usize,
    broken: Vec<Code>,
}

/// One line of the report. If nobody reads it any more there is still the exit code.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenarios, and folders of them
    #[arg(default_value = "scenarios")]
    pub(super) paths: Vec<PathBuf>,
    /// Write the goldens of scenarios that are otherwise as expected
    #[arg(long)]
    pub(super) bless: bool,
    /// How many to run at the same time; as many as there are CPUs unless given
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// Only those with this text in their path
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    #[command(flatten)]
    pub(super) guests: GuestArguments,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let start = Instant::now();
    let paths = suite::find(&arguments.paths, arguments.filter.as_deref())?;
    let Some(_) = paths.first() else {
        let path = arguments.paths.first().cloned().unwrap_or_default();
        return Err(ProgramError::NoScenario { path }.into());
    };
    let jobs = arguments
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let suite = Suite {
        guests: target::guests(&arguments.guests)?,
        bless: arguments.bless,
    };
    let mut totals = Totals::default();
    suite.run_all(&paths, jobs, |report| show(&report, &mut totals));
    let Totals {
        passed,
        blessed,
        failed,
        ref broken,
    } = totals;
    say(&format!(
        "{passed} passed, {blessed} blessed, {failed} failed, {} broken in {:.1} s",
        broken.len(),
        start.elapsed().as_secs_f64()
    ));
    Ok(match (failed, broken.first()) {
        (0, None) => Code::Success.into(),
        (0, Some(code)) => (*code).into(),
        _ => Code::Failed.into(),
    })
}

fn show(report: &Report, totals: &mut Totals) {
    let line = |word: &str| {
        say(&format!(
            "{word:7} {} ({:.2} s)",
            report.path.display(),
            report.time.as_secs_f64()
        ));
    };
    match &report.verdict {
        Verdict::Passed => {
            totals.passed += 1;
            line("pass");
        }
        Verdict::Blessed => {
            totals.blessed += 1;
            line("blessed");
        }
        Verdict::Failed(failures) => {
            totals.failed += 1;
            line("FAIL");
            for failure in failures {
                say(&format!(
                    "        {}",
                    failure.trim_end().replace('\n', "\n        ")
                ));
            }
        }
        Verdict::Broken(error) => {
            totals.broken.push(error.exit_code());
            line("BROKEN");
            say(super::render(error).trim_end());
        }
    }
}
