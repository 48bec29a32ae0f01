//! `coe test`: many scenarios, each against its expectations and its golden.

mod find;
mod pool;

pub use find::{Found, Partition, find};

use std::any::Any;
use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::check::Checker;
use crate::engine::Kind;
use crate::exit::Code;
use crate::golden::{self, Transcript};
use crate::images::{Guests, Setup};
use crate::run::{self, Finished, Watcher};
use crate::scenario::Scenario;
use crate::scenario::program::ProgramError;

/// What kind of thing was not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Something in the scenario's section `expect`, or of its script.
    Expectation,
    /// The golden differs from the run.
    Golden,
    /// There is no golden yet.
    NoGolden,
}

impl FailureKind {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Expectation => "expectation",
            FailureKind::Golden => "golden",
            FailureKind::NoGolden => "no_golden",
        }
    }
}

/// One thing that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing.
    pub kind: FailureKind,
    /// What it was, in one or more lines.
    pub text: String,
}

/// What became of one scenario.
#[derive(Debug)]
pub enum Verdict {
    /// All as expected.
    Passed,
    /// All as expected, and its golden was written or brought up to date.
    Blessed,
    /// What was not as expected.
    Failed(Vec<Failure>),
    /// It could not run.
    Broken(Error),
    /// coe itself failed over it, with this message: a bug in coe.
    Crashed(String),
}

impl Verdict {
    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Blessed => "blessed",
            Verdict::Failed(_) => "failed",
            Verdict::Broken(_) => "broken",
            Verdict::Crashed(_) => "crashed",
        }
    }

    /// True if nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Verdict::Passed | Verdict::Blessed)
    }
}

/// One scenario's result. It is the same in every run.
#[derive(Debug)]
pub struct Report {
    /// The scenario's file.
    pub path: PathBuf,
    /// Its title and the figures of its run, if it could run.
    pub ran: Option<(String, Finished)>,
    /// What became of it.
    pub verdict: Verdict,
}

/// How many came to which end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All as expected.
    pub passed: usize,
    /// As expected, with a golden that was written.
    pub blessed: usize,
    /// Not as expected.
    pub failed: usize,
    /// Could not run.
    pub broken: usize,
    /// Made coe itself fail.
    pub crashed: usize,
    /// Goldens that no scenario uses.
    pub unused: usize,
    /// What the first scenario that could not run exits with.
    first_broken: Option<Code>,
}

impl Totals {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Blessed => self.blessed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Broken(error) => {
                self.broken += 1;
                self.first_broken.get_or_insert(error.exit_code());
            }
            Verdict::Crashed(_) => self.crashed += 1,
        }
    }

    /// How many scenarios have been counted.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.passed + self.blessed + self.failed + self.broken + self.crashed
    }

    /// What `coe test` exits with: a failure of coe itself first, then what
    /// differs, then the first scenario that could not run.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        match self.first_broken {
            _ if self.crashed > 0 => Code::Own,
            _ if self.failed + self.unused > 0 => Code::Failed,
            Some(code) => code,
            None => Code::Success,
        }
    }
}

/// How scenarios are run.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// On which kernel, with which programs.
    pub guests: Guests,
    /// Whether goldens are written.
    pub bless: bool,
    /// What carries out instructions.
    pub engine: Kind,
    /// The words of the command line that chose all that: the command that
    /// reproduces a failure needs them.
    pub flags: Vec<String>,
}

impl Suite {
    /// Runs these scenarios, so many at a time, and hands each report on in the
    /// order of the list, until there are no more or `report` breaks. `begin`
    /// hears of each scenario before it runs, in whatever thread that is.
    pub fn run_all(
        &self,
        paths: &[PathBuf],
        jobs: usize,
        begin: impl Fn(&Path) + Sync,
        report: impl FnMut(Report) -> ControlFlow<()>,
    ) {
        let work = |at: usize| {
            let path = &paths[at];
            begin(path);
            self.run_one(path)
        };
        pool::in_order(paths.len(), jobs, work, report);
    }

    /// Runs one scenario and holds it against its expectations and its golden.
    #[must_use]
    pub fn run_one(&self, path: &Path) -> Report {
        isolated(path, || self.judge(path))
    }

