//! `coe trace --format perfetto`, decoded with Perfetto's own classes and held
//! against the trace's events.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use abi::event::{EventId, FaultKind, FrameKind};
use coe::trace::{Item, Record, Trace};
use common::{coe_in, folder, python, root, write};
use machine::{Event, Payload};
use serde_json::Value;

/// A recorded scenario: its events, and what Perfetto's classes read.
struct Case {
    events: Vec<Event>,
    packets: Vec<Value>,
}

/// A child that copies pages.
static COW: LazyLock<Option<Case>> = LazyLock::new(|| Case::record("seeds/cow-fork.toml"));

/// Tasks of one thread group.
static THREADS: LazyLock<Option<Case>> = LazyLock::new(|| Case::record("seeds/threads.toml"));

impl Case {
    /// Nothing if the judge is not there.
    fn record(scenario: &str) -> Option<Case> {
        let folder = folder();
        let scenario = root().join("scenarios").join(scenario);
        let scenario = scenario.to_str().expect("a path in UTF-8");
        run(folder.path(), &["record", "-q", scenario, "-o", "a.coe"]);
        let write = ["trace", "a.coe", "--format", "perfetto", "-o", "a.pftrace"];
        run(folder.path(), &write);
        let printed = python::judge("perfetto_trace.py", &[&folder.path().join("a.pftrace")])?;
        let packets = printed
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        Some(Case {
            events: events(&folder.path().join("a.coe")),
            packets,
        })
    }

    fn of(&self, what: &str) -> impl Iterator<Item = &Value> {
        self.packets.iter().filter(move |p| p["what"] == what)
    }

    /// The kernel's events of one kind: cycle and arguments.
    fn kernel(&self, wanted: EventId) -> impl Iterator<Item = (u64, &[u64; 5])> {
        self.events
            .iter()
            .filter_map(move |event| match &event.payload {
                Payload::Kernel { id, args, .. } if *id == wanted => Some((event.at.cycle, args)),
                _ => None,
            })
    }

    /// The track of the task of this name.
    fn track(&self, task: &str) -> u64 {
        let found = self
            .of("track_descriptor")
            .map(|packet| &packet["fields"])
            .find(|fields| fields["thread"]["thread_name"] == task);
        number(&found.unwrap_or_else(|| panic!("no track of {task}"))["uuid"])
    }

    /// Begin, end and name of every slice, each track's in order.
    fn slices(&self) -> Vec<(u64, u64, String)> {
        let mut marks: Vec<_> = self
            .of("track_event")
            .filter(|p| p["type"] == "SLICE_BEGIN" || p["type"] == "SLICE_END")
            .collect();
        marks.sort_by_key(|p| number(&p["ts"]));
        let mut open: BTreeMap<u64, Vec<(u64, String)>> = BTreeMap::new();
        let mut slices = Vec::new();
        for mark in marks {
            let stack = open.entry(number(&mark["track"])).or_default();
            if mark["type"] == "SLICE_BEGIN" {
                stack.push((number(&mark["ts"]), text(&mark["name"])));
            } else {
                let (begin, name) = stack.pop().expect("an end without a begin");
                slices.push((begin, number(&mark["ts"]), name));
            }
        }
        assert!(open.values().all(Vec::is_empty), "a slice without an end");
        slices
    }
}

fn run(folder: &Path, arguments: &[&str]) {
    let output = coe_in(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "coe {arguments:?}: {said}");
}

fn events(path: &Path) -> Vec<Event> {
    let trace = Trace::open(path).expect("the trace opens");
    trace
        .items()
        .filter_map(|item| match item.expect("a whole trace") {
            Item::Record(Record::Event(event)) => Some(event),
            _ => None,
        })
        .collect()
}

