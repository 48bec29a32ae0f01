//! Figures of small runs that are written out by hand.

use super::*;
use crate::events::tests::boot;
use abi::event::EventId::{
    PageFault, SchedProcessFork, SchedSwitch, SchedWakeup, SignalDeliver, SysEnter, SysExit,
};

/// Numbers of system calls.
const WRITE: u64 = 1;
const YIELD: u64 = 24;
const FUTEX: u64 = 202;

const RUNNING: u64 = TaskState::Running as u64;
const SLEEPING: u64 = TaskState::Interruptible as u64;
const STOPPED: u64 = TaskState::Stopped as u64;

/// An event at a cycle of which so many were spent in user mode.
fn event(cycle: u64, user: u64, id: EventId, args: &[u64]) -> Event {
    let mut all = [0; 5];
    all[..args.len()].copy_from_slice(args);
    let mut event = crate::events::tests::kernel(cycle, id, all);
    event.at.user = user;
    event
}

fn of(window: Window, events: &[Event], end: u64) -> Statistics {
    let mut statistics = Statistics::new(window);
    for event in boot().iter().chain(events) {
        statistics.take(event);
        if matches!(event.payload, Payload::Kernel { id: PageFault, .. }) {
            statistics.fault_in(event.at, "memset".to_owned());
        }
    }
    statistics.finish(end);
    statistics
}

fn task<'a>(statistics: &'a Statistics, name: &str) -> &'a Task {
    let mut tasks = statistics.tasks().iter();
    tasks.find(|task| task.name == name).expect("a task")
}

/// `main` writes, forks, sleeps in a futex and is woken by its child.
fn story() -> Vec<Event> {
    vec![
        event(100, 50, SysEnter, &[WRITE, 1]),
        event(130, 50, SysExit, &[WRITE, (-9i64) as u64]),
        event(140, 55, PageFault, &[2, 0x1000]),
        event(200, 60, SchedProcessFork, &[4, 5, 5, 17]),
        event(210, 60, SysEnter, &[FUTEX]),
        event(220, 60, SchedSwitch, &[4, SLEEPING, 5]),
        event(300, 100, SchedWakeup, &[4]),
        event(350, 120, SchedSwitch, &[5, RUNNING, 4]),
        event(360, 120, SysExit, &[FUTEX, 0]),
        event(400, 150, SignalDeliver, &[10, 0]),
    ]
}

#[test]
fn running_time_is_split_between_user_and_kernel() {
    let statistics = of(Window::ALL, &story(), 450);
    let main = task(&statistics, "main");
    // 3 to 220 and 350 to 400, 60 and 30 of them in user mode.
    assert_eq!((main.user, main.kernel), (90, 177));
    let child = task(&statistics, "main/1");
    assert_eq!((child.user, child.kernel), (60, 70));
    assert_eq!(statistics.rest(), 50);
    let all: u64 = statistics.tasks().iter().map(Task::ran).sum();
    assert_eq!(all, 400, "every cycle up to the last event is somebody's");
}

#[test]
fn waits_have_their_reason_and_length() {
    let statistics = of(Window::ALL, &story(), 450);
    let main = task(&statistics, "main");
    assert_eq!(main.sleeping["futex"].quantiles().unwrap().max, 80);
    assert_eq!((main.runnable.sum(), main.slept()), (50 + 1, 80));
    let child = task(&statistics, "main/1");
    // From its creation to its first turn, and from losing the CPU to the end.
    assert_eq!(
        (child.runnable.count(), child.runnable.sum()),
        (2, 20 + 100)
    );
}

#[test]
fn calls_faults_and_signals_are_counted() {
    let statistics = of(Window::ALL, &story(), 450);
    let main = task(&statistics, "main");
    let write = &main.calls["write"];
    assert_eq!(
        (write.entered, write.errors, write.latency.sum()),
        (1, 1, 30)
    );
    assert_eq!(main.calls["futex"].latency.sum(), 150);
    assert_eq!(main.faults, BTreeMap::from([("cow", 1)]));
    assert_eq!((main.signals, main.call_count()), (1, 2));
    assert_eq!(statistics.calls()["write"].errors, 1);
}

#[test]
fn a_switch_is_voluntary_unless_the_cpu_was_taken() {
    let statistics = of(Window::ALL, &story(), 450);
    let counts = |name: &str| {
        let task = task(&statistics, name);
        (task.voluntary, task.involuntary)
    };
    assert_eq!((counts("main"), counts("main/1")), ((1, 0), (0, 1)));
    let yields = [
        event(10, 5, SysEnter, &[YIELD]),
        event(20, 5, SchedSwitch, &[4, RUNNING, 1]),
    ];
    let statistics = of(Window::ALL, &yields, 30);
    let main = task(&statistics, "main");
    assert_eq!((main.voluntary, main.involuntary), (1, 0));
}

#[test]
fn a_stop_is_no_sleep() {
    let events = [
        event(10, 5, SchedSwitch, &[4, STOPPED, 1]),
        event(30, 5, SchedWakeup, &[4]),
        event(40, 5, SchedSwitch, &[1, RUNNING, 4]),
    ];
    let statistics = of(Window::ALL, &events, 40);
    let main = task(&statistics, "main");
    assert_eq!((main.stopped.sum(), main.slept()), (20, 0));
}

#[test]
fn only_what_lies_in_the_window_counts() {
    let window = Window { from: 140, to: 350 };
    let statistics = of(window, &story(), 450);
    let main = task(&statistics, "main");
    assert_eq!(main.places["memset"], 1);
    assert_eq!(main.call_count(), 1);
    assert_eq!(main.calls["futex"].latency.count(), 0);
    assert_eq!((main.user, main.kernel), (5, 75));
    assert_eq!(main.runnable.sum(), 50);
    assert_eq!(statistics.rest(), 0);
}

#[test]
fn the_tables_hold_what_there_is() {
    let mut statistics = of(Window::ALL, &story(), 450);
    statistics.keep_only("main");
    let text = text::write(&statistics);
    let parts = [
        "time (cycles)  user  kernel  runnable  asleep  stopped\nmain             90     177",
        "main in futex           1      80   80      80   80   80\n",
        "write             1       1      30   30      30   30   30\n",
        "page faults in  times\nmemset              1\n",
        "write  2^4: 1\n",
        "50 cycles come after the last event",
    ];
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("init"), "{text}");
    let json = json::write(&statistics);
    assert_eq!(json["tasks"][1]["task"], "main/1");
    assert_eq!(json["tasks"][0]["system_calls"]["write"]["errors"], 1);
    assert_eq!(json["system_calls"]["futex"]["latency"]["median"], 150);
}

#[test]
fn a_task_of_the_kernel_has_the_name_that_it_gets() {
    let mut rename = event(20, 5, EventId::TaskRename, &[6]);
    if let Payload::Kernel { text, .. } = &mut rename.payload {
        text.extend(b"kworker");
    }
    let events = [
        event(10, 5, SchedProcessFork, &[0, 6, 6, 0]),
        rename,
        event(30, 5, SchedSwitch, &[4, RUNNING, 6]),
    ];
    let statistics = of(Window::ALL, &events, 40);
    let names: Vec<_> = statistics.tasks().iter().map(|task| &task.name).collect();
    assert_eq!(names, ["idle", "init", "main", "kworker"]);
    assert_eq!(task(&statistics, "kworker").runnable.sum(), 20);
}
