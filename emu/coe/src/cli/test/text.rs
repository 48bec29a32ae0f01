//! The results of `coe test` as lines for people.

use super::super::live::{grouped, print};
use super::super::plain;
use super::{CRASHED, Results, UNUSED};
use crate::suite::{Report, Suite, Verdict};

/// What hangs below a line.
const INDENT: &str = "\n        ";

/// One scenario's lines.
pub(super) fn report(suite: &Suite, report: &Report) {
    let mut text = heading(report);
    match &report.verdict {
        Verdict::Passed | Verdict::Blessed => {}
        Verdict::Failed(failures) => {
            for failure in failures {
                hang(&mut text, &failure.text);
            }
        }
        Verdict::Broken(error) => hang(&mut text, &plain(error)),
        Verdict::Crashed(why) => {
            hang(&mut text, &format!("coe panicked: {why}"));
            hang(&mut text, CRASHED);
        }
    }
    if !report.verdict.is_good() {
        let again = suite.command(&[], &report.path);
        hang(&mut text, &format!("to see it again: {again}"));
    }
    print(&text);
}

/// The end: the goldens that nobody uses, what was wrong once more, and how
/// many of each kind.
pub(super) fn end(results: &Results<'_>) {
    for path in &results.found.unused {
        let mut text = format!("UNUSED  {}", path.display());
        hang(&mut text, UNUSED);
        print(&text);
    }
    let bad = || {
        results
            .reports
            .iter()
            .filter(|report| !report.verdict.is_good())
    };
    // Among many lines the bad ones are long gone from the screen.
    if results.reports.len() > 1 && bad().count() > 0 {
        print("not as expected:");
        for report in bad() {
            print(&format!("  {} {}", word(report), report.path.display()));
        }
    }
    print(&counts(results));
}

fn word(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Passed => "pass",
        Verdict::Blessed => "blessed",
        Verdict::Failed(_) => "FAIL",
        Verdict::Broken(_) => "BROKEN",
        Verdict::Crashed(_) => "CRASHED",
    }
}

fn heading(report: &Report) -> String {
    let line = format!("{:7} {}", word(report), report.path.display());
    match &report.ran {
        Some((_, finished)) => format!("{line} ({} cycles)", grouped(finished.cycle)),
        None => line,
    }
}

fn hang(text: &mut String, lines: &str) {
    for line in lines.trim_end().lines() {
        text.push_str(INDENT);
        text.push_str(line);
    }
}

/// The last line. What there is none of is not named, but for the usual four.
fn counts(results: &Results<'_>) -> String {
    let totals = &results.totals;
    let mut text = format!(
        "{} passed, {} blessed, {} failed, {} broken",
        totals.passed, totals.blessed, totals.failed, totals.broken
    );
    for (count, what) in [
        (totals.crashed, "crashed"),
        (totals.unused, "unused goldens"),
        (results.not_run().len(), "not run"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}