/// A number, which protobuf's JSON writes as a string if it has 64 bits.
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().expect("a number"),
        value => value.as_u64().expect("a number"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn the_scheduler_is_told_in_linuxs_words() {
    let Some(case) = &*THREADS else {
        return;
    };
    let linux_state = [0, 1, 2, 4, 32, 16, 0];
    let expected: Vec<_> = case
        .kernel(EventId::SchedSwitch)
        .map(|(cycle, args)| (cycle, args[0], linux_state[args[1] as usize], args[2]))
        .collect();
    let switches: Vec<_> = case
        .of("ftrace")
        .filter(|p| p["name"] == "sched_switch")
        .map(|p| {
            let fields = &p["fields"];
            let number = |name: &str| number(&fields[name]);
            assert_eq!(self::number(&p["pid"]), number("prev_pid"));
            let cycle = self::number(&p["ts"]);
            let [prev, state, next] = ["prev_pid", "prev_state", "next_pid"].map(number);
            (cycle, prev, state, next)
        })
        .collect();
    assert!(expected.len() > 5, "the scenario switches: {expected:?}");
    assert_eq!(switches, expected);
    let names: BTreeSet<_> = case
        .of("ftrace")
        .filter(|p| p["name"] == "sched_switch")
        .map(|p| text(&p["fields"]["next_comm"]))
        .collect();
    assert!(
        names.contains("main/1") && names.contains("main"),
        "{names:?}"
    );
    for (event, words) in [
        (EventId::SchedWakeup, "sched_waking"),
        (EventId::SchedProcessFork, "task_newtask"),
        (EventId::SchedProcessFork, "sched_wakeup_new"),
        (EventId::SchedProcessExit, "sched_process_exit"),
        (EventId::SchedProcessFree, "sched_process_free"),
    ] {
        let about = usize::from(event == EventId::SchedProcessFork);
        let expected: Vec<_> = case
            .kernel(event)
            .map(|(cycle, args)| (cycle, args[about]))
            .collect();
        let told: Vec<_> = case
            .of("ftrace")
            .filter(|p| p["name"] == words)
            .map(|p| (number(&p["ts"]), number(&p["fields"]["pid"])))
            .collect();
        assert_eq!(told, expected, "{words}");
    }
}

#[test]
fn threads_stand_below_their_group() {
    let Some(case) = &*THREADS else {
        return;
    };
    let expected: BTreeSet<_> = case
        .kernel(EventId::SchedProcessFork)
        .map(|(_, args)| (args[1], args[2]))
        .collect();
    let told: BTreeSet<_> = case
        .of("track_descriptor")
        .filter(|p| p["fields"]["thread"].is_object())
        .map(|p| &p["fields"]["thread"])
        .map(|thread| (number(&thread["tid"]), number(&thread["pid"])))
        .collect();
    assert!(expected.is_subset(&told), "{expected:?}, {told:?}");
    let groups: BTreeSet<_> = case
        .of("track_descriptor")
        .filter(|p| p["fields"]["process"].is_object())
        .map(|p| number(&p["fields"]["process"]["pid"]))
        .collect();
    assert!(told.iter().all(|(_, group)| groups.contains(group)));
}

#[test]
fn system_calls_are_slices_from_entry_to_result() {
    let Some(case) = &*COW else {
        return;
    };
    let slices = case.slices();
    let call = |cycle: u64| slices.iter().find(|(begin, ..)| *begin == cycle);
    let returns: BTreeSet<_> = case.kernel(EventId::SysExit).map(|(c, _)| c).collect();
    for (cycle, args) in case.kernel(EventId::SysEnter) {
        let (_, end, name) = call(cycle).unwrap_or_else(|| panic!("no slice at {cycle}"));
        let known = coe::names::syscalls::name(args[0]).expect("a known call");
        assert_eq!(name, known);
        assert!(returns.contains(end) || name == "exit_group", "{name}");
    }
    let results: BTreeSet<_> = case
        .of("track_event")
        .filter_map(|p| p["fields"]["ret"].as_str())
        .collect();
    assert!(
        results.contains("main/1") && results.contains("-ECHILD"),
        "{results:?}"
    );
}

#[test]
fn faults_of_user_mode_are_slices_that_end_at_their_event() {
    let Some(case) = &*COW else {
        return;
    };
    let slices = case.slices();
    let mut copies = 0;
    let entries: BTreeSet<_> = case.events.iter().map(|e| e.at.mode_since).collect();
    for (cycle, args) in case.kernel(EventId::PageFault) {
        let kind = FaultKind::from_raw(args[0]).expect("a kind");
        let name = format!("page_fault {}", kind.name());
        let from_user = args[3] & 4 != 0;
        let slice = slices.iter().find(|(_, e, n)| *e == cycle && *n == name);
        assert_eq!(slice.is_some(), from_user, "{name} at {cycle}");
        if let Some((begin, end, _)) = slice
            && kind == FaultKind::Cow
        {
            copies += 1;
            assert!(entries.contains(begin), "{begin}..{end}");
            assert!((500..20_000).contains(&(end - begin)), "{begin}..{end}");
        }
    }
    assert!(copies >= 3, "{copies} copies");
}

/// The marks at which arrows begin (`from`) or end (`to`), by arrow.
fn ends<'a>(case: &'a Case, side: &str) -> BTreeMap<u64, &'a Value> {
    let mut ends = BTreeMap::new();
    for mark in case.of("track_event") {
        for arrow in mark[side].as_array().expect("a list") {
            let before = ends.insert(number(arrow), mark);
            assert!(before.is_none(), "arrow {arrow} twice in {side}");
        }
    }
    ends
}

