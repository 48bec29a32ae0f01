//! Events of runs that fit their schedule, and of such that do not.

use super::*;
use crate::events::tests::{boot, kernel};

fn follower(lines: &str) -> Follower {
    let text = format!("{}\n{lines}", super::super::HEAD);
    let mut follower = Follower::new(Schedule::parse("x", &text).unwrap());
    for event in boot() {
        assert!(!follower.see(&event));
    }
    follower
}

fn write(cycle: u64) -> Event {
    kernel(cycle, EventId::SysEnter, [1, 0, 0, 0, 0])
}

fn switch(from: u64, state: TaskState, to: u64) -> Event {
    kernel(7, EventId::SchedSwitch, [from, state as u64, to, 0, 0])
}

fn pick() -> Choice {
    Choice {
        kind: ChoiceKind::PickNext,
        n: 2,
        default: 0,
        candidates: vec![4, 1],
        index: 0,
    }
}

fn asked(follower: &mut Follower) -> Answer {
    let answer = follower.answer(&pick());
    let taken = match answer {
        Answer::Given(answer) => answer,
        Answer::Default | Answer::Policy => 0,
    };
    let mut event = write(9);
    event.payload = Payload::Choice {
        choice: pick(),
        answer: taken,
    };
    follower.see(&event);
    answer
}

fn why(follower: &Follower) -> String {
    follower
        .misfit(true)
        .map_or_else(String::new, |misfit| misfit.to_string())
}

#[test]
fn a_step_waits_for_its_event_then_for_its_task() {
    let mut script = follower("then any write[2] task=main => run init");
    assert!(!script.see(&write(5)));
    assert_eq!(script.answer(&pick()), Answer::Default);
    assert!(why(&script).contains("came 1 times, expected 2"));
    assert!(script.see(&write(6)));
    assert_eq!(script.answer(&pick()), Answer::Given(1));
    assert!(why(&script).contains("init never ran"));
    script.see(&switch(4, TaskState::Running, 1));
    assert_eq!(why(&script), "");
    assert_eq!(script.answer(&pick()), Answer::Default);
}

#[test]
fn steps_count_from_the_one_before_and_lines_from_the_birth() {
    let mut script = follower(
        "main write => interrupt\nthen main write => interrupt\nmain write[3] => interrupt",
    );
    assert_eq!(
        [5, 6, 7, 8].map(|at| script.see(&write(at))),
        [true, true, true, false]
    );
    assert_eq!(why(&script), "");
}

#[test]
fn the_question_after_the_event_is_answered() {
    let mut schedule = follower("main write => pick[2] init\nmain write => pick[3] init");
    assert_eq!(asked(&mut schedule), Answer::Default);
    schedule.see(&write(5));
    let answers = [(); 4].map(|()| asked(&mut schedule));
    let given = Answer::Given(1);
    assert_eq!(answers, [Answer::Default, given, given, Answer::Default]);
    assert_eq!(why(&schedule), "");
}

#[test]
fn what_does_not_fit_is_left_to_the_policy() {
    let said = |lines: &str, events: &[Event]| {
        let mut schedule = follower(lines);
        for event in events {
            schedule.see(event);
        }
        let (first, second) = (asked(&mut schedule), asked(&mut schedule));
        assert_eq!(second, Answer::Policy, "{first:?}");
        let misfit = schedule.misfit(false).unwrap();
        assert_eq!(misfit.place, "x:2");
        misfit.why
    };
    let gone = switch(4, TaskState::Dead, 1);
    assert_eq!(
        said("main write => pick main/9", &[write(5)]),
        "main/9 is no answer, only main, init"
    );
    assert!(said("main write => pick init", &[write(5), write(6)]).contains("before"));
    assert_eq!(
        said("main write => pick init", std::slice::from_ref(&gone)),
        "main ends: the event came 0 times, expected 1"
    );
    assert_eq!(
        said("main start +9 => run init", std::slice::from_ref(&gone)),
        "main ends without it"
    );
    assert_eq!(
        said("any write => run main", &[write(5), gone]),
        "main has ended"
    );
}

#[test]
fn a_line_may_give_the_rest_to_the_policy() {
    let mut schedule = follower("main write => policy\nmain write[2] => run init");
    assert_eq!(asked(&mut schedule), Answer::Default);
    assert!(!schedule.see(&write(5)) && !schedule.see(&write(6)));
    assert_eq!(asked(&mut schedule), Answer::Policy);
    assert_eq!(why(&schedule), "");
}

/// Only what the task itself runs in user mode counts.
#[test]
fn an_alarm_counts_the_tasks_own_instructions() {
    let at = |retired_user: u64, mut event: Event| {
        event.at.retired_user = retired_user;
        event
    };
    let mut schedule = follower("main write +100 => interrupt");
    assert_eq!(schedule.alarm(), None);
    schedule.see(&at(1000, write(5)));
    assert_eq!(schedule.alarm(), Some(1100));
    schedule.see(&at(1030, switch(4, TaskState::Running, 1)));
    assert_eq!(schedule.alarm(), None);
    schedule.see(&at(1500, switch(1, TaskState::Running, 4)));
    assert_eq!(schedule.alarm(), Some(1570));
    let mut interrupt = write(8);
    interrupt.payload = Payload::Input(Input::Interrupt(RESCHEDULE_VECTOR));
    schedule.see(&at(1570, interrupt));
    assert_eq!((schedule.alarm(), why(&schedule)), (None, String::new()));
}
