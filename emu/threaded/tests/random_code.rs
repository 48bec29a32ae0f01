//! Random code: the engine has the same digest at the same cycles as the
//! reference interpreter, whatever falls between. `COE_LOCKSTEP_GUESTS` says how
//! many guests are tried, `COE_LOCKSTEP_FIRST` from which seed on.

mod lockstep;

use lockstep::{Dice, Plan, guest, judge};
use machine::engine::Reference;

/// How long each guest runs.
const CYCLES: u32 = 60_000;

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => otherwise,
    }
}

fn one(mut dice: Dice<'_>) {
    let guest = guest(&mut dice);
    let plan = Plan::draw(&mut dice, CYCLES);
    judge(&guest, &plan, &[&Reference::default()], &mut dice);
}

#[test]
fn random_code_does_the_same() {
    let first = number("COE_LOCKSTEP_FIRST", 0);
    for seed in first..first + number("COE_LOCKSTEP_GUESTS", 150) {
        println!("guest {seed}");
        one(Dice::Seed(seed));
    }
}

/// As a fuzzer has it: most of what it gives means little.
#[test]
fn bytes_of_a_fuzzer_do_the_same() {
    for seed in 0..10 {
        let mut dice = Dice::Seed(seed);
        let bytes: Vec<u8> = (0..400 * seed).map(|_| dice.below(256) as u8).collect();
        println!("{} bytes", bytes.len());
        one(Dice::Bytes(&bytes));
    }
}
