//! One of two runs: its steps, its console and its end.

use machine::{Event, Payload};

use super::Detail;
use crate::events::order::Order;
use crate::events::{Line, Teller};
use crate::golden::console_lines;
use crate::run::{Finished, Watcher};

/// One event, as far as it is held against others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The task whose step it is: who gets the CPU, who is woken, otherwise who
    /// does it.
    pub task: String,
    /// The event in words, without what does not count.
    pub key: String,
    /// When, in cycles since power-on; 0 on a side that is not timed.
    pub cycle: u64,
}

impl Step {
    /// True if the task gets the CPU with it.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.key.starts_with("sched_switch ")
    }
}

/// Cycles and instructions of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The cycle at its end.
    pub cycles: u64,
    /// Instructions that were retired.
    pub retired: u64,
}

/// One of two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Where it comes from: a file's name.
    pub name: String,
    /// The kernel's hash, if it is known.
    pub kernel: Option<String>,
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The steps have cycles.
    pub timed: bool,
    /// What it wrote to the console.
    pub console: Vec<String>,
    /// How it ended, in words.
    pub ending: String,
    /// Its figures, if it came to its end.
    pub counted: Option<Counted>,
}

/// Takes in a run's events as they happen.
#[derive(Clone, Debug)]
pub struct Collector {
    detail: Detail,
    teller: Teller,
    order: Order,
    console: Vec<u8>,
    steps: Vec<Step>,
}

impl Collector {
    /// Starts with nothing.
    #[must_use]
    pub fn new(detail: Detail) -> Self {
        Collector {
            detail,
            teller: Teller::default(),
            order: Order::default(),
            console: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Takes in the next event.
    pub fn take(&mut self, event: &Event) {
        if let Payload::Console(byte) = event.payload {
            self.console.push(byte);
            return;
        }
        let line = self.teller.tell(event);
        let in_golden = self.order.line(&line);
        if in_golden.is_none() && !self.detail.all {
            return;
        }
        let key = match in_golden {
            Some(key) if !self.detail.all && !self.detail.addresses => key,
            _ => key(&line, self.detail.addresses),
        };
        self.steps.push(Step {
            task: whose(&line).to_owned(),
            key,
            cycle: line.at.cycle,
        });
    }

    /// The run as a side of a comparison.
    #[must_use]
    pub fn finish(self, name: &str, kernel: String, end: Result<&Finished, String>) -> Side {
        Side {
            name: name.to_owned(),
            kernel: Some(kernel),
            steps: self.steps,
            timed: true,
            console: console_lines(&self.console),
            ending: match &end {
                Ok(finished) => finished.ending.to_string(),
                Err(why) => why.clone(),
            },
            counted: end.ok().map(|finished| Counted {
                cycles: finished.cycle,
                retired: finished.retired,
            }),
        }
    }
}

impl Watcher for Collector {
    fn event(&mut self, event: &Event) {
        self.take(event);
    }
}

/// The task whose step an event is.
fn whose(line: &Line) -> &str {
    ["parent", "next", "task"]
        .iter()
        .find_map(|field| line.get(field))
        .unwrap_or(&line.by)
}

/// Fields that another build of kernel or program changes, or another order of
/// the same work: addresses and numbers that are given out one after the other.
const MOVING: [&str; 14] = [
    "a0", "a1", "a2", "a3", "address", "after", "before", "cr3", "handler", "ip", "old_pid", "pfn",
    "tgid", "uaddr",
];

/// An event with its task and its fields, without those that move unless they
/// are wanted.
fn key(line: &Line, addresses: bool) -> String {
    let mut key = line.name.to_owned();
    let has_task = line.fields.iter().any(|(name, _)| *name == "task");
    if !has_task && !matches!(line.name, "sched_switch" | "sched_process_fork") {
        key.push_str(&format!(" task={}", line.by));
    }
    for (name, value) in &line.fields {
        let moves = MOVING.contains(name) || (*name == "ret" && value.starts_with("0x"));
        if addresses || !moves {
            key.push_str(&format!(" {name}={value}"));
        }
    }
    key
}
