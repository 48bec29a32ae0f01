//! A comparison in words. Writing into a `String` cannot fail, so its results
//! are not looked at.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Comparison, Cycles, Place, Side, Verdict};

/// Lines of context around a place.
const CONTEXT: usize = 3;

/// No more lines of one run stand in a row than this.
const LINES: usize = 8;

/// No place is shown with more than so many rows of lines.
const BLOCKS: usize = 6;

/// How much of a comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Places at which the runs differ.
    pub places: usize,
    /// Phases and kinds of phases.
    pub phases: usize,
}

/// The whole comparison, for people.
#[must_use]
pub fn write(a: &Side, b: &Side, comparison: &Comparison, limits: Limits) -> String {
    let mut text = String::new();
    for (letter, side) in [("A", a), ("B", b)] {
        text.push_str(&head(letter, side));
    }
    if comparison.same() {
        let _ = writeln!(
            text,
            "\nthe same {} events in the same order",
            a.steps.len()
        );
    } else {
        differences(&mut text, a, b, comparison, limits.places);
    }
    if let Some(cycles) = &comparison.cycles {
        text.push('\n');
        text.push_str(&costs(cycles, limits.phases));
    }
    text
}

fn head(letter: &str, side: &Side) -> String {
    let mut text = format!("{letter}: {} ({} events", side.name, side.steps.len());
    if let Some(counted) = side.counted {
        let (cycles, retired) = (
            grouped(counted.cycles.into()),
            grouped(counted.retired.into()),
        );
        let _ = write!(text, ", {cycles} cycles, {retired} instructions");
    }
    if let Some(kernel) = &side.kernel {
        let _ = write!(text, ", kernel {}", kernel.get(..8).unwrap_or(kernel));
    }
    text.push_str(")\n");
    text
}

fn differences(text: &mut String, a: &Side, b: &Side, comparison: &Comparison, limit: usize) {
    for (number, place) in comparison.places.iter().take(limit).enumerate() {
        let _ = match number {
            0 => writeln!(
                text,
                "\nfirst difference, after {} common events",
                comparison.common
            ),
            n => writeln!(text, "\ndifference {}", n + 1),
        };
        lines(text, a, b, place);
        let _ = writeln!(text, "{}", verdict(&place.verdict));
        let _ = writeln!(text, "{}", together_again(a, b, place));
    }
    if comparison.places.len() > limit {
        let more = comparison.places.len() - limit;
        let _ = writeln!(
            text,
            "\n{more} further places differ; --places {} shows them",
            limit + more
        );
    }
    tasks(text, comparison);
    if let Some(change) = &comparison.console {
        let _ = writeln!(text, "\nthe console differs from line {}:", change.line);
        for (letter, line) in [("A", &change.a), ("B", &change.b)] {
            let line = line.as_deref().unwrap_or("(nothing more)");
            let _ = writeln!(text, "  {letter} {line}");
        }
    }
    if let Some((a, b)) = &comparison.endings {
        let _ = writeln!(text, "\nthe runs end differently:\n  A {a}\n  B {b}");
    }
}

/// The steps around a place: common ones once, with the cycles that A has.
fn lines(text: &mut String, a: &Side, b: &Side, place: &Place) {
    block(
        text,
        " ",
        a,
        place.a.start.saturating_sub(CONTEXT)..place.a.start,
    );
    let mut next = (place.a.start, place.b.start);
    let end = (place.a.end, place.b.end);
    for common in place.common.iter().copied().chain([end]).take(BLOCKS) {
        block(text, "A", a, next.0..common.0);
        block(text, "B", b, next.1..common.1);
        if common != end {
            block(text, " ", a, common.0..common.0 + 1);
        }
        next = (common.0 + 1, common.1 + 1);
    }
    if place.common.len() >= BLOCKS {
        let _ = writeln!(text, "    ...");
    } else {
        let after = place.a.end..a.steps.len().min(place.a.end + CONTEXT);
        block(text, " ", a, after);
    }
}

