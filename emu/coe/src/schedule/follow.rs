//! Lets a run follow a schedule, line by line.
//!
//! A follower learns everything from the events of the run, so that a second one
//! that sees the same events knows how the first one fared.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::choice::{ChoiceKind, RESCHEDULE_VECTOR};
use abi::event::{EventId, TaskState};
use machine::{Choice, Event, Input, Payload};

use super::misfit::Misfit;
use super::watch::{Total, Watch};
use super::{Action, Anchor, Line, Schedule, What};

/// What a schedule says to a question of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This.
    Given(u32),
    /// The kernel has its default.
    Default,
    /// Nothing any more: ask the scenario's policy.
    Policy,
}

/// What has become of an anchor's event.
#[derive(Clone, Debug, Default)]
struct Spot {
    /// How many of them there were.
    seen: u64,
    /// The event of the run at which the last one was, and what was counted by
    /// then.
    at: u64,
    then: Total,
}

impl Spot {
    /// What is missing for the anchor, if its event has not come yet.
    fn missing(&self, anchor: &Anchor) -> Option<String> {
        let (seen, nth) = (self.seen, anchor.nth);
        (seen < nth).then(|| format!("the event came {seen} times, expected {nth}"))
    }
}

/// Who decides instead of the schedule.
#[derive(Clone, Debug)]
enum Left {
    /// The schedule itself said so.
    Asked,
    Misfit(Misfit),
}

/// A schedule and how far it has come.
#[derive(Clone, Debug)]
pub struct Follower {
    schedule: Arc<Schedule>,
    /// The line that is due.
    due: usize,
    /// The kernel was interrupted for that line: its task is still to run.
    waits: bool,
    spots: Vec<Spot>,
    /// Of each line, its spot; lines with the same event share one.
    spot_of: Vec<usize>,
    /// The first line with each spot, by the kind of event.
    by_event: BTreeMap<EventId, Vec<usize>>,
    /// Events so far.
    events: u64,
    watch: Watch,
    left: Option<Left>,
    alarm: Option<u64>,
}

impl Follower {
    /// At the beginning.
    #[must_use]
    pub fn new(schedule: Arc<Schedule>) -> Self {
        let mut spots = Vec::new();
        let mut spot_of = Vec::new();
        let mut by_event: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut known: BTreeMap<(Option<&str>, &str), usize> = BTreeMap::new();
        for (number, line) in schedule.lines.iter().enumerate() {
            let Anchor {
                task, what, then, ..
            } = &line.anchor;
            let text = match what {
                What::Start => "",
                What::Event(pattern) => pattern.text(),
            };
            let key = (task.as_deref(), text);
            // What is counted from the line before on is counted for one line.
            let shared = known.get(&key).copied().filter(|_| !then);
            let spot = shared.unwrap_or(spots.len());
            spot_of.push(spot);
            if shared.is_some() {
                continue;
            }
            if !then {
                known.insert(key, spot);
            }
            spots.push(Spot::default());
            match what {
                What::Start => spots[spot].seen = 1,
                What::Event(pattern) => by_event.entry(pattern.event()).or_default().push(number),
            }
        }
        Follower {
            spots,
            spot_of,
            by_event,
            schedule,
            due: 0,
            waits: false,
            events: 0,
            watch: Watch::new(),
            left: None,
            alarm: None,
        }
    }

    fn line(&self) -> Option<&Line> {
        match self.left {
            None => self.schedule.lines.get(self.due),
            Some(_) => None,
        }
    }

    /// Takes an event in. True if the kernel is to be interrupted here, so that
    /// it asks who runs.
    pub fn see(&mut self, event: &Event) -> bool {
        if self.line().is_none() || matches!(event.payload, Payload::Console(_)) {
            return false;
        }
        let reached = self.alarm == Some(event.at.retired_user)
            && event.payload == Payload::Input(Input::Interrupt(RESCHEDULE_VECTOR));
        self.events += 1;
        self.count(event);
        if reached {
            self.interrupted();
        }
        let now = self.judge(event, reached);
        self.alarm = self.next_alarm();
        now
    }

