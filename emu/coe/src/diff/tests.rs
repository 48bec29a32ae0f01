//! Runs that differ in one way each.

use super::text::{Limits, write};
use super::*;

const LIMITS: Limits = Limits {
    places: 3,
    phases: 10,
};

/// A run of these steps, ten cycles each: `task event ...`; `-> task` is a switch.
pub(crate) fn run(steps: &[&str]) -> Side {
    let step = |(at, text): (usize, &&str)| {
        let (task, event) = text.split_once(' ').expect("a task and an event");
        let (task, key) = match task {
            "->" => (event, format!("sched_switch next={event}")),
            _ => (task, format!("{event} task={task}")),
        };
        Step {
            task: task.to_owned(),
            key,
            cycle: 10 * (at as u64 + 1),
        }
    };
    Side {
        name: "n".to_owned(),
        steps: steps.iter().enumerate().map(step).collect(),
        timed: true,
        ending: "exit 0".to_owned(),
        counted: Some(Counted {
            cycles: 10 * (steps.len() as u64 + 1),
            retired: 1,
        }),
        ..Side::default()
    }
}

/// The first verdict, and all tasks with what became of them.
fn verdict(a: &[&str], b: &[&str]) -> Verdict {
    compare(&run(a), &run(b)).places[0].verdict.clone()
}

const TWO: [&str; 9] = [
    "main fork",
    "main wait",
    "-> main/1",
    "main/1 read",
    "main/1 exit",
    "-> main/2",
    "main/2 write",
    "main/2 exit",
    "-> main",
];

#[test]
fn equal_runs_are_the_same() {
    let comparison = compare(&run(&TWO), &run(&TWO));
    assert!(comparison.same() && comparison.same_cycles());
    assert_eq!(comparison.common, 9);
}

#[test]
fn the_same_work_in_another_order_is_another_order_and_nothing_else() {
    let other = [
        "main fork",
        "main wait",
        "-> main/2",
        "main/2 write",
        "main/2 exit",
        "-> main/1",
        "main/1 read",
        "main/1 exit",
        "-> main",
    ];
    let comparison = compare(&run(&TWO), &run(&other));
    assert_eq!(comparison.common, 2);
    let expected = Verdict::Order {
        first: "main/2".to_owned(),
        before: "main/1".to_owned(),
    };
    assert_eq!(comparison.places[0].verdict, expected);
    assert_eq!(comparison.places.len(), 1, "{:?}", comparison.places);
    for change in &comparison.tasks {
        assert_eq!((change.only_a, change.only_b), (0, 0), "{change:?}");
    }
}

#[test]
fn a_switch_that_only_one_run_has_is_another_order() {
    let a = ["main a", "main b", "main c", "-> main/1", "main/1 x"];
    let b = [
        "main a",
        "-> main/1",
        "main/1 x",
        "-> main",
        "main b",
        "main c",
    ];
    let expected = Verdict::Order {
        first: "main/1".to_owned(),
        before: "main".to_owned(),
    };
    assert_eq!(verdict(&a, &b), expected);
}

#[test]
fn what_a_task_does_otherwise_more_or_less_is_said() {
    let base = ["main a", "main b", "main c"];
    assert_eq!(
        verdict(&base, &["main a", "main x", "main c"]),
        Verdict::Changed {
            a: "b task=main".to_owned(),
            b: "x task=main".to_owned()
        }
    );
    assert_eq!(
        verdict(&base, &["main a", "main c"]),
        Verdict::OnlyA("b task=main".to_owned())
    );
    assert_eq!(
        verdict(&base, &["main a", "main b", "main c", "main d"]),
        Verdict::OnlyB("d task=main".to_owned())
    );
}

#[test]
fn places_that_lie_apart_are_told_apart() {
    let a = ["main a", "main b", "main c", "main d", "main e", "main f"];
    let b = ["main x", "main b", "main c", "main d", "main e", "main y"];
    assert_eq!(compare(&run(&a), &run(&b)).places.len(), 2);
    let b = ["main x", "main b", "main y", "main d", "main e", "main f"];
    let comparison = compare(&run(&a), &run(&b));
    assert_eq!(comparison.places.len(), 1);
    assert_eq!(comparison.places[0].common, [(1, 1)]);
}

#[test]
fn gains_are_told_by_phase_and_by_kind() {
    let (a, mut b) = (run(&TWO), run(&TWO));
    for step in &mut b.steps[4..] {
        step.cycle += 300;
    }
    b.counted = Some(Counted {
        cycles: 405,
        retired: 1,
    });
    let comparison = compare(&a, &b);
    assert!(comparison.same() && !comparison.same_cycles());
    let cycles = comparison.cycles.clone().unwrap();
    let gains: Vec<_> = cycles.phases.iter().map(Phase::gain).collect();
    assert_eq!((gains, cycles.count), (vec![300, 5], 10));
    assert_eq!(cycles.kinds[0].from, "read");
    let text = write(&a, &b, &comparison, LIMITS);
    assert!(
        text.contains("the same 9 events in the same order"),
        "{text}"
    );
    assert!(
        text.contains("cycles: B needs +305 (+305.00 %); 2 of 10 phases changed"),
        "{text}"
    );
    assert!(text.contains("+300 in 1 x read -> exit"), "{text}");
    let none = Limits {
        phases: 0,
        ..LIMITS
    };
    let text = write(&a, &b, &comparison, none);
    assert!(text.ends_with("2 of 10 phases changed\n"), "{text}");
}

#[test]
fn the_report_names_the_first_difference_and_where_they_meet_again() {
    let (a, mut b) = (run(&TWO), run(&TWO));
    b.steps[3].key = "poll task=main/1".to_owned();
    b.console = vec!["hi".to_owned()];
    b.ending = "exit 1".to_owned();
    let text = write(&a, &b, &compare(&a, &b), LIMITS);
    let part = "  \u{20}           10 fork task=main\n";
    assert!(
        text.contains("first difference, after 3 common events\n"),
        "{text}"
    );
    assert!(text.contains(part), "{text}");
    assert!(
        text.contains("  A            40 read task=main/1\n  B            40 poll task=main/1\n"),
        "{text}"
    );
    assert!(
        text.contains("A does `read task=main/1`, B does `poll task=main/1`"),
        "{text}"
    );
    assert!(
        text.contains("come together again with `exit task=main/1`, at cycle 50 in A and 50 in B"),
        "{text}"
    );
    assert!(
        text.contains("the console differs from line 1:\n  A (nothing more)\n  B hi\n"),
        "{text}"
    );
    assert!(
        text.contains("the runs end differently:\n  A exit 0\n  B exit 1\n"),
        "{text}"
    );
    assert!(
        text.contains("  main/1  2 events in both, 1 only in A, 1 only in B\n"),
        "{text}"
    );
}
