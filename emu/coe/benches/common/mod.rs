//! Counts the instructions of a command with `perf`, or with `valgrind` where
//! the host's counters cannot be read. They do not depend on what else the host
//! does.

use std::path::Path;
use std::process::{Command, Stdio};

/// What counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Perf,
    Valgrind,
}

impl Counter {
    /// The first of them that works here.
    pub(crate) fn new() -> Option<Counter> {
        [Counter::Perf, Counter::Valgrind]
            .into_iter()
            .find(|counter| counter.try_count(Path::new("true"), &[]).is_some())
    }

    /// The instructions of the host's that the program takes.
    pub(crate) fn count(self, program: &Path, arguments: &[&str]) -> u64 {
        let counted = self.try_count(program, arguments);
        counted.unwrap_or_else(|| panic!("{program:?} {arguments:?} was not counted"))
    }

    fn try_count(self, program: &Path, arguments: &[&str]) -> Option<u64> {
        let tool: &[&str] = match self {
            Counter::Perf => &["perf", "stat", "-x,", "-e", "instructions:u"],
            Counter::Valgrind => &[
                "valgrind",
                "--tool=cachegrind",
                "--cache-sim=no",
                "--cachegrind-out-file=/dev/null",
            ],
        };
        let output = Command::new(tool[0])
            .args(&tool[1..])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().find_map(|line| self.figure(line))
    }

    /// The figure, if this is the line of a tool's output that has it.
    fn figure(self, line: &str) -> Option<u64> {
        let text = match self {
            Counter::Perf => line.split_once(",,instructions")?.0,
            // `I refs:` or `I   refs:`, as its version has it.
            Counter::Valgrind => {
                let (what, count) = line.split_once("refs:")?;
                what.trim_end().ends_with('I').then_some(count)?
            }
        };
        text.trim().replace(',', "").parse().ok()
    }
}
