//! Counters, each defined once as a query over events.
//!
//! They count what the scenario's program and its descendants do, from the
//! moment at which the program runs.

use std::fmt;

use abi::event::{EventId, FaultKind, FrameKind};
use machine::{Event, Payload};

use crate::names::tasks::{MAIN, Tasks};

/// One kernel event, as a query sees it.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    id: EventId,
    args: &'a [u64; 5],
    tasks: &'a Tasks,
    /// The running task belongs to the program.
    by_program: bool,
}

impl Seen<'_> {
    fn is(&self, id: EventId) -> bool {
        self.id == id && self.by_program
    }

    fn fault(&self, kind: FaultKind) -> bool {
        self.is(EventId::PageFault) && self.args[0] == kind as u64
    }

    fn frame(&self, kind: FrameKind) -> bool {
        self.is(EventId::MmPageAlloc) && self.args[1] == kind as u64
    }

    /// The event is of this kind and its task, in this argument, the program's.
    fn about(&self, id: EventId, arg: usize) -> bool {
        self.id == id && self.tasks.is_program(self.args[arg])
    }
}

/// A counter.
#[derive(Debug)]
pub struct Counter {
    /// The name in a scenario.
    pub name: &'static str,
    /// What it counts.
    pub meaning: &'static str,
    query: fn(&Seen<'_>) -> bool,
}

/// Every counter.
pub const ALL: &[Counter] = &[
    Counter {
        name: "switches",
        meaning: "times that one of the program's tasks got the CPU",
        query: |e| e.about(EventId::SchedSwitch, 2),
    },
    Counter {
        name: "wakeups",
        meaning: "times that one of them was woken",
        query: |e| e.about(EventId::SchedWakeup, 0),
    },
    Counter {
        name: "forks",
        meaning: "tasks created",
        query: |e| e.is(EventId::SchedProcessFork),
    },
    Counter {
        name: "execs",
        meaning: "programs started after the first",
        query: |e| e.is(EventId::SchedProcessExec),
    },
    Counter {
        name: "exits",
        meaning: "tasks ended",
        query: |e| e.about(EventId::SchedProcessExit, 0),
    },
    Counter {
        name: "syscalls",
        meaning: "system calls",
        query: |e| e.is(EventId::SysEnter),
    },
    Counter {
        name: "missing_syscalls",
        meaning: "system calls that the kernel does not have",
        query: |e| e.is(EventId::SysMissing),
    },
    Counter {
        name: "signals",
        meaning: "signals delivered",
        query: |e| e.is(EventId::SignalDeliver),
    },
    Counter {
        name: "faults",
        meaning: "page faults of any kind",
        query: |e| e.is(EventId::PageFault),
    },
    Counter {
        name: "cow_copies",
        meaning: "pages copied at the first write after a fork",
        query: |e| e.fault(FaultKind::Cow),
    },
    Counter {
        name: "cow_reuses",
        meaning: "pages taken over by their last owner",
        query: |e| e.fault(FaultKind::Reuse),
    },
    Counter {
        name: "zero_faults",
        meaning: "zeroed pages put in on first touch",
        query: |e| e.fault(FaultKind::Zero),
    },
    Counter {
        name: "file_faults",
        meaning: "pages filled from their file",
        query: |e| e.fault(FaultKind::File),
    },
    Counter {
        name: "bad_faults",
        meaning: "accesses that nobody may make",
        query: |e| e.fault(FaultKind::Bad),
    },
    Counter {
        name: "user_frames",
        meaning: "frames taken for pages of address spaces",
        query: |e| e.frame(FrameKind::User),
    },
    Counter {
        name: "page_table_frames",
        meaning: "frames taken for page tables",
        query: |e| e.frame(FrameKind::PageTable),
    },
    Counter {
        name: "kernel_stack_frames",
        meaning: "frames taken for kernel stacks",
        query: |e| e.frame(FrameKind::KernelStack),
    },
    Counter {
        name: "slab_frames",
        meaning: "frames taken for the kernel's small objects",
        query: |e| e.frame(FrameKind::Slab),
    },
];

/// The names of all counters.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    ALL.iter().map(|counter| counter.name)
}

/// The place of the counter of this name in [`ALL`].
#[must_use]
pub fn find(name: &str) -> Option<usize> {
    ALL.iter().position(|counter| counter.name == name)
}

