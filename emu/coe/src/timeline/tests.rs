//! Timelines of runs that are written down by hand.

use abi::event::EventId;
use machine::{Event, Input, Payload, Position};

use super::sharing::Part;
use super::*;
use crate::events::tests::kernel;

/// A kernel event, with the cycles spent in user mode so far; the kernel was
/// entered 50 cycles before.
fn at(cycle: u64, user: u64, id: EventId, args: [u64; 5]) -> Event {
    let mut event = kernel(cycle, id, args);
    event.at = Position {
        user,
        mode_since: cycle - 50,
        ..event.at
    };
    event
}

const VM_FILES: u64 = 0x100 | 0x400;

/// init makes main, main makes main/1 by clone, waits for it, and reaps it.
fn family() -> Timeline {
    use EventId::*;
    let events = [
        at(100, 0, SchedProcessFork, [0, 1, 1, 0x100, 0]),
        at(200, 0, SchedSwitch, [0, 6, 1, 0, 0]),
        at(300, 0, SchedProcessExec, [1, 1, 0, 0, 0]),
        at(900, 400, SysEnter, [57, 0, 0, 0, 0]),
        at(1000, 400, SchedProcessFork, [1, 3, 3, 17, 0]),
        at(1100, 400, SchedSwitch, [1, 1, 3, 0, 0]),
        at(1200, 400, SchedProcessExec, [3, 3, 0, 0, 0]),
        at(1900, 900, SysEnter, [56, VM_FILES | 17, 0, 0, 0]),
        at(2000, 900, SchedProcessFork, [3, 5, 5, VM_FILES | 17, 0]),
        at(2100, 900, SysExit, [56, 5, 0, 0, 0]),
        at(2800, 1500, SysEnter, [61, 0, 0, 0, 0]),
        at(2900, 1500, SchedSwitch, [3, 1, 5, 0, 0]),
        at(3900, 2300, PageFault, [2, 0x4000, 0x1000, 7, 0]),
        at(4900, 3100, SysEnter, [60, 0, 0, 0, 0]),
        at(5000, 3100, SchedProcessExit, [5, 0, 0, 0, 0]),
        at(5050, 3100, SignalGenerate, [17, 3, 0, 0, 0]),
        at(5060, 3100, SchedWakeup, [3, 0, 0, 0, 0]),
        at(5100, 3100, SchedSwitch, [5, 4, 3, 0, 0]),
        at(5300, 3100, SchedProcessFree, [5, 0, 0, 0, 0]),
        at(5400, 3100, SysExit, [61, 5, 0, 0, 0]),
    ];
    let mut timeline = Timeline::default();
    for event in &events {
        timeline.take(event);
    }
    timeline.finish(6000);
    timeline
}

fn lane(timeline: &Timeline, name: &str) -> LaneId {
    let found = timeline.lanes().iter().position(|lane| lane.name == name);
    found.unwrap_or_else(|| panic!("no lane {name}")) as LaneId
}

/// A lane's states with their lengths.
fn states(timeline: &Timeline, name: &str) -> Vec<(State, u64)> {
    let lane = lane(timeline, name);
    let segments = timeline.segments().iter().filter(|s| s.lane == lane);
    segments.map(|s| (s.state, s.to - s.from)).collect()
}

#[test]
fn lanes_live_from_their_creation_to_their_end_without_gaps() {
    let timeline = family();
    let names: Vec<_> = timeline.lanes().iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["idle", "init", "main", "main/1"]);
    for (id, lane) in timeline.lanes().iter().enumerate() {
        let mut cycle = lane.born;
        for segment in timeline.segments().iter().filter(|s| s.lane == id as u32) {
            assert_eq!(segment.from, cycle, "{}", lane.name);
            assert!(segment.from < segment.to);
            cycle = segment.to;
        }
        assert_eq!(cycle, lane.gone.unwrap_or(6000), "{}", lane.name);
    }
    let child = &timeline.lanes()[lane(&timeline, "main/1") as usize];
    assert_eq!(
        (child.born, child.gone, child.parent),
        (2000, Some(5300), Some(2))
    );
}

#[test]
fn user_time_is_what_positions_say_to_the_cycle() {
    let timeline = family();
    let user = |name| -> u64 {
        let states = states(&timeline, name);
        let user = states.iter().filter(|(state, _)| *state == State::User);
        user.map(|(_, cycles)| cycles).sum()
    };
    assert_eq!(
        (user("init"), user("main"), user("main/1")),
        (400, 1100, 1600)
    );
}

#[test]
fn the_kernel_is_left_and_entered_where_positions_say() {
    let timeline = family();
    let main = lane(&timeline, "main");
    let segments: Vec<_> = timeline
        .segments()
        .iter()
        .filter(|s| s.lane == main)
        .map(|s| (s.from, s.state, s.cause))
        .collect();
    let clone = Cause::Syscall(56);
    assert_eq!(
        segments[1..5],
        [
            (1100, State::Kernel, Cause::None),
            (1350, State::User, Cause::None),
            (1850, State::Kernel, clone),
            (2150, State::User, Cause::None),
        ]
    );
}

