//! What a fork takes: frames for page tables, the kernel stack and the task,
//! and none of the parent's memory, however much of it is resident.

use std::collections::BTreeMap;
use std::path::Path;

use abi::event::{EventId, FrameKind};
use coe::images::Setup;
use coe::scenario::Scenario;
use machine::{Choice, Event, Host, Machine, Payload, Stop};

const SCENARIO: &str = r#"
title = "what a fork of 64 MiB takes"
program = "fork-64m"
machine = { memory = "128MiB" }
"#;

const SYS_FORK: u64 = 57;
const SYS_CLONE: u64 = 56;

/// Resident pages of the parent: 64 MiB, and a few of its code and stack.
const RESIDENT: usize = 64 * 256;

/// One page table of the lowest level maps 512 pages.
const LOWEST_TABLES: usize = RESIDENT / 512;

/// Counts frames by kind between a fork's system call and the new task.
#[derive(Default)]
struct Forks {
    user_frames: usize,
    in_fork: bool,
    since: BTreeMap<&'static str, usize>,
    /// What each fork took, the last one last.
    taken: Vec<BTreeMap<&'static str, usize>>,
}

impl Host for Forks {
    fn event(&mut self, event: Event) {
        let Payload::Kernel { id, args, .. } = event.payload else {
            return;
        };
        match id {
            EventId::SysEnter if args[0] == SYS_FORK || args[0] == SYS_CLONE => {
                self.in_fork = true;
                self.since.clear();
            }
            EventId::SysExit => self.in_fork = false,
            EventId::SchedProcessFork if self.in_fork => {
                self.taken.push(self.since.clone());
                self.in_fork = false;
            }
            EventId::MmPageAlloc => {
                let kind = FrameKind::from_raw(args[1]).expect("a kind of the vocabulary");
                self.user_frames += usize::from(kind == FrameKind::User);
                *self.since.entry(kind.name()).or_default() += 1;
            }
            _ => {}
        }
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

#[test]
fn a_fork_of_64_mib_takes_tables_a_stack_and_a_task() {
    let scenario = Scenario::parse("fork.toml", SCENARIO).expect("the scenario is in order");
    let setup = Setup::from_scenario(&scenario, Path::new(".")).expect("its program is embedded");
    let mut machine = Machine::boot(&setup.config(), &setup.images()).expect("the kernel loads");
    let mut forks = Forks::default();
    let stop = machine.run(setup.limit, &mut forks);
    assert_eq!(stop, Stop::Exit(0));
    assert!(
        forks.user_frames >= RESIDENT,
        "only {} frames were touched",
        forks.user_frames
    );

    let taken = forks.taken.last().expect("the program forks");
    println!("{taken:?}");
    let of = |kind: FrameKind| taken.get(kind.name()).copied().unwrap_or(0);
    assert_eq!(of(FrameKind::User), 0, "{taken:?}");
    assert_eq!(of(FrameKind::PageCache), 0, "{taken:?}");
    let tables = of(FrameKind::PageTable);
    assert!(
        (LOWEST_TABLES..LOWEST_TABLES + 12).contains(&tables),
        "{taken:?}"
    );
    assert!((1..=8).contains(&of(FrameKind::KernelStack)), "{taken:?}");
    assert!(of(FrameKind::Slab) <= 4, "{taken:?}");
}
