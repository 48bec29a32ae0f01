//! Memory runs out at each allocation of a fork, of a thread's creation, of an
//! exec and of page faults, one after another.
//!
//! `exhaust` marks where its worker begins and ends. The machine is saved at the
//! first mark; from there a copy of it runs to its end for each allocation up to
//! the second, and that one fails. Whatever fails: whoever asked gets the right
//! error, or is killed where there is nobody to tell; everybody else goes on; and
//! the kernel's census finds everything given back.

use std::collections::BTreeMap;
use std::path::Path;

use abi::choice::ChoiceKind;
use abi::event::EventId;
use coe::images::Setup;
use coe::scenario::Scenario;
use machine::{Choice, Event, Host, Machine, Payload, Stop};

const SYS_LSEEK: u64 = 8;

/// Ends a run that an error sent astray.
const GIVE_UP: u64 = 500_000_000;

/// Watches a run, and lets one allocation between the marks fail.
#[derive(Clone, Default)]
struct Lab {
    console: String,
    leaks: Vec<String>,
    census: usize,
    /// The cycles at which the marks were met.
    marks: Vec<u64>,
    /// Allocations between the marks so far.
    allocations: usize,
    /// The one that fails.
    fails: Option<usize>,
}

impl Host for Lab {
    fn event(&mut self, event: Event) {
        match event.payload {
            Payload::Console(byte) if byte != b'\r' => self.console.push(char::from(byte)),
            Payload::Kernel { id, args, text, .. } => match id {
                EventId::SysEnter if args[0] == SYS_LSEEK && args[1] as i32 == -1 => {
                    self.marks.push(event.at.cycle);
                }
                EventId::Census => self.census += 1,
                EventId::Leak => {
                    let what = String::from_utf8_lossy(&text).into_owned();
                    self.leaks.push(format!(
                        "{what}: {} before, {} after",
                        args[0] as i64, args[1] as i64
                    ));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        if choice.kind != ChoiceKind::AllocFail || self.marks.len() != 1 {
            return choice.default;
        }
        let at = self.allocations;
        self.allocations += 1;
        u32::from(self.fails == Some(at))
    }
}

fn boot(what: &str) -> (Machine, Lab) {
    let text = format!(
        "title = \"Exhaustion\"\nprogram = {{ run = \"exhaust\", args = [\"{what}\"] }}\nmachine = {{ memory = \"16MiB\" }}\nschedule = {{ policy = \"fifo\" }}\n"
    );
    let scenario = Scenario::parse("exhaustion.toml", &text).expect("a scenario");
    let setup = Setup::from_scenario(&scenario, Path::new("")).expect("its program is embedded");
    let machine = Machine::boot(&setup.config(), &setup.images()).expect("the kernel loads");
    (machine, Lab::default())
}

fn finish(machine: &mut Machine, lab: &mut Lab) -> Stop {
    machine.run(machine.cycle() + GIVE_UP, lab)
}

/// Runs `exhaust WHAT` once for each allocation; `allowed` are the lines that
/// the worker's part may consist of, and the first of them is the one without
/// any failure. Gives how often each came.
fn exhaust(what: &str, allowed: &[&str]) -> BTreeMap<String, usize> {
    let (mut machine, mut lab) = boot(what);
    let mut start = machine.clone();
    let stop = finish(&mut machine, &mut lab);
    assert_eq!(stop, Stop::Exit(0), "{}", lab.console);
    let count = lab.allocations;
    assert!(lab.leaks.is_empty() && lab.census > 0, "{:?}", lab.leaks);
    let mut saved = Lab::default();
    let begin = *lab.marks.first().expect("the worker begins");
    assert_eq!(start.run(begin, &mut saved), Stop::Deadline);

    let mut outcomes = BTreeMap::new();
    let mut wrong = Vec::new();
    for fails in 0..count {
        let (mut machine, mut lab) = (start.clone(), saved.clone());
        lab.fails = Some(fails);
        let stop = finish(&mut machine, &mut lab);
        let lines: Vec<&str> = lab.console.lines().collect();
        let witness = "the witness goes on\nthe witness exited with 0\n";
        let part = lab.console.strip_suffix(witness).unwrap_or("").trim_end();
        *outcomes.entry(part.to_owned()).or_insert(0) += 1;
        let right = stop == Stop::Exit(0)
            && allowed.contains(&part)
            && lab.census > 0
            && lab.leaks.is_empty();
        if !right {
            wrong.push(format!(
                "allocation {fails} of {count}: {stop:?}, {lines:?}, leaks {:?}",
                lab.leaks
            ));
        }
    }
    println!("exhaust {what}: {count} allocations: {outcomes:#?}");
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    outcomes
}

/// The worker's end, when it went well.
const WELL: &str = "the worker exited with 0";
const KILLED: &str = "the worker was killed by signal 9";

#[test]
fn a_fork_fails_whole() {
    let well = format!("the child exited with 5\n{WELL}");
    let error = format!("the child: ENOMEM\n{WELL}");
    let child_killed = format!("the child was killed by signal 9\n{WELL}");
    let outcomes = exhaust("fork", &[&well, &error, &child_killed, KILLED]);
    assert!(outcomes.get(&error).is_some_and(|&count| count >= 15));
    assert!(
        !outcomes.contains_key(&well),
        "a failed allocation is no success"
    );
}

#[test]
fn a_threads_creation_fails_whole() {
    let well = format!("the thread says 42\n{WELL}");
    let error = format!("the thread: ENOMEM\n{WELL}");
    let outcomes = exhaust("thread", &[&well, &error, KILLED]);
    assert!(outcomes.get(&error).is_some_and(|&count| count >= 10));
}

#[test]
fn an_exec_fails_whole() {
    let hello = "hello";
    let error = format!("exec: ENOMEM\n{WELL}");
    let killed = format!("exec: the program was killed by signal 9\n{WELL}");
    let well = format!("{hello}\nexec: the program exited with 0\n{WELL}");
    let outcomes = exhaust("exec", &[&well, &error, &killed]);
    assert!(outcomes.get(&error).is_some_and(|&count| count >= 5));
}

#[test]
fn a_fault_without_memory_kills_only_its_task() {
    let well = format!("all pages were touched\n{WELL}");
    let outcomes = exhaust("fault", &[&well, KILLED]);
    assert!(outcomes.get(KILLED).is_some_and(|&count| count >= 7));
}
