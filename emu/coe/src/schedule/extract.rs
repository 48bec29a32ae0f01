//! The schedule that a run took: all that differed from what the kernel would
//! have done by itself.

use std::collections::BTreeMap;

use abi::choice::RESCHEDULE_VECTOR;
use abi::event::EventId;
use machine::{Event, Input, Payload, Position};

use super::watch::{Total, Watch};
use super::{Action, Anchor, Line, Schedule, What};
use crate::events::pattern::Pattern;

/// An event that lines can be anchored to.
#[derive(Clone, Debug)]
struct Mark {
    what: What,
    nth: u64,
    /// What was counted for its task by then.
    then: Total,
}

/// Reads the events of a run.
#[derive(Debug)]
pub struct Extractor {
    watch: Watch,
    /// How many events of each kind each task has had.
    counts: BTreeMap<(String, String), u64>,
    /// Of each task the last event that says where in its program it is.
    marks: BTreeMap<String, Mark>,
    /// The last event of the kernel, who ran, and where it was.
    last: Option<(Position, String, Mark)>,
    lines: Vec<Line>,
}

impl Default for Extractor {
    fn default() -> Self {
        Extractor {
            watch: Watch::new(),
            counts: BTreeMap::new(),
            marks: BTreeMap::new(),
            last: None,
            lines: Vec::new(),
        }
    }
}

impl Extractor {
    /// Takes the next event in.
    pub fn see(&mut self, event: &Event) {
        match &event.payload {
            Payload::Console(_) => {}
            Payload::Kernel { .. } => self.kernel(event),
            Payload::Choice { choice, answer } => {
                let by = self.watch.running.clone();
                self.watch.take(event, |_| false);
                if *answer != choice.default {
                    let mark = self.mark(&by);
                    let total = self.watch.total(Some(&by));
                    let task = choice.candidates.get(*answer as usize);
                    let action = Action::Answer {
                        kind: choice.kind,
                        nth: total.asked(choice.kind) - mark.then.asked(choice.kind),
                        task: task.map(|task| self.watch.teller.name(*task)),
                    };
                    self.put(by, mark, None, action);
                }
            }
            Payload::Input(input) => {
                self.watch.take(event, |_| false);
                if *input == Input::Interrupt(RESCHEDULE_VECTOR) {
                    self.interrupt(event);
                }
            }
            Payload::Unknown { .. } => {
                self.watch.take(event, |_| false);
            }
        }
    }

    /// The schedule.
    #[must_use]
    pub fn finish(self) -> Schedule {
        Schedule { lines: self.lines }
    }

    fn kernel(&mut self, event: &Event) {
        let Some(line) = self.watch.take(event, |_| true) else {
            return;
        };
        let Some(pattern) = pattern(&line) else {
            return;
        };
        let key = (line.by.clone(), pattern.text().to_owned());
        let count = self.counts.entry(key).or_default();
        *count += 1;
        let mark = Mark {
            nth: *count,
            then: self.watch.total(Some(&line.by)),
            what: What::Event(pattern),
        };
        if let Payload::Kernel { id, .. } = &event.payload
            && tells_where(*id, &line.by)
        {
            self.marks.insert(line.by.clone(), mark.clone());
        }
        self.last = Some((event.at, line.by, mark));
    }

    /// The kernel was interrupted: right after an event, or between two.
    fn interrupt(&mut self, event: &Event) {
        if let Some((at, by, mark)) = self.last.clone()
            && at == event.at
        {
            return self.put(by, mark, None, Action::Interrupt);
        }
        let by = self.watch.running.clone();
        let mark = self.mark(&by);
        let plus = self.watch.total(Some(&by)).user - mark.then.user;
        self.put(by, mark, Some(plus), Action::Interrupt);
    }

    fn mark(&self, task: &str) -> Mark {
        self.marks.get(task).cloned().unwrap_or(Mark {
            what: What::Start,
            nth: 1,
            then: Total::default(),
        })
    }

    fn put(&mut self, task: String, mark: Mark, plus: Option<u64>, action: Action) {
        let anchor = Anchor {
            task: Some(task),
            what: mark.what,
            nth: mark.nth,
            then: false,
            plus,
        };
        self.lines.push(Line {
            anchor,
            action,
            place: format!("line {}", self.lines.len() + 1),
        });
    }
}

/// The event with those of its fields that a rebuild of the kernel does not
/// change and that say which one it is.
fn pattern(line: &crate::events::Line) -> Option<Pattern> {
    const TELLING: [&str; 7] = ["nr", "child", "waiter", "next", "kind", "sig", "task"];
    let mut text = line.name.to_owned();
    for (name, value) in &line.fields {
        if TELLING.contains(name) && !value.is_empty() && !value.contains(char::is_whitespace) {
            text = format!("{text} {name}={value}");
        }
    }
    Pattern::parse(&text).ok()
}

/// Whether this event of this task says where in its program it is: for what
/// runs in user mode its system calls, for the kernel's own tasks what they do
/// to others. Interrupts, and what they do, come when they come.
fn tells_where(id: EventId, by: &str) -> bool {
    let first = by.split('/').next().unwrap_or_default();
    match first {
        "init" | "main" => id == EventId::SysEnter,
        _ => matches!(id, EventId::SchedWakeup | EventId::SchedProcessFork),
    }
}
