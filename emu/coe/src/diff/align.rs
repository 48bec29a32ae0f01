//! Which step of one run is which step of the other.

use std::collections::{BTreeMap, VecDeque};

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::side::Side;

/// The same step in the other run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    /// Its index there.
    pub(super) at: usize,
    /// It is a part of the order that both runs have in common.
    pub(super) in_order: bool,
}

/// Two runs, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alignment {
    /// For each step of A its partner in B.
    pub(super) in_a: Vec<Option<Partner>>,
    /// For each step of B its partner in A.
    pub(super) in_b: Vec<Option<Partner>>,
}

impl Alignment {
    /// The steps that both have in one order: their indices in A and in B.
    pub(super) fn common(&self) -> impl Iterator<Item = (usize, usize)> {
        self.in_a.iter().enumerate().filter_map(|(a, partner)| {
            let partner = partner.filter(|partner| partner.in_order)?;
            Some((a, partner.at))
        })
    }
}

/// Aligns each task's steps with those of the task of the same name; then finds
/// the longest order that the pairs have in common.
pub(super) fn align(a: &Side, b: &Side) -> Alignment {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (in_a, in_b) in by_task(a, b).values() {
        pairs.extend(align_task(a, b, in_a, in_b));
    }
    pairs.sort_unstable();
    let mut alignment = Alignment {
        in_a: vec![None; a.steps.len()],
        in_b: vec![None; b.steps.len()],
    };
    let ordered = longest_increasing(&pairs);
    for ((at_a, at_b), in_order) in pairs.into_iter().zip(ordered) {
        alignment.in_a[at_a] = Some(Partner { at: at_b, in_order });
        alignment.in_b[at_b] = Some(Partner { at: at_a, in_order });
    }
    alignment
}

/// The indices of each task's steps in both runs.
fn by_task<'a>(a: &'a Side, b: &'a Side) -> BTreeMap<&'a str, (Vec<usize>, Vec<usize>)> {
    let mut tasks: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, step) in a.steps.iter().enumerate() {
        tasks.entry(&step.task).or_default().0.push(at);
    }
    for (at, step) in b.steps.iter().enumerate() {
        tasks.entry(&step.task).or_default().1.push(at);
    }
    tasks
}

/// Pairs of one task's steps: what Myers finds, and then what is left over and
/// the same. A wakeup is done to a task by others, so it may well change its
/// place among the task's own steps.
fn align_task(a: &Side, b: &Side, in_a: &[usize], in_b: &[usize]) -> Vec<(usize, usize)> {
    let keys_a: Vec<&str> = in_a.iter().map(|at| a.steps[*at].key.as_str()).collect();
    let keys_b: Vec<&str> = in_b.iter().map(|at| b.steps[*at].key.as_str()).collect();
    let mut pairs = Vec::new();
    let mut left: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    let mut wanting = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &keys_a, &keys_b) {
        let (tag, range_a, range_b) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            let range_a = in_a[range_a].iter().copied();
            pairs.extend(range_a.zip(in_b[range_b].iter().copied()));
            continue;
        }
        for at in range_a {
            left.entry(keys_a[at]).or_default().push_back(in_a[at]);
        }
        wanting.extend(range_b);
    }
    for at in wanting {
        if let Some(partner) = left.get_mut(keys_b[at]).and_then(VecDeque::pop_front) {
            pairs.push((partner, in_b[at]));
        }
    }
    pairs
}

/// Which of the pairs, sorted by their first index, belong to the longest
/// selection in which the second index rises as well.
fn longest_increasing(pairs: &[(usize, usize)]) -> Vec<bool> {
    /// No pair comes before.
    const NONE: usize = usize::MAX;
    // The pair with the lowest second index that ends a selection of each length.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![NONE; pairs.len()];
    for (at, (_, second)) in pairs.iter().enumerate() {
        let len = ends.partition_point(|end| pairs[*end].1 < *second);
        if len > 0 {
            before[at] = ends[len - 1];
        }
        if len == ends.len() {
            ends.push(at);
        } else {
            ends[len] = at;
        }
    }
    let mut chosen = vec![false; pairs.len()];
    let mut at = ends.last().copied().unwrap_or(NONE);
    while at != NONE {
        chosen[at] = true;
        at = before[at];
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_order_is_found() {
        let pairs = [(0, 4), (1, 0), (2, 1), (3, 3), (4, 2), (5, 5)];
        let chosen = longest_increasing(&pairs);
        assert_eq!(chosen.iter().filter(|chosen| **chosen).count(), 4);
        let order: Vec<_> = pairs.iter().zip(&chosen).filter(|(_, c)| **c).collect();
        assert!(order.is_sorted_by_key(|(pair, _)| pair.1));
        assert!(!chosen[0]);
        assert!(longest_increasing(&[]).is_empty());
    }
}
