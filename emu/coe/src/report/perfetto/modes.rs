//! When each task entered the kernel.

use std::collections::BTreeMap;

use machine::Position;

/// Follows the cycles of user mode from event to event.
#[derive(Debug, Default)]
pub(super) struct Modes {
    /// The cycles of user mode that each CPU had at its last event.
    user: BTreeMap<u8, u64>,
    /// The cycle at which each task came out of user mode.
    entered: BTreeMap<u32, u64>,
}

impl Modes {
    /// The task ran on this CPU from the event before until now.
    ///
    /// If it was in user mode in between, it came into the kernel when the CPU
    /// did. Otherwise the CPU may have done so with another task.
    pub(super) fn pass(&mut self, task: u32, now: Position) {
        let last = self.user.insert(now.cpu, now.user).unwrap_or_default();
        if now.user > last {
            self.entered.insert(task, now.mode_since);
        }
    }

    /// The cycle at which the task came out of user mode.
    pub(super) fn entered(&self, task: u32) -> Option<u64> {
        self.entered.get(&task).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_slept_in_the_kernel_entered_it_before_that() {
        let at = |cycle, user, mode_since| Position {
            cycle,
            user,
            mode_since,
            ..Position::default()
        };
        let mut modes = Modes::default();
        modes.pass(4, at(100, 0, 0));
        assert_eq!(modes.entered(4), None);
        modes.pass(4, at(180, 30, 140));
        assert_eq!(modes.entered(4), Some(140));
        modes.pass(5, at(230, 40, 210));
        modes.pass(4, at(250, 40, 210));
        assert_eq!((modes.entered(4), modes.entered(5)), (Some(140), Some(210)));
    }
}
