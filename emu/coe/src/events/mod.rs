//! Events as people read them: one line each, in the words of the vocabulary.

pub mod counters;
pub mod order;
pub mod pattern;
mod value;

use std::fmt;

use abi::event::{EventId, FieldKind};
use machine::{Event, Input, Payload, Position};

use crate::names::tasks::Tasks;

/// So many answers of a choice are listed if they have no names: a guest may
/// ask with any number of them.
const LISTED: usize = 8;

/// One event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When and where.
    pub at: Position,
    /// The task that ran.
    pub by: String,
    /// The event's name.
    pub name: &'static str,
    /// Its fields in their order.
    pub fields: Vec<(&'static str, String)>,
}

impl Line {
    /// The field's value; `by` is the task that ran, and so is `task` if the
    /// event has no field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.fields.iter().find(|(field, _)| *field == name) {
            Some((_, value)) => Some(value),
            None if name == "task" || name == "by" => Some(&self.by),
            None => None,
        }
    }
}

/// The event's name and fields, without time and place.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// Turns a machine's events, in their order, into lines.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    tasks: Tasks,
}

impl Teller {
    /// The event in words.
    pub fn tell(&mut self, event: &Event) -> Line {
        self.begin(event);
        let line = self.line(event);
        self.end(event);
        line
    }

    /// Takes the event in, and puts it into words if it is `wanted`, which is
    /// asked with the name of the task that ran.
    pub fn tell_if(&mut self, event: &Event, wanted: impl FnOnce(&str) -> bool) -> Option<Line> {
        self.begin(event);
        let line = wanted(&self.running(event.at.cpu)).then(|| self.line(event));
        self.end(event);
        line
    }

    /// The name of the task that this CPU runs after the last event.
    #[must_use]
    pub fn running(&self, cpu: u8) -> String {
        self.tasks.name(self.tasks.current(cpu))
    }

    fn begin(&mut self, event: &Event) {
        if let Payload::Kernel { id, args, .. } = &event.payload {
            self.tasks.before(*id, args);
        }
    }

    fn end(&mut self, event: &Event) {
        if let Payload::Kernel { id, args, text } = &event.payload {
            self.tasks.after(*id, event.at.cpu, args, text);
        }
    }

    fn line(&self, event: &Event) -> Line {
        let (name, fields) = self.describe(&event.payload);
        Line {
            at: event.at,
            by: self.running(event.at.cpu),
            name,
            fields,
        }
    }

    /// The name of the task with this number, as far as the events have told.
    #[must_use]
    pub fn name(&self, task: u32) -> String {
        self.tasks.name(u64::from(task))
    }

    /// The number of the task that this CPU runs; 0 if it runs none.
    #[must_use]
    pub fn task(&self, cpu: u8) -> u32 {
        // The kernel's numbers of tasks fit into 32 bits.
        self.tasks.current(cpu) as u32
    }

