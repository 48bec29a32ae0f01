//! The host's own CPU judges the interpreter: for every instruction form that is announced,
//! generated cases with random and edge operands run on both, and everything that a program can
//! see must be equal: registers, defined flags, memory, the x87's and MXCSR's status, and which
//! exception came, with its error code and address.
//!
//! Only x86-64 Linux hosts can judge; elsewhere the test says that it was skipped. What the manual
//! leaves undefined is not compared. A failure prints one line, which belongs into `cases.txt`:
//! the lines there are run first.
//!
//! | variable | |
//! |---|---|
//! | `COE_CASES` | so many cases of each form, however long it takes (`--ignored`: 10,000) |
//! | `COE_FORMS` | only forms whose name contains this |
//! | `COE_SEED` | another sample |
#![allow(unreachable_pub)]
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod child;
mod compare;
mod emulated;
mod forms;
mod generate;
mod judge;
mod lines;
mod native;
mod operands;
mod prepare;
mod random;
mod state;
mod undefined;
mod values;

use std::env;
use std::time::Duration;

use judge::{Judge, Report};

/// The sample takes about as long as this, whatever the host.
const TIME: Duration = Duration::from_secs(90);
const SEED: u64 = 0x0C0E_0001;

/// A judge; none if this host cannot be one.
fn judge() -> Option<Judge> {
    let judge = Judge::new(number("COE_SEED").unwrap_or(SEED));
    judge
        .inspect_err(|reason| eprintln!("skipped: this host cannot judge ({reason})"))
        .ok()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// What once differed.
#[test]
fn known_cases_do_what_the_host_does() {
    let Some(mut judge) = judge() else { return };
    let lines = include_str!("cases.txt").lines();
    let cases = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(lines::read);
    let mut report = Report::default();
    judge.run(cases, &mut report);
    report.finish();
}

/// A sample of every form.
#[test]
fn every_form_does_what_the_host_does() {
    let Some(mut judge) = judge() else { return };
    let report = match number("COE_CASES") {
        Some(cases) => judge.thoroughly(cases),
        None => judge.sample(TIME),
    };
    report.finish();
}

/// The whole: minutes.
#[test]
#[ignore = "takes many minutes; the sample has its time"]
fn every_form_does_what_the_host_does_ten_thousand_times() {
    let Some(mut judge) = judge() else { return };
    judge
        .thoroughly(number("COE_CASES").unwrap_or(10_000))
        .finish();
}
