//! Where two runs differ, and what that means.

use std::ops::Range;

use super::align::{Alignment, Partner};
use super::side::{Side, Step};

/// Places with fewer common steps between them are one.
const APART: usize = 3;

/// What a difference comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In B this task runs before the other one; in A it is the other way round.
    Order {
        /// Who runs first in B.
        first: String,
        /// Who runs first in A.
        before: String,
    },
    /// One task's own steps stand in another order.
    Moved {
        /// The task.
        task: String,
        /// Its step in A.
        a: String,
        /// Its step in B.
        b: String,
    },
    /// A task does something else.
    Changed {
        /// What A does.
        a: String,
        /// What B does.
        b: String,
    },
    /// Something happens in A only.
    OnlyA(String),
    /// Something happens in B only.
    OnlyB(String),
}

/// A place at which two runs differ: steps of A, and of B instead of them. The
/// ranges hold common steps too if those are few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The steps of A.
    pub a: Range<usize>,
    /// The steps of B.
    pub b: Range<usize>,
    /// The common steps in the ranges, as indices of A and B.
    pub common: Vec<(usize, usize)>,
    /// What its first difference comes down to.
    pub verdict: Verdict,
}

/// Every place at which the runs differ, in the order of time. A step that
/// stands earlier in one run and later in the other lies in one place with all
/// that it has passed.
pub(super) fn find(a: &Side, b: &Side, alignment: &Alignment) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut next = (0, 0);
    // Common steps since the last place.
    let mut since: Vec<(usize, usize)> = Vec::new();
    let (to_b, to_a) = (reach(&alignment.in_a), reach(&alignment.in_b));
    let end = (a.steps.len(), b.steps.len());
    for at in alignment.common().chain([end]) {
        // Nothing from before it stands behind it in the other run.
        let closed = to_b[at.0] <= at.1 && to_a[at.1] <= at.0;
        if at != next || !closed {
            match places.last_mut() {
                Some(last) if since.len() < APART => last.common.append(&mut since),
                _ => places.push(Place {
                    a: next.0..at.0,
                    b: next.1..at.1,
                    common: Vec::new(),
                    verdict: verdict(a, b, alignment, next),
                }),
            }
            since.clear();
            if let Some(last) = places.last_mut() {
                let inside = usize::from(!closed);
                last.common.extend((!closed).then_some(at));
                (last.a.end, last.b.end) = (at.0 + inside, at.1 + inside);
            }
        }
        since.extend(closed.then_some(at));
        next = (at.0 + 1, at.1 + 1);
    }
    places
}

/// For each number of steps from the beginning: how many steps of the other run
/// hold the partners of them all.
fn reach(partners: &[Option<Partner>]) -> Vec<usize> {
    let mut reach = vec![0];
    let mut furthest = 0;
    for partner in partners {
        furthest = furthest.max(partner.map_or(0, |partner| partner.at + 1));
        reach.push(furthest);
    }
    reach
}

/// One side where the two part: its next step, and that step in the other run.
type Next<'a> = (&'a Step, Option<Partner>);

/// What it means that the runs part before these two steps.
fn verdict(a: &Side, b: &Side, alignment: &Alignment, at: (usize, usize)) -> Verdict {
    let next_a = a.steps.get(at.0).map(|step| (step, alignment.in_a[at.0]));
    let next_b = b.steps.get(at.1).map(|step| (step, alignment.in_b[at.1]));
    match (next_a, next_b) {
        (Some(a), Some(b)) => of_two(a, b),
        (Some((step, _)), None) => Verdict::OnlyA(step.key.clone()),
        (None, Some((step, _))) => Verdict::OnlyB(step.key.clone()),
        (None, None) => unreachable!("the runs do not differ at their ends"),
    }
}

fn of_two((a, in_b): Next<'_>, (b, in_a): Next<'_>) -> Verdict {
    let known = in_a.is_some() && in_b.is_some();
    if a.task != b.task && (known || a.is_switch() || b.is_switch()) {
        return Verdict::Order {
            first: b.task.clone(),
            before: a.task.clone(),
        };
    }
    match (in_b, in_a) {
        (Some(_), Some(_)) => Verdict::Moved {
            task: a.task.clone(),
            a: a.key.clone(),
            b: b.key.clone(),
        },
        (None, None) => Verdict::Changed {
            a: a.key.clone(),
            b: b.key.clone(),
        },
        (None, Some(_)) => Verdict::OnlyA(a.key.clone()),
        (Some(_), None) => Verdict::OnlyB(b.key.clone()),
    }
}
