//! The results of `coe test` as one JSON document.

use serde::Serialize;

use super::{CRASHED, Results, UNUSED};
use crate::suite::{Report, Suite, Verdict};

/// The version of the document's layout. A new key does not raise it.
const VERSION: u32 = 1;

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    version: u32,
    exit_code: u8,
    passed: usize,
    blessed: usize,
    failed: usize,
    broken: usize,
    crashed: usize,
    not_run: Vec<String>,
    unused_goldens: Vec<Unused>,
    scenarios: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Unused {
    path: String,
    text: &'static str,
}

/// One scenario.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    verdict: &'static str,
    /// How to run it again.
    command: String,
    #[serde(flatten)]
    ran: Option<Ran>,
    failures: Vec<Wrong>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Broken>,
}

/// What is known of a scenario that ran.
#[derive(Debug, Serialize)]
struct Ran {
    title: String,
    ending: String,
    cycles: u64,
    instructions: u64,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Wrong {
    kind: &'static str,
    text: String,
}

/// Why a scenario could not run.
#[derive(Debug, Serialize)]
struct Broken {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    exit_code: u8,
}

impl Document {
    /// The document of these results.
    pub(super) fn new(results: &Results<'_>) -> Self {
        let totals = &results.totals;
        let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
        let unused = results.found.unused.iter().map(|path| Unused {
            path: text(path),
            text: UNUSED,
        });
        let entries = results.reports.iter();
        Document {
            version: VERSION,
            exit_code: totals.exit_code() as u8,
            passed: totals.passed,
            blessed: totals.blessed,
            failed: totals.failed,
            broken: totals.broken,
            crashed: totals.crashed,
            not_run: results.not_run().iter().map(text).collect(),
            unused_goldens: unused.collect(),
            scenarios: entries
                .map(|report| Entry::new(results.suite, report))
                .collect(),
        }
    }

    /// As text.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON always")
    }
}

impl Entry {
    fn new(suite: &Suite, report: &Report) -> Self {
        let ran = report.ran.as_ref().map(|(title, finished)| Ran {
            title: title.clone(),
            ending: finished.ending.to_string(),
            cycles: finished.cycle,
            instructions: finished.retired,
            digest: finished.digest.clone(),
        });
        Entry {
            path: report.path.to_string_lossy().into_owned(),
            verdict: report.verdict.name(),
            command: suite.command(&[], &report.path),
            ran,
            failures: failures(&report.verdict),
            error: broken(&report.verdict),
        }
    }
}

fn failures(verdict: &Verdict) -> Vec<Wrong> {
    let Verdict::Failed(failures) = verdict else {
        return Vec::new();
    };
    let wrong = failures.iter().map(|failure| Wrong {
        kind: failure.kind.name(),
        text: failure.text.clone(),
    });
    wrong.collect()
}

fn broken(verdict: &Verdict) -> Option<Broken> {
    match verdict {
        Verdict::Broken(error) => Some(Broken {
            message: super::super::plain(error),
            help: miette::Diagnostic::help(error).map(|help| help.to_string()),
            exit_code: error.exit_code() as u8,
        }),
        Verdict::Crashed(why) => Some(Broken {
            message: format!("coe panicked: {why}"),
            help: Some(CRASHED.to_owned()),
            exit_code: crate::exit::Code::Own as u8,
        }),
        _ => None,
    }
}
