//! The events of a golden: what the program's tasks do and in which order,
//! without anything that another build of the kernel would change: cycles,
//! addresses, numbers of tasks and frames, the kernel's own tasks, and what
//! `init` does in main's name before main's program runs.

use super::Line;
use crate::names::tasks::is_program_name;

/// The events that count, and the fields of each that do. A field `task` that
/// the event itself does not have is the running task.
const FIELDS: &[(&str, &[&str])] = &[
    ("sched_wakeup", &["task"]),
    ("sched_process_fork", &["parent", "child", "flags"]),
    ("sched_process_exec", &["task", "filename"]),
    ("sched_process_exit", &["task", "status"]),
    ("sched_process_free", &["task"]),
    ("sys_enter", &["task", "nr"]),
    ("sys_exit", &["task", "nr", "ret"]),
    ("sys_missing", &["task", "nr"]),
    ("page_fault", &["task", "kind"]),
    ("signal_generate", &["task", "sig"]),
    ("signal_deliver", &["task", "sig"]),
];

/// Picks those events out of a run and writes them as a golden has them.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The program's task that ran last.
    running: String,
    /// Main's program runs.
    started: bool,
}

impl Order {
    /// The golden's line for this event, if it has one.
    pub fn line(&mut self, line: &Line) -> Option<String> {
        if line.name == "sched_switch" {
            return self.switch(line);
        }
        if !self.started && !matches!(line.name, "sched_process_fork" | "sched_process_exec") {
            return None;
        }
        let (_, fields) = FIELDS.iter().find(|(name, _)| *name == line.name)?;
        let whose = line.get("child").or_else(|| line.get("task"))?;
        if !is_program_name(whose) {
            return None;
        }
        self.started |= line.name == "sched_process_exec";
        let mut text = line.name.to_owned();
        for name in *fields {
            match line.get(name) {
                Some(value) if *name != "ret" || !is_address(value) => {
                    text.push_str(&format!(" {name}={value}"));
                }
                _ => {}
            }
        }
        Some(text)
    }

    /// A switch counts when it gives the CPU to another task of the program than
    /// the last: what the kernel's own tasks did in between is their business.
    fn switch(&mut self, line: &Line) -> Option<String> {
        let next = line.get("next").filter(|next| is_program_name(next))?;
        if next == self.running {
            return None;
        }
        next.clone_into(&mut self.running);
        self.started.then(|| format!("sched_switch next={next}"))
    }
}

/// Large results are addresses, which move when the program is built again.
fn is_address(value: &str) -> bool {
    value.starts_with("0x")
}

#[cfg(test)]
mod tests {
    use super::super::Teller;
    use super::super::tests::{boot, kernel};
    use super::*;
    use abi::event::EventId::{self, PageFault, SchedSwitch, SysExit};

    fn lines(events: &[(EventId, [u64; 5])]) -> Vec<String> {
        let (mut teller, mut order) = (Teller::default(), Order::default());
        let events = events.iter().map(|(id, args)| kernel(9, *id, *args));
        boot()
            .into_iter()
            .chain(events)
            .filter_map(|event| order.line(&teller.tell(&event)))
            .collect()
    }

    #[test]
    fn boot_shows_only_the_program() {
        assert_eq!(
            lines(&[]),
            [
                "sched_process_fork parent=init child=main flags=SIGCHLD",
                "sched_process_exec task=main filename=/bin/p",
            ]
        );
    }

    #[test]
    fn the_kernels_tasks_and_addresses_leave_no_trace() {
        let shown = lines(&[
            (SchedSwitch, [4, 0, 0, 0, 0]),
            (PageFault, [0, 0, 0, 0, 0]),
            (SchedSwitch, [0, 0, 4, 0, 0]),
            (PageFault, [2, 0x1234, 0, 0, 0]),
            (SysExit, [9, 0x7F00_0000_0000, 0, 0, 0]),
            (SysExit, [1, 5, 0, 0, 0]),
        ]);
        assert_eq!(
            shown[2..],
            [
                "page_fault task=main kind=cow",
                "sys_exit task=main nr=mmap",
                "sys_exit task=main nr=write ret=5"
            ]
        );
    }
}
