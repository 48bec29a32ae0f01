//! What recording and replaying cost, in instructions of the host.
//!
//! `cargo bench -p coe --bench recording [WORKLOAD]` runs, records and replays
//! some scenarios. Instructions do not depend on what else the host does, so the
//! limits are hard ones.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use common::Counter;

const COE: &str = env!("CARGO_BIN_EXE_coe");

/// A program that does next to nothing, and scenarios with much work: moving
/// data, switching tasks, faulting in memory.
const WORKLOADS: [&str; 4] = [
    "hello",
    "files/pipes",
    "scheduling/shares",
    "memory/fork-64m",
];

/// At most so many instructions for each one of `coe run`.
const RECORD_LIMIT: f64 = 1.02;
const REPLAY_LIMIT: f64 = 1.05;

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
        good &= Measured::of(counter, name, &trace).show(name, images);
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
    let coe = Command::new(COE)
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
    fn of(counter: Counter, name: &str, trace: &Path) -> Measured {
        let scenario = match name.contains('/') {
            true => format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR")),
            false => name.to_owned(),
        };
        let to = trace.to_str().expect("a path in UTF-8");
        let count = |arguments: &[&str]| counter.count(Path::new(COE), arguments);
        let run = count(&["run", &scenario]);
        let record = count(&["record", &scenario, "-o", to]);
        let replay = count(&["replay", to]);
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
