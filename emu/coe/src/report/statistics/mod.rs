//! Where the time of a run went: by task, by system call, by what was waited for.

mod distribution;
pub mod json;
mod task;
pub mod text;

pub use distribution::{Distribution, Quantiles};
pub use task::{Call, Task};

use std::collections::BTreeMap;

use abi::event::{EventId, FaultKind, TaskState};
use machine::{Event, Payload, Position};

use crate::names::syscalls;
use crate::names::tasks::Tasks;

/// The cycles that count, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Window {
    /// The whole run.
    pub const ALL: Window = Window {
        from: 0,
        to: u64::MAX,
    };

    /// True if this cycle counts.
    #[must_use]
    pub fn holds(self, cycle: u64) -> bool {
        (self.from..=self.to).contains(&cycle)
    }

    /// The cycles between the two that count.
    fn overlap(self, since: u64, now: u64) -> Option<u64> {
        let (since, now) = (since.max(self.from), now.min(self.to));
        now.checked_sub(since)
    }
}

/// What a task is doing that is not running, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Runnable(u64),
    Sleeping(u64, String),
    Stopped(u64),
}

/// What is known about a task beside its figures.
#[derive(Clone, Debug, Default)]
struct Track {
    /// Unless it runs or is gone.
    state: Option<State>,
    /// The system call that it is in, and since when.
    call: Option<(u64, u64)>,
}

/// Collects the figures of a run from its events.
#[derive(Clone, Debug)]
pub struct Statistics {
    window: Window,
    tasks: Tasks,
    /// In the order in which they were first heard of.
    figures: Vec<Task>,
    tracks: Vec<Track>,
    by_name: BTreeMap<String, usize>,
    /// Where each CPU's last event was: the time up to there is accounted for.
    last: BTreeMap<u8, Position>,
    /// Cycles after the last event, of which nobody says who had them.
    rest: u64,
}