/// Steps of one run, but not more than a screen has room for.
fn block(text: &mut String, letter: &str, side: &Side, range: Range<usize>) {
    let len = range.len();
    for step in side.steps[range].iter().take(LINES) {
        let when = if side.timed {
            format!("{:>13} ", grouped(step.cycle.into()))
        } else {
            String::new()
        };
        let _ = writeln!(text, "  {letter} {when}{}", step.key);
    }
    if len > LINES {
        let _ = writeln!(text, "  {letter} ... and {} more", len - LINES);
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Order { first, before } => {
            format!("from here {first} runs before {before} in B; in A it is the other way round")
        }
        Verdict::Moved { task, a, b } => {
            format!("from here {task} has its steps in another order: `{a}` in A, `{b}` in B")
        }
        Verdict::Changed { a, b } => format!("A does `{a}`, B does `{b}`"),
        Verdict::OnlyA(step) => format!("only A does `{step}`"),
        Verdict::OnlyB(step) => format!("only B does `{step}`"),
    }
}

fn together_again(a: &Side, b: &Side, place: &Place) -> String {
    let (Some(step), Some(in_b)) = (a.steps.get(place.a.end), b.steps.get(place.b.end)) else {
        return "they do not come together again".to_owned();
    };
    let cycles = if a.timed && b.timed {
        let [a, b] = [step, in_b].map(|step| grouped(step.cycle.into()));
        format!(", at cycle {a} in A and {b} in B")
    } else {
        String::new()
    };
    format!("they come together again with `{}`{cycles}", step.key)
}

/// What became of each task that does not do the same at the same places.
fn tasks(text: &mut String, comparison: &Comparison) {
    text.push_str("\ntasks:\n");
    let width = comparison
        .tasks
        .iter()
        .map(|change| change.task.len())
        .max();
    let width = width.unwrap_or_default();
    for change in &comparison.tasks {
        let _ = write!(
            text,
            "  {:width$}  {} events in both",
            change.task, change.both
        );
        let parts = [
            (change.moved, "of them at another place in the order"),
            (change.only_a, "only in A"),
            (change.only_b, "only in B"),
        ];
        for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
            let _ = write!(text, ", {count} {what}");
        }
        text.push('\n');
    }
}

/// Gains and losses: in all, by kinds of phases, and the largest ones.
fn costs(cycles: &Cycles, limit: usize) -> String {
    let gain = i128::from(cycles.b) - i128::from(cycles.a);
    if cycles.phases.is_empty() {
        return format!("cycles: each of {} phases costs the same\n", cycles.count);
    }
    let mut text = format!(
        "cycles: B needs {} ({}); {} of {} phases changed\n",
        signed(gain),
        percent(gain, cycles.a),
        cycles.phases.len(),
        cycles.count
    );
    if limit == 0 {
        return text;
    }
    for kind in cycles.kinds.iter().take(limit) {
        let (gain, count) = (signed(kind.gain), kind.count);
        let _ = writeln!(
            text,
            "  {gain:>12} in {count} x {} -> {}",
            kind.from, kind.to
        );
    }
    if cycles.kinds.len() > limit {
        let _ = writeln!(
            text,
            "  {:>12} and {} more kinds",
            "",
            cycles.kinds.len() - limit
        );
    }
    text.push_str("the phases that changed most:\n");
    let mut phases: Vec<_> = cycles.phases.iter().collect();
    phases.sort_by_key(|phase| std::cmp::Reverse(phase.gain().unsigned_abs()));
    for phase in phases.iter().take(limit) {
        let from = phase.from.as_deref().unwrap_or("power-on");
        let to = phase.to.as_deref().unwrap_or("the end");
        let _ = writeln!(
            text,
            "  {:>12} up to cycle {} of A: {} in A, {} in B, {from} -> {to}",
            signed(phase.gain()),
            grouped(phase.at.into()),
            grouped(phase.a.into()),
            grouped(phase.b.into()),
        );
    }
    text
}

fn percent(gain: i128, of: u64) -> String {
    if of == 0 {
        return "of nothing".to_owned();
    }
    // Hundredths of a percent, in whole numbers.
    let part = gain * 10_000 / i128::from(of);
    let sign = if gain < 0 { '-' } else { '+' };
    let part = part.unsigned_abs();
    format!("{sign}{}.{:02} %", part / 100, part % 100)
}

fn signed(number: i128) -> String {
    let sign = if number < 0 { '-' } else { '+' };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// `1234567` as `1_234_567`.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
