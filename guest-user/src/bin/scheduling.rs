//! `scheduling WORD`: classes, nice values and limits of tasks, as other tasks see them.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guest_user::map::Pages;
use guest_user::out::must;
use guest_user::signal::{SIGKILL, kill};
use guest_user::start::Args;
use guest_user::sys_sched::{
    Attributes, RLIMIT_NICE, RLIMIT_RTPRIO, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL,
    SCHED_RESET_ON_FORK, SCHED_RR, attributes, become_user, nice, priorities, priority_rt,
    scheduler, set_affinity, set_attributes, set_limit, set_nice, set_priority_rt, set_scheduler,
};
use guest_user::{println, program, sys, task};

program!(main);

fn main(args: &Args) -> i32 {
    // On a host with several CPUs the tasks have to share one.
    must(set_affinity(0, 1), "sched_setaffinity");
    match args.text(1) {
        Some("classes") => classes(),
        Some("nice") => nice_values(),
        Some("shares") => shares(),
        Some("real-time") => real_time(),
        Some("inherit") => inherit(),
        Some("limits") => limits(),
        _ => return 2,
    }
    0
}

fn name(policy: u32) -> &'static str {
    match policy {
        SCHED_NORMAL => "other",
        SCHED_BATCH => "batch",
        SCHED_IDLE => "idle",
        SCHED_FIFO => "fifo",
        SCHED_RR => "rr",
        _ => "something else",
    }
}

/// Each class is set and read; what does not go together is refused.
fn classes() {
    for (policy, priority) in [
        (SCHED_BATCH, 0),
        (SCHED_IDLE, 0),
        (SCHED_FIFO, 7),
        (SCHED_RR, 99),
        (SCHED_NORMAL, 0),
    ] {
        must(set_scheduler(0, policy, priority), "sched_setscheduler");
        let policy = must(scheduler(0), "sched_getscheduler");
        let priority = must(priority_rt(0), "sched_getparam");
        let attributes = must(attributes(0), "sched_getattr");
        println!(
            "{} with priority {priority}, and so says sched_getattr: {}, {}",
            name(policy),
            name(attributes.policy),
            attributes.priority
        );
    }
    for (policy, priority) in [
        (SCHED_NORMAL, 1),
        (SCHED_FIFO, 0),
        (SCHED_RR, 100),
        (4, 0),
        (77, 0),
    ] {
        let refused = set_scheduler(0, policy, priority);
        println!("policy {policy} with priority {priority}: {refused:?}");
    }
    println!("a task that is not there: {:?}", scheduler(1 << 30));
    println!("a negative one: {:?}", set_scheduler(-1, SCHED_NORMAL, 0));
    println!("priority of a task without: {:?}", set_priority_rt(0, 5));
    for policy in [SCHED_NORMAL, SCHED_FIFO, SCHED_RR, SCHED_IDLE, 77] {
        println!("policy {policy} has priorities {:?}", priorities(policy));
    }
    let both = Attributes {
        size: 48,
        policy: SCHED_BATCH,
        nice: 7,
        ..Attributes::default()
    };
    must(set_attributes(0, &both), "sched_setattr");
    println!(
        "sched_setattr: {} and nice {:?}",
        name(must(scheduler(0), "sched_getscheduler")),
        nice(0)
    );
    let unknown = Attributes {
        flags: 1 << 40,
        ..both
    };
    println!("an unknown flag: {:?}", set_attributes(0, &unknown));
    let short = Attributes { size: 4, ..both };
    println!("a short structure: {:?}", set_attributes(0, &short));
}

/// A nice value is the task's own; a child starts with it.
fn nice_values() {
    for wanted in [5, 100, -3, -100, 1] {
        must(set_nice(0, wanted), "setpriority");
        println!("nice {wanted} gives {:?}", nice(0));
    }
    let child = must(task::fork(), "fork");
    if child == 0 {
        println!("the child starts with {:?}", nice(0));
        must(set_nice(0, 9), "setpriority");
        task::exit(0);
    }
    must(task::wait(child, 0), "wait");
    println!("and changes its own, not its mother's: {:?}", nice(0));
    println!("nobody: {:?}", nice(1 << 30));
}

const TASKS: [i32; 3] = [0, 3, 8];

/// Tasks that do nothing but count get shares by their weights, each step of
/// nice a quarter more than the next.
fn shares() {
    let counts = must(Pages::shared(TASKS.len()), "mmap");
    let mut children = [0; TASKS.len()];
    for (at, child) in children.iter_mut().enumerate() {
        *child = must(task::fork(), "fork");
        if *child == 0 {
            must(set_nice(0, TASKS[at]), "setpriority");
            count(counts.word(at));
            task::exit(0);
        }
    }
    // The end is a count as well and not a time, so that the order of events
    // is a matter of user instructions alone.
    must(task::wait(children[0], 0), "wait");
    for &child in &children[1..] {
        must(kill(child, SIGKILL), "kill");
        must(task::wait(child, 0), "wait");
    }
    let weights = TASKS.map(weight);
    let total: u64 = (0..TASKS.len())
        .map(|at| counts.word(at).load(Relaxed))
        .sum();
    let all: u64 = weights.iter().sum();
    for (at, (nice, weight)) in TASKS.iter().zip(weights).enumerate() {
        let share = counts.word(at).load(Relaxed) * 100_000 / total;
        let due = weight * 100_000 / all;
        let fits = share.abs_diff(due) * 100 <= due;
        println!("nice {nice}: the share fits its weight to one percent: {fits}");
    }
}