    fn describe(&self, payload: &Payload) -> (&'static str, Vec<(&'static str, String)>) {
        match payload {
            Payload::Kernel { id, args, text } => (id.name(), self.kernel_fields(*id, args, text)),
            Payload::Choice { choice, answer } => {
                let named = |at: u32| match choice.candidates.get(at as usize) {
                    Some(task) => self.tasks.name(u64::from(*task)),
                    None => at.to_string(),
                };
                let listed = choice.n.min(choice.candidates.len().max(LISTED) as u32);
                let mut candidates: Vec<_> = (0..listed).map(named).collect();
                if listed < choice.n {
                    candidates.push(format!("..{}", choice.n - 1));
                }
                let fields = vec![
                    ("kind", choice.kind.name().to_owned()),
                    ("candidates", candidates.join(",")),
                    ("default", named(choice.default)),
                    ("answer", named(*answer)),
                ];
                ("choice", fields)
            }
            Payload::Console(byte) => ("console", vec![("text", value::text(&[*byte]))]),
            Payload::Input(Input::Console(byte)) => {
                ("input", vec![("text", value::text(&[*byte]))])
            }
            Payload::Input(Input::Interrupt(vector)) => {
                ("input", vec![("interrupt", format!("{vector:#x}"))])
            }
            Payload::Unknown { id } => ("unknown_event", vec![("id", id.to_string())]),
        }
    }

    fn kernel_fields(
        &self,
        id: EventId,
        args: &[u64; 5],
        text: &[u8],
    ) -> Vec<(&'static str, String)> {
        let fields = id.spec().fields.iter().zip(args);
        let fields = fields.map(|(field, raw)| {
            let value = match field.kind {
                FieldKind::Task => self.tasks.name(*raw),
                FieldKind::Text => value::text(text),
                FieldKind::Result => value::result(args[0], *raw, &self.tasks),
                kind => value::plain(kind, *raw),
            };
            (field.name, value)
        });
        fields.collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A kernel event at a cycle, for tests.
    pub(crate) fn kernel(cycle: u64, id: EventId, args: [u64; 5]) -> Event {
        let at = Position {
            cycle,
            ..Position::default()
        };
        Event {
            at,
            payload: Payload::Kernel {
                id,
                args,
                text: Vec::new(),
            },
        }
    }

    /// What the kernel says until `main` (task 4) runs its program.
    pub(crate) fn boot() -> Vec<Event> {
        let mut events = vec![
            kernel(1, EventId::SchedProcessFork, [0, 1, 1, 0, 0]),
            kernel(2, EventId::SchedProcessFork, [1, 4, 4, 17, 0]),
            kernel(3, EventId::SchedSwitch, [1, 1, 4, 0x1000, 0]),
            kernel(4, EventId::SchedProcessExec, [4, 4, 0, 0, 0]),
        ];
        if let Payload::Kernel { text, .. } = &mut events[3].payload {
            text.extend(b"/bin/p");
        }
        events
    }

    #[test]
    fn lines_name_tasks_calls_flags_and_results() {
        let mut teller = Teller::default();
        for event in boot() {
            teller.tell(&event);
        }
        let mut tell = |id, args| {
            let line = teller.tell(&kernel(9, id, args));
            (line.by.clone(), line.to_string())
        };
        assert_eq!(
            tell(EventId::SchedProcessFork, [4, 5, 5, 0x100 | 17, 0]),
            (
                "main".to_owned(),
                "sched_process_fork parent=main child=main/1 tgid=5 flags=CLONE_VM|SIGCHLD"
                    .to_owned()
            )
        );
        assert_eq!(
            tell(EventId::SysExit, [56, 5, 0, 0, 0]).1,
            "sys_exit nr=clone ret=main/1"
        );
        assert_eq!(
            tell(EventId::SysExit, [1, (-9i64) as u64, 0, 0, 0]).1,
            "sys_exit nr=write ret=-EBADF"
        );
        assert_eq!(
            tell(EventId::SysEnter, [1, 3, 0, 0, 0]).1,
            "sys_enter nr=write a0=0x3 a1=0x0 a2=0x0 a3=0x0"
        );
        assert_eq!(
            tell(EventId::PageFault, [2, 0x4000, 1, 7, 0]).1,
            "page_fault kind=cow address=0x4000 ip=0x1 error=0x7"
        );
        assert_eq!(
            tell(EventId::SchedProcessExit, [5, 0x300, 0, 0, 0]).1,
            "sched_process_exit task=main/1 status=3"
        );
        assert_eq!(
            tell(EventId::SchedProcessExit, [5, 11, 0, 0, 0]).1,
            "sched_process_exit task=main/1 status=SIGSEGV"
        );
    }

    #[test]
    fn a_choice_of_any_size_is_told_in_a_line() {
        let choice = |n, candidates: &[u32]| Event {
            at: Position::default(),
            payload: Payload::Choice {
                choice: machine::Choice {
                    kind: abi::choice::ChoiceKind::AllocFail,
                    n,
                    default: 0,
                    candidates: candidates.to_vec(),
                    index: 0,
                },
                answer: 1,
            },
        };
        let tell = |event| {
            let line = Teller::default().tell(&event);
            line.get("candidates").unwrap_or_default().to_owned()
        };
        assert_eq!(tell(choice(2, &[])), "0,1");
        assert_eq!(tell(choice(u32::MAX, &[])), "0,1,2,3,4,5,6,7,..4294967294");
        let all: Vec<u32> = (100..120).collect();
        assert_eq!(tell(choice(20, &all)).split(',').count(), 20);
    }

    #[test]
    fn the_task_of_an_event_without_one_is_the_running_one() {
        let mut teller = Teller::default();
        for event in boot() {
            teller.tell(&event);
        }
        let line = teller.tell(&kernel(9, EventId::PageFault, [0; 5]));
        assert_eq!(
            (line.get("task"), line.get("by")),
            (Some("main"), Some("main"))
        );
        let line = teller.tell(&kernel(9, EventId::SchedWakeup, [1, 0, 0, 0, 0]));
        assert_eq!(
            (line.get("task"), line.get("by")),
            (Some("init"), Some("main"))
        );
        assert_eq!(line.get("nothing"), None);
    }
}
