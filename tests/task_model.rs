//! The task model, row by row: each row of `docs/rows/*.toml` has a scenario
//! that shows it, a deliberate fault of the kernel with which that scenario's
//! expectations fail, and a program that says the same on Linux.
//!
//! `COE_BLESS_DOCS=1` writes docs/task-model.md again. `COE_MUTANTS_KERNEL`
//! names a kernel that was built with `--features mutants` already.

mod common;
#[path = "task_model/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coe::check::Checker;
use coe::golden;
use coe::images::{Guests, Setup};
use coe::names::signals;
use coe::run::{self, Ending, Finished};
use coe::scenario::{self, Scenario};

use common::rows::{Judge, Row, Rows};
use common::{Outcome, Stdio, embedded, native, root};

#[test]
fn each_row_is_complete() {
    Rows::complete();
}

#[test]
fn the_page_is_what_the_rows_say() {
    let path = root().join("docs/task-model.md");
    let page = table::page(&Rows::read());
    if std::env::var_os("COE_BLESS_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    let line = stands.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        stands == page,
        "docs/task-model.md is not what docs/rows say, first at {line:?}; \
         COE_BLESS_DOCS=1 cargo test -p coe --test task_model writes it again"
    );
}

/// A scenario gets this many times the cycles that it needs without a fault,
/// and some more: faults may well make it go on for ever.
const PATIENCE: u64 = 3;
const SOME_MORE: u64 = 20_000_000;

#[test]
fn each_fault_breaks_its_row() {
    let rows = Rows::read().rows;
    // Each scenario once without any fault.
    let mut sound: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in &rows {
        sound.entry(&row.scenario).or_insert(row);
    }
    let sound: Vec<&Row> = sound.into_values().collect();
    let ends = each(&sound, |row| {
        let (finished, failures) = run(row, None);
        assert!(failures.is_empty(), "{}: {failures:#?}", row.scenario);
        finished.cycle
    });
    let cycles: BTreeMap<&str, u64> = sound
        .iter()
        .zip(ends)
        .map(|(row, end)| (row.scenario.as_str(), end))
        .collect();
    let rows: Vec<&Row> = rows.iter().collect();
    let survivors: Vec<String> = each(&rows, |row| {
        complain_about_fault(row, cycles[row.scenario.as_str()])
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

/// Why the run with this row's fault proves nothing, if it does not.
fn complain_about_fault(row: &Row, cycles: u64) -> Option<String> {
    let limit = cycles * PATIENCE + SOME_MORE;
    let (finished, failures) = run(row, Some(limit));
    let what = match finished.ending {
        Ending::Panic(message) => format!("brings the whole kernel down: {message}"),
        _ if failures.is_empty() => "breaks nothing that the scenario expects".to_owned(),
        _ => return None,
    };
    Some(format!("{}: mutant `{}` {what}", row.place(), row.mutant))
}

/// Runs a row's scenario on the kernel with test switches; with a limit its
/// fault is on. Gives how it ended and what was not as expected.
fn run(row: &Row, limit: Option<u64>) -> (Finished, Vec<String>) {
    let scenario = row.load();
    let mut guests = Guests::default();
    guests.kernel = KERNEL.as_slice().into();
    if limit.is_some() {
        guests.options.push(format!("mutant={}", row.mutant));
    }
    let path = row.path();
    let base = path.parent().expect("a scenario lies in a folder");
    let setup = Setup::with_guests(&scenario, base, &guests);
    let mut setup = setup.unwrap_or_else(|error| panic!("{}: {error}", row.place()));
    setup.limit = limit.unwrap_or(setup.limit).min(setup.limit);
    let mut checker = Checker::new(&scenario.expect);
    let finished = run::run(&setup, &mut [&mut checker]);
    let finished = finished.unwrap_or_else(|error| panic!("{}: {error}", row.place()));
    let failures = checker.failures(&finished);
    (finished, failures)
}

#[test]
fn linux_says_the_same() {
    let rows = Rows::read().rows;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let rows: Vec<&Row> = rows.iter().collect();
    let different: Vec<String> = each(&rows, |row| {
        let Some(Judge::Linux(program, args)) = row.judge() else {
            return None;
        };
        if row.root && !is_root {
            eprintln!("skipped, since only root may: {}", row.place());
            return None;
        }
        // Linux here is a busy computer, where a timer may be late: what it
        // says once of three times it can say. A real difference stays.
        (0..3).try_fold(String::new(), |_, _| differs_from_linux(row, program, args))
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Linux against the golden, which is what the guest does, or another test fails.
fn differs_from_linux(row: &Row, program: &str, args: &[String]) -> Option<String> {
    let scenario = row.load();
    let stdio = match scenario.stdio {
        scenario::Stdio::Pipe => Stdio::Pipe,
        scenario::Stdio::Tty => Stdio::Tty,
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let linux = native(&embedded(program), &args, stdio, &typed(&scenario));
    let linux = as_in_goldens(&linux);
    let golden = fs::read_to_string(golden::path(&row.path())).unwrap_or_default();
    let guest: Vec<&str> = golden
        .lines()
        .filter(|line| line.starts_with("ending ") || line.starts_with("| "))
        .collect();
    (guest != linux).then(|| format!("{}:\nguest: {guest:#?}\nLinux: {linux:#?}", row.place()))
}

/// How it ended and what it said, as a golden has it.
fn as_in_goldens(outcome: &Outcome) -> Vec<String> {
    let ending = match outcome.status {
        killed @ 129.. => {
            let signal = u64::from(killed.unsigned_abs()) - 128;
            format!("killed by {}", signals::name(signal))
        }
        status => format!("exit {status}"),
    };
    let mut lines = vec![format!("ending {ending}")];
    lines.extend(
        golden::console_lines(&outcome.output)
            .iter()
            .map(|line| format!("| {line}")),
    );
    lines
}

/// What the scenario types, without its times.
fn typed(scenario: &Scenario) -> Vec<u8> {
    let texts = scenario.input.iter().map(|typed| typed.text.as_bytes());
    texts.collect::<Vec<_>>().concat()
}

/// Does this with every row, as many at a time as there are CPUs; what comes
/// of it, in the order of the rows.
fn each<R: Send>(rows: &[&Row], work: impl Fn(&Row) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = rows.get(at) else {
                return results;
            };
            results.push((at, work(row)));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let ended = running
            .into_iter()
            .map(|one| one.join().expect("a worker ends"));
        ended.flatten().collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The kernel with its test switches.
static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = common::mutants::kernel();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
});