    /// Counts the event where a line asks for it.
    fn count(&mut self, event: &Event) {
        let lines = &self.schedule.lines;
        let of_event = match &event.payload {
            Payload::Kernel { id, .. } => self.by_event.get(id),
            _ => None,
        };
        let asks = |number: &usize, by: &str| {
            let anchor = &lines[*number].anchor;
            anchor.task.as_deref().is_none_or(|task| task == by)
                && (!anchor.then || *number == self.due)
        };
        let of_event = of_event.map_or(&[][..], Vec::as_slice);
        let wanted = |by: &str| of_event.iter().any(|number| asks(number, by));
        let Some(told) = self.watch.take(event, wanted) else {
            return;
        };
        for number in of_event.iter().filter(|number| asks(number, &told.by)) {
            let anchor = &lines[*number].anchor;
            if matches!(&anchor.what, What::Event(pattern) if pattern.matches(&told)) {
                let spot = &mut self.spots[self.spot_of[*number]];
                spot.seen += 1;
                spot.at = self.events;
                spot.then = self.watch.total(anchor.task.as_deref());
            }
        }
    }

    /// The kernel has been interrupted for the line that is due.
    fn interrupted(&mut self) {
        match self.line().map(|line| &line.action) {
            Some(Action::Run(_)) => self.waits = true,
            _ => self.due += 1,
        }
    }

    /// Looks what the event means for the line that is due, and for those behind
    /// it if that one is done. True if the kernel is to be interrupted here.
    fn judge(&mut self, event: &Event, moved: bool) -> bool {
        let schedule = Arc::clone(&self.schedule);
        let mut moved = moved;
        while let Some(line) = schedule.lines.get(self.due) {
            match self.state(line, event, moved) {
                State::Waits => break,
                State::Done => {
                    self.due += 1;
                    self.waits = false;
                }
                State::Interrupt => {
                    self.interrupted();
                    return true;
                }
                State::Policy => {
                    self.left = Some(Left::Asked);
                    break;
                }
                State::Misfit(why) => {
                    self.left = Some(Left::Misfit(Misfit {
                        place: line.place.clone(),
                        line: line.to_string(),
                        cycle: Some(event.at.cycle),
                        why,
                    }));
                    break;
                }
            }
            moved = true;
        }
        false
    }

    fn state(&self, line: &Line, event: &Event, moved: bool) -> State {
        if let (true, Action::Run(task)) = (self.waits, &line.action) {
            return match self.runs(task, event) {
                true => State::Done,
                false if self.dies(task, event) => State::misfit(format!("{task} has ended")),
                false => State::Waits,
            };
        }
        let anchor = &line.anchor;
        let spot = &self.spots[self.spot_of[self.due]];
        if spot.seen > anchor.nth {
            return State::misfit(
                "the event was before what the lines above wait for, or nothing was asked after it",
            );
        }
        let state = if spot.seen < anchor.nth {
            State::Waits
        } else {
            self.at_anchor(line, spot, event, moved)
        };
        let task = anchor.task.as_deref();
        match (state, task) {
            (State::Waits, Some(task)) if self.dies(task, event) => {
                State::misfit(match spot.missing(anchor) {
                    Some(missing) => format!("{task} ends: {missing}"),
                    None => format!("{task} ends without it"),
                })
            }
            (state, _) => state,
        }
    }

    /// The anchor's event was there, and not one more of its kind.
    fn at_anchor(&self, line: &Line, spot: &Spot, event: &Event, moved: bool) -> State {
        let total = self.watch.total(line.anchor.task.as_deref());
        match &line.action {
            Action::Policy => State::Policy,
            Action::Interrupt | Action::Run(_) => match line.anchor.plus {
                None if spot.at == self.events && self.events > 0 => State::Interrupt,
                None => State::misfit("its event was before what the lines above wait for"),
                // Just reached is too late as well: that was before this event.
                Some(plus) if total.user - spot.then.user >= plus => {
                    State::misfit("that instruction was before what the lines above wait for")
                }
                Some(_) => State::Waits,
            },
            Action::Answer { kind, nth, task } => {
                let asked = total.asked(*kind) - spot.then.asked(*kind);
                match &event.payload {
                    Payload::Choice { choice, answer }
                        if !moved && choice.kind == *kind && asked == *nth =>
                    {
                        self.answered(choice, *answer, task.as_deref())
                    }
                    _ if asked >= *nth => {
                        State::misfit("that question was before what the lines above wait for")
                    }
                    _ => State::Waits,
                }
            }
        }
    }

    fn answered(&self, choice: &Choice, answer: u32, wanted: Option<&str>) -> State {
        if self.index(choice, wanted) == Some(answer) {
            return State::Done;
        }
        let named = |id: &u32| self.watch.teller.name(*id);
        let candidates: Vec<_> = choice.candidates.iter().map(named).collect();
        State::misfit(format!(
            "{} is no answer, only {}",
            wanted.unwrap_or("yes"),
            candidates.join(", ")
        ))
    }

