//! Who did what when, and what was shared: a run as lanes over time.
//!
//! A [`Timeline`] takes a machine's events in their order. Each task has a lane
//! for its whole life; a lane is covered without gaps by [`Segment`]s from the
//! task's creation to the moment at which nothing is left of it. What one task
//! does to another is an [`Arrow`]; what each task's context consists of is in
//! [`Sharing`].

mod lanes;
mod modes;
pub mod sharing;

use abi::event::EventId;
use machine::{Event, Payload};

use crate::names::tasks::Tasks;
use lanes::Lanes;
use modes::Modes;
use sharing::Sharing;

/// A lane's place in [`Timeline::lanes`].
pub type LaneId = u32;

/// The lane of the idle task, which is there from power-on.
pub const IDLE: LaneId = 0;

/// A task's whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name, the last one that it had.
    pub name: String,
    /// Its number; a number is used again after its task is gone.
    pub pid: u64,
    /// Its thread group's number.
    pub tgid: u64,
    /// Who created it; nobody created the idle task.
    pub parent: Option<LaneId>,
    /// The cycle at which it was created.
    pub born: u64,
    /// The cycle at which nothing was left of it, if that was seen.
    pub gone: Option<u64>,
    /// The programs that it ran, each with the cycle at which it began.
    pub programs: Vec<(u64, String)>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// It runs its program.
    User = 0,
    /// It runs in the kernel.
    Kernel = 1,
    /// It could run, but has no CPU.
    Runnable = 2,
    /// It waits; a signal wakes it.
    Sleeping = 3,
    /// It waits, and only what it waits for wakes it.
    Blocked = 4,
    /// A signal or a tracer stopped it.
    Stopped = 5,
    /// It has exited and nobody has waited for it yet.
    Zombie = 6,
    /// The idle task has the CPU: nobody else wants it.
    Idle = 7,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [State; 8] = [
        State::User,
        State::Kernel,
        State::Runnable,
        State::Sleeping,
        State::Blocked,
        State::Stopped,
        State::Zombie,
        State::Idle,
    ];

    /// True if the task has a CPU.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, State::User | State::Kernel | State::Idle)
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::User => "user",
            State::Kernel => "kernel",
            State::Runnable => "runnable",
            State::Sleeping => "sleeping",
            State::Blocked => "blocked",
            State::Stopped => "stopped",
            State::Zombie => "zombie",
            State::Idle => "idle",
        }
    }
}

/// What brought a task into the kernel, and so what it is busy with there or
/// what it waits in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing that an event told: kernel threads, the boot, a return to user mode.
    #[default]
    None,
    /// The system call of this number.
    Syscall(u64),
    /// A page fault.
    Fault,
    /// An interrupt.
    Interrupt,
    /// Some other way in, most often an exception that becomes a signal.
    Other,
}

/// A time in which one task stays in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The task.
    pub lane: LaneId,
    /// The CPU that it has, or had last.
    pub cpu: u8,
    /// Its first cycle.
    pub from: u64,
    /// The cycle after its last.
    pub to: u64,
    /// The state.
    pub state: State,
    /// Why it is in the kernel or waits.
    pub cause: Cause,
}

/// What kind of thing one task does to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Deed {
    /// Creates it.
    Clone = 0,
    /// Makes it runnable again.
    Wake = 1,
    /// Sends it a signal.
    Signal = 2,
}

/// One task does something to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// What.
    pub deed: Deed,
    /// When.
    pub cycle: u64,
    /// Who does it.
    pub from: LaneId,
    /// To whom.
    pub to: LaneId,
}

/// A run as lanes over time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    tasks: Tasks,
    lanes: Lanes,
    modes: Modes,
    sharing: Sharing,
    arrows: Vec<Arrow>,
    end: u64,
}

impl Timeline {
    /// Takes in the next event; the lane is that of the task that ran.
    pub fn take(&mut self, event: &Event) -> LaneId {
        let (cycle, cpu) = (event.at.cycle, event.at.cpu);
        self.end = self.end.max(cycle);
        let by = self.lanes.running(cpu);
        // An input comes from outside and says nothing about where the CPU is.
        if matches!(event.payload, Payload::Input(_)) {
            return by;
        }
        self.modes
            .advance(&mut self.lanes, &event.at, cause_of(&event.payload));
        if let Payload::Kernel { id, args, text } = &event.payload {
            self.tasks.before(*id, args);
            self.tasks.after(*id, cpu, args, text);
            self.kernel(*id, args, text, cycle, cpu);
        }
        by
    }

    fn kernel(&mut self, id: EventId, args: &[u64; 5], text: &[u8], cycle: u64, cpu: u8) {
        let by = self.lanes.running(cpu);
        match id {
            EventId::SchedProcessFork => {
                let parent = self.lanes.of(args[0]);
                let child = self.lanes.fork(parent, args[1], args[2], cycle, cpu);
                self.lanes.rename(child, self.tasks.name(args[1]));
                self.sharing.fork(cycle, parent, child, args[3]);
                self.arrow(Deed::Clone, cycle, by, child);
            }
            EventId::TaskRename => {
                let lane = self.lanes.of(args[0]);
                self.lanes.rename(lane, self.tasks.name(args[0]));
            }
            EventId::SchedSwitch => {
                self.modes.switch(&mut self.lanes, cpu, cycle, args);
            }
            EventId::SchedWakeup => {
                let woken = self.lanes.of(args[0]);
                self.lanes.wake(woken, cycle);
                self.arrow(Deed::Wake, cycle, by, woken);
            }
            EventId::SignalGenerate => {
                let to = self.lanes.of(args[1]);
                self.arrow(Deed::Signal, cycle, by, to);
            }
            EventId::SchedProcessExec => {
                let lane = self.lanes.exec(args[0], args[1], cycle, text);
                self.sharing.exec(cycle, lane);
            }
            EventId::SchedProcessExit => {
                let lane = self.lanes.of(args[0]);
                self.sharing.exit(cycle, lane);
            }
            EventId::SchedProcessFree => {
                let lane = self.lanes.of(args[0]);
                self.lanes.free(lane, cycle);
            }
            EventId::SysEnter => self.sharing.enter(by, args),
            EventId::SysExit => self.sharing.leave(cycle, by, args),
            _ => {}
        }
    }

    fn arrow(&mut self, deed: Deed, cycle: u64, from: LaneId, to: LaneId) {
        self.arrows.push(Arrow {
            deed,
            cycle,
            from,
            to,
        });
    }

    /// Closes what is still open at the end of the run. No event tells in which
    /// mode the time after the last event was spent; it counts for the kernel.
    pub fn finish(&mut self, cycle: u64) {
        self.end = self.end.max(cycle);
        self.lanes.finish(self.end);
    }

    /// The lanes, in the order of creation.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        self.lanes.all()
    }

    /// The segments: of one lane in the order of time, of all lanes in the
    /// order in which they ended.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.lanes.segments()
    }

    /// The arrows in the order of time.
    #[must_use]
    pub fn arrows(&self) -> &[Arrow] {
        &self.arrows
    }

    /// Who shared what when.
    #[must_use]
    pub fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    /// The last cycle.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// How the CPU came into the kernel if it was outside just before this event.
fn cause_of(payload: &Payload) -> Cause {
    match payload {
        Payload::Kernel { id, args, .. } => match id {
            EventId::SysEnter => Cause::Syscall(args[0]),
            EventId::PageFault => Cause::Fault,
            EventId::IrqHandlerEntry => Cause::Interrupt,
            _ => Cause::Other,
        },
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests;
