//! What each phase of a run gained or lost against its golden, and which of the
//! kernel's functions account for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::text::Phase;

/// Phases that are shown: those that changed most.
const PHASES: usize = 10;
/// Functions that are shown for a phase.
const FUNCTIONS: usize = 6;
/// Functions that are shown for the whole run.
const ALTOGETHER: usize = 10;

/// A function's cycles in one phase or in all of them: before and now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    old: u64,
    new: u64,
}

impl Cost {
    fn gain(self) -> i128 {
        i128::from(self.new) - i128::from(self.old)
    }
}

/// Costs by function.
type Costs<'a> = BTreeMap<&'a str, Cost>;

/// A phase that both runs have, and that does not cost the same in both.
struct Change<'a> {
    event: &'a str,
    gain: i128,
    costs: Costs<'a>,
}

/// The phases that changed, in words; nothing if none did.
pub(super) fn difference(old: &[Phase<'_>], new: &[Phase<'_>], same_events: bool) -> String {
    let pairs = common(old, new);
    let changes: Vec<_> = pairs
        .into_iter()
        .filter_map(|(old, new)| change(old, new))
        .collect();
    if changes.is_empty() {
        return String::new();
    }
    let total: i128 = changes.iter().map(|change| change.gain).sum();
    let (whose, count) = (heading(same_events), changes.len());
    let mut text = format!("{whose}; {count} phases changed, together by {total:+} cycles\n");
    for change in most(&changes) {
        let _ = writeln!(text, "  {:+} cycles before {}", change.gain, change.event);
        functions(&mut text, "      ", &change.costs, FUNCTIONS);
    }
    if let Some(more) = count.checked_sub(PHASES).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} phases that changed less");
    }
    if count > 1 {
        altogether(&mut text, &changes);
    }
    text
}

fn heading(same_events: bool) -> &'static str {
    if same_events {
        "the events are the same"
    } else {
        "of the phases between the events that both have"
    }
}

/// The phases that both have: between two events that follow each other in both.
fn common<'a, 'b>(
    old: &'a [Phase<'a>],
    new: &'b [Phase<'b>],
) -> Vec<(&'a Phase<'a>, &'b Phase<'b>)> {
    let events = |phases: &[Phase<'_>]| -> Vec<String> {
        phases.iter().map(|phase| phase.event.to_owned()).collect()
    };
    let mut pairs = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &events(old), &events(new)) {
        let (tag, in_old, in_new) = op.as_tag_tuple();
        if tag != DiffTag::Equal {
            continue;
        }
        let both_begin = in_old.start == 0 && in_new.start == 0;
        let skip = usize::from(!both_begin);
        pairs.extend(old[in_old].iter().zip(&new[in_new]).skip(skip));
    }
    pairs
}

fn change<'a>(old: &'a Phase<'a>, new: &'a Phase<'a>) -> Option<Change<'a>> {
    let gain = i128::from(new.cycles) - i128::from(old.cycles);
    let mut costs = Costs::new();
    // A golden that says nothing of functions would seem to gain all of them.
    if !old.costs.is_empty() && !new.costs.is_empty() {
        for (name, cycles) in &old.costs {
            costs.entry(name).or_default().old += cycles;
        }
        for (name, cycles) in &new.costs {
            costs.entry(name).or_default().new += cycles;
        }
        costs.retain(|_, cost| cost.gain() != 0);
    }
    let changed = gain != 0 || !costs.is_empty();
    changed.then_some(Change {
        event: old.event,
        gain,
        costs,
    })
}

/// Those that changed most, in the order of the run.
fn most<'a, 'b>(changes: &'b [Change<'a>]) -> Vec<&'b Change<'a>> {
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(changes[*at].gain.abs()), *at));
    order.truncate(PHASES);
    order.sort_unstable();
    order.into_iter().map(|at| &changes[at]).collect()
}

