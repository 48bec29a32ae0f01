//! What recording and replaying cost, in instructions of the host.
//!
//! `cargo bench -p coe --bench recording [WORKLOAD]` runs, records and replays
//! some scenarios and counts with `perf`, or with `valgrind` where the host's
//! counters cannot be read. Instructions do not depend on what else the host
//! does, so the limits are hard ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// A program that does next to nothing, and scenarios with much work: moving
/// data, switching tasks, faulting in memory.
const WORKLOADS: [&str; 4] = [
    "hello",
    "files/pipes",
    "scheduling/shares",
    "memory/fork-64m",
];

/// At most so many instructions for each one of `coe run`.
const RECORD_LIMIT: f64 = 1.05;
const REPLAY_LIMIT: f64 = 1.10;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |name: &&str| filter.as_ref().is_none_or(|part| name.contains(part));
    let Some(counter) = Counter::new() else {
        eprintln!("neither perf nor valgrind can count instructions here");
        return ExitCode::FAILURE;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("bench.coe");
    let images = images(&trace);
    println!("each trace has {} KiB of images", images >> 10);
    println!(
        "{:<20} {:>9} {:>9} {:>8} {:>8} {:>10} {:>11}",
        "", "guest M", "run M", "record", "replay", "trace KiB", "B / guest M"
    );
    let mut good = true;
    for name in WORKLOADS.into_iter().filter(wanted) {
        good &= Measured::of(&counter, name, &trace).show(name, images);
    }
    if good {
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "too much: the limits are {RECORD_LIMIT} for record and {REPLAY_LIMIT} for replay"
        );
        ExitCode::FAILURE
    }
}

/// The bytes of a trace of a program that does next to nothing: its images.
fn images(trace: &Path) -> u64 {
    let coe = Command::new(env!("CARGO_BIN_EXE_coe"))
        .args(["record", "hello", "-o"])
        .arg(trace)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(coe.expect("coe starts").success(), "hello was not recorded");
    size(trace)
}

/// The instructions of one workload.
struct Measured {
    /// Of the guest.
    guest: u64,
    run: u64,
    record: u64,
    replay: u64,
    /// Bytes of the trace.
    trace: u64,
}

impl Measured {
    fn of(counter: &Counter, name: &str, trace: &Path) -> Measured {
        let scenario = match name.contains('/') {
            true => format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR")),
            false => name.to_owned(),
        };
        let to = trace.to_str().expect("a path in UTF-8");
        let run = counter.count(&["run", &scenario]);
        let record = counter.count(&["record", &scenario, "-o", to]);
        let replay = counter.count(&["replay", to]);
        Measured {
            guest: guest_instructions(trace),
            run,
            record,
            replay,
            trace: size(trace),
        }
    }

    /// Prints a line; false if it is beyond a limit.
    fn show(&self, name: &str, images: u64) -> bool {
        let millions = |n: u64| n as f64 / 1e6;
        let ratio = |n: u64| n as f64 / self.run as f64;
        let (record, replay) = (ratio(self.record), ratio(self.replay));
        println!(
            "{name:<20} {:>9.1} {:>9.0} {record:>8.3} {replay:>8.3} {:>10} {:>11.0}",
            millions(self.guest),
            millions(self.run),
            self.trace >> 10,
            self.trace.saturating_sub(images) as f64 / millions(self.guest),
        );
        record <= RECORD_LIMIT && replay <= REPLAY_LIMIT
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("the trace is there").len()
}

fn guest_instructions(trace: &Path) -> u64 {
    let trace = coe::trace::Trace::open(trace).expect("the trace opens");
    let retired = trace.items().filter_map(|item| match item {
        Ok(coe::trace::Item::End(finished)) => Some(finished.retired),
        _ => None,
    });
    retired.last().expect("the trace has an end")
}

/// Counts the instructions of a command.
enum Counter {
    Perf,
    Valgrind,
}

impl Counter {
    fn new() -> Option<Counter> {
        [Counter::Perf, Counter::Valgrind]
            .into_iter()
            .find(|counter| counter.try_count(Path::new("true"), &[]).is_some())
    }

    fn count(&self, arguments: &[&str]) -> u64 {
        let coe = PathBuf::from(env!("CARGO_BIN_EXE_coe"));
        let counted = self.try_count(&coe, arguments);
        counted.unwrap_or_else(|| panic!("coe {arguments:?} was not counted"))
    }

    fn try_count(&self, program: &Path, arguments: &[&str]) -> Option<u64> {
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
    fn figure(&self, line: &str) -> Option<u64> {
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
