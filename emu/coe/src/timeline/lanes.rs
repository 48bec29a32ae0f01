//! The lanes and the segments that cover them.

use std::collections::BTreeMap;

use super::{Cause, IDLE, Lane, LaneId, Segment, State};

/// Where a lane stands.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: u64,
    state: State,
    cause: Cause,
    cpu: u8,
}

/// All lanes, with the segment that each is in.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    all: Vec<Lane>,
    open: Vec<Option<Open>>,
    segments: Vec<Segment>,
    by_pid: BTreeMap<u64, LaneId>,
    running: BTreeMap<u8, LaneId>,
}

impl Default for Lanes {
    fn default() -> Self {
        let mut lanes = Lanes {
            all: Vec::new(),
            open: Vec::new(),
            segments: Vec::new(),
            by_pid: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        // What boots is the idle task, long before it is idle.
        lanes.add("idle".to_owned(), 0, 0, None, 0, State::Kernel, 0);
        lanes
    }
}

impl Lanes {
    #[allow(clippy::too_many_arguments, reason = "a lane has that many sides")]
    fn add(
        &mut self,
        name: String,
        pid: u64,
        tgid: u64,
        parent: Option<LaneId>,
        cycle: u64,
        state: State,
        cpu: u8,
    ) -> LaneId {
        let lane = self.all.len() as LaneId;
        self.all.push(Lane {
            name,
            pid,
            tgid,
            parent,
            born: cycle,
            gone: None,
            programs: Vec::new(),
        });
        self.open.push(Some(Open {
            since: cycle,
            state,
            cause: Cause::None,
            cpu,
        }));
        self.by_pid.insert(pid, lane);
        lane
    }

    pub(super) fn all(&self) -> &[Lane] {
        &self.all
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The lane that has this CPU.
    pub(super) fn running(&self, cpu: u8) -> LaneId {
        self.running.get(&cpu).copied().unwrap_or(IDLE)
    }

    /// The CPU runs this lane from here on.
    pub(super) fn run(&mut self, cpu: u8, lane: LaneId) {
        self.running.insert(cpu, lane);
    }

    /// The lane of the task with this number; nobody has heard of it before if
    /// the trace does not begin at power-on.
    pub(super) fn of(&mut self, pid: u64) -> LaneId {
        match self.by_pid.get(&pid) {
            Some(lane) => *lane,
            None => self.add(format!("#{pid}"), pid, pid, None, 0, State::Sleeping, 0),
        }
    }

    pub(super) fn fork(
        &mut self,
        parent: LaneId,
        pid: u64,
        tgid: u64,
        cycle: u64,
        cpu: u8,
    ) -> LaneId {
        let name = format!("#{pid}");
        self.add(name, pid, tgid, Some(parent), cycle, State::Runnable, cpu)
    }

    pub(super) fn rename(&mut self, lane: LaneId, name: String) {
        self.all[lane as usize].name = name;
    }

    /// A new program; a thread that is not the leader takes the leader's number.
    pub(super) fn exec(&mut self, pid: u64, old_pid: u64, cycle: u64, text: &[u8]) -> LaneId {
        if old_pid != pid
            && let Some(lane) = self.by_pid.remove(&old_pid)
        {
            self.by_pid.insert(pid, lane);
            self.all[lane as usize].pid = pid;
        }
        let lane = self.of(pid);
        let program = String::from_utf8_lossy(text).into_owned();
        self.all[lane as usize].programs.push((cycle, program));
        lane
    }

    /// The lane leaves its state at this cycle and enters another one.
    pub(super) fn enter(&mut self, lane: LaneId, cycle: u64, state: State, cause: Cause, cpu: u8) {
        let Some(open) = self.open[lane as usize] else {
            return;
        };
        if (open.state, open.cause, open.cpu) == (state, cause, cpu) {
            return;
        }
        self.close(lane, open, cycle);
        self.open[lane as usize] = Some(Open {
            since: cycle.max(open.since),
            state,
            cause,
            cpu,
        });
    }

    fn close(&mut self, lane: LaneId, open: Open, cycle: u64) {
        if open.since < cycle {
            self.segments.push(Segment {
                lane,
                cpu: open.cpu,
                from: open.since,
                to: cycle,
                state: open.state,
                cause: open.cause,
            });
        }
    }

    /// What the lane is busy with.
    pub(super) fn cause(&self, lane: LaneId) -> Cause {
        self.open[lane as usize].map_or(Cause::None, |open| open.cause)
    }

    /// What the lane is busy with turns out to be something else.
    pub(super) fn recall(&mut self, lane: LaneId, cause: Cause) {
        if let Some(open) = &mut self.open[lane as usize] {
            open.cause = cause;
        }
    }

    /// A task that waits can run again; one that runs already goes on.
    pub(super) fn wake(&mut self, lane: LaneId, cycle: u64) {
        if let Some(open) = self.open[lane as usize]
            && !open.state.is_running()
        {
            self.enter(lane, cycle, State::Runnable, open.cause, open.cpu);
        }
    }

    /// Nothing is left of the task, at the latest when it gives up its CPU.
    pub(super) fn free(&mut self, lane: LaneId, cycle: u64) {
        self.all[lane as usize].gone = Some(cycle);
        if let Some(open) = self.open[lane as usize]
            && !open.state.is_running()
        {
            self.end(lane, cycle);
        }
    }

    /// Ends a lane.
    pub(super) fn end(&mut self, lane: LaneId, cycle: u64) {
        if let Some(open) = self.open[lane as usize].take() {
            self.close(lane, open, cycle);
            self.all[lane as usize].gone = Some(cycle);
        }
    }

    /// Closes all lanes that are still open.
    pub(super) fn finish(&mut self, cycle: u64) {
        for lane in 0..self.open.len() {
            if let Some(open) = self.open[lane].take() {
                self.close(lane as LaneId, open, cycle);
            }
        }
    }
}
