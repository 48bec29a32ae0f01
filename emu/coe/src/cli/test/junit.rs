//! The results of `coe test` as JUnit XML, which CI systems show.
//!
//! A folder is a suite, a scenario a case. `time` is the guest's: a cycle is a
//! nanosecond. So equal runs give equal files, and a case that takes longer
//! than before does so on every host.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{CRASHED, Results, UNUSED};
use crate::suite::{Failure, Report, Verdict};

/// The suites by their folders.
type Suites = BTreeMap<String, TestSuite>;

/// The whole file.
pub(super) fn xml(results: &Results<'_>) -> String {
    let mut suites = Suites::new();
    for report in &results.reports {
        let again = results.suite.command(&[], &report.path);
        let mut case = case(&report.path, status(report, &again));
        if let Some((title, finished)) = &report.ran {
            case.set_time(Duration::from_nanos(finished.cycle));
            case.add_property(("title", title.as_str()));
            case.add_property(("digest", finished.digest.as_str()));
        }
        add(&mut suites, &report.path, case);
    }
    for path in results.not_run() {
        let mut status = TestCaseStatus::skipped();
        status.set_message("not run: --fail-fast");
        add(&mut suites, path, case(path, status));
    }
    for path in &results.found.unused {
        let status = wrong(NonSuccessKind::Failure, "unused_golden", UNUSED, UNUSED);
        add(&mut suites, path, case(path, status));
    }
    let mut report = quick_junit::Report::new("coe test");
    report.add_test_suites(suites.into_values());
    report
        .to_string()
        .expect("writing XML into memory cannot fail")
}

fn folder(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        folder.to_string_lossy().into_owned()
    }
}

fn add(suites: &mut Suites, path: &Path, case: TestCase) {
    let folder = folder(path);
    let suite = suites
        .entry(folder.clone())
        .or_insert_with(|| TestSuite::new(folder));
    suite.add_test_case(case);
}

fn case(path: &Path, status: TestCaseStatus) -> TestCase {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mut case = TestCase::new(name.to_string_lossy(), status);
    case.set_classname(folder(path));
    case
}

fn status(report: &Report, again: &str) -> TestCaseStatus {
    match &report.verdict {
        Verdict::Passed | Verdict::Blessed => TestCaseStatus::success(),
        Verdict::Failed(failures) => failed(failures, again),
        Verdict::Broken(error) => {
            let text = format!("{}\nto see it again: {again}", super::super::plain(error));
            wrong(NonSuccessKind::Error, "broken", &error.to_string(), &text)
        }
        Verdict::Crashed(why) => {
            let text = format!("coe panicked: {why}\n{CRASHED}\nto see it again: {again}");
            wrong(NonSuccessKind::Error, "crashed", why, &text)
        }
    }
}

fn failed(failures: &[Failure], again: &str) -> TestCaseStatus {
    let texts: Vec<_> = failures
        .iter()
        .map(|failure| failure.text.trim_end())
        .chain([format!("to see it again: {again}").as_str()])
        .map(str::to_owned)
        .collect();
    let kind = failures.first().map_or("", |failure| failure.kind.name());
    let first = texts[0].lines().next().unwrap_or("");
    wrong(NonSuccessKind::Failure, kind, first, &texts.join("\n"))
}

fn wrong(kind: NonSuccessKind, class: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(class);
    status.set_message(message);
    status.set_description(text);
    status
}