    /// The command that runs this scenario again, with these options.
    #[must_use]
    pub fn command(&self, options: &[&str], path: &Path) -> String {
        let words = ["coe", "test"].into_iter().chain(options.iter().copied());
        let flags = self.flags.iter().map(String::as_str);
        let path = path.to_string_lossy();
        let words = words.chain(flags).chain([path.as_ref()]);
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    fn judge(&self, path: &Path) -> Result<Judged, Error> {
        let scenario = Scenario::load(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut setup = Setup::with_guests(&scenario, base, &self.guests)?;
        setup.engine = self.engine;
        let mut checker = Checker::following(&scenario.expect, setup.schedule());
        let mut transcript = scenario
            .golden
            .map(|level| Transcript::profiled(level, &setup.kernel));
        let mut watchers: Vec<&mut dyn Watcher> = vec![&mut checker];
        if let Some(transcript) = &mut transcript {
            watchers.push(transcript);
        }
        let finished = run::run(&setup, &mut watchers)?;
        let mut failures = expectations(checker.failures(&finished));
        let golden = transcript.map(|mut transcript| transcript.text(&finished, &setup.kernel));
        // What the scenario itself does not expect is never blessed.
        let blessed = match &golden {
            Some(now) if self.bless && failures.is_empty() => {
                write_golden(&golden::path(path), now)?
            }
            Some(now) => {
                failures.extend(self.compare(path, now)?);
                false
            }
            None => false,
        };
        let verdict = match (failures.is_empty(), blessed) {
            (true, true) => Verdict::Blessed,
            (true, false) => Verdict::Passed,
            (false, _) => Verdict::Failed(failures),
        };
        Ok(Judged {
            ran: (scenario.title, finished),
            verdict,
        })
    }

    fn compare(&self, scenario: &Path, now: &str) -> Result<Option<Failure>, Error> {
        let path = golden::path(scenario);
        let bless = self.command(&["--bless"], scenario);
        let golden = match fs::read_to_string(&path) {
            Ok(golden) => golden,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = format!(
                    "there is no {} yet; look at the run, then: {bless}",
                    path.display()
                );
                let kind = FailureKind::NoGolden;
                return Ok(Some(Failure { kind, text }));
            }
            Err(source) => return Err(ProgramError::Unreadable { path, source }.into()),
        };
        Ok(golden::difference(&golden, now).map(|difference| Failure {
            kind: FailureKind::Golden,
            text: format!(
                "{} differs: {difference}if this is meant: {bless}",
                path.display()
            ),
        }))
    }
}

/// What became of a scenario that ran.
struct Judged {
    ran: (String, Finished),
    verdict: Verdict,
}

/// A scenario that makes coe fail takes nothing down but itself.
fn isolated(path: &Path, judge: impl FnOnce() -> Result<Judged, Error>) -> Report {
    // What the judge leaves half done it also leaves behind: it owns its machine.
    let (ran, verdict) = match catch_unwind(AssertUnwindSafe(judge)) {
        Ok(Ok(Judged { ran, verdict })) => (Some(ran), verdict),
        Ok(Err(error)) => (None, Verdict::Broken(error)),
        Err(panic) => (None, Verdict::Crashed(message(panic.as_ref()))),
    };
    Report {
        path: path.to_owned(),
        ran,
        verdict,
    }
}

/// What the panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}

fn expectations(texts: Vec<String>) -> Vec<Failure> {
    let failure = |text| Failure {
        kind: FailureKind::Expectation,
        text,
    };
    texts.into_iter().map(failure).collect()
}

/// True if there was something to write.
fn write_golden(path: &Path, now: &str) -> Result<bool, Error> {
    if fs::read_to_string(path).is_ok_and(|old| old == now) {
        return Ok(false);
    }
    fs::write(path, now).map_err(|source| Error::write(path, source))?;
    Ok(true)
}

/// The word as a shell takes it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stays_in_its_scenario() {
        let path = Path::new("x.toml");
        let report = isolated(path, || panic!("{} is bad", path.display()));
        assert!(
            matches!(&report.verdict, Verdict::Crashed(why) if why == "x.toml is bad"),
            "{report:?}"
        );
        let report = isolated(path, || panic!("as it is"));
        assert!(matches!(&report.verdict, Verdict::Crashed(why) if why == "as it is"));
    }

    #[test]
    fn the_exit_code_says_the_worst() {
        let verdict = |text: &str| match text {
            "failed" => Verdict::Failed(Vec::new()),
            "crashed" => Verdict::Crashed(String::new()),
            "missing" => Verdict::Broken(ProgramError::NotFound { path: "x".into() }.into()),
            "memory" => Verdict::Broken(Error::NotText { path: "x".into() }),
            _ => Verdict::Passed,
        };
        for (verdicts, code) in [
            (["passed", "passed"], Code::Success),
            (["missing", "memory"], Code::NotFound),
            (["memory", "missing"], Code::BadInput),
            (["missing", "failed"], Code::Failed),
            (["failed", "crashed"], Code::Own),
        ] {
            let mut totals = Totals::default();
            verdicts.iter().for_each(|text| totals.add(&verdict(text)));
            assert_eq!(totals.exit_code(), code, "{verdicts:?}");
            assert_eq!(totals.ran(), 2);
        }
        let unused = Totals {
            unused: 1,
            ..Totals::default()
        };
        assert_eq!(unused.exit_code(), Code::Failed);
    }

    #[test]
    fn commands_can_be_typed_as_they_stand() {
        let suite = Suite {
            flags: vec!["--kernel".to_owned(), "my kernel".to_owned()],
            ..Suite::default()
        };
        assert_eq!(
            suite.command(&["--bless"], Path::new("it's.toml")),
            r"coe test --bless --kernel 'my kernel' 'it'\''s.toml'"
        );
    }
}
