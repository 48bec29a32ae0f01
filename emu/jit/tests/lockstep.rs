//! The compiler against the reference interpreter: the same state at the same
//! cycles, on random programs with random deadlines.

mod common;

use common::{Program, Random, World, compiler, eager, judge};
use jit::Jit;
use machine::engine::Reference;

/// Runs a program in both engines, and compares them wherever they stop.
fn compare(seed: u64, jit: Jit) {
    let mut random = Random(seed);
    let program = Program::random(&mut random);
    judge(&program, seed, &mut random, jit);
}

#[test]
fn random_programs_have_the_same_state_at_the_same_cycles() {
    for seed in 1..=60 {
        compare(seed, compiler());
    }
}

#[test]
fn random_programs_have_the_same_state_where_all_is_compiled() {
    for seed in 1..=30 {
        compare(seed, eager());
    }
}

fn compare_telling(seed: u64) {
    let mut random = Random(seed);
    let program = Program::telling(&mut random);
    judge(&program, seed, &mut random, eager());
}

#[test]
fn every_flag_is_the_same_behind_every_instruction() {
    for seed in 1..=100 {
        compare_telling(seed);
    }
}

fn compare_vectors(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let program = Program::of_vectors(&mut random);
    judge(&program, seed, &mut random, compiler());
}

#[test]
fn random_vectors_have_the_same_lanes() {
    for seed in 1..=100 {
        compare_vectors(seed);
    }
}

fn compare_doubles(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let program = Program::of_doubles(&mut random);
    judge(&program, seed, &mut random, compiler());
}

/// Zeros, denormal numbers, infinities, NaNs, results that are too large or too
/// small, all roundings.
#[test]
fn doubles_have_the_same_bits_and_flags_at_the_same_cycles() {
    for seed in 1..=150 {
        compare_doubles(seed);
    }
}

#[test]
fn one_special_number_among_ordinary_ones_is_noticed() {
    common::edges::judge_edges();
}

/// From region to region: through a table that changes, to code that is far away,
/// with flags that are read there.
#[test]
fn regions_that_lead_to_each_other_change_nothing() {
    for seed in 1..=12 {
        let mut random = Random(seed);
        let program = Program::of_tables(random.next());
        judge(&program, seed, &mut random, compiler());
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
        compare(seed, compiler());
        compare(seed, eager());
        compare_telling(seed);
        compare_doubles(seed);
        compare_vectors(seed);
    }
}
