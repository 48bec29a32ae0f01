//! Frames are counted: what fork takes, and that everything comes back.

use std::collections::BTreeMap;
use std::path::Path;

use abi::event::{EventId, FrameKind};
use coe::images::Setup;
use coe::run::{self, Ending, Watcher};
use coe::scenario::Scenario;
use machine::{Event, Payload};

/// Frames by what they are taken for.
type Counts = BTreeMap<u64, i64>;

/// Counts frames over a whole run, and what each fork of the program takes.
#[derive(Default)]
struct Frames {
    taken: Counts,
    /// What had been taken when the running clone began.
    at_clone: Counts,
    /// For each new task in order: what its clone took.
    by_fork: Vec<Counts>,
    /// A task was created since then.
    forked: bool,
}

const CLONE: u64 = 56;

impl Watcher for Frames {
    fn event(&mut self, event: &Event) {
        let Payload::Kernel { id, args, .. } = &event.payload else {
            return;
        };
        match id {
            EventId::MmPageAlloc => *self.taken.entry(args[1]).or_default() += 1,
            EventId::MmPageFree => *self.taken.entry(args[1]).or_default() -= 1,
            EventId::SysEnter if args[0] == CLONE => {
                self.at_clone = self.taken.clone();
                self.forked = false;
            }
            EventId::SchedProcessFork => self.forked = true,
            EventId::SysExit if args[0] == CLONE && self.forked => {
                let took = |kind: &u64| {
                    self.taken.get(kind).unwrap_or(&0) - self.at_clone.get(kind).unwrap_or(&0)
                };
                let kinds = self.taken.keys().map(|kind| (*kind, took(kind))).collect();
                self.by_fork.push(kinds);
                self.forked = false;
            }
            _ => {}
        }
    }
}

fn watch(program: &str) -> Frames {
    let text = format!(
        "title = \"Frames\"\nprogram = {program}\nmachine = {{ memory = \"256MiB\" }}\nschedule = {{ policy = \"fifo\" }}\n"
    );
    let scenario = Scenario::parse("frames.toml", &text).expect("a scenario");
    let setup = Setup::from_scenario(&scenario, Path::new("")).expect("its images");
    let mut frames = Frames::default();
    let finished = run::run(&setup, &mut [&mut frames]).expect("the machine boots");
    assert_eq!(finished.ending, Ending::Status(0));
    frames
}

fn count(counts: &Counts, kind: FrameKind) -> i64 {
    counts.get(&u64::from(kind)).copied().unwrap_or(0)
}

/// 64 MiB are 16384 frames and need 32 lowest page tables; the stack, the
/// program and the upper levels need a few more.
#[test]
fn forking_64_mib_takes_page_tables_stack_and_task_only() {
    let frames = watch("{ run = \"fork-64m\", args = [\"64\"] }");
    assert!(
        count(&frames.taken, FrameKind::User) < 16384,
        "the memory has come back"
    );
    // The first clone is init's, the second main's.
    let fork = frames.by_fork.get(1).expect("main forks");
    assert_eq!(count(fork, FrameKind::User), 0, "{fork:?}");
    assert_eq!(count(fork, FrameKind::PageCache), 0, "{fork:?}");
    let tables = count(fork, FrameKind::PageTable);
    assert!((33..=48).contains(&tables), "{fork:?}");
    assert!(
        (1..=8).contains(&count(fork, FrameKind::KernelStack)),
        "{fork:?}"
    );
    assert!((0..=4).contains(&count(fork, FrameKind::Slab)), "{fork:?}");
}

/// A program that takes far more of everything than another leaves as little
/// behind: what is taken at the end does not depend on what ran.
#[test]
fn everything_comes_back() {
    let little = watch("\"hello\"");
    for program in [
        "{ run = \"fork-64m\", args = [\"8\"] }",
        "{ run = \"cow-fork\", args = [\"600\"] }",
        "{ run = \"threads\", args = [\"16\"] }",
        "\"pipes\"",
        "\"signals\"",
        "\"clone-errors\"",
        "\"vfork-exec\"",
        "\"external-cd\"",
    ] {
        let much = watch(program);
        for kind in [
            FrameKind::User,
            FrameKind::PageTable,
            FrameKind::KernelStack,
        ] {
            let (left, expected) = (count(&much.taken, kind), count(&little.taken, kind));
            assert_eq!(
                left,
                expected,
                "{} frames left after {program}",
                kind.name()
            );
        }
    }
}

/// What the census at the end says, by kind of thing.
#[derive(Default)]
struct Census {
    after: BTreeMap<String, i64>,
    leaks: Vec<String>,
}

impl Watcher for Census {
    fn event(&mut self, event: &Event) {
        let Payload::Kernel { id, args, text, .. } = &event.payload else {
            return;
        };
        let what = String::from_utf8_lossy(text).into_owned();
        match id {
            EventId::Census => {
                self.after.insert(what, args[1] as i64);
            }
            EventId::Leak => self.leaks.push(what),
            _ => {}
        }
    }
}

fn heap_after(times: u32, program: &str) -> i64 {
    let words: Vec<String> = program.split(' ').map(|word| format!("{word:?}")).collect();
    let text = format!(
        "title = \"Again\"\nprogram = {{ run = \"again\", args = [\"{times}\", {}] }}\n",
        words.join(", ")
    );
    let scenario = Scenario::parse("leaks.toml", &text).expect("a scenario");
    let setup = Setup::from_scenario(&scenario, Path::new("")).expect("its images");
    let mut census = Census::default();
    let finished = run::run(&setup, &mut [&mut census]).expect("the machine boots");
    assert_eq!(finished.ending, Ending::Status(0), "{program}");
    assert!(census.leaks.is_empty(), "{program}: {:?}", census.leaks);
    census.after["heap objects"]
}

/// The census of each run compares objects by type and frames. On the heap
/// lists may keep the room that they once needed, so it is not the same before
/// and after; but after three runs of a program there is as much as after six.
#[test]
fn what_is_on_the_heap_does_not_grow_with_the_runs() {
    for program in [
        "hello",
        "cow-fork 10",
        "threads 8",
        "pipes",
        "signals",
        "clone-errors",
        "vfork-exec",
        "external-cd",
        "proc list",
        "proc status",
        "proc-files fd",
    ] {
        let (three, six) = (heap_after(3, program), heap_after(6, program));
        assert_eq!(three, six, "heap objects after 3 and 6 runs of {program}");
    }
}
