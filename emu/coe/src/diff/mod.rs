//! Two runs side by side: what the tasks of one do and the other's do not, where
//! their orders part, and which phases gained or lost cycles.
//!
//! A run is a list of [`Step`]s. Each task's steps are aligned with the steps of
//! the task of the same name, so that another interleaving of the same work is
//! told as another order and not as two different runs.

mod align;
mod golden;
pub mod json;
mod phases;
mod places;
mod side;
pub mod text;

pub use phases::{Cycles, Kind, Phase};
pub use places::{Place, Verdict};
pub use side::{Collector, Counted, Side, Step};

pub use golden::{is_golden, parse as from_golden};

use std::collections::BTreeMap;

use align::Alignment;

/// Which events are held against each other, and what about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// All events: also those of the kernel's own tasks, frames and choices.
    pub all: bool,
    /// Addresses and numbers too, which another build or order moves.
    pub addresses: bool,
}

/// What became of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskChange {
    /// Its name.
    pub task: String,
    /// Steps that both runs have.
    pub both: usize,
    /// Those of them that stand at another place in the order.
    pub moved: usize,
    /// Steps that only A has.
    pub only_a: usize,
    /// Steps that only B has.
    pub only_b: usize,
}

/// The first lines of the consoles that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleChange {
    /// The line's number, from 1.
    pub line: usize,
    /// The line in A, if it has that many.
    pub a: Option<String>,
    /// The line in B, if it has that many.
    pub b: Option<String>,
}

/// Two runs held against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Steps before the first difference.
    pub common: usize,
    /// Where they differ, in the order of time.
    pub places: Vec<Place>,
    /// What became of each task, by name.
    pub tasks: Vec<TaskChange>,
    /// Where the consoles part.
    pub console: Option<ConsoleChange>,
    /// The endings, if they differ.
    pub endings: Option<(String, String)>,
    /// Gains and losses, if both sides know their cycles.
    pub cycles: Option<Cycles>,
}

impl Comparison {
    /// True if the runs did the same in the same order, whatever it cost.
    #[must_use]
    pub fn same(&self) -> bool {
        self.places.is_empty() && self.console.is_none() && self.endings.is_none()
    }

    /// True if no phase gained or lost a cycle.
    #[must_use]
    pub fn same_cycles(&self) -> bool {
        self.cycles
            .as_ref()
            .is_none_or(|cycles| cycles.phases.is_empty())
    }
}

/// Holds run B against run A.
#[must_use]
pub fn compare(a: &Side, b: &Side) -> Comparison {
    let alignment = align::align(a, b);
    let places = places::find(a, b, &alignment);
    let timed = a.timed && b.timed;
    Comparison {
        common: places.first().map_or(a.steps.len(), |first| first.a.start),
        tasks: tasks(a, b, &alignment),
        console: console(&a.console, &b.console),
        endings: (a.ending != b.ending).then(|| (a.ending.clone(), b.ending.clone())),
        cycles: timed.then(|| phases::find(a, b, &alignment)),
        places,
    }
}

fn tasks(a: &Side, b: &Side, alignment: &Alignment) -> Vec<TaskChange> {
    let mut found: BTreeMap<&str, TaskChange> = BTreeMap::new();
    let sides = [(a, &alignment.in_a), (b, &alignment.in_b)];
    for (number, (side, partners)) in sides.into_iter().enumerate() {
        for (step, partner) in side.steps.iter().zip(partners) {
            let change = found.entry(&step.task).or_insert_with(|| TaskChange {
                task: step.task.clone(),
                both: 0,
                moved: 0,
                only_a: 0,
                only_b: 0,
            });
            match (partner, number) {
                (Some(partner), 0) => {
                    change.both += 1;
                    change.moved += usize::from(!partner.in_order);
                }
                (Some(_), _) => {}
                (None, 0) => change.only_a += 1,
                (None, _) => change.only_b += 1,
            }
        }
    }
    found.into_values().collect()
}

fn console(a: &[String], b: &[String]) -> Option<ConsoleChange> {
    let at = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at))?;
    Some(ConsoleChange {
        line: at + 1,
        a: a.get(at).cloned(),
        b: b.get(at).cloned(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