/// A line for each of the functions that changed most.
fn functions(text: &mut String, indent: &str, costs: &Costs<'_>, limit: usize) {
    let mut sorted: Vec<_> = costs.iter().collect();
    sorted.sort_by_key(|(name, cost)| (std::cmp::Reverse(cost.gain().abs()), **name));
    for (name, cost) in sorted.iter().take(limit) {
        let Cost { old, new } = cost;
        let _ = writeln!(text, "{indent}{:+} {name} ({old} -> {new})", cost.gain());
    }
    let rest = sorted.get(limit..).unwrap_or_default();
    if !rest.is_empty() {
        let gain: i128 = rest.iter().map(|(_, cost)| cost.gain()).sum();
        let _ = writeln!(text, "{indent}{gain:+} {} further functions", rest.len());
    }
}

fn altogether(text: &mut String, changes: &[Change<'_>]) {
    let mut sum = Costs::new();
    for change in changes {
        for (name, cost) in &change.costs {
            let entry = sum.entry(name).or_default();
            entry.old += cost.old;
            entry.new += cost.new;
        }
    }
    sum.retain(|_, cost| cost.gain() != 0);
    if !sum.is_empty() {
        text.push_str("by function, in the phases that changed:\n");
        functions(text, "  ", &sum, ALTOGETHER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(event: &'static str, costs: &[(&'static str, u64)]) -> Phase<'static> {
        Phase {
            event,
            cycles: costs.iter().map(|(_, cycles)| cycles).sum(),
            costs: costs.to_vec(),
        }
    }

    #[test]
    fn the_functions_that_account_for_a_gain_are_named_the_largest_first() {
        let old = [
            phase("a", &[("f", 10), ("g", 20)]),
            phase("b", &[("f", 5), ("h", 1)]),
        ];
        let new = [
            phase("a", &[("f", 10), ("g", 320)]),
            phase("b", &[("f", 3), ("k", 7), ("h", 1)]),
        ];
        assert_eq!(
            difference(&old, &new, true),
            "the events are the same; 2 phases changed, together by +305 cycles
  +300 cycles before a
      +300 g (20 -> 320)
  +5 cycles before b
      +7 k (0 -> 7)
      -2 f (5 -> 3)
by function, in the phases that changed:
  +300 g (20 -> 320)
  +7 k (0 -> 7)
  -2 f (5 -> 3)
"
        );
        assert_eq!(difference(&old, &old, true), "");
    }

    #[test]
    fn a_phase_counts_if_both_runs_have_both_its_ends() {
        let cost = |event, cycles| phase(event, &[("f", cycles)]);
        let old = [cost("a", 1), cost("b", 1), cost("c", 1), cost("d", 1)];
        let new = [cost("a", 2), cost("x", 9), cost("c", 5), cost("d", 4)];
        let text = difference(&old, &new, false);
        assert!(
            text.starts_with(
                "of the phases between the events that both have; 2 phases changed, together by +4 cycles\n  +1 cycles before a\n"
            ) && text.contains("+3 cycles before d") && !text.contains("before c"),
            "{text}"
        );
    }

    #[test]
    fn long_lists_are_cut_where_they_matter_least() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let costs: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, at)| (*name, at))
            .collect();
        let more: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, at)| (*name, 2 * at))
            .collect();
        let text = difference(&[phase("x", &costs)], &[phase("x", &more)], true);
        assert!(
            text.contains("      +8 h (8 -> 16)\n") && text.ends_with("+3 2 further functions\n"),
            "{text}"
        );
        let old: Vec<_> = (0..12).map(|_| phase("x", &[("f", 1)])).collect();
        let new: Vec<_> = (0..12).map(|at| phase("x", &[("f", 2 + at)])).collect();
        let text = difference(&old, &new, true);
        assert!(
            text.contains("  and 2 phases that changed less\n"),
            "{text}"
        );
        assert!(
            !text.contains("  +2 cycles") && text.contains("  +3 cycles"),
            "{text}"
        );
    }

    #[test]
    fn a_golden_without_functions_is_compared_by_cycles() {
        let old = [Phase {
            event: "a",
            cycles: 7,
            costs: Vec::new(),
        }];
        let new = [phase("a", &[("f", 9)])];
        assert_eq!(
            difference(&old, &new, true),
            "the events are the same; 1 phases changed, together by +2 cycles\n  +2 cycles before a\n"
        );
    }
}
