//! A schedule: which way the kernel goes where it may choose, each choice
//! anchored to an event of a task. A text of its own: see
//! docs/schedule-format.md.
//!
//! [`Schedule::parse`] reads one, [`follow::Follower`] lets a run follow it,
//! [`extract::Extractor`] writes the one that a run took.

pub mod extract;
pub mod follow;
pub mod misfit;
mod parse;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use abi::choice::ChoiceKind;

use crate::events::pattern::Pattern;
use crate::mistake::Mistake;

/// The first line of a schedule.
pub const HEAD: &str = "coe schedule 1";

/// What a line is anchored to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The task's birth.
    Start,
    /// An event that comes while the task runs.
    Event(Pattern),
}

/// A place in the life of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The task's name; `None` is any task.
    pub task: Option<String>,
    /// The kind of event.
    pub what: What,
    /// Which one of them: from 1 on.
    pub nth: u64,
    /// True if they are counted from the line before on; otherwise from the
    /// task's birth.
    pub then: bool,
    /// So many user instructions of the task after the event, from 1 on.
    pub plus: Option<u64>,
}

/// What is done at an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The kernel is interrupted, and asks at once who runs next.
    Interrupt,
    /// The same, and the answer is this task, as soon as it can run.
    Run(String),
    /// A question that the kernel asks after the anchor, while the anchor's
    /// task runs, is answered.
    Answer {
        /// The kind of question.
        kind: ChoiceKind,
        /// Which one of that kind: from 1 on.
        nth: u64,
        /// The task that is the answer; `None` is "yes".
        task: Option<String>,
    },
    /// The schedule ends, and the scenario's policy has its say.
    Policy,
}

/// One line of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub anchor: Anchor,
    /// What.
    pub action: Action,
    /// Where the line itself stands: `x.schedule:3`.
    pub place: String,
}

/// A schedule as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Its lines; each waits for the one before it.
    pub lines: Vec<Line>,
}

impl Schedule {
    /// Reads a schedule; `file` is what the messages call it.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Arc<Schedule>, Box<Mistake>> {
        parse::schedule(file, text).map(Arc::new)
    }

    /// Reads the schedule that this file holds.
    ///
    /// # Errors
    /// If it is not text, or its first mistake with its place.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Arc<Schedule>, crate::Error> {
        let text = String::from_utf8(bytes).map_err(|_| crate::Error::NotText {
            path: path.to_owned(),
        })?;
        Ok(Schedule::parse(&path.display().to_string(), &text)?)
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.then {
            f.write_str("then ")?;
        }
        f.write_str(self.task.as_deref().unwrap_or(parse::ANY))?;
        match &self.what {
            What::Start => write!(f, " {}", parse::START)?,
            What::Event(pattern) => {
                let text = parse::shortened(pattern.text());
                let (name, fields) = text.split_once(' ').unwrap_or((text, ""));
                write!(f, " {name}")?;
                if self.nth != 1 {
                    write!(f, "[{}]", self.nth)?;
                }
                if !fields.is_empty() {
                    write!(f, " {fields}")?;
                }
            }
        }
        match self.plus {
            Some(plus) => write!(f, " +{plus}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Interrupt => f.write_str(parse::INTERRUPT),
            Action::Run(task) => write!(f, "{} {task}", parse::RUN),
            Action::Policy => f.write_str(parse::POLICY),
            Action::Answer { kind, nth, task } => {
                f.write_str(parse::answer_word(*kind))?;
                if *nth != 1 {
                    write!(f, "[{nth}]")?;
                }
                match task {
                    Some(task) => write!(f, " {task}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} => {}", self.anchor, self.action)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
