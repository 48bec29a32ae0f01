//! Both CPUs side by side, and what comes of it.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::io;
use std::time::{Duration, Instant};

use iced_x86::Code;

use crate::compare::difference;
use crate::emulated::Emulated;
use crate::generate::{Case, Generator};
use crate::lines;
use crate::native::{BATCH, Native};
use crate::state::Outcome;

/// Failures of one form that are shown.
const SHOWN: u64 = 2;

/// The host's CPU, ours, and the source of cases.
pub struct Judge {
    native: Native,
    emulated: Emulated,
    generator: Generator,
    seed: u64,
}

/// What was compared, and what differed.
#[derive(Default)]
pub struct Report {
    cases: u64,
    faults: u64,
    forms: HashMap<Code, u64>,
    failed: BTreeMap<String, u64>,
}

impl Judge {
    pub fn new(seed: u64) -> io::Result<Judge> {
        let native = Native::start()?;
        Ok(Judge {
            native,
            emulated: Emulated::new(),
            generator: Generator::new(seed),
            seed,
        })
    }

    /// The forms, or those that were asked for.
    fn forms(&self) -> Vec<Code> {
        let wanted = env::var("COE_FORMS").unwrap_or_default();
        let mut forms = self.generator.forms();
        forms.retain(|code| format!("{code:?}").contains(&wanted));
        println!("{} forms, seed {:#x}", forms.len(), self.seed);
        forms
    }

    /// Each form a few times, then all of them again, until the time is over.
    pub fn sample(&mut self, time: Duration) -> Report {
        let start = Instant::now();
        let mut report = Report::default();
        let forms = self.forms();
        while start.elapsed() < time {
            for &form in &forms {
                self.rounds(form, 4, &mut report);
            }
        }
        report
    }

    /// So many cases of each form.
    pub fn thoroughly(&mut self, cases: u64) -> Report {
        let mut report = Report::default();
        for form in self.forms() {
            self.rounds(form, cases, &mut report);
        }
        report
    }

    /// So many cases of one form, unless it cannot be met.
    fn rounds(&mut self, form: Code, cases: u64, report: &mut Report) {
        let mut left = cases;
        let mut tries = 50 * cases;
        while left != 0 && tries != 0 {
            let mut batch = Vec::new();
            while batch.len() < BATCH.min(left as usize) && tries != 0 {
                tries -= 1;
                batch.extend(self.generator.case(form));
            }
            left -= batch.len() as u64;
            *report.forms.entry(form).or_default() += batch.len() as u64;
            self.run(batch.into_iter(), report);
        }
        if left != 0 {
            report.failed.insert(format!("{form:?}: no cases"), left);
        }
    }

    /// Runs cases on both, and keeps what differs.
    pub fn run(&mut self, mut cases: impl Iterator<Item = Case>, report: &mut Report) {
        loop {
            let batch: Vec<Case> = cases.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return;
            }
            let outcomes = self.native.run(&batch);
            for (case, host) in batch.into_iter().zip(outcomes) {
                report.cases += 1;
                report.faults += u64::from(host.as_ref().is_some_and(|host| host.fault.is_some()));
                if let Some(text) = self.compare(&case, host) {
                    self.failed(case, &text, report);
                }
            }
        }
    }

    /// What differs, given the host's outcome.
    fn compare(&mut self, case: &Case, host: Option<Outcome>) -> Option<String> {
        let Some(mut host) = host else {
            return Some(" it killed the host's process".to_owned());
        };
        match self.emulated.run(case) {
            Ok(mut ours) => difference(case, &mut host, &mut ours),
            Err(halt) => Some(format!(" the machine stopped: {halt:?}")),
        }
    }

    fn failed(&mut self, case: Case, text: &str, report: &mut Report) {
        let name = format!("{:?}", case.instruction.code());
        let count = report.failed.entry(name).or_default();
        *count += 1;
        if *count > SHOWN {
            return;
        }
        let original = text.to_owned();
        let case = lines::shrink(case, |case| {
            let host = self.native.run(std::slice::from_ref(case)).pop().flatten();
            self.compare(case, host).is_some()
        });
        let host = self.native.run(std::slice::from_ref(&case)).pop().flatten();
        let text = self.compare(&case, host).unwrap_or(original);
        println!("{case} |{text}");
    }
}

impl Report {
    /// Says what was compared.
    ///
    /// # Panics
    /// If anything differed.
    pub fn finish(self) {
        let (cases, faults) = (self.cases, self.faults);
        let least = self.forms.values().min().copied().unwrap_or(0);
        let differ: u64 = self.failed.values().sum();
        println!(
            "{} forms, {cases} cases, at least {least} of each form, {faults} of them faults, \
             {differ} differences in {} forms",
            self.forms.len(),
            self.failed.len(),
        );
        let failed: Vec<String> = (self.failed.iter())
            .map(|(form, count)| format!("{form} {count}"))
            .collect();
        assert!(
            self.failed.is_empty(),
            "differences (the lines above: the host's value / ours) in {}",
            failed.join(", ")
        );
    }
}
