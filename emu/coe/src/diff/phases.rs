//! What it cost: the cycles between two steps that both runs have in common,
//! held against each other.

use std::collections::BTreeMap;

use super::align::Alignment;
use super::side::{Side, Step};

/// The time between two common steps, with what lies between them in one run only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The step that it begins with; none is power-on.
    pub from: Option<String>,
    /// The step that it ends with; none is the end of the run.
    pub to: Option<String>,
    /// The cycle of A at which it ends.
    pub at: u64,
    /// Its cycles in A.
    pub a: u64,
    /// Its cycles in B.
    pub b: u64,
}

impl Phase {
    /// Cycles that B needs more.
    #[must_use]
    pub fn gain(&self) -> i128 {
        i128::from(self.b) - i128::from(self.a)
    }
}

/// All phases between two kinds of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// As in `sys_enter nr=write`.
    pub from: String,
    /// As in `page_fault kind=cow`.
    pub to: String,
    /// Phases of this kind that changed.
    pub count: u64,
    /// Cycles that B needs more for all of them.
    pub gain: i128,
}

/// Gains and losses of B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycles {
    /// Cycles of A.
    pub a: u64,
    /// Cycles of B.
    pub b: u64,
    /// Phases in all.
    pub count: usize,
    /// Those that changed, in the order of time.
    pub phases: Vec<Phase>,
    /// Those that changed by what lies around them, the largest sum first.
    pub kinds: Vec<Kind>,
}

/// A common step on both sides; none is the beginning or the end.
type Point<'a> = (Option<&'a Step>, u64, u64);

pub(super) fn find(a: &Side, b: &Side, alignment: &Alignment) -> Cycles {
    let inner = alignment.common().map(|(at_a, at_b)| -> Point<'_> {
        let (step_a, step_b) = (&a.steps[at_a], &b.steps[at_b]);
        (Some(step_a), step_a.cycle, step_b.cycle)
    });
    let ends = [a, b].map(|side| side.counted.map(|counted| counted.cycles));
    let last: Option<Point<'_>> = match ends {
        [Some(a), Some(b)] => Some((None, a, b)),
        _ => None,
    };
    let mut from: Point<'_> = (None, 0, 0);
    let mut count = 0;
    let mut phases = Vec::new();
    for to in inner.chain(last) {
        count += 1;
        let phase = Phase {
            from: from.0.map(|step| step.key.clone()),
            to: to.0.map(|step| step.key.clone()),
            at: to.1,
            a: to.1.saturating_sub(from.1),
            b: to.2.saturating_sub(from.2),
        };
        if phase.a != phase.b {
            phases.push(phase);
        }
        from = to;
    }
    Cycles {
        a: from.1,
        b: from.2,
        count,
        kinds: kinds(&phases),
        phases,
    }
}

fn kinds(phases: &[Phase]) -> Vec<Kind> {
    let mut sums: BTreeMap<(String, String), (u64, i128)> = BTreeMap::new();
    for phase in phases {
        let from = phase.from.as_deref().map_or("power-on".to_owned(), kind);
        let to = phase.to.as_deref().map_or("the end".to_owned(), kind);
        let sum = sums.entry((from, to)).or_default();
        sum.0 += 1;
        sum.1 += phase.gain();
    }
    let kinds = sums.into_iter().map(|((from, to), (count, gain))| Kind {
        from,
        to,
        count,
        gain,
    });
    let mut kinds: Vec<Kind> = kinds.collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.gain.unsigned_abs()));
    kinds
}

/// Fields that say what kind of thing an event is, and not whose.
const KINDS: [&str; 4] = ["nr=", "kind=", "sig=", "vector="];

/// The step without the names of tasks and without results.
fn kind(key: &str) -> String {
    let mut words = key.split(' ');
    let mut kind = words.next().unwrap_or_default().to_owned();
    for word in words.filter(|word| KINDS.iter().any(|field| word.starts_with(field))) {
        kind.push(' ');
        kind.push_str(word);
    }
    kind
}