impl Statistics {
    /// Starts with nothing.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Statistics {
            window,
            tasks: Tasks::default(),
            figures: Vec::new(),
            tracks: Vec::new(),
            by_name: BTreeMap::new(),
            last: BTreeMap::new(),
            rest: 0,
        }
    }

    /// The tasks in the order in which they came up.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.figures
    }

    /// The system calls of all tasks, by name.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<&str, Call> {
        let mut all: BTreeMap<&str, Call> = BTreeMap::new();
        for (name, call) in self.figures.iter().flat_map(|task| &task.calls) {
            let sum = all.entry(name).or_default();
            sum.entered += call.entered;
            sum.errors += call.errors;
            sum.latency.extend(&call.latency);
        }
        all
    }

    /// Page faults by the function that made them, the most first.
    #[must_use]
    pub fn places(&self) -> Vec<(&str, u64)> {
        let mut all: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, count) in self.figures.iter().flat_map(|task| &task.places) {
            *all.entry(place).or_default() += count;
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }

    /// Cycles after the last event: the events do not say who had them.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.rest
    }

    /// Keeps this task and what descends from it; to be called at the end.
    pub fn keep_only(&mut self, name: &str) {
        self.figures.retain(|task| {
            let rest = task.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }

    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        let at = event.at;
        let running = self.of(self.tasks.current(at.cpu));
        self.account(running, at);
        let Payload::Kernel { id, args, text } = &event.payload else {
            return;
        };
        self.tasks.before(*id, args);
        let name = self.tasks.name(args[0]);
        match id {
            EventId::SchedSwitch => self.switch(args, at.cycle),
            EventId::SchedWakeup => self.woken(args[0], at.cycle),
            EventId::SchedProcessFork => self.forked(args[1], at.cycle),
            EventId::SysEnter => self.enter(running, args[0], at.cycle),
            EventId::SysExit => self.leave(running, args[0], args[1], at.cycle),
            _ if self.window.holds(at.cycle) => self.mark(running, *id, args),
            _ => {}
        }
        self.tasks.after(*id, at.cpu, args, text);
        if *id == EventId::TaskRename {
            self.renamed(&name, self.tasks.name(args[0]));
        }
    }

    /// The kernel names its own tasks after it has made them.
    fn renamed(&mut self, old: &str, new: String) {
        if let Some(at) = self.by_name.remove(old) {
            self.figures[at].name.clone_from(&new);
            self.by_name.insert(new, at);
        }
    }

    /// Takes in where the page fault was that came last: the name of a function.
    pub fn fault_in(&mut self, at: Position, place: String) {
        if self.window.holds(at.cycle) {
            let who = self.of(self.tasks.current(at.cpu));
            *self.figures[who].places.entry(place).or_default() += 1;
        }
    }

    /// The run is over: who waits has waited up to here.
    pub fn finish(&mut self, cycle: u64) {
        for who in 0..self.tracks.len() {
            self.end_wait(who, cycle);
        }
        let last = self.last.values().map(|at| at.cycle).max().unwrap_or(0);
        self.rest = self.window.overlap(last, cycle).unwrap_or(0);
    }

    /// The index of the task with this number.
    fn of(&mut self, id: u64) -> usize {
        let name = self.tasks.name(id);
        if let Some(at) = self.by_name.get(&name) {
            return *at;
        }
        self.figures.push(Task {
            name: name.clone(),
            ..Task::default()
        });
        self.tracks.push(Track::default());
        self.by_name.insert(name, self.figures.len() - 1);
        self.figures.len() - 1
    }

    /// The time since this CPU's last event was the running task's.
    fn account(&mut self, running: usize, now: Position) {
        let last = self.last.insert(now.cpu, now).unwrap_or_default();
        if !self.window.holds(last.cycle) || !self.window.holds(now.cycle) {
            return;
        }
        let user = now.user - last.user;
        self.figures[running].user += user;
        self.figures[running].kernel += now.cycle - last.cycle - user;
    }

    fn switch(&mut self, args: &[u64; 5], cycle: u64) {
        let [prev, state, next, ..] = *args;
        let (prev, next) = (self.of(prev), self.of(next));
        let yields = |nr| syscalls::name(nr) == Some("sched_yield");
        let call = self.tracks[prev].call.map(|(nr, _)| nr);
        let state = TaskState::from_raw(state);
        if self.window.holds(cycle) {
            match state {
                Some(TaskState::Idle) => {}
                Some(TaskState::Running) if !call.is_some_and(yields) => {
                    self.figures[prev].involuntary += 1;
                }
                _ => self.figures[prev].voluntary += 1,
            }
        }
        self.tracks[prev].state = match state {
            Some(TaskState::Running) => Some(State::Runnable(cycle)),
            Some(TaskState::Interruptible | TaskState::Uninterruptible) => {
                Some(State::Sleeping(cycle, reason(call)))
            }
            Some(TaskState::Stopped) => Some(State::Stopped(cycle)),
            _ => None,
        };
        self.end_wait(next, cycle);
    }

    fn woken(&mut self, task: u64, cycle: u64) {
        let task = self.of(task);
        if matches!(
            self.tracks[task].state,
            Some(State::Sleeping(..) | State::Stopped(_))
        ) {
            self.end_wait(task, cycle);
            self.tracks[task].state = Some(State::Runnable(cycle));
        }
    }

    fn forked(&mut self, child: u64, cycle: u64) {
        let child = self.of(child);
        self.tracks[child].state = Some(State::Runnable(cycle));
    }

    /// Whatever the task waited for has come.
    fn end_wait(&mut self, who: usize, cycle: u64) {
        let Some(state) = self.tracks[who].state.take() else {
            return;
        };
        let figures = &mut self.figures[who];
        let (since, waits) = match state {
            State::Runnable(since) => (since, &mut figures.runnable),
            State::Stopped(since) => (since, &mut figures.stopped),
            State::Sleeping(since, reason) => (since, figures.sleeping.entry(reason).or_default()),
        };
        if let Some(cycles) = self.window.overlap(since, cycle) {
            waits.add(cycles);
        }
    }

    fn enter(&mut self, who: usize, nr: u64, cycle: u64) {
        self.tracks[who].call = Some((nr, cycle));
        if self.window.holds(cycle) {
            self.call(who, nr).entered += 1;
        }
    }

    fn leave(&mut self, who: usize, nr: u64, result: u64, cycle: u64) {
        // The child of a clone comes out of a call that it has not entered.
        let since = match self.tracks[who].call.take() {
            Some((entered, since)) if entered == nr => since,
            _ => return,
        };
        if self.window.holds(cycle) {
            let call = self.call(who, nr);
            call.errors += u64::from(is_error(result));
            call.latency.add(cycle - since);
        }
    }

    fn call(&mut self, who: usize, nr: u64) -> &mut Call {
        let name = syscalls::name(nr).map_or_else(|| nr.to_string(), str::to_owned);
        self.figures[who].calls.entry(name).or_default()
    }

    /// What only counts.
    fn mark(&mut self, who: usize, id: EventId, args: &[u64; 5]) {
        let figures = &mut self.figures[who];
        match id {
            EventId::PageFault => {
                let kind = FaultKind::from_raw(args[0]).map_or("unknown", FaultKind::name);
                *figures.faults.entry(kind).or_default() += 1;
            }
            EventId::SignalDeliver => figures.signals += 1,
            _ => {}
        }
    }
}

/// What a task sleeps in.
fn reason(call: Option<u64>) -> String {
    match call {
        Some(nr) => syscalls::name(nr).map_or_else(|| nr.to_string(), str::to_owned),
        None => "the kernel".to_owned(),
    }
}

/// Results from -4095 to -1 are error numbers.
fn is_error(result: u64) -> bool {
    (1..=4095).contains(&result.wrapping_neg())
}

#[cfg(test)]
mod tests;
