//! Schedules: the one that a run took gives the same run again; one line does
//! what it says; mistakes and misfits are shown.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use coe::golden::{self, Transcript};
use coe::images::{Guests, Setup};
use coe::run::{self, Finished, Watcher};
use coe::scenario::{Level, Policy, Scenario, Slice};
use coe::schedule::Schedule;
use coe::schedule::extract::Extractor;
use coe::schedule::follow::Follower;
use machine::Event;

mod common;

use common::{coe, root};

/// Calls coe; its exit status and what it says on stderr.
fn call(arguments: &[&str]) -> (i32, String) {
    let output = coe().args(arguments).output().expect("coe starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("it exits"), stderr)
}

/// What a run shows: all of its events, and the schedule that it took.
#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    extractor: Extractor,
}

impl Watcher for Seen {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
        self.extractor.see(event);
    }
}

fn run(setup: &Setup) -> (Vec<Event>, Schedule, Finished) {
    let mut seen = Seen::default();
    let finished = run::run(setup, &mut [&mut seen]).expect("it starts");
    (seen.events, seen.extractor.finish(), finished)
}

/// Through its text, as from a file.
fn again(schedule: &Schedule) -> Arc<Schedule> {
    let text = schedule.to_string();
    Schedule::parse("again", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn assert_same_order(name: &str, setup: &mut Setup) -> usize {
    let (events, schedule, finished) = run(setup);
    setup.follow(again(&schedule));
    let (followed, same, end) = run(setup);
    let mut judge = Follower::new(again(&schedule));
    for event in &followed {
        judge.see(event);
    }
    assert_eq!(judge.misfit(true), None, "{name}");
    let first = events.iter().zip(&followed).find(|(a, b)| a != b);
    assert_eq!(first, None, "{name}: the first event that differs");
    assert_eq!((events.len(), finished), (followed.len(), end), "{name}");
    assert_eq!(same.to_string(), schedule.to_string(), "{name}");
    schedule.lines.len()
}

fn scenarios(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("scenarios").join(folder);
    let found = coe::suite::find(&[folder]).expect("there are scenarios");
    found.scenarios
}

/// As they are written: slices, scripts, timers and priorities; and again with
/// every choice drawn, in slices so short that tasks meet everywhere.
fn folder_gives_the_same_orders(folder: &str, least: usize) {
    let mut lines = 0;
    for path in scenarios(folder) {
        let base = path.parent().expect("it lies in a folder");
        let mut scenario = Scenario::load(&path).expect("it can be read");
        let name = path.display().to_string();
        let mut setup = Setup::from_scenario(&scenario, base).expect("it can start");
        assert_same_order(&name, &mut setup);
        scenario.schedule.policy = Policy::Random;
        scenario.schedule.slice = Slice::Instructions(700);
        let mut setup = Setup::from_scenario(&scenario, base).expect("it can start");
        lines += assert_same_order(&format!("{name}, random"), &mut setup);
    }
    assert!(lines >= least, "{folder}: only {lines} lines");
}

#[test]
fn seeds_give_the_same_order_again() {
    folder_gives_the_same_orders("seeds", 100);
}

#[test]
fn priorities_give_the_same_order_again() {
    folder_gives_the_same_orders("scheduling", 100);
}

#[test]
fn futexes_give_the_same_order_again() {
    folder_gives_the_same_orders("futex", 30);
}

/// A run in the words of a golden that names no cycles.
fn order(setup: &Setup) -> (String, Seen) {
    let (mut transcript, mut seen) = (Transcript::new(Level::Order), Seen::default());
    let finished = run::run(setup, &mut [&mut seen, &mut transcript]).expect("it starts");
    (transcript.text(&finished, &[]), seen)
}

/// The kernel of another build has all of its code elsewhere and takes other
/// times, and goes the same way where the schedule of the first one says so.
#[test]
fn a_schedule_survives_a_rebuild_of_the_kernel() {
    let kernel = fs::read(common::mutants::kernel()).expect("it was built");
    let mut rebuilt = Guests::default();
    assert_ne!(*rebuilt.kernel, *kernel);
    rebuilt.kernel = kernel.into();
    let mut lines = 0;
    for path in scenarios("seeds").iter().chain(&scenarios("futex")) {
        let base = path.parent().expect("it lies in a folder");
        let mut scenario = Scenario::load(path).expect("it can be read");
        scenario.schedule.policy = Policy::Random;
        scenario.schedule.slice = Slice::Instructions(700);
        let setup = Setup::from_scenario(&scenario, base).expect("it can start");
        let (before, seen) = order(&setup);
        let schedule = seen.extractor.finish();
        lines += schedule.lines.len();
        // Another seed: what is the same comes from the schedule.
        scenario.machine.seed += 1;
        let mut setup = Setup::with_guests(&scenario, base, &rebuilt).expect("it can start");
        setup.follow(again(&schedule));
        let (after, seen) = order(&setup);
        let mut judge = Follower::new(again(&schedule));
        for event in &seen.events {
            judge.see(event);
        }
        assert_eq!(judge.misfit(true), None, "{}", path.display());
        assert_eq!(
            golden::difference(&before, &after),
            None,
            "{}",
            path.display()
        );
    }
    assert!(lines > 150, "only {lines} lines");
}

/// The threads of a program are stopped between two of their own instructions,
/// and the trace of that run says so and replays.
#[test]
fn a_task_is_interrupted_after_its_nth_instruction() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (lines, trace) = (path("x.schedule"), path("t.coe"));
    fs::write(&lines, "coe schedule 1\nmain/2 start +1_204 => run main\n").unwrap();
    let threads = ["threads", "3"];
    let record = ["record", "--schedule", &lines, "-o", &trace];
    let (status, said) = call(&[&record[..], &threads].concat());
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains("does not fit"), "{said}");
    assert_eq!(call(&["replay", &trace]).0, 0);
    let output = coe()
        .args(["trace", "--format", "schedule", &trace])
        .output()
        .unwrap();
    let written = String::from_utf8(output.stdout).unwrap();
    assert!(
        written.contains("\nmain/2 start +1204 => interrupt\n"),
        "{written}"
    );
}

