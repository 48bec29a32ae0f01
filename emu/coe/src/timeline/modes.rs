//! Whether a CPU is in user mode or in the kernel, from what positions say.
//!
//! Events come from the kernel. Each says how many cycles its CPU has spent in
//! user mode so far, and when the CPU came into the kernel. So if the number
//! has grown since the event before, the CPU left the kernel and came back in
//! between, and both cycles are known exactly.

use std::collections::BTreeMap;

use abi::event::TaskState;
use machine::Position;

use super::lanes::Lanes;
use super::{Cause, IDLE, LaneId, State};

/// Where each CPU was at its last event.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes {
    last: BTreeMap<u8, Position>,
}

impl Modes {
    /// Covers the time up to an event that the kernel made; `cause` is how it
    /// was entered if it had been left.
    pub(super) fn advance(&mut self, lanes: &mut Lanes, at: &Position, cause: Cause) {
        let last = self.last.insert(at.cpu, *at).unwrap_or_default();
        let user = at.user.saturating_sub(last.user);
        let lane = lanes.running(at.cpu);
        if user == 0 {
            // A fault is told when it is dealt with: other events may come first.
            if cause == Cause::Fault && lanes.cause(lane) == Cause::Other {
                lanes.recall(lane, cause);
            }
            return;
        }
        // If there was more than one stay, which no event tells, they count as one.
        let (from, to) = (at.mode_since.saturating_sub(user), at.mode_since);
        lanes.enter(lane, from.max(last.cycle), State::User, Cause::None, at.cpu);
        lanes.enter(lane, to, State::Kernel, cause, at.cpu);
    }

    /// One task gives its CPU to another: the arguments are those of the event.
    pub(super) fn switch(&mut self, lanes: &mut Lanes, cpu: u8, cycle: u64, args: &[u64; 5]) {
        let (prev, next) = (lanes.of(args[0]), lanes.of(args[2]));
        leave(lanes, prev, cycle, TaskState::from_raw(args[1]), cpu);
        lanes.run(cpu, next);
        let state = match next {
            IDLE => State::Idle,
            _ => State::Kernel,
        };
        lanes.enter(next, cycle, state, lanes.cause(next), cpu);
    }
}

/// What a task does after it has given up its CPU.
fn leave(lanes: &mut Lanes, lane: LaneId, cycle: u64, state: Option<TaskState>, cpu: u8) {
    let state = match state {
        Some(TaskState::Interruptible) => State::Sleeping,
        Some(TaskState::Uninterruptible) => State::Blocked,
        Some(TaskState::Stopped) => State::Stopped,
        Some(TaskState::Zombie) => State::Zombie,
        Some(TaskState::Dead) => return lanes.end(lane, cycle),
        _ => State::Runnable,
    };
    if state == State::Zombie && lanes.all()[lane as usize].gone.is_some() {
        return lanes.end(lane, cycle);
    }
    lanes.enter(lane, cycle, state, lanes.cause(lane), cpu);
}