/// What a counter has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// This number.
    Exactly(u64),
    /// This number or more.
    AtLeast(u64),
    /// This number or less.
    AtMost(u64),
}

impl Bound {
    /// Reads `>= N` or `<= N`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Bound> {
        let number = |text: &str| text.trim().replace('_', "").parse().ok();
        match (text.strip_prefix(">="), text.strip_prefix("<=")) {
            (Some(rest), _) => number(rest).map(Bound::AtLeast),
            (_, Some(rest)) => number(rest).map(Bound::AtMost),
            _ => None,
        }
    }

    /// True if the count is within.
    #[must_use]
    pub fn holds(self, count: u64) -> bool {
        match self {
            Bound::Exactly(n) => count == n,
            Bound::AtLeast(n) => count >= n,
            Bound::AtMost(n) => count <= n,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Exactly(n) => write!(f, "{n}"),
            Bound::AtLeast(n) => write!(f, ">= {n}"),
            Bound::AtMost(n) => write!(f, "<= {n}"),
        }
    }
}

/// Counts a machine's events.
#[derive(Clone, Debug)]
pub struct Tally {
    tasks: Tasks,
    started: bool,
    counts: [u64; ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            tasks: Tasks::default(),
            started: false,
            counts: [0; ALL.len()],
        }
    }
}

impl Tally {
    /// Takes in the next event.
    pub fn count(&mut self, event: &Event) {
        let Payload::Kernel { id, args, text } = &event.payload else {
            return;
        };
        let current = self.tasks.current(event.at.cpu);
        let by_program = self.tasks.is_program(current);
        self.tasks.before(*id, args);
        if self.started {
            let seen = Seen {
                id: *id,
                args,
                tasks: &self.tasks,
                by_program,
            };
            for (count, counter) in self.counts.iter_mut().zip(ALL) {
                *count += u64::from((counter.query)(&seen));
            }
        } else if *id == EventId::SchedProcessExec && self.tasks.name(args[0]) == MAIN {
            self.started = true;
        }
        self.tasks.after(*id, event.at.cpu, args, text);
    }

    /// The count of the counter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        find(name).map_or(0, |at| self.counts[at])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{boot, kernel};
    use super::*;

    #[test]
    fn only_the_program_counts_and_only_once_it_runs() {
        let mut tally = Tally::default();
        tally.count(&kernel(0, EventId::PageFault, [2, 0, 0, 0, 0]));
        for event in boot() {
            tally.count(&event);
        }
        assert_eq!(
            (tally.get("execs"), tally.get("forks"), tally.get("faults")),
            (0, 0, 0)
        );
        tally.count(&kernel(5, EventId::PageFault, [2, 0, 0, 0, 0]));
        tally.count(&kernel(6, EventId::PageFault, [0, 0, 0, 0, 0]));
        tally.count(&kernel(7, EventId::SchedProcessFork, [4, 5, 5, 17, 0]));
        tally.count(&kernel(8, EventId::SchedSwitch, [4, 0, 5, 0, 0]));
        tally.count(&kernel(9, EventId::SchedSwitch, [5, 0, 1, 0, 0]));
        tally.count(&kernel(10, EventId::PageFault, [2, 0, 0, 0, 0]));
        assert_eq!((tally.get("faults"), tally.get("cow_copies")), (2, 1));
        assert_eq!((tally.get("forks"), tally.get("switches")), (1, 1));
    }

    #[test]
    fn bounds_hold_where_they_say() {
        assert_eq!(Bound::parse(">= 1_000"), Some(Bound::AtLeast(1000)));
        assert_eq!(Bound::parse("<=2"), Some(Bound::AtMost(2)));
        assert_eq!(Bound::parse("2"), None);
        assert!(Bound::AtLeast(2).holds(2) && !Bound::AtLeast(2).holds(1));
        assert!(Bound::AtMost(2).holds(2) && !Bound::AtMost(2).holds(3));
        assert!(Bound::Exactly(2).holds(2) && !Bound::Exactly(2).holds(3));
    }

    #[test]
    fn names_are_unique() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ALL.len());
    }

    #[test]
    fn every_counter_is_documented() {
        let page = include_str!("../../../../docs/scenario-format.md");
        for name in names() {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
