//! Weighted runtime: what a task has used of the CPU, for its weight.
//!
//! Use is counted as slices are: in the task's own user instructions where the
//! CPU counts them, so that shares do not move when the kernel is rebuilt;
//! otherwise, and for the kernel's own tasks, in nanoseconds.

use super::class::WEIGHT_UNIT;
use super::entity::Entity;
use super::slice;

/// Binary places behind the point, so that a heavy task's use is not rounded
/// away.
const PLACES: u32 = 10;

fn scaled(used: u64, weight: u64) -> u64 {
    let used = u128::from(used) << PLACES;
    (used * u128::from(WEIGHT_UNIT) / u128::from(weight)) as u64
}

/// What the running task has used since its slice began, for its weight.
pub(super) fn weighted(running: &Entity) -> u64 {
    if crate::mutant!("weights-do-not-count") {
        return scaled(slice::used(running.kernel), WEIGHT_UNIT);
    }
    scaled(slice::used(running.kernel), running.attributes.weight())
}

/// How far a task that slept may be behind the others, and so ahead of them
/// when it wakes.
pub(super) fn credit() -> u64 {
    scaled(slice::length() / 2, WEIGHT_UNIT)
}

/// Whether a task that wakes has had so much less than the running one that it
/// need not wait for the end of the slice.
pub(super) fn is_behind(woken: &Entity, running: &Entity) -> bool {
    let margin = scaled(slice::length() / 4, woken.attributes.weight());
    woken.runtime + margin < running.runtime + weighted(running)
}