    /// The answer that stands for this task, or for "yes".
    fn index(&self, choice: &Choice, wanted: Option<&str>) -> Option<u32> {
        let Some(wanted) = wanted else {
            return (choice.n > 1).then_some(1);
        };
        let named = |id: &u32| self.watch.teller.name(*id) == wanted;
        let at = choice.candidates.iter().position(named)?;
        u32::try_from(at).ok()
    }

    /// The task runs from this event on.
    fn runs(&self, task: &str, event: &Event) -> bool {
        match &event.payload {
            Payload::Kernel {
                id: EventId::SchedSwitch,
                ..
            } => self.watch.running == task,
            Payload::Choice { choice, answer } if choice.kind == ChoiceKind::PickNext => {
                self.index(choice, Some(task)) == Some(*answer)
            }
            _ => false,
        }
    }

    /// The task leaves the CPU for ever.
    fn dies(&self, task: &str, event: &Event) -> bool {
        match &event.payload {
            Payload::Kernel {
                id: EventId::SchedSwitch,
                args: [prev, state, ..],
                ..
            } => {
                let state = TaskState::from_raw(*state);
                matches!(state, Some(TaskState::Zombie | TaskState::Dead))
                    && self.watch.teller.name(*prev as u32) == task
            }
            _ => false,
        }
    }

    /// What the schedule says to a question.
    #[must_use]
    pub fn answer(&self, choice: &Choice) -> Answer {
        if self.left.is_some() {
            return Answer::Policy;
        }
        let Some(line) = self.line() else {
            return Answer::Default;
        };
        match &line.action {
            Action::Run(task) if self.waits && choice.kind == ChoiceKind::PickNext => self
                .index(choice, Some(task))
                .map_or(Answer::Default, Answer::Given),
            Action::Answer { kind, nth, task } if *kind == choice.kind => {
                let Anchor {
                    task: of,
                    nth: which,
                    ..
                } = &line.anchor;
                let spot = &self.spots[self.spot_of[self.due]];
                let asked = self.watch.total(of.as_deref()).asked(*kind) - spot.then.asked(*kind);
                let mine = of.as_deref().is_none_or(|of| of == self.watch.running);
                if mine && spot.seen == *which && asked + 1 == *nth {
                    // What cannot be answered so does not fit: `see` will say so.
                    let index = self.index(choice, task.as_deref());
                    index.map_or(Answer::Policy, Answer::Given)
                } else {
                    Answer::Default
                }
            }
            _ => Answer::Default,
        }
    }

    /// How many user instructions the machine has retired when the kernel is to
    /// be interrupted between two events.
    #[must_use]
    pub fn alarm(&self) -> Option<u64> {
        self.alarm
    }

    fn next_alarm(&self) -> Option<u64> {
        let line = self.line().filter(|_| !self.waits)?;
        let plus = line.anchor.plus?;
        let spot = &self.spots[self.spot_of[self.due]];
        let task = line.anchor.task.as_deref()?;
        if spot.seen != line.anchor.nth || task != self.watch.running {
            return None;
        }
        let used = self.watch.total(Some(task)).user - spot.then.user;
        Some(self.watch.now + plus.checked_sub(used)?)
    }

    /// Where the schedule did not fit; at the end of a run also the line that is
    /// still due.
    #[must_use]
    pub fn misfit(&self, at_the_end: bool) -> Option<Misfit> {
        if let Some(Left::Misfit(misfit)) = &self.left {
            return Some(misfit.clone());
        }
        let line = self.line().filter(|_| at_the_end)?;
        let spot = &self.spots[self.spot_of[self.due]];
        let why = match &line.action {
            Action::Run(task) if self.waits => format!("{task} never ran after that"),
            _ => spot
                .missing(&line.anchor)
                .unwrap_or_else(|| "the run ended before it".to_owned()),
        };
        Some(Misfit {
            place: line.place.clone(),
            line: line.to_string(),
            cycle: None,
            why,
        })
    }
}

/// What an event means for the line that is due.
enum State {
    Waits,
    Done,
    Interrupt,
    Policy,
    Misfit(String),
}

impl State {
    fn misfit(why: impl Into<String>) -> Self {
        State::Misfit(why.into())
    }
}

#[cfg(test)]
mod tests;
