//! The compiler against the reference interpreter: the same state at the same
//! cycles, on random programs with random deadlines.

mod common;

use common::{Program, Random, World};
use jit::Jit;
use machine::engine::{Engine, Reference};

/// Runs a program in both engines, and compares them wherever they stop.
fn compare(seed: u64) {
    let mut random = Random(seed);
    let program = Program::random(&mut random);
    let mut left = World::new(&program);
    let mut right = left.clone();
    let mut reference: Box<dyn Engine> = Box::new(Reference::default());
    let mut jit: Box<dyn Engine> =
        Box::new(Jit::with_threshold(1, 300).expect("a host that it is for"));
    for round in 0..200 {
        let deadline = left.cpu.cycle + random.deadline();
        let (a, b) = (
            left.run(&mut *reference, deadline),
            right.run(&mut *jit, deadline),
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
