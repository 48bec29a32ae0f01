//! `coe test`: many scenarios, each against its expectations and its golden.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Error;
use crate::check::Checker;
use crate::golden::{self, Transcript};
use crate::images::{Guests, Setup};
use crate::run::{self, Watcher};
use crate::scenario::Scenario;

/// What became of one scenario.
#[derive(Debug)]
pub enum Verdict {
    /// All as expected.
    Passed,
    /// All as expected, and its golden was written or brought up to date.
    Blessed,
    /// What was not as expected.
    Failed(Vec<String>),
    /// It could not run.
    Broken(Error),
}

/// One scenario's result.
#[derive(Debug)]
pub struct Report {
    /// The scenario's file.
    pub path: PathBuf,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took on the host.
    pub time: Duration,
}

/// The scenarios under these paths, sorted; a file counts whatever it is called.
///
/// # Errors
/// If a path is not there or cannot be read.
pub fn find(paths: &[PathBuf], filter: Option<&str>) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            collect(path, &mut found)?;
        } else if path.exists() {
            found.push(path.clone());
        } else {
            return Err(
                crate::scenario::program::ProgramError::NotFound { path: path.clone() }.into(),
            );
        }
    }
    found.sort();
    found.dedup();
    found.retain(|path| filter.is_none_or(|filter| path.to_string_lossy().contains(filter)));
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let unreadable = |source| crate::scenario::program::ProgramError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
    Ok(())
}

/// How scenarios are run.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// On which kernel, with which programs.
    pub guests: Guests,
    /// Whether goldens are written.
    pub bless: bool,
}

impl Suite {
    /// Runs these scenarios, so many at a time, and hands each report on in the
    /// order of the list.
    pub fn run_all(&self, paths: &[PathBuf], jobs: usize, mut report: impl FnMut(Report)) {
        let next = &AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..jobs.clamp(1, paths.len().max(1)) {
                let sender = sender.clone();
                scope.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = paths.get(at) else { return };
                        if sender.send((at, self.run_one(path))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut due = 0;
            for (at, result) in receiver {
                waiting.insert(at, result);
                while let Some(result) = waiting.remove(&due) {
                    report(result);
                    due += 1;
                }
            }
        });
    }

    /// Runs one scenario and holds it against its expectations and its golden.
    #[must_use]
    pub fn run_one(&self, path: &Path) -> Report {
        let start = Instant::now();
        let verdict = self.judge(path).unwrap_or_else(Verdict::Broken);
        Report {
            path: path.to_owned(),
            verdict,
            time: start.elapsed(),
        }
    }

    fn judge(&self, path: &Path) -> Result<Verdict, Error> {
        let scenario = Scenario::load(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let setup = Setup::with_guests(&scenario, base, &self.guests)?;
        let mut checker = Checker::with_script(&scenario.expect, &scenario.schedule.script);
        let mut transcript = scenario.golden.map(Transcript::new);
        let mut watchers: Vec<&mut dyn Watcher> = vec![&mut checker];
        if let Some(transcript) = &mut transcript {
            watchers.push(transcript);
        }
        let finished = run::run(&setup, &mut watchers)?;
        let mut failures = checker.failures(&finished);
        let Some(transcript) = transcript else {
            return Ok(verdict(failures));
        };
        let now = transcript.text(&finished, &setup.kernel);
        let golden = golden::path(path);
        // What the scenario itself does not expect is never blessed.
        if self.bless && failures.is_empty() {
            return write_golden(&golden, &now);
        }
        failures.extend(compare(&golden, &now, path)?);
        Ok(verdict(failures))
    }
}

fn verdict(failures: Vec<String>) -> Verdict {
    if failures.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(failures)
    }
}

fn write_golden(path: &Path, now: &str) -> Result<Verdict, Error> {
    if fs::read_to_string(path).is_ok_and(|old| old == now) {
        return Ok(Verdict::Passed);
    }
    fs::write(path, now).map_err(|source| Error::write(path, source))?;
    Ok(Verdict::Blessed)
}

fn compare(path: &Path, now: &str, scenario: &Path) -> Result<Option<String>, Error> {
    let bless = format!("coe test --bless {}", scenario.display());
    let golden = match fs::read_to_string(path) {
        Ok(golden) => golden,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(format!(
                "there is no {} yet; look at the run, then: {bless}",
                path.display()
            )));
        }
        Err(source) => {
            let path = path.to_owned();
            return Err(crate::scenario::program::ProgramError::Unreadable { path, source }.into());
        }
    };
    Ok(golden::difference(&golden, now).map(|difference| {
        format!(
            "{} differs: {difference}if this is meant: {bless}",
            path.display()
        )
    }))
}
