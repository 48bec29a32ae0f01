//! The kernel keeps nothing that grows with what was run: after three runs of a
//! program there is as much on its heap as after six.
//!
//! (The census of each run compares objects by type and frames. On the heap
//! lists may keep the room that they once needed, so there is no such thing as
//! the same number before and after; but there is one that stays.)

use std::collections::BTreeMap;
use std::path::Path;

use abi::event::EventId;
use coe::images::Setup;
use coe::run::{self, Ending, Watcher};
use coe::scenario::Scenario;
use machine::{Event, Payload};

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