#[test]
fn mistakes_and_misfits_are_shown_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.schedule");
    let path = path.to_str().unwrap();
    let run = |line: &str| {
        fs::write(path, format!("coe schedule 1\n\n{line}\n")).unwrap();
        call(&["run", "--schedule", path, "threads", "2"])
    };
    let (status, said) = run("main/2 futx => run main");
    assert_eq!(status, 126, "{said}");
    assert!(
        said.contains("x.schedule:3:8") && said.contains("did you mean `futex`?"),
        "{said}"
    );
    let (status, said) = run("main clone[2] => pick main/9");
    assert_eq!(status, 0, "{said}");
    let line = "x.schedule:3: `main clone[2] => pick main/9`: at cycle ";
    assert!(
        said.contains(line) && said.contains("under the scenario's policy"),
        "{said}"
    );
    let (_, said) = run("main clone[9] => pick main/1");
    assert!(
        said.contains("the event came 2 times, expected 9"),
        "{said}"
    );
    assert_eq!(call(&["run", "--schedule", "/no/such", "hello"]).0, 127);
}

#[test]
fn a_scenario_names_its_schedule_and_fails_where_it_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("x.toml");
    let test = |schedule: &str| {
        fs::write(folder.path().join("x.schedule"), schedule).unwrap();
        let output = coe().arg("test").arg(&scenario).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let file = "title = \"t\"\nprogram = { run = \"threads\", args = [\"2\"] }\n\
                schedule = { file = \"x.schedule\" }\n";
    fs::write(&scenario, file).unwrap();
    let (status, said) = test("coe schedule 1\nmain/1 start +5 => run main/2\n");
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = test("coe schedule 1\nmain/7 start +5 => run main/2\n");
    assert_eq!(status, Some(123), "{said}");
    assert!(said.contains("x.schedule:2: `main/7 start +5"), "{said}");
    let (status, said) = test("main/7 start +5 => run main/2\n");
    assert_ne!(status, Some(0));
    assert!(said.contains("not a schedule"), "{said}");
}
