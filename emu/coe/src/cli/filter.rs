//! Which events of a trace are shown.

use abi::event::EventId;
use clap::Args;

use crate::Error;
use crate::events::Line;
use crate::names::{self, syscalls};

/// What an event has to be, all of it.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only events of this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) event: Vec<String>,
    /// Only events of this task and what descends from it
    #[arg(long, value_name = "NAME")]
    pub(super) task: Option<String>,
    /// Only events about this system call; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) syscall: Vec<String>,
    /// Only events from this cycle on
    #[arg(
        long,
        value_name = "CYCLE",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(super) from: u64,
    /// Only events up to this cycle
    #[arg(long, value_name = "CYCLE", default_value_t = u64::MAX, hide_default_value = true)]
    pub(super) to: u64,
}

impl Filter {
    /// The names have to be known ones.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.event.iter().try_for_each(|name| check_event(name))?;
        self.syscall.iter().try_for_each(|name| check_syscall(name))
    }

    /// True if every event is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.event.is_empty()
            && self.task.is_none()
            && self.syscall.is_empty()
            && (self.from, self.to) == (0, u64::MAX)
    }

    /// True if this event is wanted.
    pub(super) fn wants(&self, line: &Line) -> bool {
        let one_of = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|wanted| wanted == name)
        };
        let of_task = self.task.as_deref().is_none_or(|task| {
            let rest = line.get("task").and_then(|name| name.strip_prefix(task));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        (self.from..=self.to).contains(&line.at.cycle)
            && one_of(&self.event, line.name)
            && one_of(&self.syscall, line.get("nr").unwrap_or_default())
            && of_task
    }
}

/// Events that are not the kernel's own.
const OTHERS: [&str; 4] = ["choice", "console", "input", "unknown_event"];

/// An event that does not exist is a mistake, and not one that never happens.
fn check_event(name: &str) -> Result<(), Error> {
    let known = || EventId::ALL.iter().map(|id| id.name()).chain(OTHERS);
    if known().any(|known| known == name) {
        return Ok(());
    }
    let hint = match names::nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::Usage {
        message: format!("there is no event `{name}`"),
        hint,
    })
}

/// A system call that coe has no name for is asked for by its number.
fn check_syscall(name: &str) -> Result<(), Error> {
    if name.parse::<u64>().is_ok() || syscalls::names().any(|known| known == name) {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!("there is no system call `{name}`"),
        hint: match names::nearest(name, syscalls::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "give a name as in Linux's tables, such as futex".to_owned(),
        },
    })
}