#[test]
fn a_fault_that_is_told_late_is_a_fault_from_its_entry_on() {
    // A frame is taken before the fault is told.
    let fault = [0, 0x4000, 0x1000, 6, 0];
    let mut timeline = Timeline::default();
    for event in [
        at(100, 0, EventId::SchedProcessFork, [0, 1, 1, 0x100, 0]),
        at(200, 0, EventId::SchedSwitch, [0, 6, 1, 0, 0]),
        at(900, 400, EventId::MmPageAlloc, [7, 0, 0, 0, 0]),
        at(950, 400, EventId::PageFault, fault),
        at(1900, 900, EventId::SysEnter, [39, 0, 0, 0, 0]),
    ] {
        timeline.take(&event);
    }
    let kernel = timeline.segments().iter().find(|s| s.from == 850).unwrap();
    assert_eq!((kernel.state, kernel.cause), (State::Kernel, Cause::Fault));
}

#[test]
fn a_task_that_waits_says_in_which_system_call() {
    let timeline = family();
    let main = lane(&timeline, "main");
    let sleep = timeline
        .segments()
        .iter()
        .find(|s| s.lane == main && s.state == State::Sleeping)
        .unwrap();
    assert_eq!((sleep.from, sleep.to), (2900, 5060));
    assert_eq!(sleep.cause, Cause::Syscall(61));
    let last = states(&timeline, "main/1");
    assert_eq!(last.last(), Some(&(State::Zombie, 200)));
}

#[test]
fn arrows_tell_who_did_what_to_whom() {
    let timeline = family();
    let last: Vec<_> = timeline.arrows()[2..]
        .iter()
        .map(|a| (a.deed, a.cycle, a.from, a.to))
        .collect();
    assert_eq!(
        last,
        [
            (Deed::Clone, 2000, 2, 3),
            (Deed::Signal, 5050, 3, 2),
            (Deed::Wake, 5060, 3, 2)
        ]
    );
}

#[test]
fn clone_shares_what_its_flags_say_and_exit_ends_it() {
    let timeline = family();
    let (main, child) = (lane(&timeline, "main"), lane(&timeline, "main/1"));
    let shared = |cycle| -> Vec<&str> {
        let contexts = timeline.sharing().at(cycle);
        let (Some(a), Some(b)) = (contexts.get(&main), contexts.get(&child)) else {
            return vec!["nobody"];
        };
        let same = |part: &Part| a[*part as usize] == b[*part as usize];
        Part::all().filter(same).map(Part::name).collect()
    };
    assert_eq!(
        shared(2000),
        [
            "memory", "files", "mounts", "uts", "ipc", "pids", "users", "cgroups"
        ]
    );
    assert_eq!(shared(1999), ["nobody"]);
    assert_eq!(shared(5000), ["nobody"]);
}

#[test]
fn exec_and_unshare_part_what_was_shared() {
    let mut sharing = Sharing::default();
    sharing.fork(1, 1, 2, 0x100 | 0x200 | 0x400 | 0x800);
    let same = |sharing: &Sharing, cycle| -> Vec<&'static str> {
        let contexts = sharing.at(cycle);
        let same = |part: &Part| contexts[&1][*part as usize] == contexts[&2][*part as usize];
        Part::all().filter(same).map(Part::name).take(4).collect()
    };
    assert_eq!(same(&sharing, 1), ["memory", "files", "fs", "handlers"]);
    // unshare(CLONE_NEWNS) that fails, then one that succeeds: it takes fs along.
    for (cycle, result) in [(2, u64::MAX), (3, 0)] {
        sharing.enter(2, &[272, 0x2_0000, 0, 0, 0]);
        sharing.leave(cycle, 2, &[272, result, 0, 0, 0]);
    }
    assert_eq!(same(&sharing, 2), ["memory", "files", "fs", "handlers"]);
    assert_eq!(same(&sharing, 3), ["memory", "files", "handlers", "uts"]);
    sharing.exec(4, 2);
    assert_eq!(same(&sharing, 4), ["uts", "ipc", "pids", "users"]);
}

#[test]
fn a_new_namespace_of_numbers_is_for_the_children() {
    let mut sharing = Sharing::default();
    sharing.fork(1, 1, 2, 0);
    sharing.enter(2, &[272, 0x2000_0000, 0, 0, 0]);
    sharing.leave(2, 2, &[272, 0, 0, 0, 0]);
    sharing.fork(3, 2, 3, 0);
    let pids = |lane| sharing.at(3)[&lane][Part::Pids as usize];
    assert_eq!(pids(1), pids(2));
    assert_ne!(pids(2), pids(3));
}

#[test]
fn what_comes_from_outside_says_nothing_about_modes() {
    let events = |inputs: &[Input]| {
        let mut timeline = Timeline::default();
        timeline.take(&at(100, 0, EventId::SchedProcessFork, [0, 1, 1, 0x100, 0]));
        timeline.take(&at(200, 0, EventId::SchedSwitch, [0, 6, 1, 0, 0]));
        for input in inputs {
            // The task has been in user mode since cycle 400.
            let place = Position {
                cycle: 700,
                user: 300,
                mode_since: 400,
                ..Position::default()
            };
            timeline.take(&Event {
                at: place,
                payload: Payload::Input(*input),
            });
        }
        timeline.take(&at(900, 450, EventId::SysEnter, [39, 0, 0, 0, 0]));
        timeline.finish(1000);
        timeline.segments().to_vec()
    };
    let alone = events(&[]);
    assert_eq!(events(&[Input::Console(b'x')]), alone);
    assert_eq!(events(&[Input::Interrupt(0xEF)]), alone);
}