#[test]
fn arrows_lead_from_clone_wake_and_signal_to_whom_they_concern() {
    let Some(case) = &*COW else {
        return;
    };
    let (from, to) = (ends(case, "from"), ends(case, "to"));
    let (main, child) = (case.track("main"), case.track("main/1"));
    let mut seen = BTreeSet::new();
    for (arrow, end) in &to {
        let begin = from.get(arrow).expect("an arrow that begins nowhere");
        assert!(number(&begin["ts"]) < number(&end["ts"]));
        let tracks = (number(&begin["track"]), number(&end["track"]));
        if tracks == (main, child) || tracks == (child, main) {
            seen.insert((text(&begin["name"]), text(&end["name"])));
        }
    }
    let seen: Vec<_> = seen.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("sched_process_fork", "begins"),
            ("sched_wakeup", "runs again")
        ]
    );
}

/// Numbers of tasks that are taken over by exec or used again, tasks that never
/// return from a call, that are stopped, that sleep in a fault.
#[test]
fn unusual_lives_make_whole_pictures_too() {
    for scenario in [
        "tasks/identity-exec.toml",
        "tasks/set-tid.toml",
        "jobs/group-stop.toml",
        "disk/lazy-tlb.toml",
        "ptrace/threads.toml",
    ] {
        let Some(case) = Case::record(scenario) else {
            return;
        };
        // Every slice has an end, and on its own track.
        assert!(case.slices().len() > 10, "{scenario}");
        let (from, to) = (ends(&case, "from"), ends(&case, "to"));
        for (arrow, end) in &to {
            let begin = from.get(arrow).expect("an arrow that begins nowhere");
            assert!(number(&begin["ts"]) <= number(&end["ts"]), "{scenario}");
        }
        let described: BTreeSet<_> = case
            .of("track_descriptor")
            .map(|p| number(&p["fields"]["uuid"]))
            .collect();
        for mark in case.of("track_event") {
            let track = number(&mark["track"]);
            assert!(described.contains(&track), "{scenario}: {mark}");
        }
    }
}

#[test]
fn a_trace_that_was_cut_off_gives_a_picture_as_far_as_it_goes() {
    let folder = folder();
    let scenario = root().join("scenarios/seeds/cow-fork.toml");
    let scenario = scenario.to_str().expect("a path in UTF-8");
    run(folder.path(), &["record", "-q", scenario, "-o", "a.coe"]);
    let whole = std::fs::read(folder.path().join("a.coe")).expect("the trace");
    write(&folder, "cut.coe", &whole[..whole.len() - 5]);
    let arguments = ["trace", "cut.coe", "--format", "perfetto", "-o", "cut.pf"];
    let output = coe_in(folder.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(126), "{said}");
    assert!(said.contains("cut off"), "{said}");
    let picture = folder.path().join("cut.pf");
    if let Some(printed) = python::judge("perfetto_trace.py", &[&picture]) {
        assert!(printed.contains("parent sees 1"), "{printed}");
    }
}

#[test]
fn counters_follow_the_frames() {
    let Some(case) = &*COW else {
        return;
    };
    let change = |id, by: i64| {
        case.kernel(id)
            .filter(|(_, args)| args[1] == FrameKind::User as u64)
            .map(move |(cycle, _)| (cycle, by))
    };
    let mut changes: Vec<_> = change(EventId::MmPageAlloc, 1)
        .chain(change(EventId::MmPageFree, -1))
        .collect();
    changes.sort_unstable();
    let mut count = 0;
    let expected: Vec<_> = changes
        .into_iter()
        .map(|(cycle, by)| {
            count += by;
            (cycle, count)
        })
        .collect();
    let track = case
        .of("track_descriptor")
        .find(|p| p["fields"]["name"] == "frames: user")
        .map(|p| number(&p["fields"]["uuid"]))
        .expect("the counter's track");
    let told: Vec<_> = case
        .of("track_event")
        .filter(|p| p["type"] == "COUNTER" && number(&p["track"]) == track)
        .map(|p| (number(&p["ts"]), p["value"].as_i64().expect("a value")))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn the_console_has_a_track_and_the_clock_is_named() {
    let Some(case) = &*COW else {
        return;
    };
    let lines: Vec<_> = case
        .of("track_event")
        .filter(|p| p["categories"][0] == "console")
        .map(|p| text(&p["name"]))
        .collect();
    assert_eq!(lines, ["child sees 3\r\n", "parent sees 1\r\n"]);
    let clock = case.of("clock_snapshot").next().expect("a clock");
    assert_eq!(
        clock["fields"]["primary_trace_clock"],
        "BUILTIN_CLOCK_BOOTTIME"
    );
}

#[test]
fn a_whole_picture_cannot_be_filtered() {
    let folder = folder();
    let arguments = ["trace", "a.coe", "--format", "perfetto", "--task", "main"];
    let output = coe_in(folder.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("cannot be filtered"), "{said}");
}
