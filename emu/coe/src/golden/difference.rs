//! What differs between a golden and a run, in words.

use std::fmt::Write as _;

use super::phases;
use super::text::Parsed;

/// Lines of context around a difference.
const CONTEXT: usize = 3;

/// Lines with their numbers in the file.
type Lines<'a> = Vec<(usize, &'a str)>;

/// What differs between a golden and a run; nothing if they are equal. What
/// happened comes first, and what it cost after that.
#[must_use]
pub fn difference(golden: &str, now: &str) -> Option<String> {
    if golden == now {
        return None;
    }
    let (old, new) = (Parsed::new(golden), Parsed::new(now));
    let mut text = String::new();
    if old.kernel.is_some() && new.kernel.is_some() && old.kernel != new.kernel {
        text.push_str(
            "the kernel is another one than the golden's (an exact golden holds for one kernel)\n",
        );
    }
    let happened = |parsed: &Parsed<'_>| -> Vec<String> {
        let lines = parsed.lines.iter();
        lines.map(|(_, line)| (*line).to_owned()).collect()
    };
    let same_events = happened(&old) == happened(&new);
    if !same_events {
        text.push_str(&first_difference(&old.lines, &new.lines));
    } else if old.phases == new.phases {
        // Nothing but the header or the digest is left.
        text.push_str(&first_difference(&numbered(golden), &numbered(now)));
    }
    text.push_str(&phases::difference(&old.phases, &new.phases, same_events));
    Some(text)
}

fn numbered(text: &str) -> Lines<'_> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .collect()
}

fn first_difference(golden: &Lines<'_>, now: &Lines<'_>) -> String {
    let both = golden.iter().zip(now);
    let at = both.take_while(|(old, new)| old.1 == new.1).count();
    // The golden's line; behind its last one, where the next would stand.
    let number = golden.get(at).map_or_else(
        || golden.last().map_or(1, |(number, _)| number + 1),
        |(number, _)| *number,
    );
    let mut text = format!("first difference in line {number}:\n");
    for (_, line) in &golden[at.saturating_sub(CONTEXT)..at] {
        let _ = writeln!(text, "    {line}");
    }
    // As many lines as differ in the same place, but not a whole file of them.
    let line = |lines: &Lines<'_>, at: usize| lines.get(at).map(|(_, line)| line.to_string());
    let differing = (at..golden.len().max(now.len()))
        .take_while(|at| line(golden, *at) != line(now, *at))
        .count()
        .min(CONTEXT);
    for (lines, sign) in [(golden, '-'), (now, '+')] {
        for (_, line) in lines.iter().skip(at).take(differing) {
            let _ = writeln!(text, "  {sign} {line}");
        }
        if lines.len() <= at {
            let _ = writeln!(text, "  {sign} (nothing more)");
        }
    }
    text
}
