//! What the scheduler did, as Linux's ftrace tells it: Perfetto makes the CPUs'
//! lanes and the tasks' states (running, runnable, sleeping) of it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use abi::event::TaskState;

use super::packets::Packets;
use super::proto::{
    Ftrace, FtraceEvent, FtraceEventBundle, SchedProcess, SchedSwitch, SchedWakeup, TaskNewtask,
    TaskRename,
};

/// Events that are put into one packet; more would only need more memory.
const BUNDLE: usize = 512;

/// Linux's priority of an ordinary task.
const PRIORITY: i32 = 120;

/// A task and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    pub(super) task: u32,
    pub(super) name: &'a str,
}

/// Collects each CPU's events.
#[derive(Debug, Default)]
pub(super) struct Sched {
    cpus: BTreeMap<u8, Vec<FtraceEvent>>,
}

/// When, where, and which task ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) cycle: u64,
    pub(super) cpu: u8,
    pub(super) task: u32,
}

impl Sched {
    /// Takes one event in and writes a packet when there are enough.
    pub(super) fn put<W: Write>(
        &mut self,
        packets: &mut Packets<W>,
        at: At,
        event: Ftrace,
    ) -> io::Result<()> {
        let events = self.cpus.entry(at.cpu).or_default();
        events.push(FtraceEvent {
            timestamp: Some(at.cycle),
            pid: Some(at.task),
            event: Some(event),
        });
        if events.len() < BUNDLE {
            return Ok(());
        }
        let event = std::mem::take(events);
        packets.bundle(bundle(at.cpu, event))
    }

    /// Writes what is left.
    pub(super) fn finish<W: Write>(&mut self, packets: &mut Packets<W>) -> io::Result<()> {
        for (cpu, events) in std::mem::take(&mut self.cpus) {
            if !events.is_empty() {
                packets.bundle(bundle(cpu, events))?;
            }
        }
        Ok(())
    }
}

fn bundle(cpu: u8, event: Vec<FtraceEvent>) -> FtraceEventBundle {
    FtraceEventBundle {
        cpu: Some(cpu.into()),
        event,
    }
}

/// `sched_switch`.
pub(super) fn switch(prev: Who<'_>, state: u64, next: Who<'_>) -> Ftrace {
    Ftrace::SchedSwitch(SchedSwitch {
        prev_comm: Some(prev.name.to_owned()),
        prev_pid: Some(prev.task.cast_signed()),
        prev_prio: Some(PRIORITY),
        prev_state: Some(linux_state(state)),
        next_comm: Some(next.name.to_owned()),
        next_pid: Some(next.task.cast_signed()),
        next_prio: Some(PRIORITY),
    })
}

/// `sched_waking`: the task can run from here on.
pub(super) fn waking(who: Who<'_>, cpu: u8) -> Ftrace {
    Ftrace::SchedWaking(wakeup(who, cpu))
}

/// `sched_wakeup_new`: a new task can run for the first time.
pub(super) fn wakeup_new(who: Who<'_>, cpu: u8) -> Ftrace {
    Ftrace::SchedWakeupNew(wakeup(who, cpu))
}

fn wakeup(who: Who<'_>, cpu: u8) -> SchedWakeup {
    SchedWakeup {
        comm: Some(who.name.to_owned()),
        pid: Some(who.task.cast_signed()),
        success: Some(1),
        target_cpu: Some(cpu.into()),
    }
}

/// `task_newtask`.
pub(super) fn newtask(who: Who<'_>, clone_flags: u64) -> Ftrace {
    Ftrace::TaskNewtask(TaskNewtask {
        pid: Some(who.task.cast_signed()),
        comm: Some(who.name.to_owned()),
        clone_flags: Some(clone_flags),
    })
}

/// `task_rename`.
pub(super) fn rename(task: u32, old: &str, new: &str) -> Ftrace {
    Ftrace::TaskRename(TaskRename {
        pid: Some(task.cast_signed()),
        oldcomm: Some(old.to_owned()),
        newcomm: Some(new.to_owned()),
    })
}

/// `sched_process_exit`.
pub(super) fn exit(who: Who<'_>) -> Ftrace {
    Ftrace::SchedProcessExit(process(who))
}

/// `sched_process_free`.
pub(super) fn free(who: Who<'_>) -> Ftrace {
    Ftrace::SchedProcessFree(process(who))
}

fn process(who: Who<'_>) -> SchedProcess {
    SchedProcess {
        comm: Some(who.name.to_owned()),
        pid: Some(who.task.cast_signed()),
    }
}

/// The bit that stands for a state in Linux's `prev_state`.
fn linux_state(raw: u64) -> i64 {
    match TaskState::from_raw(raw) {
        Some(TaskState::Interruptible) => 1,
        Some(TaskState::Uninterruptible) => 2,
        Some(TaskState::Stopped) => 4,
        Some(TaskState::Dead) => 16,
        Some(TaskState::Zombie) => 32,
        // Linux's idle task leaves as a runnable one.
        Some(TaskState::Running | TaskState::Idle) | None => 0,
    }
}
