//! When each task entered the kernel, as far as the events tell.

use std::collections::BTreeMap;

use machine::Position;

/// Follows the cycles of user mode from event to event.
#[derive(Debug, Default)]
pub(super) struct Modes {
    /// Each CPU's last event.
    last: BTreeMap<u8, Position>,
    /// The cycle at which each task came out of user mode.
    entered: BTreeMap<u32, u64>,
}

impl Modes {
    /// The task ran on this CPU from the event before until now.
    ///
    /// If it was in user mode in between, it was in the kernel since then, for
    /// as many cycles as were not the user's. That is too early by what the
    /// kernel did between the event before and user mode, which is its way out.
    pub(super) fn pass(&mut self, task: u32, now: Position) {
        let last = self.last.insert(now.cpu, now).unwrap_or_default();
        let user = now.user.saturating_sub(last.user);
        if user > 0 {
            self.entered.insert(task, last.cycle + user);
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
    fn the_kernels_cycles_are_the_last_ones_before_the_event() {
        let at = |cycle, user| Position {
            cycle,
            user,
            ..Position::default()
        };
        let mut modes = Modes::default();
        modes.pass(4, at(100, 0));
        assert_eq!(modes.entered(4), None);
        modes.pass(4, at(180, 30));
        assert_eq!(modes.entered(4), Some(130));
        modes.pass(4, at(200, 30));
        assert_eq!(modes.entered(4), Some(130), "still in the kernel");
        modes.pass(5, at(230, 40));
        assert_eq!((modes.entered(4), modes.entered(5)), (Some(130), Some(210)));
    }
}