/// How far tasks count. Only the first gets there: it has the most weight.
const ENOUGH: u64 = 300_000;

fn count(word: &AtomicU64) {
    while word.load(Relaxed) < ENOUGH {
        word.store(word.load(Relaxed) + 1, Relaxed);
    }
}

/// 1024 at nice 0, a quarter less with each step.
fn weight(nice: i32) -> u64 {
    let mut weight = 1024 * 1000;
    for _ in 0..nice {
        weight = weight * 4 / 5;
    }
    weight
}

/// Among real-time tasks the priority decides, in one priority the order of
/// their coming, and all run before any other.
fn real_time() {
    must(set_scheduler(0, SCHED_FIFO, 50), "sched_setscheduler");
    let order = must(Pages::shared(1), "mmap");
    let jobs = [
        (SCHED_NORMAL, 0),
        (SCHED_FIFO, 10),
        (SCHED_RR, 20),
        (SCHED_FIFO, 20),
        (SCHED_FIFO, 30),
    ];
    let mut children = [0; 5];
    for (at, child) in children.iter_mut().enumerate() {
        *child = must(task::fork(), "fork");
        if *child == 0 {
            let (policy, priority) = jobs[at];
            must(set_scheduler(0, policy, priority), "sched_setscheduler");
            let place = order.word(0).fetch_add(1, Relaxed);
            order
                .word_at(0, 1 + place as usize)
                .store(at as u64, Relaxed);
            task::exit(0);
        }
    }
    println!(
        "none runs before its mother sleeps: {}",
        order.word(0).load(Relaxed)
    );
    // They set their class one after the other, first come first served; the
    // one of lowest rank steps back at once and comes last.
    for child in children {
        must(task::wait(child, 0), "wait");
    }
    for place in 0..jobs.len() {
        let (policy, priority) = jobs[order.word_at(0, 1 + place).load(Relaxed) as usize];
        println!("{place}: {} {priority}", name(policy));
    }
    wakes_at_once();
}

/// A real-time task that wakes runs at once, in the middle of another's turn.
fn wakes_at_once() {
    let seen = must(Pages::shared(1), "mmap");
    let sleeper = must(task::fork(), "fork");
    if sleeper == 0 {
        must(sys::sleep_ms(5), "nanosleep");
        seen.word(0).store(1, Relaxed);
        task::exit(0);
    }
    must(set_scheduler(0, SCHED_NORMAL, 0), "sched_setscheduler");
    while seen.word(0).load(Relaxed) == 0 {
        core::hint::spin_loop();
    }
    println!("a real-time task that woke ran in the middle of another's turn");
    must(task::wait(sleeper, 0), "wait");
}

/// With SCHED_RESET_ON_FORK a child gets nothing that needs privileges.
fn inherit() {
    let tell = |what: &str| {
        let child = must(task::fork(), "fork");
        if child == 0 {
            let policy = must(scheduler(0), "sched_getscheduler");
            println!(
                "{what}: the child is {} with priority {:?} and nice {:?}",
                name(policy),
                priority_rt(0),
                nice(0)
            );
            task::exit(0);
        }
        must(task::wait(child, 0), "wait");
    };
    must(set_scheduler(0, SCHED_FIFO, 3), "sched_setscheduler");
    tell("fifo");
    let reset = SCHED_FIFO | SCHED_RESET_ON_FORK;
    must(set_scheduler(0, reset, 3), "sched_setscheduler");
    println!(
        "the flag shows: {}",
        must(scheduler(0), "sched_getscheduler") == reset
    );
    tell("fifo with reset");
    must(
        set_scheduler(0, SCHED_NORMAL | SCHED_RESET_ON_FORK, 0),
        "sched_setscheduler",
    );
    must(set_nice(0, -5), "setpriority");
    tell("nice -5 with reset");
    must(set_nice(0, 5), "setpriority");
    tell("nice 5 with reset");
}

/// Without privileges the limits say how far one may go.
fn limits() {
    must(set_limit(RLIMIT_NICE, 15, 15), "prlimit");
    must(set_limit(RLIMIT_RTPRIO, 10, 10), "prlimit");
    // Nobody here may change the first task of the system.
    let other = 1;
    must(become_user(1000), "setresuid");
    for wanted in [3, 6, 5, 4] {
        println!("nice {wanted}: {:?}", set_nice(0, wanted));
    }
    for priority in [11, 10, 4, 10] {
        let answer = set_scheduler(0, SCHED_FIFO, priority);
        println!("fifo {priority}: {answer:?}");
    }
    println!("back: {:?}", set_scheduler(0, SCHED_NORMAL, 0));
    println!("another user's task: {:?}", set_nice(other, 19));
    println!("its class: {:?}", set_scheduler(other, SCHED_BATCH, 0));
    println!("to idle: {:?}", set_scheduler(0, SCHED_IDLE, 0));
    println!(
        "and back, as its nice value is allowed: {:?}",
        set_scheduler(0, SCHED_NORMAL, 0)
    );
}
