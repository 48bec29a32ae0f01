//! The host's own CPU judges the interpreter: generated instructions with random and edge operands
//! run on both, and everything that a program can see must be equal.
//!
//! Only x86-64 Linux hosts can judge; elsewhere the test says that it was skipped. What the manual
//! leaves undefined is not compared. A failure prints one line that names the case completely.
#![allow(unreachable_pub)]
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod emulated;
mod generate;
mod native;
mod state;

use std::time::{Duration, Instant};

use emulated::Emulated;
use generate::{Case, Generator};
use iced_x86::Code;
use native::{BATCH, Native};
use state::Outcome;

/// Every run tests the same cases in the same order, as far as its time reaches.
const SEED: u64 = 0x0C0E_0001;
/// Cases of each instruction form.
const ROUNDS: u32 = 40;
/// All forms together take no longer.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn general_purpose_instructions_do_what_the_host_does() {
    let mut native = match Native::start() {
        Ok(native) => native,
        Err(reason) => {
            return eprintln!("skipped: this host does not let a child run them ({reason})");
        }
    };
    let mut emulated = Emulated::new();
    let forms = generate::general_purpose();
    assert!(forms.len() > 400, "only {} instruction forms", forms.len());
    let mut generator = Generator::new(SEED);
    let mut report = Report::default();
    let start = Instant::now();
    let mut cases = (0..ROUNDS)
        .flat_map(|_| &forms)
        .filter_map(|&form| generator.case(form));
    while start.elapsed() < LIMIT {
        let batch: Vec<Case> = cases.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }

        for (case, outcome) in batch.iter().zip(native.run(&batch)) {
            report.compare(case, outcome, emulated.run(case));
        }
    }
    report.finish(2_000);
}

/// What was compared, and the first differences.
#[derive(Default)]
struct Report {
    cases: u64,
    faults: u64,
    differences: Vec<String>,
    seen: Vec<Code>,
    failed: u64,
}

impl Report {
    fn compare(&mut self, case: &Case, native: Outcome, emulated: Outcome) {
        self.cases += 1;
        self.faults += u64::from(native.fault.is_some());
        if let Some(difference) = native.difference(&emulated, case) {
            self.failed += 1;
            let code = case.instruction.code();
            let seen = self.seen.iter().filter(|&&other| other == code).count();
            if seen < 2 && self.differences.len() < 40 {
                self.seen.push(code);
                self.differences.push(format!("{case}\n    {difference}"));
            }
        }
    }

    fn finish(self, least: u64) {
        let Report {
            cases,
            faults,
            differences,
            failed,
            ..
        } = self;
        println!("{cases} cases, {faults} of them faults, {failed} differences");
        assert!(
            differences.is_empty(),
            "{failed} of {cases}:\n{}",
            differences.join("\n")
        );
        assert!(cases >= least, "only {cases} cases in the time allowed");
        assert!(
            faults > 0 && faults < cases / 2,
            "{faults} faults in {cases} cases"
        );
    }
}
