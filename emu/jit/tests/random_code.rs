//! Random code: compiled at once or when it has become hot, it has the same
//! digest at the same cycles as on the reference interpreter.

#[path = "../../threaded/tests/random/mod.rs"]
mod random;

use jit::Jit;

#[test]
fn random_code_does_the_same() {
    let [soon, later] =
        [(1, 300), (4, 2000)].map(|(times, slice)| Jit::with_threshold(times, slice));
    let (Some(soon), Some(later)) = (soon, later) else {
        eprintln!("skipped: there is no compiler for this host");
        return;
    };
    random::judge_seeds(60, &[&soon, &later]);
}

#[test]
fn bytes_of_a_fuzzer_do_the_same() {
    match Jit::with_threshold(1, 300) {
        Some(soon) => random::judge_bytes(10, &[&soon]),
        None => eprintln!("skipped: there is no compiler for this host"),
    }
}
