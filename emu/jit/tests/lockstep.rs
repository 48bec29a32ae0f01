//! The compiler against the reference interpreter: the same state at the same
//! cycles, on random programs with random deadlines.

mod common;

use common::{Program, Random, World};
use jit::Jit;
use machine::engine::{Engine, Reference};

fn compiler() -> Jit {
    Jit::with_threshold(1, 300).expect("a host that it is for")
}

/// Runs a program in both engines, and compares them wherever they stop.
fn compare(seed: u64) {
    let mut random = Random(seed);
    let program = Program::random(&mut random);
    let mut left = World::new(&program);
    let mut right = left.clone();
    let mut reference: Box<dyn Engine> = Box::new(Reference::default());
    let mut jit = compiler();
    for round in 0..200 {
        let deadline = left.cpu.cycle + random.deadline();
        let (a, b) = (
            left.run(&mut *reference, deadline),
            right.run(&mut jit, deadline),
        );
        assert_eq!(a, b, "seed {seed:#x}, round {round}, until {deadline}");
        let same = left.cpu == right.cpu;
        assert!(
            same,
            "seed {seed:#x}, round {round}: {}",
            left.differences(&right)
        );
        assert!(left.has_memory_of(&right), "seed {seed:#x}, round {round}");
        if a.is_err() {
            return;
        }
    }
}

#[test]
fn random_programs_have_the_same_state_at_the_same_cycles() {
    for seed in 1..=60 {
        compare(seed);
    }
}

/// More regions than there is room for: all are dropped again and again.
#[test]
fn regions_that_are_dropped_all_the_time_change_nothing() {
    const MOST: usize = 48 << 10;
    let mut left = World::new(&Program::loops(60));
    let mut right = left.clone();
    let mut reference = Reference::default();
    let mut jit = compiler().with_most_bytes(MOST);
    let mut most = 0;
    for deadline in (10_000..4_000_000).step_by(10_000) {
        left.run(&mut reference, deadline).expect("it goes on");
        right.run(&mut jit, deadline).expect("it goes on");
        assert!(left.cpu == right.cpu, "{}", left.differences(&right));
        most = most.max(jit.bytes());
    }
    println!("dropped {} times; {most} bytes", jit.drops());
    assert!((MOST / 2..=MOST).contains(&most), "{most} bytes");
    assert!(jit.drops() > 4, "{}", jit.drops());
}

/// For longer searches: `SEEDS=from..to`.
#[test]
#[ignore = "as long as one likes"]
fn many_random_programs() {
    let range = std::env::var("SEEDS").unwrap_or("1000..4000".to_owned());
    let (from, to) = range.split_once("..").expect("two numbers");
    for seed in from.parse().expect("a number")..to.parse().expect("a number") {
        compare(seed);
    }
}
