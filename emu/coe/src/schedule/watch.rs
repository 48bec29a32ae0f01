//! What a schedule has to know of a run: who runs, how many user instructions
//! each task has had, and how often the kernel has asked while it ran.

use std::collections::BTreeMap;

use abi::choice::ChoiceKind;
use machine::{Event, Payload};

use crate::events::{Line, Teller};

/// The CPU that is looked at: machines have one so far.
const CPU: u8 = 0;

/// What is counted for a task from its birth on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    asked: [u64; ChoiceKind::ALL.len()],
    /// User instructions.
    pub(super) user: u64,
}

impl Total {
    /// The questions of this kind.
    pub(super) fn asked(&self, kind: ChoiceKind) -> u64 {
        self.asked[kind as usize - 1]
    }
}

/// Follows the events of a run, console excepted.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) teller: Teller,
    /// The task that runs after the last event.
    pub(super) running: String,
    /// How many user instructions the machine had retired when it began to.
    since: u64,
    /// The same at the last event.
    pub(super) now: u64,
    totals: BTreeMap<String, Total>,
    /// All tasks together.
    all: Total,
}

impl Watch {
    pub(super) fn new() -> Self {
        let teller = Teller::default();
        Watch {
            running: teller.running(CPU),
            teller,
            since: 0,
            now: 0,
            totals: BTreeMap::new(),
            all: Total::default(),
        }
    }

    /// Takes an event in; gives it in words if `wanted`, which is asked with the
    /// name of the task that ran, says so.
    pub(super) fn take(
        &mut self,
        event: &Event,
        wanted: impl FnOnce(&str) -> bool,
    ) -> Option<Line> {
        self.now = event.at.retired_user;
        if let Payload::Choice { choice, .. } = &event.payload {
            let kind = choice.kind as usize - 1;
            self.all.asked[kind] += 1;
            self.of_running().asked[kind] += 1;
        }
        let line = self.teller.tell_if(event, wanted);
        let running = self.teller.running(CPU);
        if running != self.running {
            let used = self.now - self.since;
            self.of_running().user += used;
            self.since = self.now;
            self.running = running;
        }
        line
    }

    fn of_running(&mut self) -> &mut Total {
        self.totals.entry(self.running.clone()).or_default()
    }

    /// What is counted for a task, or for all, up to the last event.
    pub(super) fn total(&self, task: Option<&str>) -> Total {
        let Some(task) = task else {
            return self.all;
        };
        let mut total = self.totals.get(task).copied().unwrap_or_default();
        if task == self.running {
            total.user += self.now - self.since;
        }
        total
    }
}
